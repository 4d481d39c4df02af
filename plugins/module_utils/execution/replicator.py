# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waiting for what replication jobs do: first copies, runs that were asked for, removals.

A run shows as ``pid``, its end as a newer ``last_sync`` or a higher ``fail_count``; a removal shows as the job that is
there until its node has cleaned up, at a full minute (pve-facts §6.1, §6.2).
"""

from __future__ import annotations

import contextlib
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    Conflict,
    Locked,
    MaybeSent,
    NodeUnreachable,
    NoQuorum,
    TaskFailed,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.progress import Progress
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution import replication_writes
from ansible_collections.pve.mobility.plugins.module_utils.execution.locate import read_resources
from ansible_collections.pve.mobility.plugins.module_utils.execution.progress_row import progress_values
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_log import cause, read_on
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_read import JobsSeen, read_jobs
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_work import (
    Awaited,
    ReplicationWork,
    Superfluous,
)
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Resources
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob
from ansible_collections.pve.mobility.plugins.module_utils.planning.replica_set import Cleanup, usable

POLL = 5.0
"""Runs start at full minutes; looking more often brings nothing."""
SILENCE = 120.0
"""Seconds without an answer, or without quorum, until it is no mere hiccup."""


class Replicator:
    """Looks at the jobs, does what is due, and says when nothing is awaited any more."""

    def __init__(self, session: Session, clock: Clock, work: ReplicationWork) -> None:
        self.session = session
        self.clock = clock
        self.work = work
        self.progress = Progress.from_dict(work.progress) if work.progress else Progress()
        self.seen: JobsSeen | None = None
        self._silent_since: float | None = None

    def handle(self) -> dict[str, Any]:
        self.work.progress = self.progress.as_dict()
        return self.work.as_dict()

    def wait(self, until: float | None) -> bool:
        """Until it is over, or the clock passes ``until``; whether it is over."""
        while not self.poll():
            pause = POLL if until is None else min(POLL, until - self.clock.monotonic())
            if pause <= 0:
                return False
            self.clock.sleep(pause)
        return True

    def poll(self) -> bool:
        """One look; whether it is over.

        :raises TaskFailed: a run or a removal failed. :raises Conflict: somebody else removed or called back a job.
        """
        if self.work.over:
            return True
        try:
            self.seen = read_jobs(self.session, self.work.vmid, self.work.node)
        except (NodeUnreachable, NoQuorum):
            now = self.clock.monotonic()
            self._silent_since = now if self._silent_since is None else self._silent_since
            if now - self._silent_since > SILENCE:
                raise
            return False
        self._silent_since = None
        if self._has_moved(self.seen):
            return False
        for run in list(self.work.runs):
            self._look_at_run(run, self.seen)
        for job in list(self.work.going):
            self._look_at_removal(job, self.seen)
        return self.work.over

    def row(self) -> dict[str, Any]:
        """How far it is: what a line on the controller shows."""
        work = self.work
        row: dict[str, Any] = {
            "vmid": work.vmid,
            "name": work.name,
            "state": "running",
            "elapsed_s": round(max(0.0, self.clock.monotonic() - work.asked_at), 1),
            "node": work.node,
            "source": work.node,
            "target": None,
            "doing": None,
        }
        job = self._running()
        if job is not None:
            return row | {"target": job.target, "progress": progress_values(self.progress)}
        if work.runs:
            targets = ", ".join(run.target for run in work.runs)
            return row | {
                "target": work.runs[0].target,
                "doing": f"waiting for the copy on {targets} (runs start at full minutes, one after the other)",
            }
        targets = ", ".join(job.target for job in work.going)
        return row | {"doing": f"removing the copy on {targets}" if targets else None}

    # ------------------------------------------------ runs

    def _look_at_run(self, run: Awaited, seen: JobsSeen) -> None:
        job = seen.to(run.target)
        if job is None:
            if run.target == self.work.node:
                # It has moved there itself: that is better than a copy.
                self.work.runs.remove(run)
                return
            raise Conflict(
                f"The replication job of {self.work.label} to {run.target} is gone: somebody else has removed it while"
                " its copy was waited for. Run this again.",
                node=self.work.node,
            )
        if not job.seen:
            return
        if job.running:
            self._follow(job)
        elif job.last_sync > run.after:
            self.work.runs.remove(run)
        elif job.fail_count > run.fails:
            self._fail(job, f"did not bring the data of {self.work.label} to {job.target}")
        elif run.ask:
            self._ask(run, job)

    def _ask(self, run: Awaited, job: ReplicationJob) -> None:
        # Locked: a run or a migration has begun in this moment; it is asked for when that has ended.
        with contextlib.suppress(Locked):
            path = f"/nodes/{self.work.node}/replication/{job.id}/schedule_now"
            try:
                self.session.post(path)
            except MaybeSent:
                # It only says "due now": saying it twice does no harm.
                self.session.post(path)
            run.ask = False

    def _follow(self, job: ReplicationJob) -> None:
        run = f"{job.id} {job.last_try}"
        if run != self.work.run:
            self.work.run, self.work.read, self.progress = run, 0, Progress()
        self.work.read = read_on(self.session, job, self.progress, self.work.read, self.clock.monotonic())

    def _running(self) -> ReplicationJob | None:
        if self.seen is None:
            return None
        targets = [run.target for run in self.work.runs]
        return next((job for job in self.seen.jobs.values() if job.running and job.target in targets), None)

    def _fail(self, job: ReplicationJob, what: str) -> None:
        why = cause(self.session, job)
        raise TaskFailed(
            f"Replication job {job.id} {what}: {why}. Proxmox VE tries it again by itself; the log of the job on"
            f" {self.work.node} says more.",
            job=job.id,
            guest=self.work.vmid,
            node=self.work.node,
            target=job.target,
            fail_count=job.fail_count,
            cause=why,
        )

    # ------------------------------------------------ removals

    def _look_at_removal(self, item: Superfluous, seen: JobsSeen) -> None:
        work = self.work
        job = seen.jobs.get(item.id)
        if job is None:
            work.going.remove(item)
        elif not item.asked:
            if self._another_copy(seen):
                replication_writes.remove(self.session, self.clock, item.id, Cleanup(work.cleanup))
                work.removed.append(item.id)
                item.asked, item.fails = True, job.fail_count
        elif job.removing is None:
            raise Conflict(
                f"The removal of replication job {job.id} of {work.label} to {job.target} was called back by somebody"
                " else. Run this again.",
                node=work.node,
            )
        elif not job.running and job.fail_count > item.fails:
            if not _online(self.read_resources(), job.target):
                self._leave(item, job.target)
            else:
                self._fail(job, f"to {job.target} could not be removed (cleanup: keep leaves the copy there)")

    def _another_copy(self, seen: JobsSeen) -> bool:
        """Whether a declared node that is up has a complete copy."""
        waiting = {run.target for run in self.work.runs}
        others = [
            job
            for job in seen.jobs.values()
            if job.target in self.work.targets and job.target not in waiting and not job.running
        ]
        if not any(usable(job, None) for job in others):
            return False
        up = frozenset(node.name for node in self.read_resources().nodes if node.online)
        return any(usable(job, up) for job in others)

    def _leave(self, item: Superfluous, node: str) -> None:
        self.work.going.remove(item)
        self.work.warnings.append(pending(item.id, node))

    # ------------------------------------------------ where it is

    def read_resources(self) -> Resources:
        return read_resources(self.session)

    def _has_moved(self, seen: JobsSeen) -> bool:
        """The node that was asked is not, or no longer, the guest's."""
        if seen.told and all(job.seen for job in seen.jobs.values()):
            return False
        resources = self.read_resources()
        guest = resources.guest(self.work.vmid)
        if guest is None:
            raise Conflict(f"{self.work.label} was deleted while its replication was waited for.", guest=self.work.vmid)
        if guest.node != self.work.node:
            self.work.node = guest.node
            return True
        if not _online(resources, guest.node):
            raise NodeUnreachable(
                f"{guest.node}, where {self.work.label} is, went offline while its replication was waited for.",
                node=guest.node,
            )
        return False


def pending(id: str, node: str) -> str:
    """The warning about a removal that cannot be finished now."""
    return f"Replication job {id} is marked for removal; Proxmox VE finishes that when {node} is back."


def _online(resources: Resources, node: str) -> bool:
    found = resources.node(node)
    return found is not None and found.online
