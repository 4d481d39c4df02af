# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose turn it is: which of the moves that wait begins next, and whether there is a place for it.

What the user wants first comes first. Then moves towards replicas, while their copies are fresh; then all others. Which
of those that could begin is best begun now, the pace tells. The HA manager begins what it is asked for at one of its
rounds only: so it is asked shortly before one, for places that will be free when it begins.

Requests: 2 in half a minute while moves wait that the HA manager is to be asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import ApiError
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.api.upid import Upid
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_book import Book, Entry
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_pace import Pace
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_places import Places
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_view import View
from ansible_collections.pve.mobility.plugins.module_utils.execution.follow import Follower
from ansible_collections.pve.mobility.plugins.module_utils.execution.ha_rounds import EARLY, HaRounds
from ansible_collections.pve.mobility.plugins.module_utils.execution.moving import Moving
from ansible_collections.pve.mobility.plugins.module_utils.model.ha import ha_status
from ansible_collections.pve.mobility.plugins.module_utils.planning.pace import next_of
from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import Limits, Move

HA_WORKERS = 4
"""Moves of a node that the HA manager carries out at once, where no option says how many."""
LOOK = 30.0
"""Seconds after which it is read again when the HA manager does its rounds."""
SHORTLY = 4.0
"""Seconds before a round in which the HA manager is asked, while other moves could take the places."""

Chosen = tuple[Entry, tuple[str, ...]]
"""A move, and the targets that have a place for it, best first."""


