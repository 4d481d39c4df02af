# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Replication jobs: can they run, do they keep up, do they serve their purpose? (pve-facts §6)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.replication import (
    health,
    interval,
    spell,
    unreplicable,
)
from ansible_collections.pve.mobility.plugins.module_utils.checks.scope import Scope
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.ha_config import allowed_nodes
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import Storage

DURATION = Kind(
    "replica-duration",
    Severity.WARN,
    "A replication run takes longer than the pause between two runs.",
    "The next run is late, and so are all others of the node, because they run one after the other.",
    "give the job a longer interval, a faster link or a higher rate",
    "the job, duration and interval in seconds",
)
BUSY = Kind(
    "replica-queue",
    Severity.WARN,
    "The replication jobs of a node take together nearly all the time that there is.",
    "They run one after the other, so that replicas get older than their schedules say.",
    "give the jobs longer intervals, or spread the guests over more nodes",
    "per cent of the time, number of jobs",
)
AGGRESSIVE = Kind(
    "replica-schedule",
    Severity.WARN,
    "A replication job asks for runs as often as, or more often than, the threshold replica_interval allows.",
    "Each run freezes the guest's file systems for a moment, and the node does nothing else meanwhile.",
    "give the job a longer interval, such as */5",
    "the job, its schedule, interval in seconds",
)
NO_RATE = Kind(
    "replica-no-rate",
    Severity.WARN,
    "Replication jobs have no rate limit, and replication shares its network with other traffic.",
    "A first or late run takes the whole link; on the network of the cluster itself that may cost nodes their"
    " membership, and nodes with HA services are fenced then.",
    "set a rate for the jobs, or give replication a network of its own (Datacenter, Options)",
    "the jobs, the network",
)
STORAGE = Kind(
    "replica-storage",
    Severity.WARN,
    "A storage that a replication job copies from is not meant for the job's target.",
    "Every run fails: a replica has the same storage ID as its original.",
    "add the target to the nodes of the storage, after making its pool there",
    "the job, the storage",
)
POOL = Kind(
    "replica-pool",
    Severity.WARN,
    "The pool of a replicated storage is missing on the job's target, or not imported.",
    "Every run fails.",
    "make or import the pool on the target",
    "the job, the storage, its pool",
)
UNSUPPORTED = Kind(
    "replica-unsupported",
    Severity.WARN,
    "A replicated guest has a disk that cannot be replicated: a local volume not on ZFS, or a path of its node.",
    "The runs fail as a whole, unless the disk is left out of them.",
    "move the disk to ZFS or shared storage, or set replicate=0 for it",
    "key of the disk, what it lies on",
)
UNUSED = Kind(
    "replica-unused",
    Severity.INFO,
    "A replica of a guest under HA lies on a node that the HA manager would never choose.",
    "Rules keep the guest off that node, so the copy does not help when its node fails.",
    "replicate to a node that the rules allow, or allow this one; keep it if it is a copy for a disaster",
    "the job, nodes that are allowed",
)
_FULL = 0.8
"""Part of the time that jobs of a node may take together."""


def jobs(scope: Scope) -> Iterator[Finding]:
    """Of the guests that the work concerns."""
    for guest in scope.guests():
        for job in scope.state.jobs_of(guest.vmid):
            if job.removing is None:
                yield from health(guest, job, scope.now, scope.thresholds)
                yield from _pace(scope, guest, job)
                yield from _volumes(scope, guest, job)
                yield from _purpose(scope, guest, job)


def _pace(scope: Scope, guest: Guest, job: ReplicationJob) -> Iterator[Finding]:
    gap = interval(job, scope.now)
    if not gap or job.disabled:
        return
    facts: dict[str, Any] = {"guest": guest.vmid, "node": job.target, "job": job.id, "interval": gap}
    what = f"replication job {job.id} of {guest.label} to {job.target}"
    if job.duration > gap:
        yield DURATION.found(
            f"{what} took {spell(job.duration)}, and shall run every {spell(gap)}", **facts, duration=job.duration
        )
    if gap <= scope.thresholds.replica_interval:
        yield AGGRESSIVE.found(f"{what} shall run every {spell(gap)}", **facts, schedule=job.schedule)


