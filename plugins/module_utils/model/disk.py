# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Volumes in a guest's configuration: disks on any bus, EFI and TPM state, media, mount points."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.pve.mobility.plugins.module_utils.model.names import Sentence, StorageName, VolumeId
from ansible_collections.pve.mobility.plugins.module_utils.model.propstring import properties, size, truth

VM_KEYS = re.compile(r"^(?:(?:ide|sata|scsi|virtio|unused)\d+|efidisk0|tpmstate0|vmstate)$")
CT_KEYS = re.compile(r"^(?:rootfs|(?:mp|unused)\d+)$")

_CLOUDINIT = re.compile(r"(?:^|[:/])(?:vm-\d+-)?cloudinit(?:\.\w+)?$")
_BASE = re.compile(r"(?:^|[:/])((?:base|basevol)-(\d+)-[^/]+)/")
_VOLUME = re.compile(r"^([A-Za-z][\w.-]*):(.+)$")
_SPLIT_OFF = {
    "size",
    "format",
    "media",
    "backup",
    "replicate",
    "shared",
    "mp",
    "ro",
    "serial",
    "wwn",
    "model",
    "vendor",
    "product",
}


class DiskKind(enum.Enum):
    """What a volume is to the guest."""

    DISK = "disk"
    EFIDISK = "efidisk"
    TPMSTATE = "tpmstate"
    VMSTATE = "vmstate"
    CLOUDINIT = "cloudinit"
    CDROM = "cdrom"
    UNUSED = "unused"
    ROOTFS = "rootfs"
    MOUNTPOINT = "mountpoint"
    BIND = "bind"
    """A container's mount point that is a directory or device of the node."""
    DEVICE = "device"
    """A VM's disk that is a device or file of the node, named by its path."""


@dataclass(frozen=True, slots=True)
class Disk:
    """One volume.

    :ivar storage: None for paths, physical drives and empty ones. :ivar size: bytes, as the configuration says; None
        when it does not. :ivar base: volume of the template that a linked clone needs. :ivar shared: a bind mount or
        path that the administrator says is on every node. :ivar options: the other properties, without what names
        the disk inside the guest.
    """

    key: str
    kind: DiskKind
    volid: VolumeId
    storage: StorageName | None = None
    size: int | None = None
    format: str | None = None
    base: str | None = None
    backup: bool = True
    replicate: bool = True
    shared: bool = False
    readonly: bool = False
    options: Mapping[str, Sentence] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return self.volid in ("none", "")

    @property
    def attached(self) -> bool:
        """Part of the guest, rather than kept aside."""
        return self.kind not in (DiskKind.UNUSED, DiskKind.CDROM, DiskKind.VMSTATE)


def vm_disk(key: str, value: str) -> Disk:
    """From a line of a VM's configuration: ``scsi0: tank:vm-100-disk-0,size=8G``."""
    props = properties(value, "file")
    # Drives name their volume "file", EFI disks and TPM states too, in some releases "volume".
    volid = props.pop("file", None) or props.pop("volume", "")
    return _disk(key, _vm_kind(key, volid, props), volid, props)


def ct_disk(key: str, value: str) -> Disk:
    """From a line of a container's configuration: ``mp0: tank:subvol-200-disk-1,mp=/srv,size=8G``."""
    props = properties(value, "volume")
    volid = props.pop("volume", "")
    if key.startswith("unused"):
        kind = DiskKind.UNUSED
    elif volid.startswith("/"):
        kind = DiskKind.BIND
    else:
        kind = DiskKind.ROOTFS if key == "rootfs" else DiskKind.MOUNTPOINT
    # Mount points other than the root are left out of backups unless told otherwise.
    props.setdefault("backup", "1" if key == "rootfs" else "0")
    return _disk(key, kind, volid, props)


def _vm_kind(key: str, volid: str, props: Mapping[str, str]) -> DiskKind:
    for prefix, kind in (
        ("unused", DiskKind.UNUSED),
        ("efidisk", DiskKind.EFIDISK),
        ("tpmstate", DiskKind.TPMSTATE),
        ("vmstate", DiskKind.VMSTATE),
    ):
        if key.startswith(prefix):
            return kind
    if _CLOUDINIT.search(volid):
        return DiskKind.CLOUDINIT
    if props.get("media") == "cdrom":
        return DiskKind.CDROM
    return DiskKind.DEVICE if volid.startswith("/") else DiskKind.DISK


def _disk(key: str, kind: DiskKind, volid: str, props: Mapping[str, str]) -> Disk:
    volume = _VOLUME.match(volid)
    base = _BASE.search(volid)
    return Disk(
        key,
        kind,
        volid,
        volume[1] if volume else None,
        size(props.get("size")),
        _format(volid, props) if volume else None,
        base[1] if base else None,
        truth(props.get("backup"), True),
        truth(props.get("replicate"), True),
        truth(props.get("shared")),
        truth(props.get("ro")),
        {name: value for name, value in sorted(props.items()) if name not in _SPLIT_OFF},
    )


def _format(volid: str, props: Mapping[str, str]) -> str:
    """Said outright, or by the name of the volume; block storage is always raw."""
    if "format" in props:
        return props["format"]
    name = volid.rpartition("/")[2].rpartition(":")[2]
    if name.startswith(("subvol-", "basevol-")):
        return "subvol"
    suffix = name.rpartition(".")[2]
    return suffix if suffix in ("qcow2", "vmdk", "raw", "iso", "img") and suffix != name else "raw"
