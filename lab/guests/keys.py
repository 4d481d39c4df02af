# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which keys a guest's configuration may have, so that a typing error is found at once."""

from __future__ import annotations

import re

_VM_PLAIN = """
acpi affinity agent allow-ksm amd-sev arch args audio0 autostart balloon bios boot bootdisk cdrom cicustom cipassword
ciupgrade citype ciuser cores cpu cpulimit cpuunits description digest efidisk0 freeze hookscript hotplug hugepages
import-working-storage intel-tdx ivshmem keephugepages keyboard kvm localtime lock machine memory meta
migrate_downtime migrate_speed name nameserver numa onboot ostype parent protection reboot rng0 runningcpu
runningmachine running-nets-host-mtu scsihw searchdomain shares smbios1 smp snaptime snapstate sockets
spice_enhancements sshkeys startdate startup tablet tags tdf template tpmstate0 vcpus vga vmgenid vmstate vmstatestorage
watchdog delete
""".split()
_VM_NUMBERED = re.compile(
    r"^(ide[0-3]|sata[0-5]|scsi([12]?\d|30)|virtio(\d|1[0-5])|net([12]?\d|3[01])|hostpci(\d|1[0-5])|usb(\d|1[0-4])"
    r"|serial[0-3]|parallel[0-2]|virtiofs\d|ipconfig([12]?\d|3[01])|numa[0-7]|unused\d+)$"
)
_CT_PLAIN = """
arch cmode console cores cpulimit cpuunits debug description entrypoint env features hookscript hostname lock memory
nameserver onboot ostype parent protection rootfs searchdomain snaptime snapstate startup swap tags template timezone
tty unprivileged delete
""".split()
_CT_NUMBERED = re.compile(r"^(mp\d{1,3}|net\d{1,2}|dev\d{1,3}|unused\d+|lxc\..+)$")

_PLAIN = {"qemu": frozenset(_VM_PLAIN), "lxc": frozenset(_CT_PLAIN)}
_NUMBERED = {"qemu": _VM_NUMBERED, "lxc": _CT_NUMBERED}
_DISK = {
    "qemu": re.compile(r"^(ide[0-3]|sata[0-5]|scsi([12]?\d|30)|virtio(\d|1[0-5])|efidisk0|tpmstate0)$"),
    "lxc": re.compile(r"^(rootfs|mp\d{1,3})$"),
}
_UNUSED = re.compile(r"^unused\d+$")


def known_key(type: str, key: str) -> bool:
    return key in _PLAIN[type] or bool(_NUMBERED[type].match(key))


def known_keys(type: str) -> frozenset[str]:
    """The keys without a number, and one of each kind with a number, for suggestions."""
    numbered = ("scsi0", "virtio0", "ide2", "sata0", "hostpci0", "usb0") if type == "qemu" else ("mp0",)
    return _PLAIN[type] | {"net0", "unused0", *numbered}


def is_disk(type: str, key: str, unused: bool = True) -> bool:
    """Whether a key names a volume; ``unused``: unusedN count too."""
    return bool(_DISK[type].match(key)) or (unused and bool(_UNUSED.match(key)))
