# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which local volumes of a VM must move, and which cannot (qemu-server QemuMigrate.pm:scan_local_volumes)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lab.errors import Die
from lab.guests.drives import VolumeUse, volume_uses
from lab.guests.migrate.options import Options
from lab.guests.storagemap import StorageMap
from lab.pve.cluster import Cluster
from lab.pve.formats import GuestConfig
from lab.pve.node import Node
from lab.pve.storage import Volume

MIGRATABLE = frozenset({"dir", "btrfs", "zfspool", "lvmthin", "lvm"})
_REFERENCES = {
    "attached": "(attached)",
    "unused": "(unused)",
    "snapshot": "(referenced by snapshot(s))",
    "pending": "(pending change)",
}


@dataclass(slots=True)
class LocalVolume:
    """One volume that is not shared.

    :ivar reference: ``attached``, ``unused``, ``snapshot``, ``pending``, ``generated`` (cloud-init, TPM state).
    :ivar storage: on the target. :ivar online: mirrored while the VM runs rather than copied before.
    """

    volid: str
    volume: Volume
    storage: str
    reference: str = ""
    replicated: bool = False
    online: bool = False
    with_snapshots: bool = False
    keep_name: bool = False
    drive: str | None = None


@dataclass(slots=True)
class Scan:
    """The volumes of one VM on their way from ``source`` to ``target``."""

    cluster: Cluster
    source: Node
    target: Node
    vmid: int
    config: GuestConfig
    options: Options
    running: bool
    replicated: frozenset[str]
    log: Callable[[str], None]

    def run(self) -> dict[str, LocalVolume]:
        """Local volumes by volume ID.

        :raises Die: ``Problem found while scanning volumes - …``.
        """
        found: dict[str, LocalVolume] = {}
        errors: dict[str, str] = {}
        others: list[str] = []
        for volid, use in volume_uses(self.config).items():
            try:
                self._test(found, others, use)
            except Die as fault:
                errors[volid] = fault.reason
        for volid in sorted(found):
            item = found[volid]
            kind = "generated" if item.reference == "generated" else "local"
            where = "(in current VM config)" if kind == "generated" else _REFERENCES.get(item.reference, "")
            if item.replicated and kind == "local":
                kind = "local, replicated"
            if item.reference == "attached" and self.running and not self.options.with_local_disks:
                errors[volid] = "can't live migrate attached local disks without with-local-disks option"
            self.log(f"found {kind} disk '{volid}' {where}".rstrip())
        for volid in sorted(errors):
            self.log(f"can't migrate local disk '{volid}': {errors[volid]}")
        for line in others:
            self.log(line)
        if errors or others:
            raise Die("Problem found while scanning volumes - can't migrate VM - check log")
        for item in found.values():
            self._movable(item)
            item.online = self.running and item.reference == "attached"
        return dict(sorted(found.items()))

    def _test(self, found: dict[str, LocalVolume], others: list[str], use: VolumeUse) -> None:
        volid = use.volid
        if volid.startswith("/"):
            if not use.shared:
                raise Die("local file/device")
            return
        if use.cdrom and volid == "none":
            return
        if use.cdrom and volid == "cdrom":
            names = ", ".join(sorted(use.snapshots))
            more = f" (referenced in snapshot - {names})" if names and not use.is_attached else ""
            others.append(f"can't migrate local cdrom drive{more}")
            return
        storages = self.cluster.storages
        storage = volid.partition(":")[0]
        definition = storages.check_available(storage, self.source.name)
        shared = storages.is_shared(storage)
        target = storage if shared else self.options.storages.target(storage)
        check_target(self.cluster, target, self.target.name, volid)
        if shared:
            return
        volume = storages.find(volid, self.source.name)
        if volume is None:
            raise Die(f"unable to determine size for volume '{volid}'")
        item = found[volid] = LocalVolume(
            volid, volume, target, _reference(use), volid in self.replicated, drive=use.drivename,
            with_snapshots=volume.format in {"qcow2", "vmdk"}, keep_name=use.is_vmstate or use.is_cloudinit,
        )  # fmt: skip
        if use.cdrom:
            if use.is_cloudinit:
                item.reference = "generated"
                return
            raise Die("local cdrom image")
        if volume.vmid != self.vmid:
            raise Die(f"owned by other VM (owner = VM {volume.vmid if volume.vmid is not None else ''})")
        if use.is_vmstate:
            return
        if use.snapshots:
            item.with_snapshots = True
            if self.running and not item.replicated:
                raise Die("online storage migration not possible if non-replicated snapshot exists")
            chain = definition.values.get("snapshot-as-volume-chain") == "1"
            inside = volume.format == "qcow2" and not chain
            btrfs = definition.type == "btrfs" and volume.format == "raw"
            if definition.type != "zfspool" and not btrfs and not inside:
                raise Die("non-migratable snapshot exists")
        if has_clones(self.cluster, volid, self.source.name):
            raise Die("referenced by linked clone(s)")

    def _movable(self, item: LocalVolume) -> None:
        kind = self.cluster.storages.definition(item.volid.partition(":")[0]).type
        problem = f"Problem found while scanning volumes - can't migrate '{item.volid}'"
        if kind not in MIGRATABLE:
            raise Die(f"{problem} - storage type '{kind}' not supported")
        if item.volume.parent is not None:
            raise Die(f"{problem} as it's a clone of '{item.volume.parent.rpartition('/')[2]}'")


def _reference(use: VolumeUse) -> str:
    if use.is_tpmstate:
        return "generated"
    if use.is_attached:
        return "attached"
    if use.is_unused:
        return "unused"
    return "snapshot" if use.snapshots else "pending" if use.pending else ""


def content_type(volid: str) -> str:
    """``images`` unless the volume is an ISO image, a template …"""
    first = volid.partition(":")[2].partition("/")[0]
    return first if first in {"iso", "vztmpl", "snippets", "backup", "import"} else "images"


def check_target(cluster: Cluster, storage: str, node: str, volid: str) -> None:
    """QemuMigrate.pm:target_storage_check_available."""
    cluster.storages.check_available(storage, node)
    kind = content_type(volid)
    if kind not in cluster.storages.contents(storage):
        raise Die(f"{volid}: content type '{kind}' is not available on storage '{storage}'")


def has_clones(cluster: Cluster, volid: str, node: str) -> bool:
    """Whether a base image has linked clones."""
    storage, _colon, name = volid.partition(":")
    if not name.rpartition("/")[2].startswith(("base-", "basevol-")):
        return False
    return any(other.parent == name for other in cluster.storages.volumes(storage, node))


def used_storages(cluster: Cluster, config: GuestConfig, storages: StorageMap) -> Iterator[tuple[str, str]]:
    """``(volume ID, storage on the target)`` of every volume of the current configuration."""
    for volid, use in volume_uses(GuestConfig(config.current)).items():
        storage, colon, _name = volid.partition(":")
        if colon and not volid.startswith("/") and not (use.cdrom and volid in {"none", "cdrom"}):
            yield volid, storage if cluster.storages.is_shared(storage) else storages.target(storage)
