# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Giving volumes up, and who still counts on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.errors import Die
from lab.guests.drives import drives
from lab.pve.formats import GuestConfig

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster


def free(cluster: Cluster, volid: str, node: str) -> None:
    """Remove a volume (pve-storage Storage.pm:vdisk_free); one that is gone already is no error.

    :raises Die: the storage does not answer, or linked clones hang on the volume.
    """
    storages = cluster.storages
    storage, _colon, name = volid.partition(":")
    storages.check_available(storage, node)
    if not storages.active(storage, node):
        raise Die(f"storage '{storage}' is not online")
    if any(other.parent == name for other in storages.volumes(storage, node)):
        raise Die(f"base volume '{name}' is still in use by linked cloned")
    storages.free(volid, node)


def in_snapshots(config: GuestConfig, type: str, volid: str) -> bool:
    """Whether a snapshot of the guest names the volume."""
    return any(drive.volid == volid for section in config.snapshots.values() for drive in drives(section, type))


def in_use(config: GuestConfig, type: str, key: str, volid: str) -> bool:
    """Whether another disk or a snapshot of the guest names the volume (Drive.pm:is_volume_in_use)."""
    others = (drive for drive in drives(config.current, type) if drive.key != key and not drive.cdrom)
    return any(drive.volid == volid for drive in others) or in_snapshots(config, type, volid)
