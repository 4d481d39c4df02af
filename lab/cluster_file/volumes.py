# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks of the guests in a cluster file: names as Proxmox VE gives them, and the volumes behind them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from lab.cluster_file.reader import Map, as_size, as_text, fail, suggestion
from lab.guests.drives import CLOUDINIT_SIZE
from lab.pve.cluster import Cluster
from lab.pve.formats import format_size, parse_property_string, parse_size
from lab.pve.storage import Snapshot, Volume
from lab.pve.storage_types import StorageType, storage_type

FILL = 0.4
"""Share of a disk that is allocated unless the cluster file says otherwise."""

_VOLUME_NAME = re.compile(r"(?:^|/)(vm|base|subvol|basevol)-(\d+)-")


@dataclass(slots=True)
class DiskSpec:
    """One disk as written; ``used`` None: a usual share of its size, ``options``: those of the drive."""

    storage: str
    size: int
    used: int | None
    format: str | None
    write_rate: float
    options: dict[str, str]
    volume: str | None = None


class Disks:
    """Creates volumes for the guests of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def kind(self, where: str, storage: str) -> StorageType:
        definitions = self._cluster.storages.definitions()
        if storage not in definitions:
            fail(where, f"storage '{storage}' is not defined{suggestion(storage, definitions)}")
        return storage_type(definitions[storage].type)

    def default_storage(self, where: str, content: str) -> str:
        """The first storage that may hold ``content``."""
        for name in self._cluster.storages.definitions():
            if content in self._cluster.storages.contents(name):
                return name
        fail(where, f"no storage of the cluster has content '{content}'; name a storage")

    # ------------------------------------------------------------ reading

    def read(self, where: str, value: Any, content: str) -> DiskSpec:
        """``32G``, ``tank:32G``, ``tank:32`` (GiB, as Proxmox VE writes it), ``tank:32G,ssd=1`` or a mapping."""
        if isinstance(value, dict):
            spec = Map(where, value)
            storage = spec.text("storage") or self.default_storage(where, content)
            disk = DiskSpec(
                storage, spec.size("size", 0), spec.size("used"), spec.text("format"), spec.rate("write_rate", 0.0), {},
                spec.text("volume"),
            )  # fmt: skip
            if not disk.size:
                fail(where, "size is missing")
            disk.options = {key: as_text(spec.at(key), item) for key, item in spec.rest()}
            return disk
        text = as_text(where, value)
        first, _comma, rest = text.partition(",")
        storage, colon, size = first.rpartition(":")
        if not colon:
            storage = self.default_storage(where, content)
        if re.fullmatch(r"\d+(\.\d+)?", size):
            size += "G"
        options = parse_property_string(rest)
        return DiskSpec(storage, as_size(where, size), None, options.pop("format", None), 0.0, options)

    # ------------------------------------------------------------ creating

    def create(
        self, where: str, node: str, vmid: int, type: str, key: str, disk: DiskSpec, base: Volume | None = None
    ) -> str:
        """Create the volume of a disk and return the configuration value (``tank:vm-100-disk-0,size=32G``)."""
        kind = self.kind(where, disk.storage)
        fmt = self._format(where, type, key, disk, kind)
        storages = self._cluster.storages
        prefix = "subvol" if fmt == "subvol" and not kind.files else "vm"
        name = disk.volume or storages.free_name(disk.storage, node, vmid, fmt, prefix)
        if kind.files and fmt == "subvol":
            name = name.replace(f"/vm-{vmid}-", f"/subvol-{vmid}-")
        if base is not None:
            name = f"{base.name}/{name}"
        volume = Volume(
            name, "rootdir" if type == "lxc" else "images", fmt, disk.size, self._used(disk, base), vmid,
            parent=base.name if base else None, write_rate=disk.write_rate,
        )  # fmt: skip
        self.put(where, disk.storage, node, volume)
        options = "".join(f",{name_}={item}" for name_, item in disk.options.items())
        return f"{disk.storage}:{name}{options},size={format_size(disk.size)}"

    def cloudinit(self, where: str, node: str, vmid: int, storage: str) -> str:
        kind = self.kind(where, storage)
        name = f"{vmid}/vm-{vmid}-cloudinit.qcow2" if kind.files else f"vm-{vmid}-cloudinit"
        fmt = "qcow2" if kind.files else "raw"
        self.put(where, storage, node, Volume(name, "images", fmt, CLOUDINIT_SIZE, 2**16, vmid))
        return f"{storage}:{name},media=cdrom,size=4M"

    def ensure(self, where: str, node: str, type: str, vmid: int, value: str) -> Volume | None:
        """The volume that a raw configuration value names; created when it is not there yet."""
        first = value.partition(",")[0]
        storage, colon, name = first.partition(":")
        if not colon or first.startswith("/") or first in {"none", "cdrom"}:
            return None
        kind = self.kind(where, storage)
        backing = self._cluster.storages.backing(storage, node)
        if backing is None:
            return None
        if name in backing.volumes:
            return backing.volumes[name]
        options = parse_property_string(value)
        if name.startswith(("iso/", "vztmpl/")):
            content, fmt, size = name.partition("/")[0], name.rpartition(".")[2], 700 * 2**20
        elif name.startswith("snippets/"):
            content, fmt, size = "snippets", "snippet", 4096
        else:
            content = "rootdir" if type == "lxc" else "images"
            fmt = self._format_of_name(name, kind)
            size = CLOUDINIT_SIZE if name.endswith(("cloudinit", "cloudinit.qcow2")) else 2**30
        if "size" in options:
            try:
                size = parse_size(options["size"])
            except ValueError as error:
                fail(where, str(error))
        owner = _VOLUME_NAME.search(name.rpartition("/")[2])
        used = size if content in {"iso", "snippets"} else int(size * FILL)
        parent = name.rpartition("/")[0] if re.search(r"base(?:vol)?-\d+-", name.rpartition("/")[0]) else None
        volume = Volume(name, content, fmt, size, used, int(owner[2]) if owner else None, parent=parent)
        self.put(where, storage, node, volume)
        return volume

    def put(self, where: str, storage: str, node: str, volume: Volume) -> None:
        """:raises ClusterFileError: when the storage is not there or too small."""
        storages = self._cluster.storages
        backing = storages.backing(storage, node)
        if backing is None or not self._allowed(storage, node):
            fail(where, f"storage '{storage}' is not available on node '{node}'")
        need = volume.used if backing.thin else volume.size
        if volume.size > backing.size or need > backing.avail:
            fail(
                where,
                f"a disk of {format_size(volume.size)} does not fit on storage '{storage}' of node '{node}' "
                f"(size {format_size(backing.size)}, free {format_size(backing.avail // 2**20 * 2**20)})",
            )
        volume.created = volume.created or self._cluster.engine.epoch - 30 * 86400
        if volume.block_size is None and storages.definition(storage).type == "zfspool" and volume.format == "raw":
            volume.block_size = 16384
        backing.volumes[volume.name] = volume

    def snapshot(self, volume: Volume, name: str, created: float, guid: int | None = None) -> None:
        if not volume.has_snapshot(name):
            number = guid if guid is not None else self._cluster.storages.new_guid()
            volume.snapshots.append(Snapshot(name, number, created, volume.used))

    def make_base(self, node: str, storage: str, volume: Volume) -> str:
        """Turn a template's volume into a base image; returns its new name."""
        backing = self._cluster.storages.backing(storage, node)
        new = volume.name.replace("subvol-", "basevol-").replace("vm-", "base-")
        if backing is not None and new != volume.name:
            del backing.volumes[volume.name]
            volume.name = new
            backing.volumes[new] = volume
            if self._cluster.storages.definition(storage).type in {"zfspool", "rbd"}:
                self.snapshot(volume, "__base__", volume.created)
        return new

    def _allowed(self, storage: str, node: str) -> bool:
        nodes = self._cluster.storages.nodes(storage)
        return nodes is None or node in nodes

    def _format(self, where: str, type: str, key: str, disk: DiskSpec, kind: StorageType) -> str:
        if disk.format is not None:
            if disk.format not in kind.formats:
                fail(where, f"storage '{disk.storage}' ({kind.name}) has no format '{disk.format}'")
            return disk.format
        if type == "lxc":
            return "subvol" if kind.name in {"zfspool", "btrfs"} else "raw"
        return "qcow2" if kind.files and "qcow2" in kind.formats and key != "tpmstate0" else "raw"

    @staticmethod
    def _format_of_name(name: str, kind: StorageType) -> str:
        last = name.rpartition("/")[2]
        if last.startswith(("subvol-", "basevol-")):
            return "subvol"
        return last.rpartition(".")[2] if kind.files and "." in last else "raw"

    @staticmethod
    def _used(disk: DiskSpec, base: Volume | None) -> int:
        if disk.used is not None:
            return disk.used
        share = FILL / 8 if base is not None else FILL
        return max(4096, int(disk.size * share) // 4096 * 4096)
