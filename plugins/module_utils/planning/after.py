# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cluster as it will be when moves are done and nodes are upgraded: what later steps of a plan are judged by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Node
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import Disk
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig
from ansible_collections.pve.mobility.plugins.module_utils.model.ha import HaStatus
from ansible_collections.pve.mobility.plugins.module_utils.model.node_facts import NodeFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import StorageStatus
from ansible_collections.pve.mobility.plugins.module_utils.model.travel import travelling

Mapped = Mapping[str, str]


def after_moves(state: ClusterState, moves: Mapping[int, str], storage_map: Mapped | None = None) -> ClusterState:
    """:param moves: vmid → node where it will be. :param storage_map: as in :class:`Options`; not for HA guests."""
    moves = {vmid: node for vmid, node in moves.items() if _elsewhere(state, vmid, node)}
    if not moves:
        return state
    mapping = storage_map or {}
    return replace(
        state,
        nodes=_memory(state, moves),
        guests=tuple(
            replace(guest, node=moves[guest.vmid]) if guest.vmid in moves else guest for guest in state.guests
        ),
        guest_configs=tuple(
            _config(state, item, moves[item.vmid], mapping) if item.vmid in moves else item
            for item in state.guest_configs
        ),
        running=tuple(replace(item, node=moves[item.vmid]) if item.vmid in moves else item for item in state.running),
        replication_jobs=tuple(
            _job(item, moves[item.guest]) if item.guest in moves else item for item in state.replication_jobs
        ),
        storage_status=_storage(state, moves, mapping),
        ha=_ha(state, moves),
    )


def after_upgrade(state: ClusterState, node: str, version: str | None) -> ClusterState:
    """:param version: that the node will have, such as ``9.2.11``; None when it is not known: nothing changes then.

    Packages and machine types are those of a node that has this version already, if there is one.
    """
    if version is None:
        return state
    model = next((item for item in state.node_facts if item.version == version and item.packages), None)
    return replace(
        state,
        node_facts=tuple(_upgraded(item, version, model) if item.name == node else item for item in state.node_facts),
    )


def after_stop(state: ClusterState, vmids: frozenset[int]) -> ClusterState:
    """Guests that are shut down."""
    if not vmids:
        return state
    return replace(
        state,
        guests=tuple(replace(item, status="stopped") if item.vmid in vmids else item for item in state.guests),
        running=tuple(item for item in state.running if item.vmid not in vmids),
    )


def _elsewhere(state: ClusterState, vmid: int, node: str) -> bool:
    guest = state.guest(vmid)
    return guest is not None and guest.node != node


def _job(job: ReplicationJob, target: str) -> ReplicationJob:
    """On a move to the job's target the two change places; otherwise only the source changes (pve-facts §6.5)."""
    return replace(job, source=target, target=job.source) if job.target == target else replace(job, source=target)


def _config(state: ClusterState, config: GuestConfig, node: str, mapping: Mapped) -> GuestConfig:
    if not mapping or _managed(state, config.vmid):
        return replace(config, node=node)
    return replace(config, node=node, disks=tuple(_disk(state, disk, mapping) for disk in config.disks))


def _disk(state: ClusterState, disk: Disk, mapping: Mapped) -> Disk:
    storage = state.storage(disk.storage) if disk.storage else None
    if storage is None or storage.shared:
        return disk
    to = mapping.get(storage.id, mapping.get("", storage.id))
    return replace(disk, storage=to, volid=f"{to}:{disk.volid.partition(':')[2]}")


def _managed(state: ClusterState, vmid: int) -> bool:
    guest = state.guest(vmid)
    resource = state.ha_resource(guest.sid) if guest is not None else None
    return resource is not None and resource.state != "ignored"


def _memory(state: ClusterState, moves: Mapping[int, str]) -> tuple[Node, ...]:
    """What a guest uses goes with it; what a node uses beyond its guests stays."""
    change: dict[str, int] = defaultdict(int)
    for vmid, target in moves.items():
        guest = state.guest(vmid)
        if guest is not None and guest.running:
            used = min(guest.mem, guest.maxmem)
            change[guest.node] -= used
            change[target] += used
    return tuple(
        replace(node, mem=max(0, node.mem + change[node.name])) if change.get(node.name) else node
        for node in state.nodes
    )


def _storage(state: ClusterState, moves: Mapping[int, str], mapping: Mapped) -> tuple[StorageStatus, ...]:
    change: dict[tuple[str, str], int] = defaultdict(int)
    for vmid, target in moves.items():
        guest, config = state.guest(vmid), state.config(vmid)
        if guest is None or config is None:
            continue
        for volume in travelling(state, config, target, {} if _managed(state, vmid) else mapping):
            if volume.full_copy and volume.storage is not None:
                change[volume.to, target] += volume.full_copy
                change[volume.storage.id, guest.node] -= volume.full_copy
    if not change:
        return state.storage_status
    return tuple(
        _filled(item, change[item.storage, item.node]) if (item.storage, item.node) in change else item
        for item in state.storage_status
    )


def _filled(status: StorageStatus, more: int) -> StorageStatus:
    if not status.total:
        return status
    return replace(status, used=max(0, status.used + more), avail=min(status.total, max(0, status.avail - more)))


def _ha(state: ClusterState, moves: Mapping[int, str]) -> HaStatus | None:
    if state.ha is None:
        return None
    moved = {guest.sid: node for vmid, node in moves.items() if (guest := state.guest(vmid)) is not None}
    services = {
        sid: replace(service, node=moved[sid]) if sid in moved else service
        for sid, service in state.ha.services.items()
    }
    return replace(state.ha, services=services)


def _upgraded(facts: NodeFacts, version: str, model: NodeFacts | None) -> NodeFacts:
    found = replace(facts, version=version, release=".".join(version.split(".")[:2]))
    if model is None or model is facts:
        return found
    return replace(
        found,
        kernel=model.kernel,
        packages={**facts.packages, **model.packages},
        machines=tuple(sorted({*facts.machines, *model.machines})),
    )
