# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Replicas: is the target one, and how good is it? (pve-facts §1.2, §6.5)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import Disk, DiskKind
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob
from ansible_collections.pve.mobility.plugins.module_utils.model.schedule import longest_gap
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.model.thresholds import Thresholds

MISSING = Kind(
    "replica-missing",
    Severity.BLOCK,
    "The running VM is replicated, and the target holds no replica.",
    "Proxmox VE refuses a live move to such a node. The HA manager forces those that it starts itself: it copies all"
    " disks, and the replication jobs fail afterwards.",
    "move it to a replica, add a replication job to the target first, or move it offline",
    "nodes with a replica",
    enforced=True,
)
FULL_COPY = Kind(
    "replica-full-copy",
    Severity.WARN,
    "The guest is replicated, and the target holds no replica, so all of its disks are copied.",
    "To a replica only the difference is sent.",
    "move it to a replica",
    "nodes with a replica",
)
REMOVAL = Kind(
    "replica-removal",
    Severity.BLOCK,
    "The replication job to the target is marked for removal.",
    "Proxmox VE refuses to move a VM there until the job is gone.",
    "wait until it is gone",
    "the job",
    enforced=True,
)
CANNOT = Kind(
    "replica-impossible",
    Severity.BLOCK,
    "The guest is replicated to the target, and has a disk that cannot be replicated.",
    "The move begins with a run of the job, which fails as a whole: local volumes that are not on ZFS, and paths of the"
    " node, have to be left out of replication.",
    "set replicate=0 for the disk, move it to ZFS or shared storage, or remove the job",
    "the job, key of the disk, what it lies on",
    enforced=True,
)
FAILING = Kind(
    "replica-failing",
    Severity.WARN,
    "A replication job of the guest fails.",
    "The replica gets older with every run that fails; a move there has more than the last difference to copy, and the"
    " same error may stop it.",
    "look at the log of the job, and mend what it says",
    "the job, its error, how often it has failed",
)
NEVER = Kind(
    "replica-never",
    Severity.WARN,
    "A replication job of the guest has never run to its end.",
    "There is no replica yet: a move to its target copies everything, and after a failure nothing is there.",
    "wait for the first run, or start it: pvesr schedule-now",
    "the job",
)
STALE = Kind(
    "replica-stale",
    Severity.WARN,
    "A replica is older than its schedule allows (threshold replica_gaps).",
    "What was written since is lost if the node fails, and is copied by a move. Runs wait for each other on a node, are"
    " put off after errors, and are suspended while the target is offline.",
    "look at the log of the job, and at what else the node replicates",
    "the job, age of the replica and longest pause of its schedule in seconds",
)
DISABLED = Kind(
    "replica-disabled",
    Severity.WARN,
    "A replication job of the guest is disabled.",
    "Its replica gets older and older.",
    "enable the job, or remove it",
    "the job",
)


def target_is_replica(move: MoveFacts) -> Iterator[Finding]:
    """Live, to a node without a replica: Proxmox VE refuses, HA forces it and breaks the jobs."""
    to_target = [job for job in move.replication if job.target == move.target.name]
    for job in to_target:
        if job.removing is not None:
            yield REMOVAL.found(
                f"replication job {job.id} to {move.target.name} is marked for removal",
                severity=Severity.BLOCK if move.guest.type == "qemu" else Severity.WARN,
                guest=move.guest.vmid,
                node=move.target.name,
                job=job.id,
            )
        else:
            yield from _impossible(move, job)
            yield from health(move.guest, job, move.state.collected_at or 0, move.thresholds)
    if move.replication and not to_target:
        yield _elsewhere(move)


def _impossible(move: MoveFacts, job: ReplicationJob) -> Iterator[Finding]:
    for disk, where in unreplicable(move.state, move.guest.vmid):
        yield CANNOT.found(
            f"{disk.key} of {move.guest.label} lies on {where} and cannot be replicated, so the run of job {job.id}"
            f" fails with which a move to {move.target.name} begins",
            f"set replicate=0 for {disk.key}, move it to ZFS or shared storage, or remove the job",
            guest=move.guest.vmid,
            node=move.target.name,
            storage=disk.storage,
            job=job.id,
            key=disk.key,
            where=where,
        )


