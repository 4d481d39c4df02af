# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one state machine by which everything that waits learns how a move really ended.

:func:`judge` is pure: from what was seen to a verdict. :class:`Follower` does the reading. What a poller can and
cannot trust is in pve-facts §16: a UPID means started, ``hamigrate`` means queued, the node flips seconds before the
task ends, the lock stays until its end.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api import tasks
from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    ApiError,
    MobilityError,
    NodeUnreachable,
    NoQuorum,
    NotFound,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.progress import Phase, Progress
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.api.upid import Upid
from ansible_collections.pve.mobility.plugins.module_utils.execution.locate import read_resources
from ansible_collections.pve.mobility.plugins.module_utils.execution.moving import Moving
from ansible_collections.pve.mobility.plugins.module_utils.model.ha import MOVING, HaStatus, LrmResult, ha_status

HA_SILENCE = 90.0
"""Seconds without any sign from the HA manager, which acts every 10 s, until a request counts as ignored."""
HA_MASTER_CHANGE = 180.0
"""The same when its master has not worked meanwhile: another node takes over after up to two minutes."""
ROUND = 12.0
"""Seconds after a request in which results of the resource managers may still be those of an earlier one."""
SETTLE = 20.0
"""Seconds that a guest may take to show its final state after its task has ended well."""
HA_SETTLE = 60.0
"""The same under HA: two rounds of the manager and a start."""
UNREACHABLE = 300.0
"""Seconds without any API host until following is given up; the move goes on."""
SHORTEST, LONGEST = 1.0, 2.0
"""Seconds between polls: grows while nothing changes; the end of a task must be known within two seconds."""
HA_LONGEST = 5.0
"""The same while the HA manager, which acts every 10 s, has not started a task yet."""
RECENT = 30
"""Seconds for which an ended task may still belong to an HA move that the HA manager has not closed yet."""


@dataclass(frozen=True, slots=True)
class Current:
    """``status/current`` of the guest on one node; None in :class:`Seen` when the node does not have it."""

    node: str
    status: str
    lock: str | None = None


@dataclass(slots=True)
class Seen:
    """One round of looking. ``now`` is the clock's.

    :ivar task: status of the task that moves the guest. :ivar target: the guest as its target shows it.
    :ivar ha: the HA manager's status, for HA guests. :ivar master_works: its master has made a round since the last.
    """

    now: float
    task: tasks.TaskStatus | None = None
    target: Current | None = None
    ha: HaStatus | None = None
    master_works: bool = True


class State(enum.Enum):
    GOING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """``why`` is the cause of a failure, or the problem of a move that ended well all the same."""

    state: State
    why: str = ""
    problem: bool = False


GOING = Verdict(State.GOING)


def judge(moving: Moving, seen: Seen) -> Verdict:
    """How it stands. Changes only what ``moving`` remembers between rounds."""
    if moving.ha:
        return _judge_ha(moving, seen)
    if seen.task is None or seen.task.running:
        return GOING
    arrived = _arrived(moving, seen.target)
    if arrived:
        # Proxmox VE ends with "migration problems" when only the clean-up failed; the guest is what counts.
        return Verdict(State.DONE, problem=not seen.task.good)
    if not seen.task.good:
        return Verdict(State.FAILED)
    return _settling(moving, seen.now, SETTLE, _missing(moving, seen.target))


def _judge_ha(moving: Moving, seen: Seen) -> Verdict:
    if seen.ha is None:
        return GOING
    service = seen.ha.services.get(moving.sid)
    if service is None:
        if seen.task is not None and not seen.task.running and _arrived(moving, seen.target):
            return Verdict(State.DONE, problem=not seen.task.good)
        return _settling(moving, seen.now, HA_SETTLE, "it is no longer under HA")
    if service.state in MOVING:
        moving.seen_moving = True
        moving.calm_since = None
        if service.target not in (None, moving.target) and not moving.task:
            return Verdict(State.FAILED, f"the HA manager moves it to {service.target} instead, on a later request")
        if seen.task is not None and seen.task.bad and not _arrived(moving, seen.target):
            # The HA manager notices up to ten seconds later, and tries no more.
            return Verdict(State.FAILED)
        return GOING
    if service.command and service.command[-1] == moving.target:
        return _silent(moving, seen, "the HA manager has taken the request but not acted on it")
    ended = seen.task is not None and not seen.task.running
    if service.node == moving.target:
        if _arrived(moving, seen.target) and (ended or seen.task is None):
            return Verdict(State.DONE, problem=bool(seen.task and not seen.task.good))
        if service.state == "error":
            return Verdict(State.FAILED, "the HA manager has it in state error")
        return _settling(moving, seen.now, HA_SETTLE, _missing(moving, seen.target))
    failed = _lrm_result(seen.ha.results, moving) if seen.now - moving.asked_at > ROUND else None
    if moving.seen_moving or failed is not None:
        if seen.task is not None and seen.task.running:
            return GOING
        if ended:
            return Verdict(State.FAILED)
        why = "the HA manager gave it up without starting a migration task"
        if failed is not None:
            why += f": the local resource manager of {failed.node} ended with exit code {failed.exit_code}"
        return Verdict(State.FAILED, f"{why} (the journal of pve-ha-lrm on {moving.source} says why)")
    return _silent(moving, seen, "the HA manager did not act on the request")


