# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calendar events: spellings that mean the same, gaps, shifts."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pve.mobility.plugins.module_utils.model import schedule
from ansible_collections.pve.mobility.plugins.module_utils.model.schedule import longest_gap, normal_form, render, same

MONDAY = int(dt.datetime(2026, 11, 23, tzinfo=dt.UTC).timestamp())
HOUR = 3600


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("*/15", "0/15"),
        ("*/15", "*:0/15"),
        ("*/15", "0,15,30,45"),
        ("*/15", None),
        ("*/1", "*"),
        ("minutely", "*:*"),
        ("hourly", "*:0"),
        ("hourly", "0"),
        ("daily", "00:00"),
        ("weekly", "Mon 0:0"),
        ("monthly", "*-1 00:00"),
        ("mon..fri 22:00", "mon,tue,wed,thu,fri 22:0"),
        ("MON..SUN  22:00", "22:00"),
        ("sat..mon 2:30", "sun,monday,saturday 02:30"),
        ("8..17:00", "8,9,10,11,12,13,14,15,16,17:0"),
        ("2/2:30", "2,4,6,8,10,12,14,16,18,20,22:30"),
        ("*-*-* 3:00", "3:00:00"),
    ],
)
def test_spellings_of_one_event_are_the_same(one: str, other: str | None) -> None:
    assert all(same(first, second) for first, second in itertools.permutations((one, other)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("*/15", "1/15"),
        ("*/15", "*/30"),
        ("mon..fri 22:00", "mon..sat 22:00"),
        ("22:00", "22:00 UTC"),
        ("*/15", "8..17:0/15"),
        ("foo", "bar"),
        ("25:00", "1:00"),
        ("", "foo"),
    ],
)
def test_different_events_differ(one: str, other: str) -> None:
    assert not same(one, other)


@pytest.mark.parametrize("text", ["foo", "61", "*/0", "a:b", "mon..foo 3:00", "1-2-3-4 3:00", "3:00 4:00", "UTC"])
def test_what_cannot_be_read_only_equals_itself(text: str) -> None:
    assert normal_form(text) is None
    assert same(text, f" {text} ")


@pytest.mark.parametrize(
    ("text", "gap"),
    [
        ("*/15", 900),
        ("*/7", 420),  # …, 49, 56, 0: the last one is shorter
        ("0,10", 3000),
        ("daily", 24 * HOUR),
        ("mon..fri 22:00", 72 * HOUR),
        ("mon..fri 8..17:0/15", 62 * HOUR + 900),
        ("8..17:*", 14 * HOUR + 60),
        ("weekly", 7 * 24 * HOUR),
        ("monthly", 31 * 24 * HOUR),
        ("yearly", 365 * 24 * HOUR),
    ],
)
def test_the_longest_gap_is_found_wherever_it_is(text: str, gap: int) -> None:
    found = longest_gap(text, MONDAY)
    assert found is not None
    assert found[1] == gap


def test_an_event_that_comes_once_has_no_gap() -> None:
    assert longest_gap("2026-12-24 3:00", MONDAY) is None


hours = st.frozensets(st.integers(0, 23), min_size=1)
minutes = st.frozensets(st.integers(0, 59), min_size=1)
events = st.builds(
    schedule.Event,
    weekdays=st.frozensets(st.integers(0, 6), min_size=1),
    months=st.frozensets(st.integers(1, 12), min_size=1),
    days=st.frozensets(st.integers(1, 31), min_size=1),
    hours=hours,
    minutes=minutes,
    utc=st.booleans(),
)


@given(events)
def test_what_is_written_reads_as_what_was_meant(event: schedule.Event) -> None:
    assert normal_form(render(event)) == event


@given(minutes, st.integers(0, 59))
def test_a_shift_is_recognised_and_keeps_the_rhythm(found: frozenset[int], by: int) -> None:
    event = schedule.Event(minutes=found)
    moved = event.shifted(by)
    assert len(moved.minutes) == len(found)
    shift = moved.shift_from(event)
    assert shift is not None
    assert event.shifted(shift) == moved
    assert shift < event.period


def test_shifts_of_common_schedules_are_short() -> None:
    event = normal_form("*/15")
    assert event is not None
    assert [render(event.shifted(by)) for by in (0, 1, 14)] == ["*/15", "1/15", "14/15"]
    daily = normal_form("22:00")
    assert daily is not None
    assert render(daily.shifted(7)) == "22:07"
    workdays = normal_form("mon..fri 8..17:0/30")
    assert workdays is not None
    assert render(workdays.shifted(31 % workdays.period)) == "mon,tue,wed,thu,fri 08..17:1/30"
