# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading what lies on a storage, and all that is needed to judge it.

Requests: a snapshot of the cluster without the details of nodes (one for each guest and node, and some), one more for
each node, one for the content on each node that has the storage (one in all when it is shared), and one for each guest
that has volumes there, to see its snapshots, with one for each of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    ApiError,
    NodeUnreachable,
    NotFound,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.collect import Wanted, collect
from ansible_collections.pve.mobility.plugins.module_utils.execution.orphans import snapshot_configs
from ansible_collections.pve.mobility.plugins.module_utils.model.disk_move import (
    Place,
    StoredVolume,
    places,
    stored_volume,
)
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig
from ansible_collections.pve.mobility.plugins.module_utils.model.meant import meant
from ansible_collections.pve.mobility.plugins.module_utils.model.running import RunningVm, running_vm
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.planning.storage_content import DISKS, Inventory

PARTS = frozenset({"nodes", "guests", "guest_configs", "storages", "replication"})


@dataclass(frozen=True, slots=True)
class StorageReading:
    """The cluster, and what lies on one storage of it."""

    state: ClusterState
    inventory: Inventory


def read_storage(session: Session, storage: str) -> StorageReading:
    """:raises NotFound: no such storage. :raises NodeUnreachable: no node can say what lies on it."""
    definitions = session.get("/storage") or ()
    names = [str(row["storage"]) for row in definitions]
    if storage not in names:
        raise NotFound(
            f"There is no storage {storage}, or the user may not see it (Datastore.Audit on /storage/{storage})."
            f"{meant(storage, names)}",
            path=f"/storage/{storage}",
            privileges=["Datastore.Audit", "Datastore.AllocateSpace"],
        )
    state = collect(session, Wanted(PARTS))
    known: dict[str, dict[str, Place]] = {}
    unseen: dict[str, str] = {}
    for node in state.nodes:
        if not node.online:
            unseen[node.name] = f"{node.name} is {node.status}"
            continue
        try:
            known[node.name] = places(session.get(f"/nodes/{node.name}/storage", {"format": True}), definitions)
        except ApiError as error:
            unseen[node.name] = error.message
    shared = any(row[storage].shared for row in known.values() if storage in row)
    volumes = _contents(session, storage, shared, known, unseen)
    if any(place.troubled_by_io_uring for row in known.values() for place in row.values()):
        state = replace(state, running=tuple(_processes(session, known)))
    snapshots = _snapshots(session, state, storage, volumes)
    return StorageReading(state, Inventory(storage, shared, known, volumes, snapshots, unseen))


def _contents(
    session: Session,
    storage: str,
    shared: bool,
    known: Mapping[str, Mapping[str, Place]],
    unseen: dict[str, str],
) -> dict[str, tuple[StoredVolume, ...]]:
    """By node; of shared storage from the first node that answers."""
    volumes: dict[str, tuple[StoredVolume, ...]] = {}
    silent: dict[str, str] = {}
    for node in sorted(known):
        place = known[node].get(storage)
        if place is None or not place.enabled or (shared and volumes):
            continue
        if not place.active:
            silent[node] = f"{storage} is not active on {node}"
            continue
        try:
            rows = session.get(f"/nodes/{node}/storage/{storage}/content")
        except ApiError as error:
            silent[node] = error.message
            continue
        volumes[node] = tuple(stored_volume(row) for row in rows or ())
    if shared and volumes:
        # One node sees all of it; those that are offline hide nothing.
        unseen.clear()
        return volumes
    unseen |= silent
    if not volumes and unseen:
        why = "; ".join(f"{unseen[node]}" for node in sorted(unseen))
        raise NodeUnreachable(f"No node can say what lies on {storage}: {why}.")
    for node in [name for name in unseen if name in known and storage not in known[name]]:
        del unseen[node]
    return volumes


def _processes(session: Session, known: Iterable[str]) -> Iterable[RunningVm]:
    """Machine versions of running VMs: which of them stall on some types of storage."""
    for node in sorted(known):
        for row in session.get(f"/nodes/{node}/qemu", {"full": True}) or ():
            process = running_vm(node, row)
            if process is not None:
                yield process


def _snapshots(
    session: Session, state: ClusterState, storage: str, volumes: Mapping[str, tuple[StoredVolume, ...]]
) -> dict[int, dict[str, GuestConfig]]:
    """Of the guests that have something there."""
    owners = {volume.vmid for row in volumes.values() for volume in row if volume.content in DISKS}
    owners |= {config.vmid for config in state.guest_configs if storage in config.storages}
    found = {}
    for vmid in sorted(owner for owner in owners if owner is not None):
        guest = state.guest(vmid)
        node = state.node(guest.node) if guest is not None else None
        if guest is not None and node is not None and node.online:
            found[vmid] = snapshot_configs(session, guest)
    return found
