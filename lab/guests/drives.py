# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which volumes a guest's configuration names, and how (qemu-server QemuServer.pm:foreach_volid)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lab.pve.formats import GuestConfig, parse_property_string, parse_size

EFI_SIZE = 4 * 2**20
TPM_SIZE = 4 * 2**20
CLOUDINIT_SIZE = 4 * 2**20
VM_DISK = re.compile(r"^(ide[0-3]|sata[0-5]|scsi([12]?\d|30)|virtio(\d|1[0-5])|efidisk0|tpmstate0)$")
CT_DISK = re.compile(r"^(rootfs|mp\d{1,3})$")
UNUSED = re.compile(r"^unused\d+$")
_CLOUDINIT = re.compile(r"[:/]vm-\d+-cloudinit(?:\.\w+)?$")


@dataclass(frozen=True, slots=True)
class Drive:
    """One disk of a configuration. ``volid``: ``storage:volume``, a path, ``cdrom`` or ``none``."""

    key: str
    volid: str
    options: dict[str, str]

    @property
    def cdrom(self) -> bool:
        return self.options.get("media") == "cdrom"

    @property
    def cloudinit(self) -> bool:
        return self.cdrom and bool(_CLOUDINIT.search(self.volid))

    @property
    def storage(self) -> str | None:
        """The storage of the volume, None for paths and empty drives."""
        storage, colon, _name = self.volid.partition(":")
        return storage if colon and not self.volid.startswith("/") else None

    @property
    def size(self) -> int | None:
        """Bytes, as the configuration says."""
        text = self.options.get("size")
        try:
            return parse_size(text) if text else None
        except ValueError:
            return None

    def print(self) -> str:
        """The property string: the volume, then its options in alphabetical order."""
        return ",".join([self.volid, *(f"{key}={self.options[key]}" for key in sorted(self.options))])


def parse_drive(key: str, value: str) -> Drive:
    first = "volume" if key == "rootfs" or key.startswith("mp") else "file"
    options = parse_property_string(value, first)
    return Drive(key, options.pop(first, ""), options)


def drives(section: Mapping[str, str], type: str = "qemu", unused: bool = False) -> Iterator[Drive]:
    """The disks of a section of a configuration; ``unused``: unusedN too."""
    pattern = VM_DISK if type == "qemu" else CT_DISK
    for key, value in section.items():
        if pattern.match(key) or (unused and UNUSED.match(key)):
            yield parse_drive(key, value)


@dataclass(slots=True)
class VolumeUse:
    """What a VM's configuration does with one volume."""

    volid: str
    cdrom: bool = True
    replicate: bool = False
    shared: bool = False
    is_unused: bool = False
    is_attached: bool = False
    is_vmstate: bool = False
    is_tpmstate: bool = False
    is_cloudinit: bool = False
    size: int | None = None
    drivename: str | None = None
    snapshots: dict[str, int] = field(default_factory=dict)
    pending: bool = False


def volume_uses(config: GuestConfig) -> dict[str, VolumeUse]:
    """Every volume that a VM's configuration names, its snapshots and pending changes included."""
    uses: dict[str, VolumeUse] = {}

    def note(drive: Drive, snapshot: str | None = None, pending: bool = False) -> None:
        if not drive.volid:
            return
        use = uses.setdefault(drive.volid, VolumeUse(drive.volid))
        use.cdrom = use.cdrom and drive.cdrom
        use.replicate = use.replicate or drive.options.get("replicate") != "0"
        use.shared = use.shared or drive.options.get("shared") == "1"
        use.is_unused = use.is_unused or bool(UNUSED.match(drive.key))
        use.is_attached = use.is_attached or not (use.is_unused or snapshot is not None or pending)
        use.is_vmstate = use.is_vmstate or drive.key == "vmstate"
        use.is_tpmstate = use.is_tpmstate or drive.key == "tpmstate0"
        use.is_cloudinit = use.is_cloudinit or drive.cloudinit
        use.size = use.size if use.size is not None else drive.size
        use.pending = use.pending or pending
        if snapshot is not None:
            use.snapshots[snapshot] = 1
        if VM_DISK.match(drive.key):
            use.drivename = drive.key

    for drive in drives(config.current):
        note(drive)
    for drive in drives(config.pending):
        note(drive, pending=True)
    for name, section in config.snapshots.items():
        for drive in drives(section):
            note(drive, name)
        if "vmstate" in section:
            note(Drive("vmstate", section["vmstate"], {}), name)
    for key, value in config.current.items():
        if UNUSED.match(key) or key == "vmstate":
            note(parse_drive(key, value))
    return uses


def replace_volumes(config: GuestConfig, volumes: Mapping[str, str]) -> None:
    """Change volume IDs everywhere in a configuration (AbstractConfig.pm:update_volume_ids)."""
    for section in (config.current, config.pending, *config.snapshots.values()):
        for key, value in section.items():
            volid, comma, rest = value.partition(",")
            if volid.startswith("volume="):
                volid = volid.removeprefix("volume=")
            if volid in volumes and (VM_DISK.match(key) or CT_DISK.match(key) or UNUSED.match(key) or key == "vmstate"):
                section[key] = volumes[volid] + comma + rest
