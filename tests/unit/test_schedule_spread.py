# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs over the minutes: even from nothing, steady afterwards, repaired when they all fire at once."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pve.mobility.plugins.module_utils.model.schedule import normal_form, render
from ansible_collections.pve.mobility.plugins.module_utils.planning.schedule_spread import Slot, spread


def most_at_once(schedules: list[str]) -> int:
    found: Counter[int] = Counter()
    for text in schedules:
        event = normal_form(text)
        assert event is not None
        found.update(event.minutes)
    return max(found.values())


def slots(count: int, schedule: str, present: str | None = None, node: str = "pve1") -> list[Slot]:
    return [Slot((100 + number, "pve2"), node, schedule, present) for number in range(count)]


def test_new_jobs_are_even() -> None:
    assert most_at_once(list(spread(slots(15, "*/15")).values())) == 1
    assert most_at_once(list(spread(slots(31, "*/15")).values())) == 3
    assert most_at_once(list(spread(slots(60, "22:00")).values())) == 1
    assert spread(slots(1, "*/15")) == {(100, "pve2"): "*/15"}


def test_jobs_that_all_fire_at_once_are_repaired_once() -> None:
    repaired = spread(slots(12, "*/15", "*/15"))
    assert most_at_once(list(repaired.values())) == 1
    assert sum(text != "*/15" for text in repaired.values()) == 11
    assert spread([Slot(key, "pve1", "*/15", text) for key, text in repaired.items()]) == repaired


def test_two_jobs_at_the_same_moment_are_repaired_too() -> None:
    assert sorted(spread(slots(2, "*/15", "*/15")).values()) == ["*/15", "1/15"]


def test_jobs_of_other_nodes_do_not_matter() -> None:
    found = spread([*slots(1, "*/15"), Slot((900, "pve3"), "pve4", "*/15")])
    assert set(found.values()) == {"*/15"}


def test_jobs_that_nobody_manages_are_avoided() -> None:
    others = [("pve1", "*/15"), ("pve1", "1/15")]
    assert spread(slots(1, "*/15"), others) == {(100, "pve2"): "2/15"}


def test_another_rhythm_is_not_kept() -> None:
    assert spread(slots(1, "*/15", "*/20")) == {(100, "pve2"): "*/15"}
    assert spread(slots(1, "*/15", "7/15")) == {(100, "pve2"): "7/15"}


def test_every_minute_cannot_be_spread_and_what_cannot_be_read_is_left_to_the_api() -> None:
    assert set(spread(slots(3, "*/1")).values()) == {"*/1"}
    assert set(spread(slots(3, "25:00")).values()) == {"25:00"}


def test_a_migration_here_and_there_changes_nothing() -> None:
    first = spread(slots(15, "*/15"))
    present = [Slot(key, "pve1", "*/15", text) for key, text in first.items()]
    arrived = Slot((999, "pve3"), "pve1", "*/15", "3/15")
    assert spread([*present, arrived]) == {**first, (999, "pve3"): "3/15"}


schedules = st.sampled_from(["*/5", "*/15", "hourly", "22:00", "mon..fri 8..18:0/30"])


@given(st.lists(st.tuples(schedules, st.sampled_from(["pve1", "pve2"]), st.integers(0, 59)), max_size=80))
def test_what_it_decides_stays_decided(rows: list[tuple[str, str, int]]) -> None:
    wanted = [Slot((number, "x"), node, text) for number, (text, node, _by) in enumerate(rows)]
    first = spread(wanted)
    again = spread([Slot(slot.key, slot.node, slot.schedule, first[slot.key]) for slot in wanted])
    assert again == first


@given(st.lists(st.tuples(schedules, st.integers(0, 59), st.booleans()), max_size=80))
def test_whatever_there_was_before_the_second_run_changes_nothing(rows: list[tuple[str, int, bool]]) -> None:
    wanted = []
    for number, (text, by, new) in enumerate(rows):
        event = normal_form(text)
        assert event is not None
        present = None if new else render(event.shifted(by % event.period))
        wanted.append(Slot((number, "x"), "pve1", text, present))
    first = spread(wanted)
    assert spread([Slot(slot.key, slot.node, slot.schedule, first[slot.key]) for slot in wanted]) == first
