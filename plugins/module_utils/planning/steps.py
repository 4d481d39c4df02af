# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From targets to moves in time: what is sent, in which order moves begin, and when they end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ansible_collections.pve.mobility.plugins.module_utils.model.move import Mode, MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.planning.estimate import (
    HA_OVERHEAD,
    OVERHEAD,
    Rates,
    estimate_move,
)
from ansible_collections.pve.mobility.plugins.module_utils.planning.place import Placed
from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import How, Limits, Move
from ansible_collections.pve.mobility.plugins.module_utils.planning.schedule import Gate, Job, Slot, Wire, schedule

_HA_LEAD = 2 / 3
"""The HA manager takes most of its time to begin (pve-facts §7.5)."""
LAST = 8
"""Moves that are kept for the end, the shortest last, so that all places are used until then."""
_STOP_AND_START = 5.0
"""Seconds that a container takes to stop before its move, and to start after it."""


@dataclass(frozen=True, slots=True)
class Timed:
    """Moves with ids from ``first`` on, in the order in which they begin; ``end`` of the last one."""

    moves: tuple[Move, ...]
    end: float
    blind_bytes: int
    stuck: tuple[Placed, ...] = ()


@dataclass(frozen=True, slots=True)
class Clock:
    """What times rest on."""

    wire: Wire
    rates: Rates
    limits: Limits


def lead_and_tail(facts: MoveFacts) -> tuple[float, float]:
    """Seconds of a move before and after its bytes are sent."""
    lead = tail = OVERHEAD / 2
    if facts.managed:
        lead, tail = lead + HA_OVERHEAD * _HA_LEAD, tail + HA_OVERHEAD * (1 - _HA_LEAD)
    if facts.mode is Mode.RESTART:
        lead, tail = lead + _STOP_AND_START, tail + _STOP_AND_START
    return lead, tail


def blind_bytes(facts: MoveFacts) -> int:
    """What the move would send if no target held a replica."""
    disks = sum(volume.disk.size or 0 for volume in facts.volumes if volume.copied)
    return disks + (facts.guest.maxmem if facts.live else 0)


def in_order(placed: Iterable[Placed], seconds_of: Mapping[int, float]) -> list[Placed]:
    """Replicas first, because their copies are fresh; then those under HA, so that the HA manager is waited for once;
    then all others. Among each the longest first, so that no long one is left alone at the end.

    Guests that are taken along follow the one that takes them.
    """
    heads: list[Placed] = []
    behind: dict[int, list[Placed]] = {}
    for item in placed:
        if item.along is None:
            heads.append(item)
        else:
            behind.setdefault(item.along, []).append(item)
    heads.sort(
        key=lambda item: (
            not item.replica,
            not item.judged.facts.managed,
            -seconds_of[item.guest.vmid],
            item.guest.vmid,
        )
    )
    blocks: dict[tuple[bool, bool], list[Placed]] = {}
    for item in heads:
        blocks.setdefault((item.replica, item.judged.facts.managed), []).append(item)
    last = next(reversed(blocks), None)
    heads = [item for key, block in blocks.items() for item in mixed(block, LAST if key == last else 0)]
    found: list[Placed] = []
    for item in heads:
        found.append(item)
        found += sorted(behind.pop(item.guest.vmid, ()), key=lambda other: other.guest.vmid)
    for left in behind.values():
        found += left
    return found


def mixed(items: Sequence[Placed], last: int) -> list[Placed]:
    """The longest, the shortest, the second longest and so on; ``last`` of the shortest stay at the end.

    :param items: the longest first. Moves that are alike would all send at the same time, and then all do not.
    """
    most = max(0, len(items) - last)
    rest = items[:most]
    half = (len(rest) + 1) // 2
    found: list[Placed] = []
    for number in range(half):
        found.append(rest[number])
        if number < len(rest) - half:
            found.append(rest[-1 - number])
    return [*found, *items[most:]]


def timed(
    placed: Iterable[Placed],
    clock: Clock,
    step: int,
    first: int,
    start: float,
    gate: Gate | None = None,
) -> Timed:
    """:param first: id of the first move."""
    items = list(placed)
    estimates = {item.guest.vmid: estimate_move(item.judged.facts, clock.rates) for item in items}
    ordered = in_order(items, {vmid: found.seconds for vmid, found in estimates.items()})
    known = {item.guest.vmid for item in ordered}
    jobs = []
    for item in ordered:
        facts = item.judged.facts
        vmid = item.guest.vmid
        lead, tail = lead_and_tail(facts)
        jobs.append(
            Job(
                vmid,
                item.guest.node,
                item.target,
                estimates[vmid].bytes,
                lead,
                tail,
                facts.managed,
                tuple(other for other in item.after if other in known),
                item.along if item.along in known else None,
                item.need,
            )
        )
    slots = schedule(jobs, clock.wire, clock.limits, start, gate)
    begun = [item for item in ordered if item.guest.vmid in slots]
    begun.sort(key=lambda item: slots[item.guest.vmid].start)
    ids = {item.guest.vmid: number for number, item in enumerate(begun, first)}
    moves = tuple(_move(item, slots[item.guest.vmid], ids, estimates[item.guest.vmid].bytes, step) for item in begun)
    return Timed(
        moves,
        round(max((slot.end for slot in slots.values()), default=start), 3),
        sum(blind_bytes(item.judged.facts) for item in begun),
        tuple(item for item in ordered if item.guest.vmid not in slots),
    )


def _move(item: Placed, slot: Slot, ids: Mapping[int, int], size: int, step: int) -> Move:
    facts, guest = item.judged.facts, item.guest
    return Move(
        ids[guest.vmid],
        step,
        guest.vmid,
        guest.name,
        guest.type,
        guest.node,
        item.target,
        facts.mode,
        size,
        round(round(slot.end, 3) - round(slot.start, 3), 3),
        round(slot.start, 3),
        tuple(sorted(ids[vmid] for vmid in item.after if vmid in ids)),
        item.replica,
        item.replica and item.how is How.REQUEST,
        facts.managed,
        item.how,
        item.along,
        item.need.memory,
        dict(item.need.disks),
        tuple(sorted({finding.id for finding in item.judged.findings if finding not in item.judged.blocking})),
        item.others,
    )


def waiting(moves: Sequence[Move], gate: Mapping[int, tuple[int, ...]]) -> tuple[Move, ...]:
    """Moves that also wait for those of which ``gate`` tells, by id."""
    return tuple(replace(move, after=tuple(sorted({*move.after, *gate.get(move.id, ())}))) for move in moves)
