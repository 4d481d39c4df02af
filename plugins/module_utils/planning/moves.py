# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From a snapshot to a move that can be judged, and to the best target for a guest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import judge_move
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Node
from ansible_collections.pve.mobility.plugins.module_utils.model.foresee import foresee
from ansible_collections.pve.mobility.plugins.module_utils.model.meant import meant
from ansible_collections.pve.mobility.plugins.module_utils.model.move import Mode, MoveFacts, natural_mode
from ansible_collections.pve.mobility.plugins.module_utils.model.precondition import Precondition
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.planning.ask import Impossible, Options

ENOUGH = 3
"""Targets that pass and are compared before the best of them is taken."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A move and what was found about it."""

    facts: MoveFacts
    findings: tuple[Finding, ...]
    accept: frozenset[str] = frozenset()

    @property
    def blocking(self) -> tuple[Finding, ...]:
        return tuple(item for item in self.findings if item.severity is Severity.BLOCK and item.id not in self.accept)

    @property
    def warnings(self) -> int:
        return sum(item.severity is Severity.WARN for item in self.findings)


@dataclass(slots=True)
class Movers:
    """Makes moves of a snapshot; what does not depend on the target is worked out once for each guest."""

    state: ClusterState
    options: Options
    _foreseen: dict[int, Precondition] = field(default_factory=dict)

    def move(
        self,
        guest: Guest,
        target: Node,
        mode: Mode | None = None,
        arriving: frozenset[int] = frozenset(),
        leaving: frozenset[int] = frozenset(),
    ) -> MoveFacts:
        """:param mode: None for the one that keeps the guest as it is."""
        state = self.state
        before = self._foreseen.get(guest.vmid)
        if before is None:
            before = self._foreseen[guest.vmid] = foresee(state, guest)
        managed = self.managed(guest)
        return MoveFacts(
            guest,
            target,
            mode or natural_mode(guest, guest.running),
            before,
            state.ha if managed else None,
            state.jobs_of(guest.vmid),
            self.options.with_local_disks or managed,
            self.options.storage_map,
            rules=state.rules_of(guest.sid) if managed else (),
            state=state,
            thresholds=self.options.thresholds,
            zfs=self.options.zfs,
            arriving=arriving,
            leaving=leaving,
        )

    def judge(self, facts: MoveFacts) -> Judged:
        return Judged(facts, tuple(judge_move(facts)), self.options.accept)

    def managed(self, guest: Guest) -> bool:
        """Whether the HA manager would carry the move out."""
        ha = self.state.ha
        if ha is not None and ha.disarm_mode == "ignore":
            return False
        resource = self.state.ha_resource(guest.sid)
        if resource is not None:
            return resource.state != "ignored"
        return not self.state.knows("ha") and guest.hastate not in (None, "ignored")

    def best(
        self,
        guest: Guest,
        targets: Iterable[Node],
        arriving: dict[str, frozenset[int]] | None = None,
    ) -> list[Judged]:
        """Judgements, the best first; the first one blocks only when all do.

        :param targets: in the order in which they are preferred. :param arriving: vmids on their way to each node.
        """
        seen: list[Judged] = []
        passing = 0
        for target in targets:
            on_the_way = (arriving or {}).get(target.name, frozenset())
            judged = self.judge(self.move(guest, target, arriving=on_the_way))
            seen.append(judged)
            if not judged.blocking:
                passing += 1
                if not judged.warnings or passing >= ENOUGH:
                    break
        seen.sort(key=lambda item: (len(item.blocking), item.warnings))
        return seen


def find_guest(state: ClusterState, wanted: int | str) -> Guest:
    """:raises Impossible: no such guest, or several of that name."""
    if isinstance(wanted, int) or str(wanted).isdigit():
        guest = state.guest(int(wanted))
        if guest is None:
            raise Impossible(
                f"There is no guest {wanted} in the snapshot: check the number, and that it was collected."
            )
        return guest
    named = [guest for guest in state.guests if guest.name == wanted]
    if len(named) == 1:
        return named[0]
    if not named:
        hint = meant(wanted, (guest.name for guest in state.guests if guest.name))
        raise Impossible(f"There is no guest named {wanted} in the snapshot: check the name, or give its number.{hint}")
    numbers = ", ".join(str(guest.vmid) for guest in named)
    raise Impossible(f"{len(named)} guests are named {wanted} ({numbers}): give the number of the one that you mean.")


def find_node(state: ClusterState, name: str) -> Node:
    """:raises Impossible: no such node."""
    node = state.node(name)
    if node is None:
        known = ", ".join(item.name for item in state.nodes)
        raise Impossible(f"There is no node {name} in the snapshot: its nodes are {known}.")
    return node


def find_mode(guest: Guest, wanted: str) -> Mode:
    """As :mod:`migrate` takes it. :raises Impossible: the mode does not fit the guest."""
    if wanted == "auto":
        return natural_mode(guest, guest.running)
    mode = Mode(wanted)
    if mode is Mode.ONLINE and guest.type == "lxc" and guest.running:
        raise Impossible(f"{guest.label} is a container, which cannot move while it runs: use mode restart, or auto.")
    if mode is Mode.RESTART and guest.type == "qemu":
        raise Impossible(f"{guest.label} is a VM, and mode restart is for containers: use online or offline.")
    # Judged as it would be once it is stopped: that is what the question is about.
    return mode if guest.running else Mode.OFFLINE


def stopped(state: ClusterState, guest: Guest) -> Guest:
    """The guest as it would be after a shutdown."""
    return replace(guest, status="stopped")


def by_preference(state: ClusterState, guest: Guest, nodes: Sequence[Node], load: dict[str, int]) -> list[Node]:
    """Nodes that hold a replica first, then those that HA prefers, then those with the most free memory.

    :param load: bytes that running guests have on each node, those on their way included.
    """
    replicas = {job.target for job in state.jobs_of(guest.vmid) if not job.removing}
    priority: dict[str, int] = {}
    for rule in state.rules_of(guest.sid):
        if rule.active and rule.type == "node-affinity" and rule.positive:
            priority.update(rule.nodes)
    return sorted(
        nodes,
        key=lambda node: (
            node.name not in replicas,
            -priority.get(node.name, -1),
            (load.get(node.name, 0) + guest.maxmem) / (node.maxmem or 1),
            node.name,
        ),
    )


def memory_load(state: ClusterState) -> dict[str, int]:
    """Bytes of memory that the running guests of each node have."""
    load: dict[str, int] = {node.name: 0 for node in state.nodes}
    for guest in state.guests:
        if guest.running:
            load[guest.node] = load.get(guest.node, 0) + guest.maxmem
    return load
