# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Spreading jobs over the minutes, because a node runs what is due one after the other (pve-facts §6.3).

A schedule that is shifted by some minutes keeps its rhythm. A job whose schedule is such a shift is left as it is,
unless its node has clearly more jobs in that minute than need be; so a migration here and there changes nothing.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ansible_collections.pve.mobility.plugins.module_utils.model.schedule import Event, normal_form, render

TOLERATED = 1
"""Jobs in a minute beyond an even spread that are no reason to change any."""

Key = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Slot:
    """A wanted job. ``present``: the schedule that it has, None for a new one.

    :ivar key: what tells it from others; decides ties, so that the same input gives the same result.
    """

    key: Key
    node: str
    schedule: str
    present: str | None = None


def spread(slots: Iterable[Slot], others: Iterable[tuple[str, str]] = ()) -> dict[Key, str]:
    """The schedule of each job, by key. What it has decided once it keeps, as long as the jobs of a node are the same.

    :param others: node and schedule of jobs that are not to be changed, but fire too.
    """
    nodes: dict[str, _Node] = defaultdict(_Node)
    for node, schedule in others:
        event = normal_form(schedule)
        if event is not None:
            nodes[node].fixed.append(event)
    chosen: dict[Key, str] = {}
    for slot in sorted(slots, key=lambda slot: slot.key):
        wanted = normal_form(slot.schedule)
        if wanted is None or wanted.period == 1:
            chosen[slot.key] = slot.schedule
            nodes[slot.node].fixed += [] if wanted is None else [wanted]
        else:
            nodes[slot.node].jobs.append((slot, wanted))
    for jobs in nodes.values():
        for slot, wanted, event in jobs.decided():
            keeps = slot.present is not None and normal_form(slot.present) == event
            chosen[slot.key] = str(slot.present) if keeps else slot.schedule if event == wanted else render(event)
    return chosen


@dataclass(slots=True)
class _Node:
    """``fixed``: jobs that fire when they fire. ``jobs``: those whose minutes can be chosen, sorted."""

    fixed: list[Event] = field(default_factory=list)
    jobs: list[tuple[Slot, Event]] = field(default_factory=list)

    def decided(self) -> list[tuple[Slot, Event, Event]]:
        """Each job with what is wanted and what it gets."""
        even = self._arranged({})
        best = self._most(even)
        present = {
            slot.key: event
            for slot, wanted in self.jobs
            if slot.present is not None
            and (event := normal_form(slot.present)) is not None
            and event.shift_from(wanted) is not None
        }
        kept = self._arranged(present)
        if not self._good(kept, best):
            kept = self._arranged(self._fitting(present, best))
        if not self._good(kept, best):
            kept = even
        return [(slot, wanted, kept[slot.key]) for slot, wanted in self.jobs]

    def _arranged(self, present: Mapping[Key, Event]) -> dict[Key, Event]:
        """Jobs that have their minutes first, then the others, each where the fewest are."""
        load = self._load()
        for event in present.values():
            _count(load, event)
        found = dict(present)
        for slot, wanted in self.jobs:
            if slot.key not in found:
                event = found[slot.key] = min(_shifts(wanted), key=lambda event: _cost(load, event))
                _count(load, event)
        return found

    def _fitting(self, present: Mapping[Key, Event], best: int) -> dict[Key, Event]:
        """Those that can stay so that no minute has more than need be."""
        load, found = self._load(), {}
        for key, event in present.items():
            if all(load[minute] < best for minute in event.minutes):
                found[key] = event
                _count(load, event)
        return found

    def _good(self, arranged: Mapping[Key, Event], best: int) -> bool:
        most = self._most(arranged)
        all_at_once = most > best and most == len(arranged) + len(self.fixed)
        return most <= best + TOLERATED and not all_at_once

    def _most(self, arranged: Mapping[Key, Event]) -> int:
        load = self._load()
        for event in arranged.values():
            _count(load, event)
        return max(load)

    def _load(self) -> list[int]:
        load = [0] * 60
        for event in self.fixed:
            _count(load, event)
        return load


@functools.lru_cache(maxsize=256)
def _shifts(wanted: Event) -> tuple[Event, ...]:
    return tuple(wanted.shifted(by) for by in range(wanted.period))


def _cost(load: list[int], event: Event) -> tuple[int, int]:
    minutes = [load[minute] for minute in event.minutes]
    return (max(minutes), sum(minutes))


def _count(load: list[int], event: Event) -> None:
    for minute in event.minutes:
        load[minute] += 1
