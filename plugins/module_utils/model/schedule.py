# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Calendar events: which spellings mean the same, where the longest gap is, and how to shift one (pve-facts §6.3).

``[WEEKDAYS] [[YEAR-]MONTH-DAY] [HOUR:MINUTE[:SECOND]] [UTC]``; minutes alone may stand without a colon. The API is the
judge of what is valid; what cannot be read here only equals itself.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

DEFAULT = "*/15"
DAY = 86400

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FULL = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WORDS = {
    "minutely": "*:*",
    "hourly": "*:00",
    "daily": "00:00",
    "weekly": "mon 00:00",
    "monthly": "*-*-1 00:00",
    "quarterly": "*-1,4,7,10-1 00:00",
    "semiannually": "*-1,7-1 00:00",
    "semi-annually": "*-1,7-1 00:00",
    "yearly": "*-1-1 00:00",
    "annually": "*-1-1 00:00",
}
_PART = re.compile(r"^(\*|\d+)(?:\.\.(\d+))?(?:/(\d+))?$")

Values = frozenset[int]


@dataclass(frozen=True, slots=True)
class Event:
    """The values that each part of a time may have; two spellings of one event are equal.

    ``weekdays`` 0 is Monday. ``years`` empty for every year.
    """

    weekdays: Values = frozenset(range(7))
    years: Values = frozenset()
    months: Values = frozenset(range(1, 13))
    days: Values = frozenset(range(1, 32))
    hours: Values = frozenset(range(24))
    minutes: Values = frozenset({0})
    seconds: Values = frozenset({0})
    utc: bool = False

    @property
    def every_day(self) -> bool:
        return len(self.weekdays) == 7 and not self.years and len(self.months) == 12 and len(self.days) == 31

    @property
    def period(self) -> int:
        """Minutes after which it repeats within an hour; 60 when once an hour, or without a pattern."""
        for step in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30):
            if {(minute + step) % 60 for minute in self.minutes} == self.minutes:
                return step
        return 60

    def shifted(self, by: int) -> Event:
        """The same rhythm ``by`` minutes later, within the same hours."""
        return replace(self, minutes=frozenset((minute + by) % 60 for minute in self.minutes))

    def shift_from(self, other: Event) -> int | None:
        """By how many minutes, less than the period, this one is shifted against another; None: it is not."""
        return next((by for by in range(other.period) if other.shifted(by) == self), None)


def normal_form(text: str) -> Event | None:
    """What a calendar event means, None when it cannot be read here."""
    return _parsed(" ".join(text.lower().split()))


def same(one: str | None, other: str | None) -> bool:
    """Whether two spellings mean the same; an absent one stands for the default of Proxmox VE."""
    one, other = (" ".join((text or DEFAULT).lower().split()) for text in (one, other))
    if one == other:
        return True
    event = _parsed(one)
    return event is not None and event == _parsed(other)


def longest_gap(text: str, start: int) -> tuple[int, int] | None:
    """Where the longest pause between two runs begins, and how long it is, in seconds.

    :param start: Unix time by a clock that shows local time as UTC. None when it cannot be read, or never comes twice.
    """
    event = normal_form(text)
    return None if event is None else _longest(event, start - start % DAY)


def render(event: Event) -> str:
    """A short spelling of the event."""
    day = "" if len(event.weekdays) == 7 else ",".join(_DAYS[number] for number in sorted(event.weekdays)) + " "
    if event.years or len(event.months) < 12 or len(event.days) < 31:
        date = (_listed(event.years, 0), _listed(event.months, 12), _listed(event.days, 31))
        day += "-".join(date) + " "
    seconds = "" if event.seconds == {0} else f":{_listed(event.seconds, 60)}"
    zone = " UTC" if event.utc else ""
    if not day and not seconds and len(event.hours) == 24 and len(event.minutes) > 1:
        return f"{_minutes(event)}{zone}"
    return f"{day}{_listed(event.hours, 24)}:{_minutes(event)}{seconds}{zone}"


# ---------------------------------------------------------------- reading


@functools.lru_cache(maxsize=4096)
def _parsed(text: str) -> Event | None:
    words = _WORDS.get(text, text).split()
    utc = bool(words) and words[-1] == "utc"
    words = words[:-1] if utc else words
    weekdays = _weekdays(words[0]) if words else None
    words = words[1:] if weekdays is not None else words
    date = _date(words[0]) if words and "-" in words[0] else None
    if words and "-" in words[0]:
        if date is None:
            return None
        words = words[1:]
    if len(words) > 1 or (not words and weekdays is None and date is None):
        return None
    time = _time(words[0]) if words else (frozenset({0}), frozenset({0}), frozenset({0}))
    if time is None:
        return None
    years, months, days = date or (frozenset(), frozenset(range(1, 13)), frozenset(range(1, 32)))
    return Event(weekdays if weekdays is not None else frozenset(range(7)), years, months, days, *time, utc=utc)


