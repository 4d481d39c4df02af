# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``drain`` from beginning to end: plan or take up, move, look again, stop what cannot leave, tell."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Blocked, Conflict, Invalid, MobilityError
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.collect import EVERYTHING, Wanted, collect
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_book import MAINTENANCE, Book, added
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_foreign import Foreign
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_journal import Journal, Lock
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_request import DrainRequest
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_result import (
    failure,
    finished,
    foretold,
    going,
    held,
    shown,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_stop import Stops, start_again
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_view import View
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_work import Work
from ansible_collections.pve.mobility.plugins.module_utils.execution.rights import Rights, read_rights, require
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.planning.ask import Impossible
from ansible_collections.pve.mobility.plugins.module_utils.planning.drain import plan_drain
from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import Fate, Move, Plan, Step
from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import Work as Kind

ROUNDS = 4
"""How often guests that have come to the node meanwhile are planned for."""


@dataclass(slots=True)
class Drain:
    """The work of one step, in this process. The journal holds all that another process needs."""

    session: Session
    clock: Clock
    request: DrainRequest
    book: Book
    view: View
    lock: Lock
    begun: float
    foreign: Foreign | None = None
    work: Work = field(init=False)
    stops: Stops = field(init=False)

    def __post_init__(self) -> None:
        sources = tuple(sorted({entry.move.source for entry in self.book.entries.values()} | {self.book.node} - {""}))
        self.view.nodes = sources
        foreign = Foreign(self.session, self.clock, sources)
        if self.foreign is not None:
            foreign.take_up(self.foreign.handle())
        limits = self.book.plan.limits if self.book.plan is not None else self.request.policy.limits
        args = (self.session, self.clock, self.book, self.view)
        self.work = Work(*args, self.lock, foreign, limits, self.request.move, self.request.order)
        self.stops = Stops(*args, self.request.stop_timeout)

    def advance(self, until: float | None) -> bool:
        """Work until the clock passes ``until``; whether it is over.

        :raises Conflict: somebody else is at work.
        """
        while True:
            if not self.work.wait(until):
                return False
            if not self._another_round():
                return self.stops.wait(until)

    def _another_round(self) -> bool:
        """Plan for guests that are on the node and of which the plan knows nothing, or that have come back."""
        book = self.book
        if not book.node or book.rounds >= ROUNDS:
            return False
        self.view.forget()
        known = {stay.guest for stay in book.stays}
        known |= {entry.move.guest for entry in book.entries.values() if entry.stage in ("failed", MAINTENANCE)}
        here = [guest for guest in self.view.guests() if guest.node == book.node and guest.vmid not in known]
        if not any(guest.running or (self.request.policy.stopped and not guest.template) for guest in here):
            return False
        state = collect(self.session, Wanted(EVERYTHING))
        self.view.start_with(state)
        plan = plan_drain(state, book.node, self.request.policy)
        first = max(book.entries, default=0)
        wanted = {guest.vmid for guest in here}
        moves = [_renumbered(move, first, book.step) for move in plan.moves if move.guest in wanted]
        stays = [stay for stay in plan.stays if stay.guest in wanted]
        book.note("add", **added(moves, stays))
        return True


def _renumbered(move: Move, first: int, step: int) -> Move:
    return replace(move, id=move.id + first, step=step, after=tuple(number + first for number in move.after))


def run(
    session: Session,
    clock: Clock,
    request: DrainRequest,
    *,
    check: bool = False,
    wait: bool = True,
    restore: bool = False,
    handle: Mapping[str, Any] | None = None,
    for_seconds: float | None = None,
) -> dict[str, Any]:
    """The whole of it, as the module's result.

    :param check: plan only. :param wait: to the end; otherwise ``follow`` in the result is the handle.
    :param restore: start the guests that a drain has stopped. :param handle: of work that an earlier call has begun.
    :param for_seconds: work for so long only.
    :raises MobilityError: kind ``blocked`` before anything is moved, ``task_failed`` with all that was done.
    """
    if restore:
        return _restore(session, clock, request, check)
    until = None if wait and for_seconds is None else clock.monotonic() + (for_seconds or 0.0 if wait else 0.0)
    if handle is not None and "waits" not in handle:
        drain = _taken_up(session, clock, request, handle)
        return _carry_on(drain, {"changed": True}, until)
    opening = _opening(session, clock, request, handle, check)
    try:
        if not check and not opening.wait(until):
            return held(request.node, opening.path, opening.foreign.holding, opening.handle())
        begun = _begin(opening, request, check)
    except MobilityError:
        opening.leave()
        raise
    if isinstance(begun, dict):
        return begun
    return _carry_on(begun, {"changed": True, **shown(begun.book)}, until)


@dataclass(slots=True)
class Opening:
    """Before there is a plan: is the journal free, and is anybody moving guests away?"""

    session: Session
    clock: Clock
    path: Path
    lock: Lock
    foreign: Foreign
    view: View
    begun: float

    def wait(self, until: float | None) -> bool:
        """Let moves that others have begun come to their end. What is locked could not be planned for.

        :raises Conflict: they go on beginning moves.
        """
        self.lock.take(self.clock)
        journal = Journal.open(self.path)
        if journal.unfinished:
            return True
        own = Book.read(journal).own_tasks
        while self.foreign.sources:
            self.foreign.look(own, "", frozenset(), self.view.guests())
            if not self.foreign.waits:
                break
            if until is not None and self.clock.monotonic() >= until:
                return False
            self.clock.sleep(2.0)
            self.lock.beat(self.clock)
        return True

    def leave(self) -> None:
        self.lock.leave()

    def handle(self) -> dict[str, Any]:
        return {
            "work": "node",
            "waits": True,
            "journal": str(self.path),
            "owner": self.lock.owner,
            "begun": self.begun,
            "foreign": self.foreign.handle(),
        }


def _opening(
    session: Session, clock: Clock, request: DrainRequest, handle: Mapping[str, Any] | None, check: bool
) -> Opening:
    path = request.journal or default_journal(session, request)
    foreign = Foreign(session, clock, (request.node,) if request.node else ())
    owner, begun = uuid.uuid4().hex, clock.monotonic()
    if handle is not None:
        path, owner, begun = Path(handle["journal"]), str(handle["owner"]), float(handle["begun"])
        foreign.take_up(handle["foreign"])
    view = View(session, clock, request.policy)
    return Opening(session, clock, path, Lock.beside(path, owner), foreign, view, begun)


def _carry_on(drain: Drain, result: dict[str, Any], look_until: float | None) -> dict[str, Any]:
    clock, request = drain.clock, drain.request
    deadline = drain.begun + request.timeout if request.timeout else None
    until = min((limit for limit in (deadline, look_until) if limit is not None), default=None)
    try:
        over = drain.advance(until)
    except Conflict:
        drain.lock.leave()
        raise
    if over:
        drain.view.forget()
        end = finished(drain.book, drain.view, drain.stops, clock.monotonic() - drain.begun)
        drain.book.note("end", outcome={"empty": end["empty"], "summary": end["summary"]})
        drain.lock.leave()
        error = failure(drain.book, end)
        if error is not None:
            raise error
        return result | end
    if deadline is not None and clock.monotonic() >= deadline:
        drain.lock.leave()
        raise drain.work.failed_in_time(request.timeout)
    return result | going(drain.book, drain.work, clock.monotonic() - drain.begun) | {"follow": _handle(drain)}


def _handle(drain: Drain) -> dict[str, Any]:
    return {
        "work": "node",
        "journal": str(drain.book.journal.path),
        "owner": drain.lock.owner,
        "begun": drain.begun,
        "foreign": drain.work.foreign.handle(),
        "moves": drain.work.handles(),
        "turns": drain.work.turns.handle(),
    }


def _taken_up(session: Session, clock: Clock, request: DrainRequest, handle: Mapping[str, Any]) -> Drain:
    """The work that an earlier call of the same run has begun. :raises Invalid: it is no handle."""
    no_handle = Invalid("follow: give the follow value that pve.mobility.drain returned.")
    try:
        path, owner, begun = Path(handle["journal"]), str(handle["owner"]), float(handle["begun"])
        others, moves, turns = dict(handle["foreign"]), dict(handle["moves"]), dict(handle["turns"])
    except (KeyError, TypeError, ValueError):
        raise no_handle from None
    book = Book.read(Journal.open(path))
    if book.plan is None or book.ended is not None:
        raise Invalid(f"follow: the journal {path} holds no work that could go on.")
    drain = Drain(session, clock, request, book, View(session, clock, request.policy), Lock.beside(path, owner), begun)
    try:
        drain.work.turns.take_up(turns)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise no_handle from None
    drain.lock.beat(clock)
    drain.work.foreign.take_up(others)
    drain.work.resume(moves)
    return drain


def _begin(opening: Opening, request: DrainRequest, check: bool) -> Drain | dict[str, Any]:
    """Work to carry out, or the result when there is none."""
    session, clock, lock = opening.session, opening.clock, opening.lock
    journal = Journal.open(opening.path)
    book = Book.read(journal)
    if journal.unfinished and book.plan is not None:
        return _resumed(opening, request, book, check)
    rights = read_rights(session)
    require(rights, ["drain"], "to see what is there and what moves")
    state = collect(session, Wanted(EVERYTHING | {"history"}))
    plan = request.plan or _plan(state, request)
    step = _step(plan, request)
    _may(rights, plan, step, state, request)
    result = foretold(plan, step, opening.path)
    idle = not step.moves and not any(stay.step == step.number and stay.fate is Fate.STOP for stay in plan.stays)
    if request.plan is None or request.plan.kind == "drain":
        _refuse(plan, result)
    if check or idle:
        if not check:
            lock.leave()
        return result | {"changed": not idle}
    left = [row for row in book.stopped.values() if row.get("state") in ("stopped", "stopping")]
    journal.renew()
    book = Book(journal)
    node = step.node if step.kind is not Kind.HOME else ""
    book.begin(plan, step.number, node, {"pinned": request.policy.pinned.value})
    for row in left:
        # An earlier drain has stopped them, and nobody has started them since.
        book.note("stopped", row=row)
    view = View(session, clock, request.policy)
    view.start_with(state)
    return Drain(session, clock, request, book, view, lock, opening.begun, opening.foreign)


def _may(rights: Rights, plan: Plan, step: Step, state: ClusterState, request: DrainRequest) -> None:
    """:raises PermissionDenied: a guest would be moved, or stopped, that the user has no right to."""
    moving = [move.guest for move in plan.moves if move.step == step.number]
    uses = ["drain"]
    targets = sorted(set(request.policy.judge.storage_map.values()))
    if targets:
        uses.append("drain.target_storage")
    require(rights, uses, "to move what is there", vmid=moving, storage=targets)
    stopping = [stay.guest for stay in plan.stays if stay.step == step.number and stay.fate is Fate.STOP]
    managed = {guest.vmid for guest in state.guests if guest.hastate is not None}
    plain = [vmid for vmid in stopping if vmid not in managed]
    require(rights, ["drain.stop"] if plain else (), "to stop what cannot move", vmid=plain)
    require(rights, ["drain.stop_ha"] if len(plain) < len(stopping) else (), "to stop what cannot move")


def _resumed(opening: Opening, request: DrainRequest, book: Book, check: bool) -> Drain | dict[str, Any]:
    """Go on where an earlier run has stopped.

    :raises Conflict: it was about something else.
    """
    plan = book.plan
    step = next((item for item in plan.steps if item.number == book.step), None) if plan is not None else None
    if plan is None or step is None:
        raise Invalid(f"The journal {book.journal.path} holds no plan: remove it.")
    other = request.plan is not None and request.plan.fingerprint != plan.fingerprint
    if other or (request.node and book.node and request.node != book.node):
        raise Conflict(
            f"The journal {book.journal.path} is of unfinished work by another plan (on {book.node or 'guests'}): let"
            " that end first, or remove the journal to give it up.",
            journal=str(book.journal.path),
        )
    if check:
        return foretold(plan, step, book.journal.path) | {"changed": True, "resumed": True}
    book.note("resume")
    drain = Drain(opening.session, opening.clock, request, book, opening.view, opening.lock, opening.begun)
    drain.work.resume()
    return drain


def _plan(state: ClusterState, request: DrainRequest) -> Plan:
    try:
        return plan_drain(state, request.node, request.policy)
    except Impossible as error:
        raise Invalid(str(error)) from None


def _step(plan: Plan, request: DrainRequest) -> Step:
    """:raises Invalid: the plan has no such step."""
    for step in plan.steps:
        if request.step == step.number or (request.step is None and step.node == request.node):
            return step
    wanted = f"step {request.step}" if request.step is not None else f"step for {request.node}"
    nodes = ", ".join(step.node for step in plan.steps if step.node) or "none"
    raise Invalid(f"The plan has no {wanted}; it works on: {nodes}.")


def _refuse(plan: Plan, result: Mapping[str, Any]) -> None:
    """:raises Blocked: the plan says itself that it must not be carried out."""
    if plan.problems:
        more = f" (and {len(plan.problems) - 1} more)" if len(plan.problems) > 1 else ""
        raise Blocked(f"{plan.problems[0].rstrip('.')}{more}. Nothing was changed.", **result)


def _restore(session: Session, clock: Clock, request: DrainRequest, check: bool) -> dict[str, Any]:
    path = request.journal or default_journal(session, request)
    book = Book.read(Journal.open(path))
    rows = [row for row in book.stopped.values() if row.get("state") in ("stopped", "stopping")]
    result = {"changed": bool(rows), "node": request.node, "started": rows, "journal": str(path)}
    if check or not rows:
        return result
    ended = book.ended
    started = start_again(session, clock, book)
    if ended is not None:
        book.note("end", outcome=ended)
    return result | {"started": started}


def default_journal(session: Session, request: DrainRequest) -> Path:
    """One for each cluster and node, in the user's state folder."""
    rows = session.get("/cluster/status") or ()
    name = next((str(row["name"]) for row in rows if row.get("type") == "cluster"), "")
    name = name or next((str(row["name"]) for row in rows if row.get("type") == "node"), "cluster")
    folder = os.environ.get("XDG_STATE_HOME") or str(Path("~/.local/state").expanduser())
    work = request.node or f"step-{request.step}"
    return Path(folder) / "pve.mobility" / name / f"drain-{work}.jsonl"