def unreplicable(state: ClusterState, vmid: int) -> Iterator[tuple[Disk, str]]:
    """Disks for which a run fails, and what they lie on (pve-facts §6.1, §6.4)."""
    config = state.config(vmid)
    for disk in config.disks if config is not None else ():
        if not disk.replicate or disk.kind in (DiskKind.CDROM, DiskKind.CLOUDINIT):
            continue
        if disk.kind in (DiskKind.DEVICE, DiskKind.BIND):
            yield disk, disk.volid
            continue
        storage = state.storage(disk.storage) if disk.storage else None
        if storage is not None and not storage.shared and storage.type != "zfspool":
            yield disk, f"{storage.id} ({storage.type})"


def _elsewhere(move: MoveFacts) -> Finding:
    known = sorted(job.target for job in move.replication if job.removing is None)
    replicas = ", ".join(known)
    facts: dict[str, Any] = {"guest": move.guest.vmid, "node": move.target.name}
    if not move.live:
        return FULL_COPY.found(
            f"{move.target.name} holds no replica of {move.guest.label}, so all of its disks are copied",
            f"move it to {replicas}, where only the difference is sent" if known else None,
            **facts,
            replicas=known,
        )
    to = f"to {replicas}" if known else "by a job that is being removed"
    # Refused of HA guests too, before the HA manager is asked; what that moves by itself, it forces (pve-facts §1.4).
    forced = ", and the HA manager would move it all the same and break its jobs" if move.along else ""
    ways = [f"move it to {replicas}"] if known else []
    ways += [f"add a replication job to {move.target.name} first", *([] if move.managed else ["move it offline"])]
    return MISSING.found(
        f"{move.guest.label} is replicated {to}, and {move.target.name} holds no replica{forced}",
        ", or ".join(filter(None, [", ".join(ways[:-1]), ways[-1]])),
        **facts,
        replicas=known,
    )


def health(guest: Guest, job: ReplicationJob, now: int, thresholds: Thresholds) -> Iterator[Finding]:
    """How a job is doing. :param now: Unix time by the cluster's clock, 0 when it is not known."""
    facts: dict[str, Any] = {"guest": guest.vmid, "node": job.target}
    what = f"replication job {job.id} to {job.target}"
    if job.disabled:
        yield DISABLED.found(f"{what} of {guest.label} is disabled", **facts, job=job.id)
    if not job.seen:
        return
    if job.fail_count:
        times = "once" if job.fail_count == 1 else f"{job.fail_count} times in a row"
        yield FAILING.found(
            f"{what} has failed {times}",
            "look at the log of the job; more than the last difference has to be copied",
            **facts,
            job=job.id,
            error=job.error,
            fail_count=job.fail_count,
        )
    if not job.last_sync:
        yield NEVER.found(f"{what} of {guest.label} has never run to its end", **facts, job=job.id)
        return
    gap = interval(job, now)
    age = now - job.last_sync
    if now and gap and not job.disabled and age > thresholds.replica_gaps * gap + job.duration:
        yield STALE.found(
            f"the replica of {guest.label} on {job.target} is {spell(age)} old, and schedule {job.schedule} asks for"
            f" runs every {spell(gap)} at most",
            **facts,
            job=job.id,
            age=age,
            interval=gap,
        )


def interval(job: ReplicationJob, now: int) -> int:
    """Seconds between two runs at most, by its schedule; 0 when that cannot be told."""
    found = longest_gap(job.schedule, now)
    return found[1] if found is not None else 0


def spell(seconds: float) -> str:
    """``90 s``, ``15 min``, ``9 h``, ``3 days``: no finer than it matters."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size or seconds == size:
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit if seconds != 86400 else 'day'}"
    return f"{seconds:.0f} s"
