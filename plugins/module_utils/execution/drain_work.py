# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Carrying out the moves of a step: several at a time, each judged again just before it begins, the next best target
when one fails.

Requests: 1 for all that begin within five seconds, 5 for each move that begins, 1 or 2 for each look at one that runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    ApiError,
    Blocked,
    Conflict,
    Locked,
    MobilityError,
    NodeUnreachable,
    NoQuorum,
    NotFound,
    PermissionDenied,
    TaskFailed,
    TimedOut,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.progress import Phase
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution import outcome, sync
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_book import (
    ALONG,
    SYNCING,
    WAITING,
    Book,
    Entry,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_foreign import Foreign
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_journal import Lock
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_turns import Turns
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_view import View
from ansible_collections.pve.mobility.plugins.module_utils.execution.follow import (
    LONGEST,
    Follower,
    HaRefused,
    State,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.moving import Moving
from ansible_collections.pve.mobility.plugins.module_utils.execution.prepare import Decision, decide
from ansible_collections.pve.mobility.plugins.module_utils.execution.request import MoveRequest
from ansible_collections.pve.mobility.plugins.module_utils.execution.start import start
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.codec import built, plain
from ansible_collections.pve.mobility.plugins.module_utils.model.ha import MOVING as HA_MOVING
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob
from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import Limits

REST = 10.0
"""Seconds after which a move that could not begin just now is tried again."""
PATIENCE = 900.0
"""Seconds for which something may be in the way, such as a backup that holds the guest's lock."""
AHEAD = 16
"""Copies that are brought up to date while other guests move: runs start at full minutes only (pve-facts §6.3)."""
SYNC_TIME = 1800.0
ENDING = 0.5
"""Seconds between looks at a move that has sent all its bytes: another one waits for its place."""
COMES_ALONG = 180.0
"""Seconds after its leader within which the HA manager takes a guest along."""


@dataclass(slots=True)
class Work:
    """Moves of one step. :meth:`poll` does what can be done now; :meth:`wait` until the end or a deadline."""

    session: Session
    clock: Clock
    book: Book
    view: View
    lock: Lock
    foreign: Foreign
    limits: Limits
    request: MoveRequest
    order: tuple[int, ...] = ()
    followers: dict[int, Follower] = field(default_factory=dict)
    turns: Turns = field(init=False)
    _due: dict[int, float] = field(default_factory=dict)
    _sync_looks: dict[int, float] = field(default_factory=dict)
    _led_since: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.turns = Turns(self.session, self.book, self.view, self.limits, self.order)

    def resume(self, handles: Mapping[str, Any] | None = None) -> None:
        """Follow what the journal says is under way. :param handles: newer ones, by the number of the move."""
        for entry in self.book.entries.values():
            if entry.stage == "moving" and entry.handle is not None:
                handle = (handles or {}).get(str(entry.move.id)) or entry.handle
                moving = Moving.from_dict(handle)
                if moving.asked_at > self.clock.monotonic():
                    # The machine was started anew, and its clock with it.
                    moving.asked_at, moving.calm_since, moving.silent_since, moving.master_seen = 0.0, None, None, None
                self.followers[entry.move.id] = Follower(self.session, self.clock, moving)

    def handles(self) -> dict[str, Any]:
        """What :meth:`resume` takes in another process."""
        return {str(number): follower.handle() for number, follower in self.followers.items()}

    @property
    def over(self) -> bool:
        return not self.book.open

    def wait(self, deadline: float | None) -> bool:
        """Until no move is open, or until the clock passes ``deadline``; whether it is over.

        :raises Conflict: somebody else is at work.
        """
        while True:
            self.poll()
            if self.over:
                return True
            now = self.clock.monotonic()
            until = min((self._due.get(number, now) for number in self.followers), default=now + LONGEST)
            if deadline is not None:
                if deadline <= now:
                    return False
                until = min(until, deadline)
            self.clock.sleep(max(0.0, until - now))

    def poll(self) -> None:
        """Look at every move whose turn it is, and begin others where places are free.

        :raises Conflict: somebody else is at work.
        """
        self.lock.beat(self.clock)
        self._look_around()
        for number, follower in list(self.followers.items()):
            if self._due.get(number, 0.0) <= self.clock.monotonic():
                self._look(self.book.entries[number], follower)
        self.turns.pace.look(self.followers, self.clock.monotonic())
        self._look_at_copies()
        self._look_along()
        if not self.foreign.waits:
            self._bring_up_to_date()
            self._fill()

    # ------------------------------------------------------------ looking

    def _look_around(self) -> None:
        asked = frozenset(entry.move.guest for entry in self.book.entries.values() if entry.asked and entry.open)
        self.foreign.look(self.book.own_tasks, self.book.first_task, asked, self.view.guests())

    def _look(self, entry: Entry, follower: Follower) -> None:
        had = follower.moving.task
        try:
            verdict = follower.poll()
        except HaRefused as refusal:
            return self._missed(entry, outcome.refused_by_ha(follower, refusal))
        except NodeUnreachable:
            # Nobody has answered for minutes. Once somebody does, the move is found again, or what it came to.
            del self.followers[entry.move.id]
            return self._rest(entry, "nobody answers")
        except MobilityError as error:
            return self._missed(entry, error)
        self._look_again(entry, follower)
        if follower.moving.task != had:
            self.book.note("going", move=entry.move.id, handle=follower.handle())
            self.turns.started(entry, follower.moving, self.clock.monotonic())
        match verdict.state:
            case State.DONE:
                row = outcome.moved(follower, verdict)
                self.turns.pace.ended(entry.move, follower.progress)
                self.followers.pop(entry.move.id, None)
                row.pop("changed")
                self._arrived(entry, {**row, "state": "moved"})
            case State.FAILED:
                self._missed(entry, outcome.failed(follower, verdict))

    def _look_again(self, entry: Entry, follower: Follower) -> None:
        """Set when it is looked at next."""
        ending = follower.progress.phase is Phase.FINISHING and not follower.landed
        self._due[entry.move.id] = self.clock.monotonic() + min(follower.pause(), ENDING if ending else LONGEST)

    def _arrived(self, entry: Entry, row: Mapping[str, Any]) -> None:
        self.view.forget()
        self.book.note("moved", move=entry.move.id, row={**entry.base(), **row, "attempts": len(entry.failed) + 1})

    def _missed(self, entry: Entry, error: MobilityError, targets: tuple[str, ...] = ()) -> None:
        """The move did not work; another target may."""
        self.followers.pop(entry.move.id, None)
        self.view.forget()
        wrong = targets or (entry.target or entry.move.target,)
        self.book.note("miss", move=entry.move.id, targets=list(wrong), why=error.message, kind=error.kind)
        if not self.turns.targets(entry):
            self._give_up(entry, error.message)

    def _give_up(self, entry: Entry, why: str) -> None:
        self.followers.pop(entry.move.id, None)
        row = {**entry.base(), "state": "failed", "msg": why, "tried": dict(entry.failed)}
        self.book.note("give-up", move=entry.move.id, row=row)

    def _rest(self, entry: Entry, why: str) -> None:
        """It cannot begin just now, for a reason that may pass."""
        now = self.clock.monotonic()
        entry.stage, entry.why = WAITING, why
        entry.not_before = now + REST
        if entry.resting_since is None:
            entry.resting_since = now
        elif now - entry.resting_since > PATIENCE:
            self._give_up(entry, why)

    # ------------------------------------------------------------ guests that others move

    def _look_along(self) -> None:
        """Guests that the HA manager takes along with another one."""
        now = self.clock.monotonic()
        for entry in self.book.entries.values():
            if entry.stage != ALONG:
                continue
            guest = self.view.guest(entry.move.guest)
            if guest is None or (guest.node != entry.move.source and _calm(guest)):
                target = guest.node if guest is not None else entry.move.target
                self._arrived(entry, {"state": "moved", "target": target, "ha": True, "along": entry.move.along})
                continue
            leader = self.book.of_guest(entry.move.along) if entry.move.along is not None else None
            if leader is not None and leader.open:
                continue
            if now - self._led_since.setdefault(entry.move.id, now) > COMES_ALONG:
                # It was not taken along after all: it is asked for as any other.
                entry.stage = WAITING

    # ------------------------------------------------------------ copies

    def _bring_up_to_date(self) -> None:
        """Let replication run for the next guests while others move."""
        if self.request.sync_first is False:
            return
        places = AHEAD - sum(entry.stage == SYNCING for entry in self.book.entries.values())
        for entry in self.book.waiting[: AHEAD * 2]:
            if places <= 0:
                return
            if entry.move.sync and not entry.synced and not entry.failed and self._copy(entry):
                places -= 1

    def _copy(self, entry: Entry) -> bool:
        """Ask for a run of the job to the target; whether there is one to wait for."""
        entry.synced = True
        guest = self.view.guest(entry.move.guest)
        if guest is None or guest.node != entry.move.source:
            return False
        try:
            jobs = self.view.jobs(guest)
            job = next((item for item in jobs if item.target == entry.move.target and item.removing is None), None)
            if job is None or job.disabled:
                return False
            if not job.running and self.view.cluster_time(guest.node) - job.last_sync <= self.request.sync_max_age:
                return False
            sync.ask(self.session, job)
        except (PermissionDenied, ApiError) as error:
            entry.why = error.message
            return False
        self.book.note("sync", move=entry.move.id, job=plain(job))
        self._sync_looks[entry.move.id] = self.clock.monotonic() + SYNC_TIME
        return True

    def _look_at_copies(self) -> None:
        now = self.clock.monotonic()
        for entry in self.book.entries.values():
            if entry.stage != SYNCING or entry.not_before > now:
                continue
            entry.not_before = now + sync.POLL
            deadline = self._sync_looks.setdefault(entry.move.id, now + SYNC_TIME)
            try:
                done = sync.synced(self.session, built(ReplicationJob, entry.job)) is not None
            except (NodeUnreachable, NoQuorum):
                continue
            except (TaskFailed, ApiError) as error:
                # The move itself copies what is missing, or says why it cannot.
                self.book.note("synced", move=entry.move.id, ok=False, why=error.message)
                continue
            if done or now >= deadline:
                self.book.note("synced", move=entry.move.id, ok=done)

    # ------------------------------------------------------------ beginning

    def _fill(self) -> None:
        tried: set[int] = set()
        while (chosen := self.turns.next(self.followers, tried, self.clock.monotonic())) is not None:
            entry, targets = chosen
            tried.add(entry.move.id)
            self._begin(entry, targets)

    def _begin(self, entry: Entry, targets: tuple[str, ...]) -> None:
        guest = self.view.guest(entry.move.guest)
        if guest is None:
            return self._arrived(entry, {"state": "gone", "node": None})
        if guest.node != entry.move.source and _calm(guest):
            state = "moved" if entry.asked else "there"
            return self._arrived(entry, {"state": state, "node": guest.node, "target": guest.node})
        try:
            decision = self._decide(guest, targets)
        except Blocked as refusal:
            return self._missed(entry, refusal, targets)
        except (Locked, Conflict, NodeUnreachable, NoQuorum) as error:
            self.view.forget()
            return self._rest(entry, error.message)
        except NotFound as error:
            self.view.forget()
            return self._rest(entry, error.message)
        except MobilityError as error:
            return self._missed(entry, error, targets[:1])
        self._go(entry, decision)

    def _decide(self, guest: Guest, targets: tuple[str, ...]) -> Decision:
        around = self.view.around(self._arriving())
        request = self.view.request(self.request, guest, targets)
        try:
            return decide(self.session, request, self.clock, around)
        except Conflict as conflict:
            # It is on its way to another node than those: that will do as well.
            target = conflict.details.get("target")
            if target is None or target == guest.node:
                raise
            return decide(self.session, self.view.request(self.request, guest, (str(target),)), self.clock, around)

    def _arriving(self) -> dict[str, frozenset[int]]:
        found: dict[str, set[int]] = {}
        for follower in self.followers.values():
            found.setdefault(follower.moving.target, set()).add(follower.moving.vmid)
        return {name: frozenset(vmids) for name, vmids in found.items()}

    def _go(self, entry: Entry, decision: Decision) -> None:
        moving = decision.moving
        if moving is None:
            state = "moved" if entry.asked else "there"
            return self._arrived(entry, {"state": state, "node": decision.guest.node, "target": decision.guest.node})
        if decision.start and decision.facts is not None:
            if any(job.running for job in decision.facts.replication):
                # Both would take the same lock (pve-facts §10).
                return self._rest(entry, "its replication runs")
            if decision.facts.ha is not None:
                moving.since = decision.facts.ha.timestamp
            self.book.note("ask", move=entry.move.id, target=moving.target)
            try:
                start(self.session, self.clock, self.request, moving, decision.known)
            except (NodeUnreachable, NoQuorum, Locked) as error:
                return self._rest(entry, error.message)
            except MobilityError as error:
                return self._missed(entry, error, (moving.target,))
        else:
            moving.asked_at = self.clock.monotonic()
        entry.resting_since = None
        follower = Follower(self.session, self.clock, moving)
        self.followers[entry.move.id] = follower
        self._look_again(entry, follower)
        if decision.start:
            self.turns.asked(entry, moving, self.clock.monotonic())
        self.book.note("going", move=entry.move.id, handle=follower.handle())

    def failed_in_time(self, timeout: float) -> TimedOut:
        """The error for work that did not end in time."""
        left = sum(entry.open for entry in self.book.entries.values()) - len(self.followers)
        where = self.book.node or "the guests"
        return TimedOut(
            f"The work on {where} did not end within {timeout:g} s; {len(self.followers)} moves go on, and {left}"
            " did not begin. Run this again to go on.",
            journal=str(self.book.journal.path),
        )


def _calm(guest: Guest) -> bool:
    """No move of it is under way, as far as the list of resources shows."""
    return guest.lock != "migrate" and guest.hastate not in HA_MOVING
