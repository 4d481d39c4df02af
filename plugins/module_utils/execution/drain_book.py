# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far a drain is, told by its journal alone: what is noted is applied, and what is read is applied the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_journal import VERSION, Journal
from ansible_collections.pve.mobility.plugins.module_utils.model.codec import Malformed, built, plain
from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import (
    Fate,
    How,
    Move,
    Plan,
    PlanError,
    Stay,
    plan_from,
)

WAITING, SYNCING, MOVING, ALONG, MAINTENANCE, DONE, FAILED = (
    "waiting",
    "syncing",
    "moving",
    "along",
    "maintenance",
    "done",
    "failed",
)
OPEN = frozenset({WAITING, SYNCING, MOVING, ALONG})


@dataclass(slots=True)
class Entry:
    """A move and what has become of it.

    :ivar target: where it was asked to go last. :ivar asked: this work has asked for it, or was just about to.
    :ivar failed: target → why it did not work. :ivar widened: all nodes were considered, not only those of the plan.
    :ivar handle: of the move under way. :ivar job: the replication job as it was before it was asked to run.
    :ivar not_before: clock until which it rests; :ivar resting_since: since when it could not begin.
    """

    move: Move
    stage: str = WAITING
    target: str = ""
    asked: bool = False
    failed: dict[str, str] = field(default_factory=dict)
    widened: bool = False
    synced: bool = False
    handle: dict[str, Any] | None = None
    job: dict[str, Any] | None = None
    row: dict[str, Any] = field(default_factory=dict)
    not_before: float = 0.0
    resting_since: float | None = None
    why: str = ""

    @property
    def open(self) -> bool:
        return self.stage in OPEN

    def base(self) -> dict[str, Any]:
        """What every row of the result begins with."""
        move = self.move
        return {
            "vmid": move.guest,
            "name": move.name,
            "type": move.type,
            "source": move.source,
            "planned": move.target,
            "target": self.target or move.target,
            "mode": move.mode.value,
            "ha": move.ha,
            "replica": move.replica,
        }


_START = {How.ALONG: ALONG, How.MAINTENANCE: MAINTENANCE, How.FAILBACK: MAINTENANCE}


