# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How many moves go at once: from a node, to a node, in the cluster.

The HA manager begins a move 6 to 15 s after it was asked, and ``max_workers`` of a node at once, whatever waits behind
them (pve-facts §7.5). So moves that it is asked for hold no more places than it has workers, and others queue up behind
them: the wait is paid once, and never do more go at once than the limits say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import Limits

QUEUE = 6
"""Moves that the HA manager is asked for, in rounds of all its workers: those far ahead could not be judged freshly.

With fewer its workers would look after guests that stay instead, one by one, before they begin the next move.
"""


@dataclass(slots=True)
class Places:
    """What is asked for or under way. ``managed``: by the HA manager, by source and target."""

    limits: Limits
    workers: int
    out: Counter[str] = field(default_factory=Counter)
    into: Counter[str] = field(default_factory=Counter)
    managed: Counter[tuple[str, str]] = field(default_factory=Counter)

    @classmethod
    def of(cls, limits: Limits, workers: int, moves: Iterable[tuple[str, str, bool]]) -> Places:
        """:param moves: source, target, and whether the HA manager carries it out."""
        found = cls(limits, max(1, workers))
        for source, target, ha in moves:
            if ha:
                found.managed[source, target] += 1
            else:
                found.out[source] += 1
                found.into[target] += 1
        return found

    def has(self, source: str, target: str, ha: bool) -> bool:
        """Whether one more would find a place."""
        more = {(source, target): 1} if ha else {}
        plain = 0 if ha else 1
        if ha and self._asked(source) >= QUEUE * self.workers:
            return False
        limits = self.limits
        if limits.source and self.out[source] + plain + self._held(source, more) > limits.source:
            return False
        if limits.target and self.into[target] + plain + self._arriving(target, more) > limits.target:
            return False
        sources = {name for name, _target in self.managed} | {source}
        held = sum(self._held(name, more) for name in sources)
        return not limits.cluster or self.out.total() + plain + held <= limits.cluster

    def _asked(self, source: str) -> int:
        return sum(count for (name, _target), count in self.managed.items() if name == source)

    def _held(self, source: str, more: dict[tuple[str, str], int]) -> int:
        asked = self._asked(source) + sum(count for (name, _target), count in more.items() if name == source)
        return min(self.workers, asked)

    def _arriving(self, target: str, more: dict[tuple[str, str], int]) -> int:
        by_source: Counter[str] = Counter()
        for (source, name), count in (*self.managed.items(), *more.items()):
            if name == target:
                by_source[source] += count
        return sum(min(self.workers, count) for count in by_source.values())
