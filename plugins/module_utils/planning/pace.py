# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of several moves is best begun next, so that a node's link is never idle and its places are never either.

Much of a short move is not sending: preparing, switching over. Much of a long one is. With too few bytes under way the
link runs dry while others prepare; with too many they all wait for the link, and the short ones are left over for the
end, one after the other. So there is an aim for the bytes under way: below it the longest move comes next, else the
shortest. Which aim is best depends on what is left; it is found by trying some.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.pve.mobility.plugins.module_utils.planning.schedule import Wire

AIMS = (8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0, 22.0, 24.0, 28.0, 32.0)
"""Seconds for which the link would be busy with what is under way."""
SAMPLE = 100
_MOMENT = 1e-6


@dataclass(frozen=True, slots=True)
class Part:
    """What is left of a move: ``lead`` seconds until its bytes are sent, ``bytes``, ``tail`` seconds after them."""

    lead: float
    bytes: float
    tail: float


def next_of(waiting: Sequence[Part], going: Sequence[Part], wire: Wire, places: int) -> int:
    """Index of the one of ``waiting`` that is best begun now.

    :param going: moves under way, from the same node. :param places: how many may be under way at once.
    """
    order = sorted(range(len(waiting)), key=lambda number: (-waiting[number].bytes, number))
    if waiting[order[0]].bytes == waiting[order[-1]].bytes:
        return order[0]
    # Of very many every so manieth stands for its neighbours.
    parts = [waiting[number] for number in order[:: -(-len(order) // SAMPLE)]]
    aim = min(AIMS, key=lambda seconds: _seconds(parts, going, wire, places, seconds * wire.link))
    return order[0] if sum(part.bytes for part in going) < aim * wire.link else order[-1]


def ends(going: Sequence[Part], wire: Wire) -> list[float]:
    """Seconds until each is over, if no other begins meanwhile."""
    links = _Links(wire)
    for number, part in enumerate(going):
        links.begin(number, part)
    found = [0.0] * len(going)
    while links.ids:
        for number in links.step():
            found[number] = links.now
    return found


def _seconds(waiting: Sequence[Part], going: Sequence[Part], wire: Wire, places: int, aim: float) -> float:
    """Until all are over. :param waiting: those with most bytes first. :param aim: bytes under way."""
    first, last = 0, len(waiting) - 1
    links = _Links(wire)
    for part in going:
        links.begin(0, part)
    while links.ids or first <= last:
        while first <= last and len(links.ids) < places:
            if sum(links.left) < aim:
                part, first = waiting[first], first + 1
            else:
                part, last = waiting[last], last - 1
            links.begin(0, part)
        links.step()
    return links.now


class _Links:
    """Moves under way from one node, which share its link."""

    def __init__(self, wire: Wire) -> None:
        self.wire, self.now = wire, 0.0
        self.ids: list[int] = []
        self.before: list[float] = []
        self.left: list[float] = []
        self.after: list[float] = []

    def begin(self, number: int, part: Part) -> None:
        self.ids.append(number)
        self.before.append(part.lead)
        self.left.append(part.bytes)
        self.after.append(part.tail)

    def step(self) -> list[int]:
        """To the next moment at which something changes; those that are over then."""
        before, left, after = self.before, self.left, self.after
        sending = sum(1 for lead, size in zip(before, left, strict=True) if lead <= 0 < size)
        rate = min(self.wire.stream, self.wire.link / sending) if sending else 0.0
        seconds = _MOMENT + min(
            lead if lead > 0 else size / rate if size > 0 else max(0.0, tail)
            for lead, size, tail in zip(before, left, after, strict=True)
        )
        self.now += seconds
        over = []
        for number, lead in enumerate(before):
            if lead > 0:
                before[number] = lead - seconds
            elif left[number] > 0:
                left[number] = max(0.0, left[number] - rate * seconds)
            else:
                after[number] -= seconds
                if after[number] <= 0:
                    over.append(number)
        ended = [self.ids[number] for number in over]
        for number in reversed(over):
            for values in (self.ids, before, left, after):
                del values[number]
        return ended
