# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Carries a plan out on paper, by its own understanding of the cluster, and tells all that goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.planning.after import after_moves
from ansible_collections.pve.mobility.plugins.module_utils.planning.moves import Movers
from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import Fate, How, Move, Plan, Step, Work
from ansible_collections.pve.mobility.plugins.module_utils.planning.policy import Policy


@dataclass
class Witness:
    """``trouble``: what went wrong, in words. Nothing of it may be said by a plan that is right."""

    state: ClusterState
    plan: Plan
    policy: Policy
    where: dict[int, str] = field(default_factory=dict)
    under_way: dict[int, str] = field(default_factory=dict)
    copies: dict[int, set[str]] = field(default_factory=dict)
    upgraded: set[str] = field(default_factory=set)
    trouble: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.where = {guest.vmid: guest.node for guest in self.state.guests}
        for job in self.state.replication_jobs:
            self.copies.setdefault(job.guest, {job.source}).add(job.target)

    def watch(self) -> list[str]:
        known = {move.id for move in self.plan.moves}
        listed = [number for step in self.plan.steps for number in step.moves]
        if sorted(listed) != sorted(known):
            self.trouble.append("steps and moves do not agree")
        now = self.state
        for step in self.plan.steps:
            moves = sorted(self.plan.moves_of(step), key=lambda move: (move.start, move.id))
            if step.skipped and moves:
                self.trouble.append(f"{step.node} is left alone, and guests leave it all the same")
            back = [move for move in moves if move.how is How.FAILBACK]
            now = self._carry(now, [move for move in moves if move.how is not How.FAILBACK])
            if step.kind is Work.UPGRADE and not step.skipped:
                self._restart(step)
            if step.kind in (Work.UPGRADE, Work.INSTALL) and not step.skipped:
                self.upgraded.add(step.node)
            now = self._carry(now, back)
        return self.trouble

    def _carry(self, now: ClusterState, moves: list[Move]) -> ClusterState:
        events = sorted(
            [(move.end, 0, move.id, move) for move in moves] + [(move.start, 1, move.id, move) for move in moves],
            key=lambda item: item[:3],
        )
        begun: set[int] = set()
        done: set[int] = set()
        slots: dict[tuple[str, str], int] = {}
        for _moment, begins, _id, move in events:
            ends = (("from", move.source), ("to", move.target))
            if not begins:
                self.where[move.guest] = self.under_way.pop(move.guest)
                done.add(move.id)
                for key in ends:
                    slots[key] -= 1
                if self.copies.get(move.guest) and move.target not in self.copies[move.guest]:
                    self.copies[move.guest] = self.copies[move.guest] - {move.source} | {move.target}
                continue
            for key in ends:
                slots[key] = slots.get(key, 0) + 1
            if slots[ends[0]] > self.plan.limits.source or slots[ends[1]] > self.plan.limits.target:
                self.trouble.append(f"{move.label}: too many moves at once")
            here = {item.id for item in moves}
            if any(other in here and other not in done for other in move.after):
                self.trouble.append(f"{move.label} does not wait")
            if move.along is not None and move.how is How.ALONG and self._leader(moves, move) not in begun:
                self.trouble.append(f"{move.label} goes before the guest that takes it along")
            begun.add(move.id)
            self._look(now, move)
            self.under_way[move.guest] = move.target
            self._crowded(move)
            now = after_moves(now, {move.guest: move.target})
        return now

    def _leader(self, moves: list[Move], move: Move) -> int | None:
        return next((item.id for item in moves if item.guest == move.along), None)

    def _look(self, now: ClusterState, move: Move) -> None:
        """At the moment when it begins; guests under way count as arrived."""
        guest, target = now.guest(move.guest), now.node(move.target)
        if guest is None or target is None or guest.node != move.source or self.where[move.guest] != move.source:
            self.trouble.append(f"{move.label} is not where it should be")
            return
        movers = Movers(now, self.policy.judge)
        blocking = movers.judge(movers.move(guest, target)).blocking
        if blocking and move.how is not How.FAILBACK:
            self.trouble.append(f"{move.label} to {move.target}: {blocking[0].id} {blocking[0].message}")
        if self._age(move.target) < self._age(move.source):
            self.trouble.append(f"{move.label} goes from {move.source} to the older {move.target}")
        if guest.running and guest.type == "qemu" and move.target not in self.copies.get(move.guest, {move.target}):
            self.trouble.append(f"{move.label} loses its replica on {move.target}")
        self.trouble += self._rules(move)

    def _age(self, node: str) -> tuple[int, ...]:
        if node in self.upgraded:
            return (99,)
        facts = self.state.facts(node)
        version = tuple(int(part) for part in (facts.version if facts and facts.version else "0").split("."))
        return version if self.plan.kind == "upgrade" else version[:2]

    def _rules(self, move: Move) -> Iterator[str]:
        sid = f"{'vm' if move.type == 'qemu' else 'ct'}:{move.guest}"
        for rule in self.state.ha_rules:
            if sid not in rule.sids:
                continue
            others = [int(item.partition(":")[2]) for item in rule.sids if item != sid]
            match rule.type, rule.positive:
                case "resource-affinity", False:
                    for other in others:
                        if move.target in (self.where[other], self.under_way.get(other)):
                            yield f"{move.label} meets {other} on {move.target}"
                case "resource-affinity", True:
                    for other in others:
                        going = [item for item in self.plan.moves if item.guest == other and item.step == move.step]
                        goal = going[-1].target if going else self.where[other]
                        if goal != move.target and move.how is not How.MAINTENANCE:
                            yield f"{move.label} is parted from {other}"
                case "node-affinity", True:
                    if rule.strict and move.target not in rule.nodes:
                        yield f"{move.label} leaves the nodes of {rule.id}"
                case "node-affinity", False:
                    if move.target in rule.nodes:
                        yield f"{move.label} goes to a node that {rule.id} bars"

    def _crowded(self, move: Move) -> None:
        """Both copies of everything that is under way are there."""
        node = self.state.node(move.target)
        status = self.state.storage_on("tank", move.target)
        if node is None or status is None:
            return
        memory = 0
        disk = 0
        for guest in self.state.guests:
            holds = move.target in (self.where[guest.vmid], self.under_way.get(guest.vmid))
            if holds and guest.running:
                memory += guest.maxmem
            config = self.state.config(guest.vmid)
            if config is not None and (holds or move.target in self.copies.get(guest.vmid, ())):
                disk += sum(item.size or 0 for item in config.disks if item.storage == "tank")
        guest_memory = self.state.guest(move.guest)
        if guest_memory is not None and guest_memory.running and memory > node.maxmem:
            self.trouble.append(f"{move.label} is too much for the memory of {move.target}")
        if move.disks and disk > status.total * 0.95 + 1:
            self.trouble.append(f"{move.label} is too much for the storage of {move.target}")

    def _restart(self, step: Step) -> None:
        stopped = {item.guest for item in self.plan.stays if item.step == step.number and item.fate is Fate.STOP}
        for guest in self.state.guests:
            if guest.running and self.where[guest.vmid] == step.node and guest.vmid not in stopped:
                self.trouble.append(f"{step.node} restarts with {guest.label} on it")