@dataclass(slots=True)
class Turns:
    """:ivar begins: by number of the move, when the HA manager is expected to begin what it was asked for.
    :ivar read_at: clock when its rounds were read.
    """

    session: Session
    book: Book
    view: View
    limits: Limits
    order: tuple[int, ...] = ()
    pace: Pace = field(default_factory=Pace)
    rounds: HaRounds = field(default_factory=HaRounds)
    begins: dict[int, float] = field(default_factory=dict)
    read_at: float | None = None

    def handle(self) -> dict[str, Any]:
        """What :meth:`take_up` takes in another process."""
        begins = {str(number): at for number, at in self.begins.items()}
        return {"pace": self.pace.handle(), "rounds": asdict(self.rounds), "begins": begins, "read_at": self.read_at}

    def take_up(self, handle: Mapping[str, Any]) -> None:
        """:raises KeyError, TypeError, ValueError: it is no handle."""
        self.pace, self.rounds = Pace.of(handle["pace"]), HaRounds(**handle["rounds"])
        self.begins = {int(number): float(at) for number, at in handle["begins"].items()}
        self.read_at = handle["read_at"]

    def asked(self, entry: Entry, moving: Moving, now: float) -> None:
        """The move was asked for."""
        if moving.ha:
            self.begins[entry.move.id] = self.rounds.begins(moving.source, now)

    def started(self, entry: Entry, moving: Moving, now: float) -> None:
        """Its task is known now."""
        foreseen = self.begins.pop(entry.move.id, None)
        if foreseen is None or moving.task is None:
            return
        try:
            at = now - (self.view.cluster_time(moving.source) - Upid.parse(moving.task).start)
        except ApiError:
            # What is known of its rounds so far has to do; the move itself goes on.
            return
        if at - foreseen < 2 * EARLY:
            # It had not to wait for another one, so a round was when it began.
            self.rounds.began(moving.source, at)

    def targets(self, entry: Entry) -> tuple[str, ...]:
        """Where it may still go, best first: as planned, and when that is used up, wherever there is room."""
        move = entry.move
        wanted = [move.target, *move.others]
        left = [name for name in wanted if name not in entry.failed]
        if not left:
            left = [name for name in self.view.by_room(move.source) if name not in entry.failed]
            entry.widened = True
        return tuple(left)

    def next(self, going: Mapping[int, Follower], tried: Collection[int], now: float) -> Chosen | None:
        """What to begin now; None when nothing can begin.

        :param going: moves under way, by number. :param tried: numbers that are not to be chosen again.
        """
        waiting = [
            entry
            for entry in self._in_order()
            if entry.move.id not in tried and entry.not_before <= now and self._after_others(entry)
        ]
        if not waiting:
            return None
        places = self._places(going, waiting, now)
        found = [(entry, free) for entry in waiting if (free := self._free(entry, places(entry)))]
        if not found:
            return None
        first = found[0][0]
        if first.move.guest in self.order:
            return found[0]
        alike = [item for item in found if _group(item[0]) == _group(first)]
        mine = {number: item for number, item in going.items() if item.moving.source == first.move.source}
        parts = [self.pace.whole(entry.move) for entry, _free in alike]
        most = self.limits.source or len(mine) + 1
        return alike[next_of(parts, self.pace.parts(self._moves(mine), self.begins, now), self.pace.wire, most)]

    def _in_order(self) -> list[Entry]:
        """Those that the user wants first, then by the plan."""
        rank = {vmid: number for number, vmid in enumerate(self.order)}
        return sorted(self.book.waiting, key=lambda entry: rank.get(entry.move.guest, len(rank)))

    def _after_others(self, entry: Entry) -> bool:
        others = (self.book.entries.get(number) for number in entry.move.after)
        return not any(other is not None and other.open for other in others)

    def _free(self, entry: Entry, places: Places | None) -> tuple[str, ...]:
        """Targets that have a place now, best first; none unless the best one has."""
        if places is None:
            return ()
        wanted = self.targets(entry)
        free = tuple(name for name in wanted if places.has(entry.move.source, name, entry.move.ha))
        return free if free and free[0] == wanted[0] else ()

    def _places(
        self, all_going: Mapping[int, Follower], waiting: Iterable[Entry], now: float
    ) -> Callable[[Entry], Places | None]:
        """What is taken when a move would begin; None: it may not be asked for yet.

        Moves that only the HA manager has to notice copy nothing any more. Those that are over when the HA manager
        begins make place for what it is asked for; until it begins, others may use the place.
        """
        going = {number: item for number, item in all_going.items() if not item.landed}
        pending = {
            number: self.begins[number]
            for number, item in going.items()
            if item.moving.task is None and self.begins.get(number, now) > now
        }
        meanwhile = min(pending.values(), default=now) - EARLY - now
        plain = self._taken(going.values())
        short = self._taken(item for number, item in going.items() if number not in pending)
        managed = self._for_the_manager(going, waiting, now)

        def places(entry: Entry) -> Places | None:
            if entry.move.ha:
                return managed.get(entry.move.source)
            return short if self.pace.seconds(entry.move) <= meanwhile else plain

        return places

    def _for_the_manager(
        self, going: Mapping[int, Follower], waiting: Iterable[Entry], now: float
    ) -> dict[str, Places]:
        """By source, what will be taken when the HA manager begins what it is asked for now.

        What it has not begun yet may begin any time.
        """
        sources = {entry.move.source for entry in waiting if entry.move.ha}
        if not sources:
            return {}
        self._read_rounds(now)
        others = [entry.move for entry in waiting if not entry.move.ha]
        # They come first, so they will have taken places by then.
        first = [(move.source, move.target, False) for move in others if move.replica]
        ends = self.pace.ends(self._moves(going), self.begins, now)
        found = {}
        for source in sources:
            if any(move.source == source for move in others) and self.rounds.until_next(now) > SHORTLY:
                continue
            begin = self.rounds.begins(source, now) - now
            left = [item for number, item in going.items() if item.moving.task is None or ends[number] > begin]
            found[source] = self._taken(left, first)
        return found

    def _taken(self, going: Iterable[Follower], more: Iterable[tuple[str, str, bool]] = ()) -> Places:
        options = self.view.state().options
        workers = options.max_workers if options is not None else HA_WORKERS
        moves = ((item.moving.source, item.moving.target, item.moving.ha) for item in going)
        return Places.of(self.limits, workers, [*moves, *more])

    def _moves(self, going: Mapping[int, Follower]) -> dict[int, tuple[Move, Follower]]:
        return {number: (self.book.entries[number].move, item) for number, item in going.items()}

    def _read_rounds(self, now: float) -> None:
        if self.read_at is not None and now - self.read_at < LOOK:
            return
        self.read_at = now
        try:
            status = ha_status(self.session.get("/cluster/ha/status/manager_status"))
            self.rounds.saw(status, self.view.cluster_time(status.master or self.book.node), now)
        except ApiError:
            # It is asked at any time then.
            return


def _group(entry: Entry) -> tuple[bool, bool]:
    """Among moves of the same group the pace decides which comes first."""
    return entry.move.replica, entry.move.ha