def _lrm_result(results: tuple[LrmResult, ...], moving: Moving) -> LrmResult | None:
    """How the source's resource manager ended its attempt; visible for about ten seconds (pve-facts §16)."""
    for result in results:
        if result.sid == moving.sid and result.node == moving.source and result.state in MOVING and result.exit_code:
            return result
    return None


def _silent(moving: Moving, seen: Seen, why: str) -> Verdict:
    limit = HA_SILENCE if seen.master_works else HA_MASTER_CHANGE
    if seen.now - moving.asked_at < limit:
        return GOING
    return Verdict(
        State.FAILED,
        f"{why} within {limit:.0f} s (it drops requests to nodes that are off or in maintenance, against rules,"
        " or while"
        " the service is busy; the journal of pve-ha-crm on the HA master says why)",
    )


def _settling(moving: Moving, now: float, limit: float, why: str) -> Verdict:
    if moving.calm_since is None:
        moving.calm_since = now
    return GOING if now - moving.calm_since < limit else Verdict(State.FAILED, why)


def _arrived(moving: Moving, target: Current | None) -> bool:
    """On the target, unlocked, in the state it had."""
    if target is None or target.lock is not None:
        return False
    return target.status == ("running" if moving.was_running else "stopped")


def _missing(moving: Moving, target: Current | None) -> str:
    if target is None:
        return f"its task has ended, but it is not on {moving.target}"
    if target.lock is not None:
        return f"it is on {moving.target}, but still locked ({target.lock})"
    return f"it is on {moving.target}, but {target.status} (it was {'running' if moving.was_running else 'stopped'})"


# ---------------------------------------------------------------- reading


