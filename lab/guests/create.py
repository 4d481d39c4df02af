# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Creating guests and their disks (qemu-server API2/Qemu.pm:create_vm, pve-container API2/LXC.pm:create_vm)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.errors import ApiFault, BadParameters, Die
from lab.guests.drives import CLOUDINIT_SIZE, CT_DISK, EFI_SIZE, TPM_SIZE, VM_DISK, Drive, parse_drive
from lab.guests.identifiers import mac, uuid
from lab.pve.formats import GuestConfig, format_size, parse_property_string, print_property_string
from lab.pve.node import Node
from lab.pve.pmxcfs import VmEntry
from lab.pve.storage import Volume
from lab.pve.storage_types import storage_type
from lab.pve.users import Identity
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.tasks import Task

_NEW = re.compile(r"^[^/:\s]+:(\d+(\.\d+)?|cloudinit)$")
_FIXED_SIZES = {"efidisk0": EFI_SIZE, "tpmstate0": TPM_SIZE}
ALLOC_SECONDS = 0.2
UNPACK_SECONDS = 2.0
_MODELS = ("virtio", "e1000", "e1000e", "vmxnet3", "rtl8139")


def check_storages(cluster: Cluster, type: str, values: dict[str, str], user: Identity) -> None:
    """What is asked of each storage before anything is created.

    :raises ApiFault: the storage does not exist, holds other content, or the user may not use it.
    """
    pattern, content = (VM_DISK, "images") if type == "qemu" else (CT_DISK, "rootdir")
    for key, value in values.items():
        if not pattern.match(key):
            continue
        drive = parse_drive(key, value)
        if drive.storage is None or not _NEW.match(drive.volid):
            continue
        cluster.storages.definition(drive.storage)
        cluster.users.require(user, f"/storage/{drive.storage}", "Datastore.AllocateSpace")
        if content not in cluster.storages.contents(drive.storage):
            what = "vm images" if type == "qemu" else "container directories"
            raise BadParameters({"storage": f"storage '{drive.storage}' does not support {what}\n"})


def reserve(cluster: Cluster, node: Node, type: str, vmid: int, intro: str = "") -> VmEntry:
    """Write a locked configuration, so that nobody else takes the number.

    :raises Die: the guest exists.
    """
    other = cluster.guest(vmid)
    if other is not None:
        label = "VM" if other.type == "qemu" else "CT"
        raise Die(f"{intro}{label} {vmid} already exists on node '{other.node}'")
    entry = VmEntry(vmid, node.name, type)
    cluster.write_config(node, entry, GuestConfig({"lock": "create"}))
    return entry


@dataclass(slots=True)
class Creation:
    """One guest on its way; ``values`` as the request gave them."""

    cluster: Cluster
    node: Node
    entry: VmEntry
    values: dict[str, str]
    task: Task

    def run_vm(self) -> Sim:
        """Worker of ``qmcreate``.

        :raises Die: ``unable to create VM <vmid> - …``; what was made so far is gone.
        """
        yield from self._guarded(self._vm(), "VM")

    def run_ct(self, template: str) -> Sim:
        """Worker of ``vzcreate``."""
        yield from self._guarded(self._ct(template), "CT")

    def _guarded(self, work: Sim, label: str) -> Sim:
        try:
            yield from work
        except ApiFault as fault:
            self.cluster.fs.delete(self.entry.path)
            raise Die(f"unable to create {label} {self.entry.vmid} - {fault.reason}") from fault

    def _vm(self) -> Sim:
        vmid, cluster = self.entry.vmid, self.cluster
        current = dict(self.values)
        yield from self._disks(current, VM_DISK, report=lambda key, value: self.task.log(
            f"{key}: successfully created disk '{value}'"))  # fmt: skip
        for key in [key for key in current if re.fullmatch(r"net\d+", key)]:
            current[key] = with_address(current[key], vmid, int(key.removeprefix("net")))
        current.setdefault("boot", boot_order(current))
        current["meta"] = f"creation-qemu={self.node.qemu},ctime={int(cluster.engine.now)}"
        current.setdefault("smbios1", f"uuid={uuid(vmid, 'smbios')}")
        current.setdefault("vmgenid", uuid(vmid, "vmgenid"))
        cluster.write_config(self.node, self.entry, GuestConfig(current))

    def _ct(self, template: str) -> Sim:
        cluster = self.cluster
        volume = cluster.storages.find(template, self.node.name)
        if volume is None:
            self.task.log(f"volume '{template}' does not exist")
            raise Die(f"volume '{template}' does not exist")
        current = {"arch": "amd64", "memory": "512", "swap": "512", "hostname": f"CT{self.entry.vmid}", **self.values}
        current.setdefault("ostype", "debian")
        yield from self._disks(current, CT_DISK)
        self.task.log(f"extracting archive '{file_path(cluster, template)}'")
        yield cluster.engine.sleep(UNPACK_SECONDS)
        self.task.log(f"Total bytes read: {volume.size} (50KiB, 120MiB/s)")
        if current["ostype"] == "unmanaged":
            self.task.log("Falling back to amd64.", "Use `pct set VMID --arch ARCH` to change.")
        else:
            self.task.log("Detected container architecture: amd64")
        cluster.write_config(self.node, self.entry, GuestConfig(current))

    def _disks(
        self, current: dict[str, str], pattern: re.Pattern[str], report: Callable[[str, str], None] | None = None
    ) -> Sim:
        made: list[str] = []
        try:
            for key in sorted(key for key in current if pattern.match(key)):
                yield self.cluster.engine.sleep(ALLOC_SECONDS)
                drive = parse_drive(key, current[key])
                if _NEW.match(drive.volid):
                    current[key] = allocate(self.cluster, self.node, self.entry, drive, self.task)
                    made.append(parse_drive(key, current[key]).volid)
                    if report is not None:
                        report(key, current[key])
                elif drive.storage is not None and self.cluster.storages.find(drive.volid, self.node.name) is None:
                    raise Die(f"volume '{drive.volid}' does not exist")
        except ApiFault:
            for volid in made:
                self.cluster.storages.free(volid, self.node.name)
            raise


