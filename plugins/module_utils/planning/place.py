# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Targets for all guests of one node: every check is honoured, replicas come first, the load is spread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Node
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.planning.affinity import Affinity
from ansible_collections.pve.mobility.plugins.module_utils.planning.levels import Level
from ansible_collections.pve.mobility.plugins.module_utils.planning.moves import Judged, Movers
from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import How
from ansible_collections.pve.mobility.plugins.module_utils.planning.policy import Policy
from ansible_collections.pve.mobility.plugins.module_utils.planning.room import Ledger, Need, need_of
from ansible_collections.pve.mobility.plugins.module_utils.planning.why import ROOM, Why

ENOUGH = 2
"""Targets of the same worth that pass and are compared, before the one with the fewest warnings is taken."""
EJECTIONS = 24
"""Guests that are asked to make room for one that finds none, before it is given up."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A guest that goes to ``target``. ``along``: vmid of the guest that takes it along. ``others``: next best.

    :ivar after: vmids of guests that have to leave the target before.
    """

    guest: Guest
    target: str
    judged: Judged
    need: Need
    how: How
    along: int | None = None
    replica: bool = False
    others: tuple[str, ...] = ()
    after: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """A guest that cannot leave. ``later``: it may be able to when other guests have moved or nodes are upgraded."""

    guest: Guest
    why: Why
    later: bool


