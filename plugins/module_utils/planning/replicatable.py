# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of a guest can be replicated, to which nodes, and if not, why (pve-facts §6.4).

Proxmox VE refuses a job for a guest with a local disk that is not on ZFS. It does not look at the target: a storage or
pool that is missing there makes every run fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import Disk, DiskKind
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import Storage, StorageStatus

ZFS = "zfspool"
_NEVER = frozenset({DiskKind.CDROM, DiskKind.CLOUDINIT})


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why it cannot be replicated, and how to change that; ``node`` when it is about one target only."""

    why: str
    remedy: str
    node: str | None = None
    storage: str | None = None


def replicated_storages(config: GuestConfig, storages: Mapping[str, Storage]) -> frozenset[str]:
    """The storages from which a job would send volumes; they must be on the target too, by the same names."""
    return frozenset(disk.storage or "" for disk in config.disks if _replicated(disk, storages))


def obstacles(guest: Guest, config: GuestConfig, storages: Mapping[str, Storage]) -> list[Obstacle]:
    """Why Proxmox VE would refuse any job for the guest; empty when it would not.

    :param storages: by ID, those that the user may see; a disk on another one is not judged.
    """
    found = [item for disk in config.disks if (item := _in_the_way(guest, disk, storages)) is not None]
    if found or any(disk.storage not in storages for disk in config.disks if disk.storage and disk.replicate):
        return found
    if replicated_storages(config, storages):
        return []
    shared = sorted({disk.storage for disk in config.disks if disk.storage and disk.kind not in _NEVER})
    where = f" (they are on {', '.join(shared)})" if shared else ""
    return [
        Obstacle(
            f"{guest.label} has no disk that can be replicated: none is on a ZFS storage{where}",
            "only disks on storages of the type zfspool, without replicate=0, are replicated; shared ones need no copy",
        )
    ]


def target_obstacles(
    needed: Iterable[str], node: str, storages: Mapping[str, Storage], seen: Iterable[StorageStatus] | None
) -> list[Obstacle]:
    """Why a copy on ``node`` would fail with every run.

    :param needed: storages that must be there. :param seen: what the node says of its storages; None: not known.
    """
    active = None if seen is None else {item.storage: item.active for item in seen}
    found = []
    for name in sorted(needed):
        definition = storages.get(name)
        if definition is not None and not definition.on(node):
            nodes = ", ".join(definition.nodes or ())
            why = "is disabled" if definition.disabled else f"is only for {nodes}, not for {node}"
            remedy = f"add {node} to the nodes of {name}, after making its pool there, or choose another target"
            found.append(Obstacle(f"storage {name} {why}", remedy, node, name))
        elif active is not None and not active.get(name, True):
            pool = f"pool {definition.where}" if definition is not None and definition.where else "its pool"
            remedy = f"make or import the pool on {node}, or choose another target"
            found.append(Obstacle(f"storage {name} is not active on {node}: {pool} is missing", remedy, node, name))
    return found


def _replicated(disk: Disk, storages: Mapping[str, Storage]) -> bool:
    storage = storages.get(disk.storage or "")
    return (
        storage is not None
        and disk.kind not in _NEVER
        and disk.replicate
        and storage.type == ZFS
        and not storage.shared
    )


def _in_the_way(guest: Guest, disk: Disk, storages: Mapping[str, Storage]) -> Obstacle | None:
    """A volume with which every job is refused."""
    if disk.kind in _NEVER or not disk.replicate:
        return None
    if disk.kind in (DiskKind.BIND, DiskKind.DEVICE):
        return Obstacle(
            f"{disk.key} of {guest.label} is {disk.volid} of the node, which cannot be replicated",
            f"set replicate=0 on {disk.key}, if it may be missing on the other node",
        )
    storage = storages.get(disk.storage or "")
    if storage is None or storage.shared or storage.type == ZFS:
        return None
    return Obstacle(
        f"{disk.key} of {guest.label} is on {storage.id}, which is local and not ZFS ({storage.type})",
        f"move {disk.key} to a ZFS or a shared storage, or set replicate=0 on it",
        storage=storage.id,
    )
