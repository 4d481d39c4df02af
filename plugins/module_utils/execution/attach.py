# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``follow``: attach to moves and tasks that run, for a while or to their end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api import tasks
from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import MobilityError, NodeUnreachable
from ansible_collections.pve.mobility.plugins.module_utils.api.progress import Progress
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.api.upid import Upid
from ansible_collections.pve.mobility.plugins.module_utils.execution import outcome
from ansible_collections.pve.mobility.plugins.module_utils.execution.attach_disks import WatchedDisks
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_work import DiskWork
from ansible_collections.pve.mobility.plugins.module_utils.execution.follow import (
    LONGEST,
    Follower,
    HaRefused,
    State,
    Verdict,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.locate import find_guest, read_resources
from ansible_collections.pve.mobility.plugins.module_utils.execution.moving import Moving
from ansible_collections.pve.mobility.plugins.module_utils.execution.progress_row import progress_values
from ansible_collections.pve.mobility.plugins.module_utils.execution.underway import begun, ha_if_busy, under_way
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest


@dataclass(slots=True)
class IdleGuest:
    """A guest that nothing moves: there is nothing to look at."""

    guest: Guest
    over: bool = True

    def look(self) -> None:
        return

    def values(self) -> dict[str, Any]:
        """One row of ``guests`` in the result."""
        guest = self.guest
        return {
            "vmid": guest.vmid,
            "name": guest.name,
            "state": "idle",
            "node": guest.node,
            "summary": f"{guest.label} is on {guest.node}; nothing moves it",
        }


@dataclass(slots=True)
class WatchedGuest:
    """A guest's move."""

    clock: Clock
    follower: Follower
    verdict: Verdict | None = None
    error: MobilityError | None = None

    @property
    def over(self) -> bool:
        return self.error is not None or self.verdict is not None

    def look(self) -> None:
        if self.over:
            return
        try:
            verdict = self.follower.poll()
        except HaRefused as refusal:
            self.error = outcome.refused_by_ha(self.follower, refusal)
        except NodeUnreachable as silence:
            self.error = outcome.lost(self.follower, silence)
        except MobilityError as error:
            self.error = error
        else:
            if verdict.state is State.FAILED:
                self.error = outcome.failed(self.follower, verdict)
            elif verdict.state is State.DONE:
                self.verdict = verdict

    def values(self) -> dict[str, Any]:
        """One row of ``guests`` in the result."""
        moving = self.follower.moving
        row: dict[str, Any] = {
            "vmid": moving.vmid,
            "name": moving.name,
            "source": moving.source,
            "target": moving.target,
            "ha": moving.ha,
            "task": moving.task,
            "elapsed_s": round(max(0.0, self.clock.monotonic() - moving.asked_at), 1),
        }
        if self.error is not None:
            message = self.error.message
            return row | {"state": "failed", "msg": message, "summary": message, "failure": self.error.failure()}
        if self.verdict is not None:
            ended = outcome.moved(self.follower, self.verdict)
            return row | ended | {"state": "done", "summary": _summary(moving, ended)}
        waiting = moving.ha and moving.task is None
        return row | {
            "state": "running",
            "summary": f"{moving.label} is still moving from {moving.source} to {moving.target}",
            "waiting_for_ha": waiting,
            "progress": progress_values(self.follower.progress),
            "follow": self.follower.handle(),
        }


def _summary(moving: Moving, ended: Mapping[str, Any]) -> str:
    pause = ended["downtime_ms"]
    paused = f", paused for {pause} ms" if pause is not None else ""
    return f"{moving.label} moved from {moving.source} to {moving.target} in {ended['duration_s']:.0f} s{paused}"


@dataclass(slots=True)
class WatchedTask:
    """Any task."""

    session: Session
    upid: Upid
    progress: Progress = field(default_factory=Progress)
    status: tasks.TaskStatus | None = None
    log: tasks.TaskLog | None = None

    @property
    def over(self) -> bool:
        return self.status is not None and not self.status.running

    def look(self, now: float) -> None:
        if self.over:
            return
        self.status = tasks.status(self.session, self.upid)
        self.log = self.log or tasks.TaskLog(self.upid)
        self.progress.feed(self.log.read_on(self.session), now)

    def values(self) -> dict[str, Any]:
        """One row of ``tasks`` in the result."""
        row: dict[str, Any] = {
            "task": self.upid.text,
            "node": self.upid.node,
            "type": self.upid.type,
            "id": self.upid.id,
        }
        lines = self.log.lines if self.log is not None else []
        if self.status is None or self.status.running:
            return row | {"state": "running", "progress": progress_values(self.progress)}
        row |= {"exitstatus": self.status.exitstatus, "warnings": tasks.warnings(lines)}
        if self.status.good:
            return row | {"state": "done"}
        why = tasks.cause(lines, self.status.exitstatus)
        return row | {"state": "failed", "msg": why, "log_tail": tasks.tail(lines)}


def attach(
    session: Session,
    clock: Clock,
    guests: Iterable[Any],
    upids: Iterable[str],
    for_seconds: float | None,
) -> dict[str, Any]:
    """Look until all is over, or for ``for_seconds``; None waits for the end.

    :param guests: vmids, names, or handles of ``migrate`` and ``move_disk``.
    """
    watched_tasks = [WatchedTask(session, Upid.parse(text)) for text in upids]
    watched = _watch(session, clock, list(guests))
    deadline = None if for_seconds is None else clock.monotonic() + for_seconds
    while True:
        now = clock.monotonic()
        for guest in watched:
            guest.look()
        for task in watched_tasks:
            task.look(now)
        over = all(guest.over for guest in watched) and all(task.over for task in watched_tasks)
        if over:
            break
        pause = min(
            (g.follower.pause() for g in watched if isinstance(g, WatchedGuest) and not g.over), default=LONGEST
        )
        if deadline is not None:
            left = deadline - clock.monotonic()
            if left <= 0:
                break
            pause = min(pause, left)
        clock.sleep(pause)
    rows = [guest.values() for guest in watched]
    task_rows = [task.values() for task in watched_tasks]
    return {
        "finished": over,
        "guests": rows,
        "tasks": task_rows,
        "failed_count": sum(row["state"] == "failed" for row in (*rows, *task_rows)),
    }


def _watch(session: Session, clock: Clock, wanted: list[Any]) -> list[WatchedGuest | WatchedDisks | IdleGuest]:
    watched: list[WatchedGuest | WatchedDisks | IdleGuest] = []
    seen = None
    for item in wanted:
        if isinstance(item, Mapping) and DiskWork.is_handle(item):
            watched.append(WatchedDisks(session, clock, DiskWork.from_dict(item)))
            continue
        if isinstance(item, Mapping):
            watched.append(WatchedGuest(clock, Follower(session, clock, Moving.from_dict(item))))
            continue
        if seen is None:
            seen = read_resources(session)
        guest = find_guest(seen, str(item))
        guest, moving = under_way(session, guest, ha_if_busy(session, guest))
        if moving is None:
            _known, moving = begun(session, guest)
        if moving is None:
            watched.append(IdleGuest(guest))
        else:
            moving.asked_at = clock.monotonic()
            watched.append(WatchedGuest(clock, Follower(session, clock, moving)))
    return watched
