# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Spreading jobs over the minutes, because a node runs what is due one after the other (pve-facts §6.3).

A schedule that is shifted by some minutes keeps its rhythm. A job whose schedule is such a shift is left as it is,
unless its node has clearly more jobs in that minute than need be; so a migration here and there changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.pve.mobility.plugins.module_utils.model.schedule import Event, normal_form, render

TOLERATED = 1
"""Jobs in a minute beyond an even spread that are no reason to change any."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A wanted job. ``present``: the schedule that it has, None for a new one.

    :ivar key: what tells it from others; decides ties, so that the same input gives the same result.
    """

    key: tuple[int, str]
    node: str
    schedule: str
    present: str | None = None


def spread(slots: Iterable[Slot], others: Iterable[tuple[str, str]] = ()) -> dict[tuple[int, str], str]:
    """The schedule of each job, by key.

    :param others: node and schedule of jobs that are not to be changed, but fire too.
    """
    load: dict[str, list[int]] = defaultdict(lambda: [0] * 60)
    for node, schedule in others:
        event = normal_form(schedule)
        if event is not None:
            _count(load[node], event, 1)
    chosen: dict[tuple[int, str], str] = {}
    open_slots: list[tuple[Slot, Event]] = []
    groups: dict[tuple[str, Event], list[tuple[Slot, Event]]] = defaultdict(list)
    for slot in sorted(slots, key=lambda slot: slot.key):
        wanted = normal_form(slot.schedule)
        if wanted is None or wanted.period == 1:
            chosen[slot.key] = slot.schedule
            if wanted is not None:
                _count(load[slot.node], wanted, 1)
            continue
        present = normal_form(slot.present) if slot.present is not None else None
        if present is not None and present.shift_from(wanted) is not None:
            groups[slot.node, wanted].append((slot, present))
        else:
            open_slots.append((slot, wanted))
    for (node, wanted), members in groups.items():
        kept, moved = _fitting(wanted, members)
        for slot, present in kept:
            chosen[slot.key] = str(slot.present)
            _count(load[node], present, 1)
        open_slots += [(slot, wanted) for slot in moved]
    for slot, wanted in sorted(open_slots, key=lambda item: item[0].key):
        event = min(_shifts(wanted), key=lambda event: _cost(load[slot.node], event))
        chosen[slot.key] = slot.schedule if event == wanted else render(event)
        _count(load[slot.node], event, 1)
    return chosen


def _fitting(wanted: Event, members: list[tuple[Slot, Event]]) -> tuple[list[tuple[Slot, Event]], list[Slot]]:
    """Jobs that stay as they are, and those that are too many in their minute."""
    even = -(-len(members) // wanted.period)
    by_shift: dict[int, list[tuple[Slot, Event]]] = defaultdict(list)
    for slot, present in members:
        by_shift[present.shift_from(wanted) or 0].append((slot, present))
    if max(map(len, by_shift.values())) <= even + TOLERATED:
        return members, []
    kept = [item for items in by_shift.values() for item in items[:even]]
    return kept, [slot for items in by_shift.values() for slot, _present in items[even:]]


def _shifts(wanted: Event) -> list[Event]:
    return [wanted.shifted(by) for by in range(wanted.period)]


def _cost(load: list[int], event: Event) -> tuple[int, int]:
    minutes = [load[minute] for minute in event.minutes]
    return (max(minutes), sum(minutes))


def _count(load: list[int], event: Event, by: int) -> None:
    for minute in event.minutes:
        load[minute] += by
