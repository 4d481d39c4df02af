# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Emptying a storage: several guests at a time, one disk of each after the other, the biggest first.

A guest that cannot be moved does not stop the others. The whole of it can be handed to another process, as the work
of a single guest can.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid, MobilityError
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_mover import LONGEST, DiskMover
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_prepare import decide_disks
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_request import DiskRequest
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_work import DiskWork
from ansible_collections.pve.mobility.plugins.module_utils.execution.locate import read_resources
from ansible_collections.pve.mobility.plugins.module_utils.execution.move_disk import finish, progress_row
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Resources
from ansible_collections.pve.mobility.plugins.module_utils.planning.storage_drain import PlannedMove

FRESH = 30.0
"""Seconds for which the list of guests is good enough to find one by; a guest that has left it is looked up again."""


@dataclass(slots=True)
class DrainWork:
    """:ivar queue: moves that have not begun: vmid, label, disks, target, bytes, after. :ivar running: works of guests.

    :ivar done: rows of what has ended, failures included. :ivar asked_at: clock of the beginning.
    :ivar start_for: seconds after that in which moves may begin, None for ever.
    """

    storage: str
    queue: list[dict[str, Any]] = field(default_factory=list)
    running: list[dict[str, Any]] = field(default_factory=list)
    done: list[dict[str, Any]] = field(default_factory=list)
    parallel: int = 2
    bwlimit: int | None = None
    allow_stop: bool = False
    stop_timeout: int = 180
    accept: list[str] = field(default_factory=list)
    start_for: float | None = None
    asked_at: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "work": "drain"}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DrainWork:
        """:raises Invalid: when it is not what ``drain_storage`` returned as ``follow``."""
        known = {item.name for item in fields(cls)}
        wrong = Invalid("follow: give the follow value that pve.mobility.drain_storage returned.")
        if values.get("work") != "drain":
            raise wrong
        try:
            return cls(**{name: value for name, value in values.items() if name in known})
        except TypeError:
            raise wrong from None


def queued(move: PlannedMove) -> dict[str, Any]:
    """The shape in the queue."""
    return {
        "vmid": move.guest.vmid,
        "label": move.guest.label,
        "node": move.guest.node,
        "disks": list(move.disks),
        "target": move.target,
        "bytes": move.bytes,
        "after": list(move.after),
    }


@dataclass(slots=True)
class StorageDrain:
    """Carries out a plan. :meth:`poll` does what can be done now; :meth:`wait` until the end or a deadline."""

    session: Session
    clock: Clock
    work: DrainWork
    movers: list[DiskMover] = field(default_factory=list)
    _seen: Resources | None = None
    _seen_at: float = 0.0

    def __post_init__(self) -> None:
        self.movers = [DiskMover(self.session, self.clock, DiskWork.from_dict(row)) for row in self.work.running]

    def handle(self) -> dict[str, Any]:
        """All that another process needs to go on."""
        self.work.running = [mover.handle() for mover in self.movers]
        return self.work.as_dict()

    @property
    def over(self) -> bool:
        """Nothing runs, and nothing will begin any more."""
        return not self.movers and (not self.work.queue or self.closed)

    @property
    def closed(self) -> bool:
        """The time in which moves may begin has passed."""
        limit = self.work.start_for
        return limit is not None and self.clock.monotonic() - self.work.asked_at >= limit

    def wait(self, deadline: float | None) -> bool:
        """Until all is over, or until the clock passes ``deadline``; whether it is over."""
        while True:
            self.poll()
            if self.over:
                return True
            pause = min((mover.pause() for mover in self.movers), default=LONGEST)
            if deadline is not None:
                left = deadline - self.clock.monotonic()
                if left <= 0:
                    return False
                pause = min(pause, left)
            self.clock.sleep(pause)

    def poll(self) -> None:
        """Look at every guest once, and begin others where places are free."""
        for mover in list(self.movers):
            self._look(mover)
        self._fill()

    def _look(self, mover: DiskMover) -> None:
        work = mover.work
        try:
            mover.poll()
            if not work.over:
                return
            ended = finish(mover)
        except MobilityError as error:
            self.movers.remove(mover)
            self._failed({"vmid": work.vmid, "label": work.label, "node": work.node, "target": work.storage}, error)
            return
        self.movers.remove(mover)
        self._note(work, ended)

    def _note(self, work: DiskWork, ended: Mapping[str, Any]) -> None:
        base = {"vmid": work.vmid, "label": work.label, "node": work.node, "target": work.storage}
        self.work.done.append(
            base
            | {
                "state": "moved",
                "moves": ended["moves"],
                "orphans": ended["orphans"],
                "warnings": ended["warnings"],
                "seconds": round(self.clock.monotonic() - work.asked_at, 1),
            }
        )

    def _failed(self, base: Mapping[str, Any], error: MobilityError) -> None:
        failure = error.failure()
        self.work.done.append(
            {**base, "state": "failed", "moves": failure.get("moves", []), "msg": error.message, "failure": failure}
        )

    def _fill(self) -> None:
        """The next guest of the queue that nothing is moved of just now, and on whose disks nothing hangs any more."""
        work = self.work
        while len(self.movers) < work.parallel and work.queue and not self.closed:
            busy = {mover.work.vmid for mover in self.movers}
            ahead = busy | {row["vmid"] for row in work.queue}
            entry = next(
                (row for row in work.queue if row["vmid"] not in busy and ahead.isdisjoint(row["after"])), None
            )
            if entry is None:
                return
            work.queue.remove(entry)
            self._begin(entry)

    def _begin(self, entry: Mapping[str, Any]) -> None:
        work = self.work
        request = DiskRequest(
            str(entry["vmid"]),
            str(entry["target"]),
            tuple(entry["disks"]),
            delete=True,
            bwlimit=work.bwlimit,
            allow_stop=work.allow_stop,
            stop_timeout=work.stop_timeout,
            accept=frozenset(work.accept),
            timeout=0.0,
        )
        base = {key: entry[key] for key in ("vmid", "label", "node", "target")}
        try:
            decision = decide_disks(self.session, request, self.clock, self._resources())
            if decision.work is None:
                work.done.append({**base, "state": "there", "moves": []})
                return
            mover = DiskMover(self.session, self.clock, decision.work)
            mover.poll()
        except MobilityError as error:
            self._failed(base, error)
            return
        self.movers.append(mover)

    def _resources(self) -> Resources:
        """One list of guests for all that begin at about the same time."""
        now = self.clock.monotonic()
        if self._seen is None or now - self._seen_at > FRESH:
            self._seen, self._seen_at = read_resources(self.session), now
        return self._seen

    def progress_rows(self) -> list[dict[str, Any]]:
        """How far each guest is."""
        return [progress_row(mover) for mover in self.movers]