def allocate(cluster: Cluster, node: Node, entry: VmEntry, drive: Drive, task: Task | None = None) -> str:
    """Make the volume of ``storage:size`` (GiB); the value for the configuration.

    :param task: whose log gets what the storage's programs print.
    :raises Die: the storage cannot be used on this node.
    """
    storage, _colon, wanted = drive.volid.partition(":")
    storages, vmid = cluster.storages, entry.vmid
    section = storages.check_available(storage, node.name)
    kind = storage_type(section.type)
    options = dict(drive.options)
    fmt = options.pop("format", None) or _default_format(kind.name, section.values.get("format"), entry.type)
    if fmt not in kind.formats:
        raise Die(f"unsupported format '{fmt}'")
    if wanted == "cloudinit":
        return _cloudinit(cluster, node, vmid, storage, kind.files)
    size = _FIXED_SIZES.get(drive.key, int(float(wanted) * 2**30))
    name = storages.free_name(storage, node.name, vmid, fmt, "subvol" if fmt == "subvol" else "vm")
    content = "rootdir" if entry.type == "lxc" else "images"
    used = size if kind.name == "lvm" else 0
    block = 16384 if kind.name == "zfspool" and fmt == "raw" else None
    storages.alloc(storage, node.name, Volume(name, content, fmt, size, used, vmid, block_size=block))
    volid = f"{storage}:{name}"
    if task is not None and kind.files and fmt != "subvol":
        task.log(formatting(file_path(cluster, volid), fmt, size))
    options["size"] = format_size(size) if size else "0T"
    return Drive(drive.key, volid, options).print()


def _default_format(kind: str, configured: str | None, type: str) -> str:
    if type == "lxc" and kind in {"zfspool", "btrfs"}:
        return "subvol"
    return configured or "raw"


def _cloudinit(cluster: Cluster, node: Node, vmid: int, storage: str, files: bool) -> str:
    name = f"{vmid}/vm-{vmid}-cloudinit.qcow2" if files else f"vm-{vmid}-cloudinit"
    volume = Volume(name, "images", "qcow2" if files else "raw", CLOUDINIT_SIZE, 2**16, vmid)
    cluster.storages.alloc(storage, node.name, volume)
    return f"{storage}:{name},media=cdrom,size=4M"


def formatting(path: str, fmt: str, size: int) -> str:
    """What ``qemu-img create`` prints."""
    if fmt == "qcow2":
        return (
            f"Formatting '{path}', fmt=qcow2 cluster_size=65536 extended_l2=off preallocation=metadata "
            f"compression_type=zlib size={size} lazy_refcounts=off refcount_bits=16"
        )
    return f"Formatting '{path}', fmt={fmt} size={size} preallocation=off"


def file_path(cluster: Cluster, volid: str) -> str:
    """Where the file of a volume lies, on storages that have files."""
    storage, _colon, name = volid.partition(":")
    values = cluster.storages.definition(storage).values
    base = values.get("path", f"/mnt/pve/{storage}")
    first, _slash, rest = name.partition("/")
    folders = {"iso": "template/iso", "vztmpl": "template/cache", "backup": "dump", "snippets": "snippets"}
    return f"{base}/{folders[first]}/{rest}" if first in folders else f"{base}/images/{name}"


def boot_order(current: dict[str, str]) -> str:
    """The first disk, the first CD-ROM drive, the first network device (QemuServer.pm:get_default_bootdevices)."""
    found: list[str] = []
    for cdrom in (False, True):
        for key in sorted(current, key=_bus_order):
            if VM_DISK.match(key) and key not in _FIXED_SIZES and parse_drive(key, current[key]).cdrom == cdrom:
                found.append(key)
                break
    found += sorted(key for key in current if re.fullmatch(r"net\d+", key))[:1]
    return f"order={';'.join(found)}"


def _bus_order(key: str) -> tuple[int, int]:
    bus, number = re.sub(r"\d+$", "", key), re.search(r"\d+$", key)
    buses = ("ide", "scsi", "virtio", "sata")
    return buses.index(bus) if bus in buses else len(buses), int(number[0]) if number else 0


def with_address(value: str, vmid: int, index: int) -> str:
    """``virtio,bridge=vmbr0`` → ``virtio=BC:24:11:…,bridge=vmbr0``."""
    options = parse_property_string(value, "model")
    model = options.pop("model", None)
    if model is None or model not in _MODELS:
        return value
    return print_property_string({model: options.pop("macaddr", mac(vmid, index)), **options})