@dataclass(slots=True)
class Book:
    """:ivar node: that is emptied; empty when guests are brought home. :ivar stopped: vmid → row of guests that were
    shut down, and have to be started again. :ivar ended: the outcome, once there is one."""

    journal: Journal
    plan: Plan | None = None
    step: int = 1
    node: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    entries: dict[int, Entry] = field(default_factory=dict)
    stays: list[Stay] = field(default_factory=list)
    stopped: dict[int, dict[str, Any]] = field(default_factory=dict)
    rounds: int = 1
    own_tasks: set[str] = field(default_factory=set)
    first_task: str = ""
    ended: dict[str, Any] | None = None

    @classmethod
    def read(cls, journal: Journal) -> Book:
        """:raises Invalid: the journal cannot be understood."""
        book = cls(journal)
        try:
            for row in journal.events:
                book._apply(row)
        except (PlanError, Malformed, KeyError, TypeError, ValueError) as problem:
            raise Invalid(f"The journal {journal.path} cannot be understood ({problem}): remove it.") from None
        return book

    def begin(self, plan: Plan, step: int, node: str, options: Mapping[str, Any]) -> None:
        self.note("begin", version=VERSION, plan=plan.as_dict(), step=step, node=node, options=dict(options))

    def note(self, event: str, **values: Any) -> None:
        """On the disk first, then here."""
        self.journal.note(event, **values)
        self._apply(self.journal.events[-1])

    @property
    def waiting(self) -> list[Entry]:
        """Moves that may begin, in the order of the plan."""
        return [entry for entry in self.entries.values() if entry.stage == WAITING]

    @property
    def open(self) -> bool:
        return any(entry.open for entry in self.entries.values())

    def of_guest(self, vmid: int) -> Entry | None:
        """Its latest entry."""
        return next((entry for entry in reversed(self.entries.values()) if entry.move.guest == vmid), None)

    def to_stop(self) -> list[Stay]:
        """Guests that the plan shuts down."""
        return [stay for stay in self.stays if stay.fate is Fate.STOP]

    # ------------------------------------------------------------ events

    def _apply(self, row: Mapping[str, Any]) -> None:
        handler = _EVENTS.get(str(row["event"]))
        if handler is not None:
            handler(self, row)

    def _begin(self, row: Mapping[str, Any]) -> None:
        self.plan = plan_from(row["plan"])
        self.step, self.node, self.options = int(row["step"]), str(row["node"]), dict(row["options"])
        step = next((item for item in self.plan.steps if item.number == self.step), None)
        if step is not None:
            self._take(self.plan.moves_of(step))
        self.stays = [stay for stay in self.plan.stays if stay.step == self.step]

    def _add(self, row: Mapping[str, Any]) -> None:
        self.rounds += 1
        self._take(built(Move, value) for value in row["moves"])
        self.stays += [built(Stay, value) for value in row["stays"]]

    def _take(self, moves: Iterable[Move]) -> None:
        for move in moves:
            self.entries[move.id] = Entry(move, _START.get(move.how, WAITING))

    def _ask(self, row: Mapping[str, Any]) -> None:
        entry = self.entries[row["move"]]
        entry.target, entry.asked = str(row["target"]), True

    def _going(self, row: Mapping[str, Any]) -> None:
        entry = self.entries[row["move"]]
        entry.stage, entry.handle, entry.asked = MOVING, dict(row["handle"]), True
        entry.target = str(row["handle"].get("target") or entry.target)
        for name in ("task", "request_task"):
            if row["handle"].get(name):
                self.own_tasks.add(str(row["handle"][name]))
                self.first_task = self.first_task or str(row["handle"][name])

    def _moved(self, row: Mapping[str, Any]) -> None:
        entry = self.entries[row["move"]]
        entry.stage, entry.row, entry.handle = DONE, dict(row["row"]), None
        entry.target = str(entry.row.get("target") or entry.target)
        if entry.row.get("task"):
            self.own_tasks.add(str(entry.row["task"]))

    def _miss(self, row: Mapping[str, Any]) -> None:
        entry = self.entries[row["move"]]
        entry.failed |= dict.fromkeys(row["targets"], str(row["why"]))
        entry.stage, entry.handle, entry.why = WAITING, None, str(row["why"])
        entry.asked = False

    def _give_up(self, row: Mapping[str, Any]) -> None:
        entry = self.entries[row["move"]]
        entry.stage, entry.row, entry.handle = FAILED, dict(row["row"]), None

    def _sync(self, row: Mapping[str, Any]) -> None:
        entry = self.entries[row["move"]]
        entry.stage, entry.job = SYNCING, dict(row["job"])

    def _synced(self, row: Mapping[str, Any]) -> None:
        entry = self.entries[row["move"]]
        entry.stage, entry.job, entry.synced = WAITING, None, True

    def _stopped(self, row: Mapping[str, Any]) -> None:
        self.stopped[int(row["row"]["vmid"])] = dict(row["row"])

    def _started(self, row: Mapping[str, Any]) -> None:
        self.stopped[int(row["vmid"])] = {**self.stopped.get(int(row["vmid"]), {}), "state": "started"}

    def _end(self, row: Mapping[str, Any]) -> None:
        self.ended = dict(row["outcome"])


_EVENTS: dict[str, Callable[[Book, Mapping[str, Any]], None]] = {
    "begin": Book._begin,
    "add": Book._add,
    "ask": Book._ask,
    "going": Book._going,
    "moved": Book._moved,
    "miss": Book._miss,
    "give-up": Book._give_up,
    "sync": Book._sync,
    "synced": Book._synced,
    "stopping": Book._stopped,
    "stopped": Book._stopped,
    "started": Book._started,
    "end": Book._end,
}


def added(moves: Iterable[Move], stays: Iterable[Stay]) -> dict[str, Any]:
    """Values of the event ``add``."""
    return {"moves": [plain(move) for move in moves], "stays": [plain(stay) for stay in stays]}
