# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a user asks of ``move_disk``, and which disks of a guest that means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid, NotFound, Unsupported
from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import disk_kinds
from ansible_collections.pve.mobility.plugins.module_utils.execution.accepting import accepted
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import Disk, DiskKind
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig
from ansible_collections.pve.mobility.plugins.module_utils.model.meant import meant

ALL = "all"
_KEY = re.compile(
    r"^(?:(?:ide|sata|scsi|virtio|unused)\d+|efidisk0|tpmstate0|rootfs|mp\d+)$",
)
_MOVABLE = frozenset(
    {
        DiskKind.DISK,
        DiskKind.EFIDISK,
        DiskKind.TPMSTATE,
        DiskKind.CLOUDINIT,
        DiskKind.UNUSED,
        DiskKind.ROOTFS,
        DiskKind.MOUNTPOINT,
    }
)


@dataclass(frozen=True, slots=True)
class DiskRequest:
    """The options of ``move_disk``; units as in the module's documentation.

    :ivar disks: keys; empty for all that are part of the guest. ``timeout`` in seconds, 0 for none.
    """

    guest: str
    storage: str
    disks: tuple[str, ...] = ()
    from_storage: str | None = None
    format: str | None = None
    delete: bool = False
    bwlimit: int | None = None
    allow_stop: bool = False
    stop_timeout: int = 180
    preflight: str = "enforce"
    accept: frozenset[str] = frozenset()
    timeout: float = 3600.0
    on_timeout: str = "leave"


def from_options(options: Mapping[str, Any]) -> DiskRequest:
    """Check the options of the module.

    :raises Invalid: a value that cannot be right.
    """
    names = [str(name).strip() for name in options.get("disk") or () if str(name).strip()]
    keys = tuple(dict.fromkeys(names))
    storage = str(options.get("storage") or "").strip()
    source = str(options.get("from_storage") or "").strip() or None
    if not storage:
        raise Invalid("storage is empty: name the storage on which the disks shall be.")
    if not keys:
        raise Invalid("disk is empty: name a disk such as scsi0, several, or all.")
    if ALL in keys and len(keys) > 1:
        raise Invalid("disk: all stands for every disk; give either all or a list of disks.")
    if source is not None and keys != (ALL,):
        raise Invalid("from_storage goes with disk: all; a list of disks says already which ones are meant.")
    if source == storage and options.get("format") is None:
        raise Invalid(f"from_storage and storage are both {storage}: there is nothing to move, unless format is given.")
    for key in keys:
        if key != ALL and not _KEY.match(key):
            raise Invalid(
                f"{key} is no disk: disks of VMs are called scsi0, virtio0, sata0, ide0, efidisk0, tpmstate0 or unused0"
                " and the like, volumes of containers rootfs, mp0 and the like."
            )
    if options.get("bwlimit") is not None and options["bwlimit"] < 0:
        raise Invalid("bwlimit must be 0 (unlimited) or more, in KiB/s.")
    if options.get("stop_timeout") is not None and options["stop_timeout"] < 1:
        raise Invalid("stop_timeout must be at least 1 second.")
    if (options.get("timeout") or 0) < 0:
        raise Invalid("timeout must be 0 (none) or more seconds.")
    return DiskRequest(
        str(options["guest"]).strip(),
        storage,
        () if keys == (ALL,) else keys,
        source,
        options.get("format"),
        bool(options.get("delete")),
        options.get("bwlimit"),
        bool(options.get("allow_stop")),
        int(options.get("stop_timeout") or 180),
        options.get("preflight") or "enforce",
        accepted(options, disk_kinds()),
        float(options.get("timeout") or 0),
        options.get("on_timeout") or "leave",
    )


def wanted_disks(guest: Guest, config: GuestConfig, request: DiskRequest) -> tuple[Disk, ...]:
    """The disks that are meant, in the order of the configuration, or in that of the list.

    ``all`` leaves out media, devices and paths of the node, and volumes that are not part of the guest: moving these
    too would make a new one of each source that is left.

    :raises NotFound: a disk that the guest does not have. :raises Invalid: one that cannot move.
    """
    if not request.disks:
        return tuple(
            disk
            for disk in config.disks
            if disk.kind in _MOVABLE
            and disk.kind is not DiskKind.UNUSED
            and disk.storage is not None
            and request.from_storage in (None, disk.storage)
        )
    return tuple(_named(guest, config, key) for key in request.disks)


def _named(guest: Guest, config: GuestConfig, key: str) -> Disk:
    disk = config.disk(key)
    if disk is None:
        keys = [item.key for item in config.disks]
        hint = meant(key, keys) or f" It has {', '.join(keys) or 'no disks'}."
        raise NotFound(f"{guest.label} has no disk {key}.{hint}")
    if disk.kind is DiskKind.CDROM:
        holds = "nothing" if disk.empty else disk.volid
        raise Invalid(
            f"{key} of {guest.label} is a CD drive (it holds {holds}), and Proxmox VE moves no media: put the image on"
            " the other storage and set it there, or leave the drive out."
        )
    if disk.kind in (DiskKind.DEVICE, DiskKind.BIND) or disk.storage is None:
        raise Invalid(
            f"{key} of {guest.label} is {disk.volid or 'empty'}, which lies on no storage of Proxmox VE, so it cannot"
            " be moved."
        )
    if guest.type == "lxc" and disk.kind is DiskKind.UNUSED:
        raise Unsupported(
            f"{key} of {guest.label} is not part of the container, and Proxmox VE moves only volumes that are: attach"
            " it as a mount point first, or delete it."
        )
    return disk
