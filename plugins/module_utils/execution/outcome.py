# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a move came to: the result of a success, the sentence and the facts of a failure."""

from __future__ import annotations

from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api import tasks
from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    ApiError,
    Blocked,
    MobilityError,
    NodeUnreachable,
    TaskFailed,
    TimedOut,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.api.upid import Upid
from ansible_collections.pve.mobility.plugins.module_utils.execution.follow import Current, Follower, HaRefused, Verdict
from ansible_collections.pve.mobility.plugins.module_utils.execution.prepare import Decision, facts_of
from ansible_collections.pve.mobility.plugins.module_utils.execution.remains import Remains, remains


def result(decision: Decision) -> dict[str, Any]:
    """The result before anything is done: also what check mode returns."""
    guest, moving = decision.guest, decision.moving
    return {
        "changed": moving is not None,
        "guest": {"vmid": guest.vmid, "type": guest.type, "name": guest.name},
        "source": moving.source if moving is not None else guest.node,
        "target": decision.target,
        "node": guest.node,
        "mode": decision.mode,
        "moved": False,
        "adopted": moving is not None and moving.adopted,
        "ha": moving.ha if moving is not None else False,
        "task": moving.task if moving is not None else None,
        "duration_s": None,
        "downtime_ms": None,
        "bytes": None,
        "rate_bytes_s": None,
        "warnings": [],
        "findings": [finding.as_dict() for finding in decision.findings],
        "diff": diff(decision),
    }


def diff(decision: Decision) -> dict[str, dict[str, str]]:
    """``node`` before and after."""
    return {"before": {"node": decision.guest.node}, "after": {"node": decision.target}}


def moved(follower: Follower, verdict: Verdict) -> dict[str, Any]:
    """The values that a finished move adds to the result."""
    moving, progress = follower.moving, follower.progress
    warnings = tasks.warnings(follower.lines)
    if verdict.problem:
        warnings.append(
            "The move ended with a problem after the guest had arrived:"
            f" {tasks.cause(follower.lines, follower.exitstatus)}"
            f" (log of {moving.task})."
        )
    duration = _duration(follower)
    carried = progress.carried
    return {
        "changed": True,
        "node": moving.target,
        "source": moving.source,
        "target": moving.target,
        "moved": True,
        "adopted": moving.adopted,
        "ha": moving.ha,
        "task": moving.task,
        "duration_s": duration,
        "downtime_ms": progress.downtime_ms,
        "bytes": carried,
        "rate_bytes_s": int(carried / duration) if duration else None,
        "warnings": warnings,
    }


def _duration(follower: Follower) -> float:
    """Seconds: what the log says, else the time since the request."""
    for line in reversed(follower.lines):
        _head, mark, rest = line.partition("(duration ")
        if mark:
            hours, minutes, seconds = rest.partition(")")[0].split(":")
            return float(int(hours) * 3600 + int(minutes) * 60 + int(seconds)) or 1.0
    return round(max(0.0, follower.clock.monotonic() - follower.moving.asked_at), 1)


def failed(follower: Follower, verdict: Verdict) -> MobilityError:
    """The error for a move that did not succeed, with where the guest is now."""
    moving = follower.moving
    why = verdict.why or tasks.cause(follower.lines, follower.exitstatus)
    task = f" (last lines of {moving.task})" if moving.task and not verdict.why else ""
    where, facts = _whereabouts(follower)
    return TaskFailed(
        f"The move of {moving.label} to {moving.target} failed: {why.rstrip('.')}{task}. {where}",
        task=moving.task,
        log_tail=tasks.tail(follower.lines),
        **facts,
    )


def refused_by_ha(follower: Follower, refusal: HaRefused) -> MobilityError:
    """The HA manager's command ended with an error: nothing moves."""
    where, facts = _whereabouts(follower)
    why = refusal.message.rstrip(".")
    return Blocked(
        f"The HA manager refuses to move {follower.moving.label} to {follower.moving.target}: {why}. {where}",
        **(facts | refusal.details),
    )


def not_started(decision: Decision, error: MobilityError) -> MobilityError:
    """The same error, of a move that was refused when it was asked for, with where the guest is."""
    error.details = facts_of(decision.guest) | error.details
    if not isinstance(error, NodeUnreachable | TaskFailed | TimedOut) and "Nothing was changed" not in error.message:
        error.message += f" {decision.guest.label} is still on {decision.guest.node}; nothing was changed."
    return error


def lost(follower: Follower, error: NodeUnreachable) -> NodeUnreachable:
    """The same error, of a move that can no longer be watched, with where the guest was seen last."""
    where, facts = _whereabouts(follower, over=False)
    error.message += f" {where}"
    error.details = {**error.details, **facts}
    return error


def timed_out(session: Session, clock: Clock, follower: Follower, timeout: float, cancel: bool) -> MobilityError | None:
    """The error for a move that is not done in time; None when it ended well while it was being cancelled."""
    moving = follower.moving
    refused = ""
    if cancel and moving.task is not None:
        try:
            tasks.cancel(session, Upid.parse(moving.task))
        except ApiError as error:
            # Lost on the way, or not permitted: the state of the task will tell.
            refused = f" Cancelling was asked for, but: {error.message}"
    if not cancel or moving.task is None or refused:
        where, facts = _whereabouts(follower, over=False)
        return TimedOut(
            f"The move of {moving.label} to {moving.target} did not end within {timeout:g} s; it goes on. Run"
            " this again"
            f" to attach to it, or use pve.mobility.follow. {where}{refused}",
            task=moving.task,
            follow=follower.handle(),
            **facts,
        )
    verdict = follower.wait(clock.monotonic() + 30)
    if verdict.state.value == "done":
        return None
    where, facts = _whereabouts(follower)
    return TimedOut(
        f"The move of {moving.label} to {moving.target} did not end within {timeout:g} s and was cancelled. {where}",
        task=moving.task,
        log_tail=tasks.tail(follower.lines),
        **facts,
    )


def _whereabouts(follower: Follower, over: bool = True) -> tuple[str, dict[str, Any]]:
    """A sentence on where the guest is, and the same as data.

    :param over: the move has ended, so that what it holds and has copied is left for good.
    """
    moving = follower.moving
    now: Current | None = follower.whereabouts()
    facts: dict[str, Any] = {"guest": moving.vmid, "leftovers": []}
    if now is None:
        facts |= {"node": None, "status": None, "lock": None}
        return f"Where it is now could not be found out; look for it on {moving.source} and {moving.target}.", facts
    facts |= {"node": now.node, "status": now.status, "lock": now.lock}
    state = "runs" if now.status == "running" else f"is {now.status}"
    if not over:
        held = f" (lock: {now.lock})" if now.lock else ""
        return f"The guest is on {now.node} and {state}{held}.", facts
    left = remains(follower.session, moving, follower.lines, now.node)
    facts["leftovers"] = list(left.volumes)
    return f"The guest is on {now.node} and {state}; {_rest(now.lock, left)}.", facts


def _rest(lock: str | None, left: Remains) -> str:
    """What remains of a move besides the guest, in words."""
    if lock is None and not left.volumes and left.certain:
        return "no lock and no leftover disk remain"
    held = f"a lock remains ({lock})" if lock else "no lock remains"
    if left.volumes:
        return f"{held}; left behind: {', '.join(left.volumes)}"
    if left.certain:
        return f"{held}; no leftover disk"
    return f"{held}; whether a disk was left behind on {left.node} could not be looked up (Datastore.Audit)"
