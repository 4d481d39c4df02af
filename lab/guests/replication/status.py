# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a job runs next and what a node tells about its jobs (pve-guest-common ReplicationState.pm)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.guests.replication.calendar import BadEvent, next_event
from lab.guests.replication.jobs import Job, of_node, switch_target

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.node import Node

_SHOWN = ("last_sync", "last_try", "fail_count", "duration", "error", "pid")


def state_of(node: Node, job: Job) -> dict[str, Any]:
    """The job's entry of the node's state file, defaults when there is none; do not change it."""
    nothing = {"last_sync": 0, "last_try": 0, "last_iteration": 0, "fail_count": 0}
    return nothing | node.replication_state.get(job.id, {})


def next_sync(cluster: Cluster, node: Node, job: Job) -> int:
    """1: removal pending; 0: will not run."""
    if job.removal is not None:
        return 1
    state = state_of(node, job)
    fails = int(state["fail_count"])
    if not fails:
        try:
            return next_event(job.schedule, int(state["last_try"]))
        except BadEvent:
            return 0
    target = cluster.nodes.get(job.target)
    if target is None or not cluster.sees_online(node, target):
        return 0
    return int(state["last_try"]) + 60 * (5 * fails if fails <= 3 else 30)


def reclaim(cluster: Cluster, node: Node) -> None:
    """Jobs of guests that came here otherwise than by migration get this node as source (job_status).

    :raises Die: no quorum.
    """
    cluster.check_cfs_lock(node, "file-replication_cfg")
    stolen = {job.guest: job.source for job in of_node(cluster, node.name) if job.source not in (None, node.name)}
    for vmid, source in stolen.items():
        switch_target(cluster, node, vmid, node.name, str(source))


def local_jobs(cluster: Cluster, node: Node, disabled: bool = True) -> list[Job]:
    """The jobs that this node is in charge of."""
    found = []
    for job in of_node(cluster, node.name):
        if job.removal is None and (job.target == node.name or (job.disabled and not disabled)):
            continue
        found.append(job)
    return found


def status_row(cluster: Cluster, node: Node, job: Job) -> dict[str, Any]:
    """As ``/nodes/N/replication`` shows it."""
    entry = cluster.guest(job.guest)
    state = state_of(node, job)
    row = job.row()
    row |= {key: state[key] for key in _SHOWN if key in state}
    row["vmtype"] = entry.type if entry is not None else "qemu"
    row["next_sync"] = next_sync(cluster, node, job)
    return row
