# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which privilege each key of a guest's configuration takes (qemu-server, pve-container: *_modify_config_perm)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from lab.errors import Die
from lab.guests.drives import CT_DISK, UNUSED, VM_DISK

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.users import Identity

_VM_KEYS = {
    "VM.Config.CPU": "affinity cores cpu cpulimit cpuunits numa smp sockets vcpus",
    "VM.Config.Memory": "allow-ksm balloon hugepages keephugepages memory shares",
    "VM.Config.HWType": (
        "acpi arch audio0 bios efidisk0 hotplug intel-tdx ivshmem kvm machine rng0 scsihw smbios1 tablet vga watchdog"
    ),
    "VM.Config.Options": (
        "agent autostart bios description hookscript keyboard localtime migrate_downtime migrate_speed name onboot "
        "ostype protection reboot spice_enhancements startdate startup tags tdf template vmgenid"
    ),
    "VM.PowerMgmt": "freeze",
    "VM.Config.Disk": "boot bootdisk vmstatestorage",
}
_OF_VM = {key: privilege for privilege, keys in _VM_KEYS.items() for key in keys.split()}
_CLOUDINIT = re.compile(r"^(cicustom|cipassword|citype|ciuser|ciupgrade|nameserver|searchdomain|sshkeys|ipconfig\d+)$")
_DEVICES = re.compile(r"^(serial|usb|hostpci|virtiofs)\d+$")
_MAPPED = re.compile(r"(^|,)(mapping=|(host=)?spice\b)", re.IGNORECASE)
_CT_KEYS = {
    "VM.Config.CPU": "cores cpulimit cpuunits",
    "VM.Config.Memory": "memory swap",
    "VM.Config.Network": "hostname nameserver searchdomain",
}
_OF_CT = {key: privilege for privilege, keys in _CT_KEYS.items() for key in keys.split()}


def check_keys(cluster: Cluster, type: str, vmid: int, keys: Iterable[str], user: Identity) -> None:
    """:raises ApiFault: the user may not change one of the keys, or only root@pam may."""
    if user.is_root_ticket:
        return
    for key in keys:
        privileges = _of_vm(key) if type == "qemu" else _of_ct(key)
        if privileges:
            cluster.users.require(user, f"/vms/{vmid}", *privileges, any_of=True)
        if key == "startup":
            cluster.users.require(user, "/", "Sys.Modify")


def _of_vm(key: str) -> tuple[str, ...]:
    if VM_DISK.match(key) or UNUSED.match(key) or key == "cdrom":
        return ("VM.Config.CDROM",) if key == "cdrom" else ("VM.Config.Disk", "VM.Config.CDROM", "VM.Config.Cloudinit")
    if key in _OF_VM:
        return (_OF_VM[key],)
    if re.match(r"^numa\d+$", key):
        return ("VM.Config.CPU",)
    if re.match(r"^net\d+$", key):
        return ("VM.Config.Network",)
    if _CLOUDINIT.match(key):
        return ("VM.Config.Cloudinit", "VM.Config.Network")
    if _DEVICES.match(key):
        return ("VM.Config.HWType",)
    raise Die(f"only root can set '{key}' config")


def _of_ct(key: str) -> tuple[str, ...]:
    if CT_DISK.match(key) or UNUSED.match(key):
        return ("VM.Config.Disk",)
    if re.match(r"^net\d+$", key):
        return ("VM.Config.Network",)
    return (_OF_CT.get(key, "VM.Config.Options"),)


def check_devices(values: dict[str, str], user: Identity) -> None:
    """Devices of the host itself, rather than of a mapping, are root's.

    :raises Die: ``only root can set 'hostpci0' config for non-mapped devices``.
    """
    if user.is_root_ticket:
        return
    for key, value in values.items():
        if re.match(r"^(usb|hostpci)\d+$", key) and not _MAPPED.search(value):
            raise Die(f"only root can set '{key}' config for real devices")
        if re.match(r"^serial\d+$", key) and value != "socket":
            raise Die(f"only root can set '{key}' config for real devices")