@dataclass(slots=True)
class Placing:
    """Empties ``source``. ``ledger`` is used up as guests are placed.

    :ivar levels: guests go to nodes of the same level or a higher one. :ivar tier: of a node: the lower the better.
    """

    state: ClusterState
    source: str
    affinity: Affinity
    policy: Policy
    levels: Mapping[str, Level]
    ledger: Ledger
    tier: Callable[[str], int] = lambda node: 0
    placed: dict[int, Placed] = field(default_factory=dict)
    held: dict[int, Held] = field(default_factory=dict)
    arriving: dict[str, frozenset[int]] = field(default_factory=dict)
    movers: Movers = field(init=False)
    open_nodes: tuple[Node, ...] = field(init=False)
    staying: frozenset[str] = field(init=False)
    """Nodes that HA may use while the source is in maintenance mode."""
    freed: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Node → guests that leave it to make room; whoever is placed there afterwards waits for them."""
    replicas: dict[int, frozenset[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        to = self.policy.to
        self.movers = Movers(self.state, self.policy.judge)
        self.staying = frozenset(
            node.name for node in self.state.nodes if node.online and not node.maintenance and node.name != self.source
        )
        self.open_nodes = tuple(
            node for node in self.state.nodes if node.name in self.staying and (to is None or node.name in to)
        )

    def place(self, guests: Iterable[Guest]) -> None:
        """Guests of the source that have to leave; what HA takes along comes by itself."""
        units: dict[int, tuple[Guest, ...]] = {}
        for guest in guests:
            members = (self.state.guest(vmid) for vmid in self.affinity.unit(guest.vmid))
            unit = tuple(member for member in members if member is not None)
            units.setdefault(unit[0].vmid, unit)
        for unit in sorted(units.values(), key=self._urgency):
            hindrance = self._settle(unit)
            if hindrance is not None and hindrance.room:
                hindrance = self._squeeze(unit, hindrance)
            if hindrance is not None:
                for guest in unit:
                    if guest.node == self.source:
                        self.held[guest.vmid] = Held(guest, hindrance, hindrance.later)

    def _squeeze(self, unit: tuple[Guest, ...], hindrance: Why) -> Why | None:
        """Where there is no room: let others go elsewhere, and if that does not help, use the headroom."""
        if self._make_room(unit) or self._evict(unit):
            return None
        self.ledger.relaxed = True
        done = self._settle(unit) is None or self._make_room(unit) or self._evict(unit)
        self.ledger.relaxed = False
        return None if done else hindrance

    def _urgency(self, unit: tuple[Guest, ...]) -> tuple[int, int, int, int]:
        """Those with the fewest places to go first, then those that need the most memory."""
        memory = sum(guest.maxmem for guest in unit if guest.running)
        choices = len(self.open_nodes)
        for guest in unit:
            replicas = self.replicas_of(guest)
            if replicas:
                choices = min(choices, len(replicas))
            lasting = self.affinity.lasting(guest.vmid, self.staying)
            if lasting is not None:
                choices = min(choices, len(lasting))
        bound = not any(guest.vmid in self.affinity.apart for guest in unit)
        return (choices, bound, -memory, unit[0].vmid)

    def replicas_of(self, guest: Guest) -> frozenset[str]:
        """Nodes that hold a copy of its data, its own not among them."""
        found = self.replicas.get(guest.vmid)
        if found is None:
            jobs = self.state.jobs_of(guest.vmid)
            found = frozenset(job.target for job in jobs if job.removing is None and job.target != guest.node)
            self.replicas[guest.vmid] = found
        return found

    def _how(self, unit: tuple[Guest, ...]) -> How:
        """Where HA would bring a guest back from every other node, maintenance mode has to send it away."""
        everywhere = self.staying | {self.source}
        for guest in unit:
            lasting = self.affinity.lasting(guest.vmid, everywhere)
            if lasting is not None and not lasting - {self.source}:
                return How.MAINTENANCE
        return How.REQUEST

    def candidates(self, unit: tuple[Guest, ...], how: How, why: Why) -> list[Node]:
        """Nodes that rules and directions allow, best first."""
        nodes = self.staying if how is How.MAINTENANCE else self.staying | {self.source}
        allowed: frozenset[str] | None = None
        for guest in unit:
            lasting = self.affinity.lasting(guest.vmid, nodes)
            if lasting is not None:
                allowed = lasting if allowed is None else allowed & lasting
        found = []
        for node in self.open_nodes:
            if allowed is not None and node.name not in allowed:
                why.rule(node.name)
            elif any(self.levels[node.name] < self.levels[guest.node] for guest in unit):
                why.older(node.name)
            elif (other := self._clash(unit, node.name)) is not None:
                why.partner(node.name, other)
            else:
                found.append(node)
        return sorted(found, key=lambda node: self._worth(unit, node))

    def _clash(self, unit: tuple[Guest, ...], node: str) -> int | None:
        """A guest on the node, or on its way there, that must not be beside one of the unit."""
        for guest in unit:
            for other in sorted(self.affinity.apart.get(guest.vmid, ())):
                placed, there = self.placed.get(other), self.state.guest(other)
                if (placed is not None and placed.target == node) or (there is not None and there.node == node):
                    return other
        return None

    def _grade(self, unit: tuple[Guest, ...], node: str) -> tuple[int, int]:
        """How many guests find no replica although there is one somewhere, and how soon they will have to go on."""
        missing = sum(
            bool(replicas) and node not in replicas for guest in unit for replicas in (self.replicas_of(guest),)
        )
        return (missing, self.tier(node))

    def _worth(self, unit: tuple[Guest, ...], node: Node) -> tuple[tuple[int, int], int, float, str]:
        memory = sum(guest.maxmem for guest in unit if guest.running and guest.node != node.name)
        priority = max(self.affinity.priority(guest.vmid, node.name) for guest in unit)
        return (self._grade(unit, node.name), -priority, self.ledger.load(node.name, Need(memory)), node.name)

    def _settle(self, unit: tuple[Guest, ...], avoid: str | None = None) -> Why | None:
        """Place a unit on the best node that takes it; otherwise why there is none."""
        why = Why(unit, frozenset().union(*(self.replicas_of(guest) for guest in unit)))
        how = self._how(unit)
        nodes = self.candidates(unit, how, why)
        if how is How.MAINTENANCE and not self._blindly(unit, nodes, why):
            return why
        best: list[tuple[int, list[Placed]]] = []
        grade: tuple[int, int] | None = None
        for node in nodes:
            if node.name == avoid:
                continue
            if best and self._grade(unit, node.name) != grade:
                break
            tried = self._try(unit, node, how, why)
            if tried is None:
                continue
            grade = self._grade(unit, node.name)
            warnings = sum(item.judged.warnings for item in tried)
            best.append((warnings, tried))
            if not warnings or len(best) >= ENOUGH:
                break
        if not best:
            self._look_behind(unit, nodes, how, why)
            return why
        chosen = min(best, key=lambda item: item[0])[1]
        others = tuple(node.name for node in nodes if node.name not in (chosen[0].target, avoid))[:3]
        self._take(chosen, others)
        return None

    def _look_behind(self, unit: tuple[Guest, ...], nodes: list[Node], how: How, why: Why) -> None:
        """What would keep the guest even if there were room: that is what has to be said."""
        crowded = [node for node in nodes if why.crowded(node.name)]
        seen: list[tuple[str, ...]] = []
        for node in crowded:
            judged = (self.movers.judge(self.movers.move(guest, node)) for guest in unit)
            found = [finding for item in judged for finding in item.blocking if finding.id not in ROOM]
            if found:
                why.blocked(node.name, found)
            seen.append(tuple(sorted(item.id for item in found)))
            if len(seen) >= ENOUGH and len(set(seen)) == 1:
                # What two nodes have in common lies with the guest.
                if found:
                    for other in crowded:
                        why.blocked(other.name, found)
                return

    def _blindly(self, unit: tuple[Guest, ...], nodes: list[Node], why: Why) -> bool:
        """Whether the HA manager may choose among the nodes: it knows nothing of replicas and releases (§7.9, §8)."""
        lasting = [self.affinity.lasting(guest.vmid, self.staying) for guest in unit]
        free = self.staying.intersection(*(item for item in lasting if item is not None))
        if any(self.levels[name] < self.levels[self.source] for name in free):
            why.blind("it might choose a node with an older release")
            return False
        for guest in unit:
            replicas = self.replicas_of(guest)
            if replicas and not free <= replicas:
                why.blind("it might choose a node without a replica")
                return False
        return True

    def _try(self, unit: tuple[Guest, ...], node: Node, how: How, why: Why) -> list[Placed] | None:
        found: list[Placed] = []
        memory, disks = 0, dict[str, int]()
        arriving = self.arriving.get(node.name, frozenset())
        leaving = frozenset(self.freed.get(node.name, ()))
        leader = next((guest.vmid for guest in unit if guest.node == self.source), unit[0].vmid)
        moving = [guest for guest in unit if guest.node != node.name]
        for guest in moving:
            if guest.node not in self.staying and guest.node != self.source:
                why.elsewhere(node.name, guest)
                return None
            memory += guest.maxmem if guest.running else 0
        if not self.ledger.fits(node.name, Need(memory)):
            why.memory(node.name, memory, self.ledger)
            return None
        for guest in moving:
            together = arriving.union(other.vmid for other in moving if other is not guest)
            facts = self.movers.move(guest, node, arriving=together, leaving=leaving)
            need = need_of(facts)
            for storage, size in need.disks.items():
                disks[storage] = disks.get(storage, 0) + size
            if disks and not self.ledger.fits(node.name, Need(0, disks)):
                why.storage(node.name, disks, self.ledger)
                return None
            judged = self.movers.judge(facts)
            if judged.blocking:
                why.blocked(node.name, judged.blocking)
                return None
            replica = any(volume.replica for volume in facts.volumes)
            along = leader if guest.vmid != leader else None
            kind = How.ALONG if along is not None and how is How.REQUEST else how
            found.append(Placed(guest, node.name, judged, need, kind, along, replica))
        return found

    def _take(self, found: list[Placed], others: tuple[str, ...]) -> None:
        for item in found:
            more = others if item.how is How.REQUEST else ()
            self.placed[item.guest.vmid] = replace(item, others=more, after=self.freed.get(item.target, ()))
            self.ledger.take(item.target, item.need)
            self.arriving[item.target] = self.arriving.get(item.target, frozenset()) | {item.guest.vmid}

    def _give(self, vmid: int) -> Placed:
        item = self.placed.pop(vmid)
        self.ledger.give(item.target, item.need)
        self.arriving[item.target] = self.arriving[item.target] - {vmid}
        return item

    def _make_room(self, unit: tuple[Guest, ...]) -> bool:
        """Let one guest that is placed already go elsewhere, so that this unit finds room."""
        tried = 0
        for node in self.candidates(unit, self._how(unit), Why(unit)):
            there = [self.placed[vmid] for vmid in self.arriving.get(node.name, ()) if self._alone(self.placed[vmid])]
            for item in sorted(there, key=lambda item: (-item.need.memory, item.guest.vmid)):
                if tried >= EJECTIONS:
                    return False
                tried += 1
                old = self._give(item.guest.vmid)
                if self._try(unit, node, self._how(unit), Why(unit)) is not None:
                    taken = self._settle((item.guest,), avoid=node.name) is None
                    if taken and self._settle(unit) is None:
                        return True
                    if taken:
                        self._give(item.guest.vmid)
                self._take([old], old.others)
        return False

    def _evict(self, unit: tuple[Guest, ...]) -> bool:
        """Let a guest that lives on a target go elsewhere, so that this unit finds room: one move more."""
        how, tried = self._how(unit), 0
        for node in self.candidates(unit, how, Why(unit)):
            need = sum(guest.maxmem for guest in unit if guest.running and guest.node != node.name)
            lack = self.ledger.memory.get(node.name, 0) + need - self.ledger.limit(node.name)
            for guest in sorted(self._residents(node.name, lack), key=lambda item: (item.maxmem, item.vmid)):
                if tried >= EJECTIONS:
                    return False
                tried += 1
                gone = self._elsewhere(guest, node.name)
                if gone is None:
                    continue
                freed = self.freed.get(node.name, ())
                self._take(gone, ())
                self.ledger.give(node.name, Need(guest.maxmem))
                self.freed[node.name] = (*freed, guest.vmid)
                found = self._try(unit, node, how, Why(unit))
                if found is not None:
                    self._take(found, ())
                    return True
                self.freed[node.name] = freed
                self.ledger.take(node.name, Need(guest.maxmem))
                self._give(guest.vmid)
        return False

    def _residents(self, node: str, lack: int) -> Iterable[Guest]:
        """Guests of a node of which one alone makes enough room."""
        if lack <= 0:
            return ()
        return (
            guest
            for guest in self.state.guests_on(node)
            if guest.running
            and guest.maxmem >= lack
            and guest.vmid not in self.placed
            and len(self.affinity.unit(guest.vmid)) == 1
        )

    def _elsewhere(self, guest: Guest, node: str) -> list[Placed] | None:
        """The best other place for a guest of another node than the one that is emptied."""
        for target in self.candidates((guest,), How.REQUEST, Why((guest,))):
            if target.name != node:
                found = self._try((guest,), target, How.REQUEST, Why((guest,)))
                if found is not None:
                    return found
        return None

    def _alone(self, item: Placed) -> bool:
        unit = self.affinity.unit(item.guest.vmid)
        return item.along is None and item.guest.node == self.source and len(unit) == 1
