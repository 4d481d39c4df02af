# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Everything that lies on a storage, and what each thing is: a disk in use, a replica, an orphan, an image.

A replica on another node looks exactly like an orphan (pve-facts §3.3), so each volume is held against every guest's
configuration, its snapshots and its replication jobs before it is called one.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import Disk
from ansible_collections.pve.mobility.plugins.module_utils.model.disk_move import Place, StoredVolume
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState

DISKS = frozenset({"images", "rootdir"})


class What(enum.Enum):
    """What a volume is."""

    DISK = "disk"
    SNAPSHOT = "snapshot"
    """Only snapshots of its guest hold it."""
    REPLICA = "replica"
    ORPHAN = "orphan"
    """Its guest does not know it."""
    STRANGER = "stranger"
    """There is no guest of that number."""
    FILE = "file"
    """An image, template, backup or the like."""
    MISSING = "missing"
    """A configuration names it, and it is not there."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """What was read of one storage.

    :ivar places: storages as each node sees them, by node and ID. :ivar volumes: what lies on the storage, by node; of
        shared storage the first node that answered stands for all. :ivar snapshots: configurations of guests'
        snapshots by vmid and name. :ivar unseen: why, by node, where it could not be looked.
    """

    storage: str
    shared: bool
    places: Mapping[str, Mapping[str, Place]]
    volumes: Mapping[str, tuple[StoredVolume, ...]]
    snapshots: Mapping[int, Mapping[str, GuestConfig]] = field(default_factory=dict)
    unseen: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """One volume. :ivar node: where it lies, for shared storage where it was seen.

    :ivar guest: the one whose configuration has it, else the one whose number it carries. :ivar disk: as that has it.
    :ivar holders: snapshots that hold it, jobs that keep it, or guests that use it too.
    """

    what: What
    volid: str
    node: str
    volume: StoredVolume | None = None
    guest: Guest | None = None
    disk: Disk | None = None
    holders: tuple[str, ...] = ()


def classify(state: ClusterState, inventory: Inventory) -> tuple[Found, ...]:
    """Every volume of the storage, in the order of nodes and names; then what configurations name and is not there."""
    users = _users(state, inventory)
    held = _held(inventory)
    found: list[Found] = []
    for node in sorted(inventory.volumes):
        for volume in sorted(inventory.volumes[node], key=lambda item: item.volid):
            found.append(_one(state, inventory, node, volume, users, held))
    found += _missing(inventory, users)
    return tuple(found)


_Users = dict[tuple[str, str], list[tuple[Guest, Disk]]]


def _users(state: ClusterState, inventory: Inventory) -> _Users:
    """Disks of all guests that lie on the storage, by the node that has them (none for shared storage) and volid."""
    users: _Users = {}
    for config in state.guest_configs:
        guest = state.guest(config.vmid)
        for disk in config.disks:
            if guest is not None and disk.storage == inventory.storage and not disk.empty:
                key = ("" if inventory.shared else guest.node, disk.volid)
                users.setdefault(key, []).append((guest, disk))
    return users


def _held(inventory: Inventory) -> dict[tuple[int, str], tuple[str, ...]]:
    """Names of the snapshots that hold a volume, by vmid and volid."""
    held: dict[tuple[int, str], list[str]] = {}
    for vmid, snapshots in inventory.snapshots.items():
        for name in sorted(snapshots):
            for disk in snapshots[name].disks:
                held.setdefault((vmid, disk.volid), []).append(name)
    return {key: tuple(names) for key, names in held.items()}


def _one(
    state: ClusterState,
    inventory: Inventory,
    node: str,
    volume: StoredVolume,
    users: _Users,
    held: Mapping[tuple[int, str], tuple[str, ...]],
) -> Found:
    using = users.get(("" if inventory.shared else node, volume.volid), [])
    if volume.content not in DISKS:
        return Found(What.FILE, volume.volid, node, volume, holders=tuple(guest.label for guest, _disk in using))
    owner = state.guest(volume.vmid) if volume.vmid is not None else None
    if using:
        # The guest whose number it carries comes first, others that use it too are named.
        using.sort(key=lambda item: (item[0].vmid != volume.vmid, item[0].vmid))
        guest, disk = using[0]
        return Found(What.DISK, volume.volid, node, volume, guest, disk, tuple(item.label for item, _disk in using[1:]))
    if owner is None:
        return Found(What.STRANGER, volume.volid, node, volume)
    names = held.get((owner.vmid, volume.volid), ())
    if names and (inventory.shared or owner.node == node):
        return Found(What.SNAPSHOT, volume.volid, node, volume, owner, holders=names)
    jobs = tuple(job.id for job in state.jobs_of(owner.vmid) if job.target == node)
    if jobs and not inventory.shared and owner.node != node:
        return Found(What.REPLICA, volume.volid, node, volume, owner, holders=jobs)
    return Found(What.ORPHAN, volume.volid, node, volume, owner)


def _missing(inventory: Inventory, users: _Users) -> Iterator[Found]:
    """Only where it could be looked."""
    there = {
        ("" if inventory.shared else node, volume.volid)
        for node, volumes in inventory.volumes.items()
        for volume in volumes
    }
    looked = {""} if inventory.shared and inventory.volumes else set(inventory.volumes)
    for (node, volid), using in sorted(users.items()):
        if node in looked and (node, volid) not in there:
            guest, disk = using[0]
            yield Found(What.MISSING, volid, guest.node, None, guest, disk)
