# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bringing the replica up to date before a move, so that the move has little left to copy (pve-facts §6.2).

Replication runs are no tasks: a run shows as ``pid``, its end as a newer ``last_sync`` or a higher ``fail_count``.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    ApiError,
    Locked,
    MaybeSent,
    NotFound,
    PermissionDenied,
    TaskFailed,
    TimedOut,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Severity
from ansible_collections.pve.mobility.plugins.module_utils.execution.request import MoveRequest
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob, replication_job

_LINE = re.compile(r"^\S+ \S+ \d+-\d+: (?:\(\S+\) )?(?!end replication job)(.*)")
_TROUBLE = re.compile(r"error|fail|cannot|could not|unable|refused|denied|timed out|no route", re.IGNORECASE)
POLL = 5.0
"""Runs start at full minutes; polling faster brings nothing."""


def job_to_sync(request: MoveRequest, facts: MoveFacts, now: int) -> ReplicationJob | None:
    """The job to run first, None when there is none or its copy is fresh enough.

    :param now: Unix time in the cluster, 0 when it is not known: then every copy counts as old.
    :raises NotFound: ``sync_first: true`` without a job to the target.
    """
    if request.sync_first is False:
        return None
    job = next((job for job in facts.replication if job.target == facts.target.name and job.removing is None), None)
    if job is None or job.disabled:
        if request.sync_first:
            what = f"its replication job {job.id} is disabled" if job else "it has no replication job to it"
            raise NotFound(f"{facts.guest.label} cannot be synced to {facts.target.name} first: {what}.")
        return None
    if request.sync_first or not now or now - job.last_sync > request.sync_max_age or job.running:
        return job
    return None


def sync(
    session: Session, clock: Clock, job: ReplicationJob, deadline: float, say: Callable[[str], None] | None = None
) -> ReplicationJob:
    """Run the job once and wait for its end.

    :param deadline: of the clock. :raises TaskFailed: the run failed. :raises TimedOut: it did not end in time.
    """
    ask(session, job)
    if say is not None:
        say(f"replication job {job.id} brings the copy on {job.target} up to date; runs start at full minutes")
    while True:
        clock.sleep(POLL)
        seen = synced(session, job)
        if seen is not None:
            return seen
        if clock.monotonic() >= deadline:
            raise TimedOut(
                f"Replication job {job.id} to {job.target} did not end in time, so the move was not started.",
                job=job.id,
                node=job.source,
            )


def ask(session: Session, job: ReplicationJob) -> None:
    """Let the job run at the next full minute."""
    if job.running:
        return
    path = f"{_path(job)}/schedule_now"
    # Locked: a run has begun in this moment; it is waited for anyhow.
    with contextlib.suppress(Locked):
        try:
            session.post(path)
        except MaybeSent:
            # It only says "due now": saying it twice does no harm.
            session.post(path)


def synced(session: Session, job: ReplicationJob) -> ReplicationJob | None:
    """The job after the run that :func:`ask` wanted, None while it has not ended.

    :param job: as it was before. :raises TaskFailed: the run failed.
    """
    seen = replication_job(session.get(f"{_path(job)}/status"))
    if not seen.running and seen.last_sync > job.last_sync:
        return seen
    if not seen.running and seen.fail_count > job.fail_count:
        raise TaskFailed(
            f"Replication job {job.id} from {job.source} to {job.target} failed before the move:"
            f" {_cause(session, _path(job), seen.error)}. The guest was not moved; the log of the job on {job.source}"
            " says more.",
            job=job.id,
            node=job.source,
        )
    return None


def _path(job: ReplicationJob) -> str:
    return f"/nodes/{job.source}/replication/{job.id}"


def _cause(session: Session, path: str, error: str | None) -> str:
    """The last line of a failed run that says why; the error of the job is only the command and its exit code."""
    why = error or "no reason given"
    with contextlib.suppress(ApiError):
        for row in session.get(f"{path}/log", {"limit": 500}):
            if (match := _LINE.match(str(row.get("t", "")))) and _TROUBLE.search(match[1]):
                why = match[1]
    return " ".join(why.split()).rstrip(".")


def not_synced(facts: MoveFacts, job: ReplicationJob, refusal: PermissionDenied) -> Finding:
    """That the copy on the target stays as old as it is."""
    return Finding(
        "replica-not-synced",
        Severity.WARN,
        f"the copy of {facts.guest.label} on {job.target} was not brought up to date before the move:"
        f" {refusal.message.rstrip('.')}",
        "give the user VM.Replicate on the guest (on 8.4 Datastore.Allocate on /storage), or set sync_first: false",
        guest=facts.guest.vmid,
        node=job.target,
        evidence={"job": job.id, "last_sync": job.last_sync},
    )


def await_quiet(session: Session, clock: Clock, facts: MoveFacts, deadline: float) -> None:
    """Wait while a job of the guest runs: a move would fail after ten seconds on the lock that both take (§10).

    :param deadline: of the clock. :raises TimedOut: it did not end in time.
    """
    jobs = facts.replication
    while any(job.running for job in jobs):
        if clock.monotonic() >= deadline:
            busy = ", ".join(job.id for job in jobs if job.running)
            raise TimedOut(
                f"Replication job {busy} of {facts.guest.label} did not end in time, so the move was not started.",
                job=busy,
            )
        clock.sleep(POLL)
        rows = session.get(f"/nodes/{facts.guest.node}/replication", {"guest": facts.guest.vmid})
        jobs = tuple(replication_job(row) for row in rows or ())