def _weekdays(word: str) -> Values | None:
    found: set[int] = set()
    for part in word.split(","):
        first, _dots, last = part.partition("..")
        start, end = _weekday(first), _weekday(last or first)
        if start is None or end is None:
            return None
        found |= set(range(start, end + 1)) if end >= start else {*range(start, 7), *range(end + 1)}
    return frozenset(found)


def _weekday(name: str) -> int | None:
    return next((names.index(name) for names in (_DAYS, _FULL) if name in names), None)


def _date(word: str) -> tuple[Values, Values, Values] | None:
    parts = word.split("-")
    if len(parts) == 2:
        parts = ["*", *parts]
    if len(parts) != 3:
        return None
    years = frozenset() if parts[0] == "*" else _values(parts[0], 1970, 2199)
    months, days = _values(parts[1], 1, 12), _values(parts[2], 1, 31)
    return None if years is None or months is None or days is None else (years, months, days)


def _time(word: str) -> tuple[Values, Values, Values] | None:
    parts = word.split(":")
    if len(parts) == 1:
        parts = ["*", *parts]
    if len(parts) > 3:
        return None
    hours, minutes = _values(parts[0], 0, 23), _values(parts[1], 0, 59)
    seconds = _values(parts[2], 0, 59) if len(parts) == 3 else frozenset({0})
    return None if hours is None or minutes is None or seconds is None else (hours, minutes, seconds)


def _values(spec: str, least: int, most: int) -> Values | None:
    found: set[int] = set()
    for part in spec.split(","):
        match = _PART.match(part)
        if match is None or match[3] == "0":
            return None
        start = least if match[1] == "*" else int(match[1])
        single = match[1] != "*" and match[2] is None and match[3] is None
        end = start if single else int(match[2]) if match[2] else most
        if start < least or end > most:
            return None
        found |= set(range(start, end + 1, int(match[3] or 1)))
    return frozenset(found) or None


# ---------------------------------------------------------------- gaps


@functools.lru_cache(maxsize=4096)
def _longest(event: Event, start: int) -> tuple[int, int] | None:
    times = sorted(
        hour * 3600 + minute * 60 + second
        for hour in event.hours
        for minute in event.minutes
        for second in event.seconds
    )
    inside = max(((b - a, a) for a, b in itertools.pairwise(times)), default=(0, 0))
    best: tuple[int, int] | None = None
    last: int | None = None
    for day in _days(event, start):
        if last is not None and (best is None or day + times[0] - last > best[1]):
            best = (last, day + times[0] - last)
        if best is None or inside[0] > best[1]:
            best = (day + inside[1], inside[0]) if inside[0] else best
        last = day + times[-1]
    return best


def _days(event: Event, start: int) -> Iterator[int]:
    """Days that fit, as the Unix time of their beginning: a month, or as many years as the event needs."""
    span = 15 if event.every_day else 366 * (9 if event.years or event.days == {29} else 2)
    first = dt.datetime.fromtimestamp(start, dt.timezone.utc).date()
    for number in range(span):
        day = first + dt.timedelta(days=number)
        if event.years and day.year not in event.years:
            continue
        if day.month in event.months and day.day in event.days and day.weekday() in event.weekdays:
            yield start + number * DAY


# ---------------------------------------------------------------- writing


def _minutes(event: Event) -> str:
    step = event.period
    if step == 1:
        return "*"
    first = min(event.minutes)
    if step < 60 and event.minutes == frozenset(range(first, 60, step)):
        return f"*/{step}" if first == 0 else f"{first}/{step}"
    return _listed(event.minutes, 60)


def _listed(values: Iterable[int], all_of_them: int) -> str:
    """``*`` for all, else numbers and ranges; hours, minutes and seconds with two digits."""
    numbers = sorted(values)
    if len(numbers) == all_of_them:
        return "*"
    width = 2 if all_of_them in (24, 60) else 1
    parts: list[str] = []
    for number in numbers:
        if parts and int(parts[-1].split("..")[-1]) == number - 1:
            parts[-1] = f"{parts[-1].split('..')[0]}..{number:0{width}d}"
        else:
            parts.append(f"{number:0{width}d}")
    return ",".join(parts)