@dataclass(slots=True)
class Follower:
    """Watches one move. :meth:`poll` looks once; :meth:`wait` until the end or a deadline.

    :ivar progress: how far it is. :ivar lines: the task's log so far. :ivar landed: its task has ended, whether or not
        the HA manager has noticed: nothing is copied any more.
    """

    session: Session
    clock: Clock
    moving: Moving
    progress: Progress = field(default_factory=Progress)
    verdict: Verdict = GOING
    landed: bool = False
    _log: tasks.TaskLog | None = None
    _exitstatus: str | None = None
    _pause: float = SHORTEST
    _last: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        """Go on where an earlier process has stopped.

        :raises Invalid: the handle was not made by :meth:`handle`.
        """
        moving = self.moving
        self.session.prefer(moving.host)
        if moving.task is not None and moving.progress is not None:
            try:
                self.progress = Progress.from_dict(moving.progress)
            except (KeyError, TypeError, ValueError):
                raise Moving.no_handle() from None
            self._log = tasks.TaskLog(Upid.parse(moving.task), skipped=moving.lines_read)

    def handle(self) -> dict[str, Any]:
        """All that another process needs to go on."""
        self.moving.host = self.session.host
        if self._log is not None:
            self.moving.lines_read = self._log.count
            self.moving.progress = self.progress.as_dict()
        return self.moving.as_dict()

    @property
    def lines(self) -> list[str]:
        return self._log.lines if self._log is not None else []

    @property
    def exitstatus(self) -> str | None:
        return self._exitstatus

    def poll(self) -> Verdict:
        """Look once. API hosts that do not answer are borne for a while: the move goes on without them.

        :raises MobilityError: nobody has answered for too long, or the credentials were refused.
        """
        try:
            seen = self._look()
        except (NodeUnreachable, NoQuorum) as silence:
            now = self.clock.monotonic()
            if self.moving.silent_since is None:
                self.moving.silent_since = now
            self.session.rotate()
            if now - self.moving.silent_since >= UNREACHABLE:
                raise NodeUnreachable(
                    f"The move of {self.moving.label} to {self.moving.target} could not be followed for"
                    f" {UNREACHABLE:.0f} s ({silence.message.rstrip('.')}). It may go on; run this again to"
                    " attach to it.",
                    guest=self.moving.vmid,
                    task=self.moving.task,
                ) from None
            return GOING
        self.moving.silent_since = None
        self.verdict = judge(self.moving, seen)
        return self.verdict

    def pause(self) -> float:
        """Seconds until the next look: short after a change, longer while nothing happens."""
        moving = self.moving
        longest = HA_LONGEST if moving.ha and moving.task is None else LONGEST
        # Bytes that go on flowing are no news: only a new phase makes it look sooner.
        now = (self.progress.phase, moving.task, moving.seen_moving, self.verdict.state)
        news = now != self._last or self.progress.phase is Phase.FINISHING
        self._pause = SHORTEST if news else min(longest, self._pause * 1.5)
        self._last = now
        return self._pause

    def wait(self, deadline: float | None) -> Verdict:
        """Until the end, or until the clock passes ``deadline``."""
        while True:
            verdict = self.poll()
            if verdict.state is not State.GOING:
                return verdict
            pause = self.pause()
            if deadline is not None:
                left = deadline - self.clock.monotonic()
                if left <= 0:
                    return verdict
                pause = min(pause, left)
            self.clock.sleep(pause)

    def _look(self) -> Seen:
        moving = self.moving
        seen = Seen(self.clock.monotonic())
        if moving.ha:
            self._refused_early()
            seen.ha = ha_status(self.session.get("/cluster/ha/status/manager_status"))
            seen.master_works = self._master_works(seen.ha, seen.now)
            if moving.task is None:
                # Also while nothing seems to happen: a short move may begin and end between two looks.
                self._find_real_task(seen.ha.timestamp)
        if moving.task is not None:
            seen.task = self._read_task(Upid.parse(moving.task))
        over = self.landed = seen.task is not None and not seen.task.running
        if moving.target and (over or (seen.ha is not None and _at_rest(seen.ha, moving))):
            seen.target = self.current(moving.target)
        return seen

    def _refused_early(self) -> None:
        """``hamigrate`` itself fails when a rule blocks the move (9.0 and later).

        :raises MobilityError: kind ``blocked``, with its words.
        """
        moving = self.moving
        if moving.request_task is None or moving.seen_moving:
            return
        upid = Upid.parse(moving.request_task)
        status = tasks.status(self.session, upid)
        if status.running:
            return
        moving.request_task = None
        if not status.good:
            log = tasks.TaskLog(upid)
            log.read_on(self.session)
            raise HaRefused(tasks.cause(log.lines, status.exitstatus), upid.text, log.lines)

    def _master_works(self, ha: HaStatus, now: float) -> bool:
        """Whether the HA master has made a round within the last half minute."""
        moving = self.moving
        if ha.timestamp != moving.master_stamp or moving.master_seen is None:
            moving.master_stamp, moving.master_seen = ha.timestamp, now
        return now - moving.master_seen < 30

    def _find_real_task(self, cluster_time: int) -> None:
        """:param cluster_time: Unix time in the cluster, about."""
        moving = self.moving
        for row in tasks.listed(self.session, moving.source, vmid=moving.vmid, since=moving.since or None, limit=10):
            upid = Upid.parse(str(row["upid"]))
            if upid.type != moving.guest.task_type or upid.start < moving.since:
                continue
            # It is not known since when an adopted move is under way; a task of an earlier one is none of it.
            if moving.since or int(row.get("endtime") or cluster_time) >= cluster_time - RECENT:
                moving.task, moving.seen_moving = upid.text, True
                return

    def _read_task(self, upid: Upid) -> tasks.TaskStatus:
        """Status first, then the log, so that the log of an ended task is complete."""
        try:
            status = tasks.status(self.session, upid)
        except NotFound:
            # The node was reinstalled or its logs were removed: what counts is where the guest is.
            return tasks.TaskStatus(upid.text, False, "the node has forgotten the task")
        if self._log is None or self._log.upid.text != upid.text:
            self._log = tasks.TaskLog(upid)
        fresh = self._log.read_on(self.session)
        self.progress.feed(fresh, self.clock.monotonic())
        if not self.moving.target and self.progress.target:
            self.moving.target = self.progress.target
        if not status.running:
            self._log.whole(self.session)
        self._exitstatus = status.exitstatus
        return status

    def current(self, node: str) -> Current | None:
        """The guest on a node, None when it is not there. Exact within a second, unlike /cluster/resources."""
        moving = self.moving
        try:
            row: Mapping[str, Any] = self.session.get(f"/nodes/{node}/{moving.type}/{moving.vmid}/status/current")
        except (NodeUnreachable, NoQuorum):
            raise
        except ApiError as error:
            if "does not exist" in error.reason:
                return None
            raise
        return Current(node, str(row.get("status", "unknown")), row.get("lock") or None)

    def whereabouts(self) -> Current | None:
        """Where the guest is now, None when it cannot be found out.

        Of a node that does not answer, the cluster knows at least what it has: ``status`` is then ``unknown``.
        """
        moving = self.moving
        try:
            guest = read_resources(self.session).guest(moving.vmid)
        except MobilityError:
            return None
        node = guest.node if guest is not None else moving.source
        try:
            return self.current(node) or self.current(moving.target if node == moving.source else moving.source)
        except MobilityError:
            return Current(guest.node, "unknown", guest.lock) if guest is not None else None


def _at_rest(ha: HaStatus, moving: Moving) -> bool:
    service = ha.services.get(moving.sid)
    return service is None or (service.state not in MOVING and service.node == moving.target)


class HaRefused(MobilityError):
    """The HA manager's own command refused the move."""

    kind = "blocked"

    def __init__(self, why: str, task: str, lines: list[str]) -> None:
        super().__init__(why, task=task, log_tail=tasks.tail(lines))