def _volumes(scope: Scope, guest: Guest, job: ReplicationJob) -> Iterator[Finding]:
    for disk, where in unreplicable(scope.state, guest.vmid):
        yield UNSUPPORTED.found(
            f"{disk.key} of {guest.label} lies on {where}, so replication job {job.id} fails as a whole",
            f"move it to ZFS or shared storage, or set replicate=0 for {disk.key}",
            guest=guest.vmid,
            storage=disk.storage,
            job=job.id,
            key=disk.key,
            where=where,
        )
    config = scope.state.config(guest.vmid)
    names = {disk.storage: None for disk in config.disks if disk.replicate} if config is not None else {}
    for name in names:
        storage = scope.state.storage(name) if name else None
        finding = _absent(scope, guest, job, storage) if storage is not None and storage.type == "zfspool" else None
        if finding is not None:
            yield finding


def _absent(scope: Scope, guest: Guest, job: ReplicationJob, storage: Storage) -> Finding | None:
    what = f"replication job {job.id} of {guest.label} to {job.target} cannot run"
    if not storage.on(job.target):
        return STORAGE.found(
            f"{what}: storage {storage.id} is {'disabled' if storage.disabled else f'not meant for {job.target}'}",
            guest=guest.vmid,
            node=job.target,
            storage=storage.id,
            job=job.id,
        )
    status = scope.state.storage_on(storage.id, job.target)
    node = scope.state.node(job.target)
    facts = scope.zfs.get(job.target)
    pool = (storage.where or "").partition("/")[0]
    inactive = status is not None and not status.active and node is not None and node.online
    if not inactive and (facts is None or not pool or pool in facts.pools):
        return None
    return POOL.found(
        f"{what}: pool {storage.where or storage.id} of storage {storage.id} is not there",
        guest=guest.vmid,
        node=job.target,
        storage=storage.id,
        job=job.id,
        pool=storage.where,
    )


def _purpose(scope: Scope, guest: Guest, job: ReplicationJob) -> Iterator[Finding]:
    resource = scope.state.ha_resource(guest.sid)
    if resource is None or resource.state == "ignored":
        return
    allowed = allowed_nodes(scope.state.rules_of(guest.sid), (node.name for node in scope.state.nodes))
    if job.target not in allowed:
        yield UNUSED.found(
            f"HA rules keep {guest.label} off {job.target}, where its replica of job {job.id} is",
            guest=guest.vmid,
            node=job.target,
            job=job.id,
            allowed=sorted(allowed),
        )


def queues(scope: Scope) -> Iterator[Finding]:
    """Jobs of a node run one after the other."""
    share: dict[str, float] = {}
    number: dict[str, int] = {}
    for job in scope.state.replication_jobs:
        gap = 0 if job.disabled else interval(job, scope.now)
        if gap and job.seen:
            share[job.source] = share.get(job.source, 0.0) + job.duration / gap
            number[job.source] = number.get(job.source, 0) + 1
    for node in scope.nodes():
        taken = share.get(node.name, 0.0)
        if taken >= _FULL and number[node.name] > 1:
            yield BUSY.found(
                f"the {number[node.name]} replication jobs of {node.name} take {100 * taken:.0f} per cent of the time,"
                " one after the other",
                node=node.name,
                per_cent=round(100 * taken),
                jobs=number[node.name],
            )


def rates(scope: Scope) -> Iterator[Finding]:
    """Without a limit on a network that others need too; told once for all jobs."""
    options = scope.state.options
    if options is None:
        return
    if options.replication_network is None:
        why = "uses the network of the cluster itself"
    elif options.replication_network == options.migration_network:
        why = f"shares {options.replication_network} with migrations"
    else:
        return
    concerned = {guest.vmid for guest in scope.guests()}
    without = [
        job.id
        for job in scope.state.replication_jobs
        if job.rate is None and job.removing is None and job.guest in concerned
    ]
    if without:
        more = f" and {len(without) - 5} more" if len(without) > 5 else ""
        yield NO_RATE.found(
            f"replication {why}, and {', '.join(without[:5])}{more} {'has' if len(without) == 1 else 'have'} no rate"
            " limit",
            jobs=without,
            network=options.replication_network,
        )
