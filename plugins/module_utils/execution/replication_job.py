# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``replication_job`` from beginning to end: decide, write, wait, tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    Conflict,
    Invalid,
    Locked,
    MobilityError,
    NodeUnreachable,
    TimedOut,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution import replication_writes as writes
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_decide import (
    Decision,
    decide,
    diff,
    facts,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_read import (
    cluster_time,
    job_row,
    read_jobs,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_request import ReplicationRequest
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_work import (
    Awaited,
    ReplicationWork,
    Superfluous,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.replicator import POLL, Replicator, pending
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob
from ansible_collections.pve.mobility.plugins.module_utils.planning.replica_set import Cleanup, projected

RACES = 4
"""How often somebody else may change the same jobs while they are being written."""


def run(
    session: Session,
    clock: Clock,
    request: ReplicationRequest,
    *,
    check: bool = False,
    wait: bool = True,
    handle: Mapping[str, Any] | None = None,
    for_seconds: float | None = None,
) -> dict[str, Any]:
    """The whole of it, as the module's result.

    :param check: send no write. :param wait: to the end; otherwise ``follow`` in the result is the handle.
    :param handle: of what an earlier run has begun; its time limit counts from then.
    :param for_seconds: look for so long only, then return the handle again.
    """
    deadline_from = clock.monotonic()
    if handle is not None:
        work = ReplicationWork.from_dict(handle)
        result: dict[str, Any] = {"guest": _guest(work), "node": work.node}
    else:
        decision = decide(session, request)
        _refuse_what_cannot_be_awaited(decision, request)
        _refuse_to_lose_the_only_copy(decision, request)
        if check:
            return _foreseen(session, decision, request)
        if decision.busy and (decision.plan.changed or decision.sync):
            decision = _after_migration(session, clock, request, decision)
            _refuse_to_lose_the_only_copy(decision, request)
        result = {"diff": diff(decision, request)}
        work = _carry_out(session, clock, request, decision)
        result |= {"guest": _guest(work), "node": work.node}
    replicator = Replicator(session, clock, work)
    if handle is None and not work.changed:
        replicator.seen = decision.seen
    deadline = (work.asked_at or deadline_from) + request.timeout if request.timeout else None
    if not wait:
        return result | (_end(replicator) if replicator.poll() else _going(replicator))
    look_until = None if for_seconds is None else clock.monotonic() + for_seconds
    until = min((limit for limit in (deadline, look_until) if limit is not None), default=None)
    if replicator.wait(until):
        return result | _end(replicator)
    if deadline is None or clock.monotonic() < deadline:
        return result | _going(replicator)
    raise _too_late(replicator, request)


# ---------------------------------------------------------------- deciding


def _refuse_what_cannot_be_awaited(decision: Decision, request: ReplicationRequest) -> None:
    """:raises NodeUnreachable: a copy is to be waited for that nobody can make now."""
    names = _awaited(decision, request)
    home = decision.guest.node
    away = [name for name in names if not decision.online(name)]
    if names and not decision.online(home):
        away = [home]
    if away:
        raise NodeUnreachable(
            f"The copy of {decision.guest.label} on {', '.join(names)} cannot be waited for, because"
            f" {', '.join(away)} is offline: bring it back, or leave out wait_for_sync and sync_now; then the jobs are"
            " made, and run when it is back. Nothing was changed.",
            node=away[0],
            guest=decision.guest.vmid,
        )


def _refuse_to_lose_the_only_copy(decision: Decision, request: ReplicationRequest) -> None:
    """:raises MobilityError: a copy would have to stay until another one is complete, and none can be made."""
    if not decision.plan.wait_before_removal:
        return
    lost = ", ".join(job.target for job in decision.plan.remove)
    what = f"The only copy of {decision.guest.label} that can be used is on {lost}, which is not declared any more"
    if request.settings.enabled is False:
        raise Invalid(
            f"{what}, and with enabled: false no other one is made: declare the new nodes without it first, or remove"
            " all jobs with state: absent. Nothing was changed."
        )
    home = decision.guest.node
    away = [name for name in decision.targets if not decision.online(name)]
    if not decision.online(home):
        away = [home]
    elif len(away) < len(decision.targets):
        return
    raise NodeUnreachable(
        f"{what}, and no other one can be made now, because {', '.join(away)} is offline: bring it back, or declare"
        f" {lost} too until then. Nothing was changed.",
        node=away[0],
        guest=decision.guest.vmid,
    )


def _awaited(decision: Decision, request: ReplicationRequest) -> list[str]:
    """Targets whose copies the user wants to wait for."""
    if not (request.wait_for_sync or request.sync_now):
        return []
    unsynced = [job.target for job in decision.plan.keep if not job.last_sync or request.sync_now]
    return [*unsynced, *decision.plan.create]


def _after_migration(session: Session, clock: Clock, request: ReplicationRequest, decision: Decision) -> Decision:
    """Decide anew when the guest has arrived: a migration to a job's target turns the job round (pve-facts §6.5).

    :raises Locked: it did not arrive in time.
    """
    deadline = clock.monotonic() + request.timeout if request.timeout else None
    while decision.busy and (decision.plan.changed or decision.sync):
        if deadline is not None and clock.monotonic() >= deadline:
            raise Locked(
                f"{decision.guest.label} is migrating from {decision.guest.node} and did not arrive within"
                f" {request.timeout:g} s; its replication was not changed. If nothing moves it, remove the left-over"
                f" lock with {'qm' if decision.guest.type == 'qemu' else 'pct'} unlock {decision.guest.vmid}.",
                **facts(decision),
            )
        clock.sleep(POLL)
        decision = decide(session, request)
    return decision


# ---------------------------------------------------------------- writing


def _carry_out(session: Session, clock: Clock, request: ReplicationRequest, decision: Decision) -> ReplicationWork:
    """Write what is to be written; when somebody else comes first, look again.

    :raises Conflict: somebody else keeps coming first.
    """
    guest = decision.guest
    work = ReplicationWork(guest.vmid, guest.type, guest.name, guest.node, cleanup=decision.cleanup.value)
    work.asked_at = clock.monotonic()
    for _attempt in range(RACES):
        try:
            _write(session, clock, request, decision, work)
            break
        except writes.Raced:
            before = decision
            decision = decide(session, request)
            _count_what_arrived(before, decision, work)
    else:
        raise Conflict(
            f"The replication jobs of {guest.label} are being changed by somebody else at the same time: run this"
            " again.",
            **facts(decision),
        )
    _await(decision, request, work)
    return work


def _write(
    session: Session, clock: Clock, request: ReplicationRequest, decision: Decision, work: ReplicationWork
) -> None:
    """New jobs first, so that a copy is under way before another one goes."""
    todo = decision.plan
    for target, id in todo.create.items():
        writes.create(session, clock, id, target, request.settings)
        work.created.append(id)
    for update in todo.update:
        writes.update(session, clock, update)
        work.updated.append(update.job.id)
    if not todo.wait_before_removal:
        for job in todo.remove:
            writes.remove(session, clock, job.id, _cleanup(decision, job))
            work.removed.append(job.id)


def _cleanup(decision: Decision, job: ReplicationJob) -> Cleanup:
    """On a node that the cluster has no more there is nothing to clean up."""
    if decision.cleanup is Cleanup.FULL and decision.resources.node(job.target) is None:
        return Cleanup.KEEP
    return decision.cleanup


def _count_what_arrived(before: Decision, now: Decision, work: ReplicationWork) -> None:
    """A write whose answer was lost has been carried out all the same, if the cluster says so."""
    for target, id in before.plan.create.items():
        job = now.seen.jobs.get(id)
        if job is not None and job.target == target and id not in work.created:
            work.created.append(id)
    for job in before.plan.remove:
        found = now.seen.jobs.get(job.id)
        if (found is None or found.removing) and job.id not in work.removed and job.removing is None:
            work.removed.append(job.id)
    open_updates = {update.job.id for update in now.plan.update}
    for update in before.plan.update:
        if update.job.id in now.seen.jobs and update.job.id not in open_updates | set(work.updated):
            work.updated.append(update.job.id)


def _await(decision: Decision, request: ReplicationRequest, work: ReplicationWork) -> None:
    """Note what has to happen yet."""
    todo = decision.plan
    work.node, work.targets = decision.guest.node, list(decision.targets)
    work.warnings = list(decision.warnings)
    names = set(_awaited(decision, request))
    if todo.wait_before_removal:
        names |= {name for name in decision.targets if decision.online(name)}
    present = {job.target: job for job in todo.keep}
    for target in decision.targets:
        job = present.get(target)
        if target not in names:
            continue
        if job is None:
            work.runs.append(Awaited(target))
        elif request.sync_now:
            work.runs.append(Awaited(target, max(job.last_sync, job.last_try), True, job.fail_count))
            work.synced = True
        elif not job.last_sync:
            work.runs.append(Awaited(target, 0, job.fail_count > 0, job.fail_count))
    if todo.wait_before_removal and not work.runs:
        # The copies that are there have failed since: one of them has to be brought up to date.
        failing = [job for job in todo.keep if job.target in names]
        work.runs += [Awaited(job.target, max(job.last_sync, job.last_try), True, job.fail_count) for job in failing]
    if decision.cleanup is Cleanup.FORCE and not todo.wait_before_removal:
        return
    for job in (*todo.remove, *todo.leaving):
        asked = job.removing is not None or not todo.wait_before_removal
        stuck = _stuck(decision, job) if asked else None
        if stuck is not None:
            work.warnings.append(pending(job.id, stuck))
        else:
            work.going.append(Superfluous(job.id, job.target, asked, job.fail_count))


def _stuck(decision: Decision, job: ReplicationJob) -> str | None:
    """The node without which the removal of a job cannot be finished, when it is off."""
    if not decision.online(decision.guest.node):
        return decision.guest.node
    full = (job.removing or "full") == "full" and _cleanup(decision, job) is Cleanup.FULL
    return job.target if full and not decision.online(job.target) else None


# ---------------------------------------------------------------- telling


def _foreseen(session: Session, decision: Decision, request: ReplicationRequest) -> dict[str, Any]:
    """What check mode returns: the jobs as they would be."""
    guest, todo = decision.guest, decision.plan
    now = cluster_time(session, guest.node if decision.online(guest.node) else None)
    jobs = projected(guest.vmid, guest.node, decision.seen.jobs.values(), todo, request.settings)
    warnings = list(decision.warnings)
    if decision.busy:
        warnings.append(f"{guest.label} is migrating: what its replication needs is decided when it has arrived.")
    return {
        "changed": todo.changed or bool(decision.sync),
        "guest": {"vmid": guest.vmid, "type": guest.type, "name": guest.name},
        "node": guest.node,
        "jobs": [job_row(job, now) for job in jobs],
        "created": list(todo.create.values()),
        "updated": [update.job.id for update in todo.update],
        "removed": [job.id for job in todo.remove],
        "warnings": warnings,
        "diff": diff(decision, request),
    }


def _end(replicator: Replicator) -> dict[str, Any]:
    return _now(replicator) | {"warnings": replicator.work.warnings}


def _going(replicator: Replicator) -> dict[str, Any]:
    return _now(replicator) | {"progress": replicator.row(), "follow": replicator.handle()}


def _now(replicator: Replicator) -> dict[str, Any]:
    """The jobs as they are now, and what this run did to them."""
    work, session = replicator.work, replicator.session
    # What was looked at last is old when something was written since.
    written = work.created or work.updated or work.removed
    seen = replicator.seen if replicator.seen is not None and not written else None
    seen = seen or read_jobs(session, work.vmid, work.node or None)
    now = cluster_time(session, work.node or None)
    return {
        "changed": work.changed,
        "guest": _guest(work),
        "node": work.node,
        "jobs": [job_row(job, now) for job in seen.jobs.values()],
        "created": work.created,
        "updated": work.updated,
        "removed": work.removed,
    }


def _too_late(replicator: Replicator, request: ReplicationRequest) -> MobilityError:
    work = replicator.work
    waiting = [f"the copy on {run.target}" for run in work.runs]
    waiting += [f"the removal of {item.id} to {item.target}" for item in work.going if item.asked]
    kept = [item for item in work.going if not item.asked]
    stays = f" Until then {', '.join(item.id for item in kept)} to {kept[0].target} stays." if kept else ""
    return TimedOut(
        f"{' and '.join(waiting) or 'Replication'} of {work.label} did not end within {request.timeout:g} s; Proxmox VE"
        f" goes on with it.{stays} Run this again to wait for it.",
        follow=replicator.handle(),
        guest=work.vmid,
        node=work.node,
        created=work.created,
        updated=work.updated,
        removed=work.removed,
    )


def _guest(work: ReplicationWork) -> dict[str, Any]:
    return {"vmid": work.vmid, "type": work.type, "name": work.name}
