# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``move_disk`` from beginning to end: decide, move one disk after the other, tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api import tasks
from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import ApiError, MobilityError, TimedOut
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.api.upid import Upid
from ansible_collections.pve.mobility.plugins.module_utils.execution import disk_outcome
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_mover import DiskMover
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_prepare import DiskDecision, decide_disks
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_request import DiskRequest
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_work import DiskWork
from ansible_collections.pve.mobility.plugins.module_utils.execution.orphans import (
    Orphans,
    orphan_row,
    orphan_warning,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.progress_row import progress_values
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import DiskKind
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig

CANCELLING = 60.0
"""Seconds to wait for the end of a task that was cancelled: it frees the target volume first (pve-facts §9)."""


def run(
    session: Session,
    clock: Clock,
    request: DiskRequest,
    *,
    check: bool = False,
    wait: bool = True,
    handle: Mapping[str, Any] | None = None,
    for_seconds: float | None = None,
) -> dict[str, Any]:
    """The whole of it, as the module's result.

    :param check: send no write. :param wait: to the end; otherwise ``follow`` in the result is the handle.
    :param handle: of work that an earlier run has begun; its time limit counts from then.
    :param for_seconds: look for so long only, then return the handle again.
    """
    if handle is not None:
        if not DiskWork.is_handle(handle):
            raise DiskWork.no_handle()
        work = DiskWork.from_dict(handle)
        result = _attached(work)
    else:
        decision = decide_disks(session, request, clock)
        result = _result(decision)
        if decision.work is None or check:
            return result
        work = decision.work
    mover = DiskMover(session, clock, work)
    deadline = work.asked_at + request.timeout if request.timeout else None
    if not wait:
        mover.poll()
        return result | (finish(mover) if work.over else _going(mover))
    look_until = None if for_seconds is None else clock.monotonic() + for_seconds
    until = min((limit for limit in (deadline, look_until) if limit is not None), default=None)
    if mover.wait(until):
        return result | finish(mover)
    if deadline is None or clock.monotonic() < deadline:
        return result | _going(mover)
    return result | _out_of_time(mover, request)


def finish(mover: DiskMover) -> dict[str, Any]:
    """What finished work adds to the result: looks once more at what the guest has, and what it has left."""
    work = mover.work
    config = mover.last_config()
    left = disk_outcome.left_behind(mover.session, work, config)
    return {
        "changed": bool(work.moves) or work.restart,
        "moves": work.moves,
        "restarted": work.restart,
        **_kept(work.guest, config, left, work.warnings),
    }


def _kept(guest: Guest, config: GuestConfig, left: Orphans, warnings: list[str]) -> dict[str, Any]:
    return {
        "unused": [{"key": disk.key, "volid": disk.volid} for disk in config.disks if disk.kind is DiskKind.UNUSED],
        "orphans": [orphan_row(volume) for volume in left.volumes],
        "warnings": [*warnings, *(orphan_warning(guest, volume) for volume in left.volumes)],
    }


def _result(decision: DiskDecision) -> dict[str, Any]:
    """The result before anything is done: also what check mode returns."""
    guest, work, request = decision.guest, decision.work, decision.request
    steps = work.steps if work is not None else []
    return {
        "changed": work is not None,
        "guest": {"vmid": guest.vmid, "type": guest.type, "name": guest.name},
        "node": guest.node,
        "storage": request.storage,
        "moves": [disk_outcome.planned_row(step, request.storage) for step in steps],
        "there": [disk.key for disk in decision.there],
        "restarted": False,
        **_kept(guest, decision.config, decision.orphans, []),
        "findings": [finding.as_dict() for finding in decision.findings],
        "diff": _diff(decision),
    }


def _diff(decision: DiskDecision) -> dict[str, dict[str, Any]]:
    """Storage and format of each disk that is meant, before and after."""
    before = {disk.key: f"{disk.storage}, {disk.format}" for disk in decision.there}
    before |= {move.disk.key: f"{move.disk.storage}, {move.disk.format}" for move in decision.moves}
    qemu = decision.guest.type == "qemu"
    after = before | {
        move.disk.key: f"{move.target.id}, {move.format}" if qemu else f"{move.target.id}" for move in decision.moves
    }
    return {"before": before, "after": after}


def _attached(work: DiskWork) -> dict[str, Any]:
    """The result of a run that goes on with what an earlier one has begun; the rest is added at the end."""
    return {
        "changed": True,
        "guest": {"vmid": work.vmid, "type": work.type, "name": work.name},
        "node": work.node,
        "storage": work.storage,
        "there": [],
        "findings": [],
    }


def _going(mover: DiskMover) -> dict[str, Any]:
    """What a run returns that does not wait for the end."""
    work = mover.work
    ahead = [disk_outcome.planned_row(step, work.storage) for step in work.steps[work.index :]]
    return {
        "changed": True,
        "moves": [*work.moves, *ahead],
        "progress": progress_row(mover),
        "follow": mover.handle(),
    }


_DOING = {"look": "waiting", "foreign": "waiting", "stop": "shutting down", "start": "starting"}


def progress_row(mover: DiskMover) -> dict[str, Any]:
    """How far it is: what a line on the controller shows."""
    work, step = mover.work, mover.work.step
    row: dict[str, Any] = {
        "vmid": work.vmid,
        "name": work.name,
        "state": "running",
        "doing": _DOING.get(work.phase) or (None if step is not None else "finishing"),
        "number": min(work.index + 1, len(work.steps)),
        "count": len(work.steps),
        "elapsed_s": round(max(0.0, mover.clock.monotonic() - work.asked_at), 1),
        "target": work.storage,
        "node": work.node,
    }
    if step is not None:
        row |= {"disk": step.disk, "source": step.source_storage, "task": step.task, "size": step.size}
    return row | {"progress": progress_values(mover.progress)}


def _out_of_time(mover: DiskMover, request: DiskRequest) -> dict[str, Any]:
    """:raises TimedOut: unless all ended well while it was being cancelled."""
    work, step = mover.work, mover.work.step
    task = step.task if step is not None else None
    refused = ""
    if request.on_timeout == "cancel" and work.phase == "move" and task is not None and not (step and step.adopted):
        refused = _cancel(mover, task)
        if work.over:
            return finish(mover)
        if not refused:
            raise TimedOut(
                f"Moving disks of {work.label} to {work.storage} did not end within {request.timeout:g} s and was"
                f" cancelled.{_whereabouts(mover)}",
                task=task,
                **disk_outcome.facts(work),
            )
    raise TimedOut(
        f"Moving disks of {work.label} to {work.storage} did not end within {request.timeout:g} s;"
        f" {'what is under way goes on' if task else 'no further disk is started'}. Run this again to attach to it, or"
        f" use pve.mobility.follow.{_whereabouts(mover)}{refused}",
        task=task,
        follow=mover.handle(),
        **disk_outcome.facts(work),
    )


def _cancel(mover: DiskMover, task: str) -> str:
    """Cancel the move under way and wait until its end is known; why that was refused, if it was."""
    clock, work = mover.clock, mover.work
    try:
        tasks.cancel(mover.session, Upid.parse(task))
    except ApiError as error:
        # Lost on the way, or not permitted: the state of the task would tell.
        return f" Cancelling was asked for, but: {error.message}"
    # What comes after it is not begun any more.
    del work.steps[work.index + 1 :]
    try:
        mover.wait(clock.monotonic() + CANCELLING)
    except MobilityError as error:
        work.warnings.append(error.message)
    return ""


def _whereabouts(mover: DiskMover) -> str:
    """Where each disk is now, in words."""
    work = mover.work
    try:
        config = mover.config()
    except MobilityError:
        return " Where the disks are now could not be found out."
    keys = dict.fromkeys([str(row["disk"]) for row in work.moves] + [step.disk for step in work.steps])
    now = [f"{key} is {disk.volid}" for key in keys if (disk := config.disk(key)) is not None]
    return f" {', '.join(now)}." if now else ""
