# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calendar events: Proxmox VE's subset of systemd's ``OnCalendar`` (pve-facts §6.3).

``[WEEKDAY] [[YEAR-]MONTH-DAY] [HOUR:MINUTE[:SECOND]]``; a single number is a minute. Times are UTC in the lab.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lab.http.formats import Misfit, format_check

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FULL = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WORDS = {
    "minutely": "*:*", "hourly": "*:0", "daily": "0:0", "weekly": "mon 0:0", "monthly": "*-*-1 0:0",
    "quarterly": "*-1,4,7,10-1 0:0", "semiannually": "*-1,7-1 0:0", "semi-annually": "*-1,7-1 0:0",
    "yearly": "*-1-1 0:0", "annually": "*-1-1 0:0",
}  # fmt: skip
MOST_YEARS = 50
Date = tuple[frozenset[int] | None, frozenset[int] | None, frozenset[int] | None]
Time = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Event:
    """Which values each part of a time may have; None: all."""

    weekdays: frozenset[int] | None
    years: frozenset[int] | None
    months: frozenset[int] | None
    days: frozenset[int] | None
    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]


class BadEvent(ValueError):
    """Not a calendar event; the words of the parser."""


@functools.lru_cache(maxsize=1024)
def parse_event(text: str) -> Event:
    """:raises BadEvent: with the parser's words."""
    words = text.split()
    if not words:
        raise BadEvent("unable to parse calendar event - event is empty")
    if len(words) == 1 and words[0].lower() in WORDS:
        words = WORDS[words[0].lower()].split()
    rest = list(words)
    weekdays = _weekdays(rest[0]) if rest else None
    if weekdays is not None:
        rest.pop(0)
    if rest and rest[-1] == "UTC":
        rest.pop()
    date: Date = (None, None, None)
    has_date = bool(rest) and "-" in rest[0]
    if has_date:
        date = _date(rest.pop(0), text)
    if rest and rest[0][0].isalpha():
        raise BadEvent(f"unable to parse calendar event at '{rest[0]}' - Context(\"weekday\")")
    time: Time | None = ((0,), (0,), (0,)) if weekdays is not None or has_date else None
    if rest:
        time = _time(rest.pop(0), text)
    if rest:
        raise BadEvent(f"unable to parse calendar event at ' {' '.join(rest)}' - Nom(Eof)")
    if time is None:
        raise BadEvent(f"unable to parse calendar event at '{text}' - Context(\"date or time specification\")")
    return Event(weekdays, *date, *time)


def _weekdays(word: str) -> frozenset[int] | None:
    found: set[int] = set()
    for part in word.lower().split(","):
        first, _dots, last = part.partition("..")
        start, end = _weekday(first), _weekday(last or first)
        if start is None or end is None:
            return None
        found |= set(range(start, end + 1)) if end >= start else {*range(start, 7), *range(end + 1)}
    return frozenset(found)


def _weekday(name: str) -> int | None:
    for names in (_DAYS, _FULL):
        if name in names:
            return names.index(name)
    return None


def _date(word: str, text: str) -> Date:
    parts = word.split("-")
    if len(parts) == 2:
        parts = ["*", *parts]
    if len(parts) != 3:
        raise BadEvent(f"unable to parse calendar event at '{text}' - Context(\"date\")")
    ranges = ((1970, 2199), (1, 12), (1, 31))
    year, month, day = (
        None if part == "*" else frozenset(_values(part, *limits, text))
        for part, limits in zip(parts, ranges, strict=True)
    )
    return year, month, day


def _time(word: str, text: str) -> Time:
    parts = word.split(":")
    if len(parts) == 1:
        return tuple(range(24)), tuple(_values(parts[0], 0, 59, text)), (0,)
    if len(parts) == 2 and parts[0].isdigit() and int(parts[0]) > 23:
        # The recorded cluster read 25:00 as minute and second.
        return tuple(range(24)), tuple(_values(parts[0], 0, 59, text)), tuple(_values(parts[1], 0, 59, text))
    if len(parts) > 3:
        raise BadEvent(f"unable to parse calendar event at '{text}' - Context(\"time\")")
    limits = ((0, 23), (0, 59), (0, 59))
    values = [tuple(_values(part, *limit, text)) for part, limit in zip(parts, limits, strict=False)]
    return values[0], values[1], values[2] if len(values) > 2 else (0,)


def _values(spec: str, least: int, most: int, text: str) -> list[int]:
    found: set[int] = set()
    for part in spec.split(","):
        match = re.fullmatch(r"(\*|\d+)(?:\.\.(\d+))?(?:/(\d+))?", part)
        if match is None:
            raise BadEvent(f"unable to parse calendar event at '{text}' - Context(\"date or time specification\")")
        start = least if match[1] == "*" else int(match[1])
        if match[3] == "0":
            raise BadEvent("unable to parse calendar event at '/0' - Nom(Eof)")
        single = match[1] != "*" and match[2] is None and match[3] is None
        end = start if single else int(match[2]) if match[2] else most
        if start < least or end > most:
            raise BadEvent(f"unable to parse calendar event at '{text}' - Context(\"date or time specification\")")
        found |= set(range(start, end + 1, int(match[3] or 1)))
    return sorted(found)


@functools.lru_cache(maxsize=16384)
def next_event(text: str, last: int) -> int:
    """The first time after ``last`` (Unix time), 0 when there is none."""
    event = parse_event(text)
    begin = dt.datetime.fromtimestamp(last, dt.UTC)
    for day in _days(event, begin.date()):
        for hour in event.hours:
            if day == begin.date() and hour < begin.hour:
                continue
            for minute in event.minutes:
                for second in event.seconds:
                    moment = dt.datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=dt.UTC)
                    if moment > begin:
                        return int(moment.timestamp())
    return 0


def _days(event: Event, first: dt.date) -> Iterator[dt.date]:
    day = first
    while day.year < first.year + MOST_YEARS:
        if event.years is not None and day.year not in event.years:
            if day.year > max(event.years):
                return
            day = dt.date(day.year + 1, 1, 1)
            continue
        fits = event.months is None or day.month in event.months
        fits = fits and (event.days is None or day.day in event.days)
        if fits and (event.weekdays is None or day.weekday() in event.weekdays):
            yield day
        day += dt.timedelta(days=1)


@format_check("pve-calendar-event")
def check_event(value: str) -> None:
    try:
        parse_event(value)
    except BadEvent as error:
        raise Misfit(f"invalid calendar event '{value}' - {error}\n\n") from error
