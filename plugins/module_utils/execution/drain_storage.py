# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``drain_storage`` from beginning to end: read, plan, move, look again, tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid, TaskFailed, TimedOut
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import disk_kinds
from ansible_collections.pve.mobility.plugins.module_utils.execution.accepting import accepted
from ansible_collections.pve.mobility.plugins.module_utils.execution.rights import read_rights, require
from ansible_collections.pve.mobility.plugins.module_utils.execution.storage_drain import (
    DrainWork,
    StorageDrain,
    queued,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.storage_inventory import read_storage
from ansible_collections.pve.mobility.plugins.module_utils.planning.ask import Impossible
from ansible_collections.pve.mobility.plugins.module_utils.planning.storage_content import Found
from ansible_collections.pve.mobility.plugins.module_utils.planning.storage_drain import (
    DrainOptions,
    DrainPlan,
    Stays,
    plan_drain,
)


@dataclass(frozen=True, slots=True)
class DrainRequest:
    """The options of ``drain_storage``; units as in the module's documentation."""

    storage: str
    options: DrainOptions
    parallel: int = 2
    bwlimit: int | None = None
    stop_timeout: int = 180
    start_for: float | None = None
    timeout: float = 0.0


def from_options(options: Mapping[str, Any]) -> DrainRequest:
    """:raises Invalid: a value that cannot be right."""
    storage = str(options.get("storage") or "").strip()
    if not storage:
        raise Invalid("storage is empty: name the storage that is to be emptied.")
    for name, least in (("parallel", 1), ("stop_timeout", 1), ("bwlimit", 0), ("timeout", 0), ("start_for", 0)):
        if options.get(name) is not None and options[name] < least:
            raise Invalid(f"{name} must be {least} or more.")
    reserve = float(options.get("reserve", 5.0))
    if not 0 <= reserve < 100:
        raise Invalid("reserve must be from 0 to 99, percent of each target that stays free.")
    nodes = options.get("nodes")
    return DrainRequest(
        storage,
        DrainOptions(
            tuple(dict.fromkeys(str(name).strip() for name in options.get("targets") or () if str(name).strip())),
            frozenset(nodes) if nodes else None,
            reserve,
            bool(options.get("allow_stop")),
            accepted(options, disk_kinds()),
        ),
        int(options.get("parallel") or 2),
        options.get("bwlimit"),
        int(options.get("stop_timeout") or 180),
        options.get("start_for"),
        float(options.get("timeout") or 0),
    )


def run(
    session: Session,
    clock: Clock,
    request: DrainRequest,
    *,
    check: bool = False,
    wait: bool = True,
    handle: Mapping[str, Any] | None = None,
    for_seconds: float | None = None,
) -> dict[str, Any]:
    """The whole of it, as the module's result.

    :param check: plan only. :param wait: to the end; otherwise ``follow`` in the result is the handle.
    :param handle: of work that an earlier run has begun. :param for_seconds: work for so long only.
    :raises TaskFailed: some guests could not be moved; the others were.
    """
    if handle is not None:
        work = DrainWork.from_dict(handle)
        result: dict[str, Any] = {"changed": True, "storage": work.storage, "planned": []}
    else:
        plan = _plan(session, request)
        result = _result(plan, plan.moves != ())
        if check or not plan.moves:
            return result
        work = _work(request, plan, clock)
    drain = StorageDrain(session, clock, work)
    if not wait:
        drain.poll()
        return result | (_finish(drain, request) if drain.over else _going(drain))
    deadline = work.asked_at + request.timeout if request.timeout else None
    look_until = None if for_seconds is None else clock.monotonic() + for_seconds
    until = min((limit for limit in (deadline, look_until) if limit is not None), default=None)
    if drain.wait(until):
        return result | _finish(drain, request)
    if deadline is None or clock.monotonic() < deadline:
        return result | _going(drain)
    raise TimedOut(
        f"Emptying {work.storage} did not end within {request.timeout:g} s; what is under way goes on, and"
        f" {_count(len(work.queue), 'move')} did not begin. Run this again to go on.",
        follow=drain.handle(),
        done=work.done,
    )


def _plan(session: Session, request: DrainRequest) -> DrainPlan:
    rights = read_rights(session)
    require(rights, ["drain_storage"], f"to see all that is on {request.storage}, which would look empty without")
    reading = read_storage(session, request.storage)
    try:
        plan = plan_drain(reading.state, reading.inventory, request.options)
    except Impossible as error:
        raise Invalid(str(error)) from None
    require(rights, ["drain_storage"], "to move what is there", storage=sorted({move.target for move in plan.moves}))
    stopping = [move.guest.vmid for move in plan.moves if move.stop]
    require(rights, ["drain_storage.stop"] if stopping else (), "to stop containers", vmid=stopping)
    return plan


def _work(request: DrainRequest, plan: DrainPlan, clock: Clock) -> DrainWork:
    return DrainWork(
        request.storage,
        [queued(move) for move in plan.moves],
        parallel=request.parallel,
        bwlimit=request.bwlimit,
        allow_stop=request.options.allow_stop,
        stop_timeout=request.stop_timeout,
        accept=sorted(request.options.accept),
        start_for=request.start_for,
        asked_at=clock.monotonic(),
    )


def _result(plan: DrainPlan, changed: bool) -> dict[str, Any]:
    """What is known before anything is done: also what check mode returns."""
    return {
        "changed": changed,
        "storage": plan.storage,
        "empty": plan.empty,
        "planned": [queued(move) for move in plan.moves],
        "bytes": plan.bytes,
        "done": [],
        "waiting": [],
        **_rest(plan),
        "diff": {
            "before": {volid: plan.storage for move in plan.moves for volid in move.volids},
            "after": {volid: move.target for move in plan.moves for volid in move.volids},
        },
    }


def _rest(plan: DrainPlan) -> dict[str, Any]:
    return {
        "stays": [_stays_row(item) for item in plan.stays],
        "files": [_file_row(item) for item in plan.files],
        "unseen": dict(plan.unseen),
    }


def _stays_row(item: Stays) -> dict[str, Any]:
    found = item.found
    return {
        "volid": found.volid,
        "node": found.node,
        "what": found.what.value,
        "guest": found.guest.vmid if found.guest is not None else None,
        "size": found.volume.size if found.volume is not None else None,
        "why": item.why,
        "remedy": item.remedy,
    }


def _file_row(found: Found) -> dict[str, Any]:
    volume = found.volume
    return {
        "volid": found.volid,
        "node": found.node,
        "content": volume.content if volume is not None else None,
        "size": volume.size if volume is not None else None,
        "used_by": list(found.holders),
    }


def _going(drain: StorageDrain) -> dict[str, Any]:
    work = drain.work
    return {
        "empty": False,
        "done": work.done,
        "waiting": work.queue,
        "progress": drain.progress_rows(),
        "follow": drain.handle(),
    }


def _finish(drain: StorageDrain, request: DrainRequest) -> dict[str, Any]:
    """Look again: what is left is what counts.

    :raises TaskFailed: some guests could not be moved.
    """
    work = drain.work
    plan = _plan(drain.session, request)
    failed = [row for row in work.done if row["state"] == "failed"]
    moved = sum(len(row["moves"]) for row in work.done)
    result = {
        "changed": moved > 0,
        "empty": plan.empty,
        "done": work.done,
        "waiting": work.queue,
        "duration_s": round(drain.clock.monotonic() - work.asked_at, 1),
        "warnings": [text for row in work.done for text in row.get("warnings", ())],
        **_rest(plan),
    }
    if failed:
        more = f" (and {_count(len(failed) - 1, 'more guest')})" if len(failed) > 1 else ""
        raise TaskFailed(
            f"{work.storage} could not be emptied: {failed[0]['msg'].rstrip('.')}{more}."
            f" {_count(moved, 'disk')} moved all the same; run this again when the cause is gone.",
            **result,
        )
    return result


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
