# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A plan in the making: nodes are emptied, upgraded and filled again one after the other, on paper."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.planning.affinity import Affinity, is_running
from ansible_collections.pve.mobility.plugins.module_utils.planning.after import after_moves, after_upgrade
from ansible_collections.pve.mobility.plugins.module_utils.planning.bounds import Least, least_of, seconds_at_least
from ansible_collections.pve.mobility.plugins.module_utils.planning.drain import Emptied, empty, stay_of, version_of
from ansible_collections.pve.mobility.plugins.module_utils.planning.home import bring_home
from ansible_collections.pve.mobility.plugins.module_utils.planning.levels import Level
from ansible_collections.pve.mobility.plugins.module_utils.planning.moves import Movers
from ansible_collections.pve.mobility.plugins.module_utils.planning.place import Placed
from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import How, Left, Move, Stay, Step, Work
from ansible_collections.pve.mobility.plugins.module_utils.planning.policy import Homing, Pinned, Policy
from ansible_collections.pve.mobility.plugins.module_utils.planning.room import need_of
from ansible_collections.pve.mobility.plugins.module_utils.planning.steps import Clock, Timed, timed

RETRIES = 2
"""Times that a node is tried again because others had to go first, before its guests are given up."""


@dataclass(slots=True)
class Course:
    """:ivar goal: level of a node that is upgraded. :ivar safe: nodes that will not restart (any more)."""

    state: ClusterState
    affinity: Affinity
    policy: Policy
    clock: Clock
    known: dict[str, Level]
    goal: Level
    safe: set[str]
    moves: list[Move] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    stays: list[Stay] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    homes: dict[int, str] = field(default_factory=dict)
    """vmid → the node that it left first."""
    time: float = 0.0
    blind_bytes: int = 0
    least: dict[int, Least] = field(default_factory=dict)
    """Of the first move of each guest."""

    def run(self, order: tuple[str, ...], installs: tuple[str, ...]) -> None:
        """:param order: nodes that restart. :param installs: nodes that are upgraded in place, which costs no move."""
        for node in installs:
            self._install(node)
        pending = dict.fromkeys(order, 0)
        while pending:
            node, emptied = self._next(pending)
            del pending[node]
            self._work_on(node, emptied)
        if self.policy.homing is Homing.END:
            self._home("", self.homes)

    def _next(self, pending: dict[str, int]) -> tuple[str, Emptied]:
        """The first node that can be emptied; if there is none, the first one with what can be done for it."""
        first: tuple[str, Emptied] | None = None
        for node, tries in pending.items():
            if first is not None and tries > RETRIES:
                continue
            emptied = self._emptied(node)
            pending[node] += 1
            if not any(item.later and is_running(item.guest) for item in emptied.held):
                return node, emptied
            first = first or (node, emptied)
        if first is None:
            node = next(iter(pending))
            first = (node, self._emptied(node))
        return first

    def _emptied(self, node: str) -> Emptied:
        return empty(
            self.state,
            node,
            self.affinity,
            self.policy,
            self.known,
            lambda name: int(name not in self.safe),
        )

    def _install(self, node: str) -> None:
        self._step(node, Work.INSTALL, (), self.policy.install)
        self._upgraded(node)

    def _work_on(self, node: str, emptied: Emptied) -> None:
        number = len(self.steps) + 1
        self.stays += [replace(item, step=number) for item in emptied.stays]
        held = [stay_of(item, number, self.policy.pinned) for item in emptied.held]
        self.stays += held
        holding = [item for item in emptied.held if is_running(item.guest) or self.policy.stopped]
        if holding and self.policy.pinned is not Pinned.STOP:
            self._leave(node, next(item for item in held if item.guest == holding[0].guest.vmid), len(holding))
            return
        placed = list(emptied.placing.placed.values())
        self._note(node, placed)
        found = timed(placed, self.clock, number, len(self.moves) + 1, self.time)
        self.moves += found.moves
        self.blind_bytes += found.blind_bytes
        self._step(node, Work.UPGRADE, found.moves, self.policy.restart, found.end)
        self.state = after_moves(
            self.state, {item.guest.vmid: item.target for item in placed}, self.policy.judge.storage_map
        )
        self._upgraded(node)
        self._fail_back(node, [item for item in placed if item.how is How.MAINTENANCE], number)
        self._home_after(node, {item.guest.vmid for item in placed})

    def _home_after(self, node: str, moved: Collection[int] = ()) -> None:
        """With ``homing: each``: whose home is this node, and who made room for it and has a home that is done.

        Who made room before its own home is worked on waits for that, and so moves only once more.
        """
        if self.policy.homing is Homing.EACH:
            wanted = {vmid for vmid in moved if self.homes[vmid] in self.safe}
            wanted |= {vmid for vmid, home in self.homes.items() if home == node}
            self._home(node, {vmid: self.homes[vmid] for vmid in wanted})

    def _leave(self, node: str, first: Stay, count: int) -> None:
        """A guest holds the node: it is not touched, and can host guests as it is."""
        more = f" (and {count - 1} more)" if count > 1 else ""
        self.left.append(Left(node, f"{first.label} cannot leave it: {first.why}{more}"))
        self.safe.add(node)
        self.steps.append(
            Step(len(self.steps) + 1, node, Work.UPGRADE, start=self.time, skipped=True, before=self._version(node))
        )
        if self.policy.pinned is Pinned.FAIL:
            self.problems.append(f"{first.label} cannot leave {node}: {first.why}{more}.")
        self._home_after(node)

    def _step(self, node: str, kind: Work, moves: tuple[Move, ...], work: float, end: float | None = None) -> None:
        end = self.time if end is None else end
        self.steps.append(
            Step(
                len(self.steps) + 1,
                node,
                kind,
                tuple(move.id for move in moves),
                self.time,
                end - self.time,
                work,
                seconds_at_least([self.least[move.guest] for move in moves if move.guest in self.least], self.clock),
                sum(move.bytes for move in moves),
                kind is Work.UPGRADE and bool(self.state.ha_resources),
                before=self._version(node) if node else None,
            )
        )
        self.time = end + work

    def _version(self, node: str) -> str | None:
        return version_of(self.state, node)

    def _upgraded(self, node: str) -> None:
        self.state = after_upgrade(self.state, node, self.policy.goal)
        self.known[node] = self.goal
        self.safe.add(node)

    def _note(self, node: str, placed: list[Placed]) -> None:
        """Who has to leave its home, and what that costs at least; others that make room need not count."""
        fresh = [item.guest.vmid for item in placed if item.guest.vmid not in self.homes and item.guest.node == node]
        self.least |= least_of(self.state, fresh, self.policy, self.clock)
        for item in placed:
            self.homes.setdefault(item.guest.vmid, item.guest.node)

    def _fail_back(self, node: str, sent: list[Placed], number: int) -> None:
        """What maintenance mode sent away comes back when it ends."""
        target = self.state.node(node)
        if not sent or target is None:
            return
        movers = Movers(self.state, self.policy.judge)
        back: list[Placed] = []
        for item in sent:
            guest = self.state.guest(item.guest.vmid)
            if guest is not None and guest.node != node:
                facts = movers.move(guest, target)
                replica = any(volume.replica for volume in facts.volumes)
                back.append(Placed(guest, node, movers.judge(facts), need_of(facts), How.FAILBACK, item.along, replica))
        found = timed(back, self.clock, number, len(self.moves) + 1, self.time)
        self.moves += found.moves
        step = self.steps[-1]
        self.steps[-1] = replace(
            step,
            moves=(*step.moves, *(move.id for move in found.moves)),
            bytes=step.bytes + sum(move.bytes for move in found.moves),
        )
        self._arrived(found, {item.guest.vmid: node for item in back})

    def _home(self, node: str, wanted: Mapping[int, str]) -> None:
        number = len(self.steps) + 1
        found = bring_home(
            self.state,
            wanted,
            self.affinity,
            self.policy,
            self.known,
            self.clock,
            number,
            len(self.moves) + 1,
            self.time,
        )
        if not found.timed.moves and not found.stays:
            return
        self.moves += found.timed.moves
        self.stays += found.stays
        self._step(node, Work.HOME, found.timed.moves, 0.0, found.timed.end)
        self._arrived(found.timed, {move.guest: move.target for move in found.timed.moves})

    def _arrived(self, found: Timed, where: dict[int, str]) -> None:
        self.blind_bytes += found.blind_bytes
        self.time = max(self.time, found.end)
        self.state = after_moves(self.state, where, self.policy.judge.storage_map)
