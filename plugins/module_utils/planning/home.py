# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bringing guests back to where they were, while others leave from there: a guest starts when there is room for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.planning.affinity import Affinity
from ansible_collections.pve.mobility.plugins.module_utils.planning.levels import Level
from ansible_collections.pve.mobility.plugins.module_utils.planning.moves import Movers
from ansible_collections.pve.mobility.plugins.module_utils.planning.place import Placed
from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import Fate, How, Move, Stay
from ansible_collections.pve.mobility.plugins.module_utils.planning.policy import Policy
from ansible_collections.pve.mobility.plugins.module_utils.planning.room import Ledger, Need, need_of
from ansible_collections.pve.mobility.plugins.module_utils.planning.schedule import Job
from ansible_collections.pve.mobility.plugins.module_utils.planning.steps import Clock, Timed, timed, waiting


@dataclass(slots=True)
class RoomGate:
    """Lets a move begin when its target has room, and nobody is there who must not be beside it."""

    ledger: Ledger
    affinity: Affinity
    where: dict[int, set[str]]
    memory: Mapping[int, int]
    units: Mapping[int, tuple[Placed, ...]]
    """By the guest that takes the others along, itself included: room is taken for all of them at once."""
    log: list[tuple[str, int]] = field(default_factory=list)
    """``began`` or ``ended``, and who, in the order in which it happened."""

    def may(self, job: Job) -> bool:
        unit = self.units.get(job.id, ())
        return self.ledger.fits(job.target, _together(unit)) and all(
            self.affinity.clash(item.guest.vmid, self.where, job.target) is None for item in unit
        )

    def began(self, job: Job) -> None:
        for item in self.units.get(job.id, ()):
            self.ledger.take(job.target, item.need)
            self.where.setdefault(item.guest.vmid, {job.source}).add(job.target)
        self.log.append(("began", job.id))

    def ended(self, job: Job) -> None:
        self.ledger.give(job.source, Need(self.memory.get(job.id, 0), job.need.disks))
        self.where[job.id] = {job.target}
        self.log.append(("ended", job.id))


def _together(unit: Sequence[Placed]) -> Need:
    disks: dict[str, int] = {}
    for item in unit:
        for storage, size in item.need.disks.items():
            disks[storage] = disks.get(storage, 0) + size
    return Need(sum(item.need.memory for item in unit), disks)


@dataclass(frozen=True, slots=True)
class Homecoming:
    """Moves back, and who has to stay where it is."""

    timed: Timed
    stays: tuple[Stay, ...]


def bring_home(
    state: ClusterState,
    wanted: Mapping[int, str],
    affinity: Affinity,
    policy: Policy,
    known: Mapping[str, Level],
    clock: Clock,
    step: int,
    first: int,
    start: float,
) -> Homecoming:
    """:param wanted: vmid → the node where it was."""
    movers = Movers(state, policy.judge)
    away = {vmid: node for vmid, node in sorted(wanted.items()) if _away(state, vmid, node)}
    arriving: dict[str, set[int]] = {}
    leaving: dict[str, set[int]] = {}
    for vmid, node in away.items():
        guest = state.guest(vmid)
        if guest is not None:
            arriving.setdefault(node, set()).add(vmid)
            leaving.setdefault(guest.node, set()).add(vmid)
    placed: list[Placed] = []
    stays: list[Stay] = []
    for vmid, node in away.items():
        guest, target = state.guest(vmid), state.node(node)
        if guest is None or target is None:
            continue
        unit = affinity.unit(vmid)
        if any(away.get(other) != node for other in unit):
            stays.append(_stay(guest, step, f"guests that belong together were not together on {node} before"))
            continue
        lasting = affinity.lasting(vmid, [item.name for item in state.nodes if item.online])
        if known[node] < known[guest.node] or (lasting is not None and node not in lasting):
            stays.append(_stay(guest, step, f"{node} runs an older release, or a rule keeps it elsewhere"))
            continue
        others = frozenset(arriving[node] - {vmid})
        facts = movers.move(guest, target, arriving=others, leaving=frozenset(leaving.get(node, ())))
        judged = movers.judge(facts)
        if judged.blocking:
            stays.append(_stay(guest, step, judged.blocking[0].message))
            continue
        along = unit[0] if unit[0] != vmid else None
        replica = any(volume.replica for volume in facts.volumes)
        how = How.REQUEST if along is None else How.ALONG
        placed.append(Placed(guest, node, judged, need_of(facts), how, along, replica))
    placed, torn = _whole(placed, affinity)
    stays += [_stay(item.guest, step, "a guest that belongs with it cannot go home") for item in torn]
    units: dict[int, tuple[Placed, ...]] = {}
    for item in placed:
        leader = item.along or item.guest.vmid
        units[leader] = (*units.get(leader, ()), item)
    thresholds = policy.judge.thresholds
    gate = RoomGate(
        Ledger.of(state, thresholds),
        affinity,
        {guest.vmid: {guest.node} for guest in state.guests},
        {item.guest.vmid: item.need.memory for item in placed},
        units,
    )
    found = timed(placed, clock, step, first, start, gate)
    stays += [_stay(item.guest, step, f"there is no room for it on {item.target}") for item in found.stuck]
    moves = waiting(found.moves, _waits(found.moves, gate, Ledger.of(state, thresholds)))
    return Homecoming(Timed(moves, found.end, found.blind_bytes), tuple(stays))


def _away(state: ClusterState, vmid: int, node: str) -> bool:
    guest = state.guest(vmid)
    return guest is not None and guest.node != node


def _stay(guest: Guest, step: int, why: str) -> Stay:
    return Stay(step, guest.vmid, guest.name, guest.node, Fate.STAYS, why)


def _whole(placed: Sequence[Placed], affinity: Affinity) -> tuple[list[Placed], list[Placed]]:
    """Units of which every guest can go home, and the others."""
    there = {item.guest.vmid for item in placed}
    whole: list[Placed] = []
    torn: list[Placed] = []
    for item in placed:
        (whole if there.issuperset(affinity.unit(item.guest.vmid)) else torn).append(item)
    return whole, torn


def _waits(moves: Sequence[Move], gate: RoomGate, ledger: Ledger) -> dict[int, tuple[int, ...]]:
    """What each move has to wait for, should others take longer than foreseen.

    Room that is there from the start is given away first; after that each arrival waits for as many departures as it
    takes, in the order in which they were foreseen to end.
    """
    by_guest = {move.guest: move for move in moves}
    gone: dict[str, list[Move]] = {}
    found: dict[int, tuple[int, ...]] = {}
    given: dict[str, int] = {}
    for what, vmid in gate.log:
        move = by_guest[vmid]
        if what == "ended":
            gone.setdefault(move.source, []).append(move)
            continue
        unit = gate.units.get(vmid)
        if unit is None:
            continue
        need = _together(unit)
        departures = gone.get(move.target, [])
        while not ledger.fits(move.target, need) and given.get(move.target, 0) < len(departures):
            out = departures[given.get(move.target, 0)]
            ledger.give(move.target, Need(out.memory, out.disks))
            given[move.target] = given.get(move.target, 0) + 1
        waits = [out.id for out in departures[: given.get(move.target, 0)]]
        for item in unit:
            apart = gate.affinity.apart.get(item.guest.vmid, frozenset())
            waits += [out.id for out in departures if out.guest in apart]
        ledger.take(move.target, need)
        for item in unit:
            if waits:
                found[by_guest[item.guest.vmid].id] = tuple(waits)
    return found
