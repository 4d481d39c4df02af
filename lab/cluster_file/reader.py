# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a mapping key by key, with one clear sentence for whatever is wrong in it."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

_SIZE = re.compile(r"^(\d+(?:\.\d+)?)\s*([KMGTP]?)(?:i?B)?$", re.IGNORECASE)
_SIZE_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
_RATE = re.compile(r"^(\d+(?:\.\d+)?)\s*(K|M|G)?(bit|B)?(?:/s)?$")
_RATE_UNITS = {None: 1, "K": 1000, "M": 1000**2, "G": 1000**3}
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_AGE_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_MISSING: Any = object()


class ClusterFileError(Exception):
    """The cluster file is wrong; the text is one sentence that names the place."""


def fail(where: str, text: str) -> NoReturn:
    raise ClusterFileError(f"{where}: {text}" if where else text)


def suggestion(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` or the known names, or nothing."""
    names = sorted(str(item) for item in known)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    if close and re.sub(r"\d", "", close[0]) != re.sub(r"\d", "", str(name)):
        return f" (did you mean '{close[0]}'?)"
    return f" (known: {', '.join(names)})" if names and len(names) <= 12 else ""


def kind_of(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "a boolean"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text '{value}'"
        case list():
            return "a list"
        case dict():
            return "a mapping"
    return f"a {type(value).__name__}"


# ---------------------------------------------------------------- single values


def as_text(where: str, value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, dt.date | dt.datetime):
        return str(value)
    fail(where, f"expected text, got {kind_of(value)}")


def as_int(where: str, value: Any, minimum: int | None = None) -> int:
    if isinstance(value, str) and re.fullmatch(r"-?\d+", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        fail(where, f"expected a whole number, got {kind_of(value)}")
    if minimum is not None and value < minimum:
        fail(where, f"must be at least {minimum}, got {value}")
    return value


def as_float(where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        fail(where, f"expected a number, got {kind_of(value)}")
    return float(value)


def as_bool(where: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in (0, 1):
        return bool(value)
    fail(where, f"expected true or false, got {kind_of(value)}")


def as_size(where: str, value: Any) -> int:
    """``512M``, ``32G``, ``1.5T`` (powers of 1024) or bytes."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _SIZE.match(value.strip()) if isinstance(value, str) else None
    if not match:
        fail(where, f"expected a size such as 512M or 32G, got {kind_of(value)}")
    return int(float(match[1]) * _SIZE_UNITS[match[2].upper()])


def as_rate(where: str, value: Any) -> float:
    """``10Gbit`` or ``50M``/``50MB/s`` (powers of 1000, bytes unless ``bit``) → bytes/s."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return float(value)
    match = _RATE.match(value.strip()) if isinstance(value, str) else None
    if not match:
        fail(where, f"expected a rate such as 10Gbit or 50MB/s, got {kind_of(value)}")
    rate = float(match[1]) * _RATE_UNITS[match[2]]
    return rate / 8 if match[3] == "bit" else rate


def as_age(where: str, value: Any) -> float:
    """``90s``, ``15m``, ``1h30m``, ``12d`` or a number of seconds → seconds."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return float(value)
    if isinstance(value, str):
        parts = _AGE.findall(value)
        if parts and not _AGE.sub("", value).strip():
            return sum(float(number) * _AGE_UNITS[unit] for number, unit in parts)
    fail(where, f"expected a time span such as 90s, 15m or 2h, got {kind_of(value)}")


def as_time(where: str, value: Any) -> float:
    """``2026-11-23 06:00:00`` (UTC) or a Unix time → Unix time."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            fail(where, f"expected a time such as 2026-11-23 06:00:00, got {kind_of(value)}")
    if isinstance(value, dt.datetime):
        return (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).timestamp()
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC).timestamp()
    fail(where, f"expected a time such as 2026-11-23 06:00:00, got {kind_of(value)}")


def as_list(where: str, value: Any) -> list[Any]:
    """A list, or one item standing for a list of one."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def as_names(where: str, value: Any) -> list[str]:
    """A list of words, or one text with words separated by commas, semicolons or spaces."""
    if isinstance(value, str):
        return [item for item in re.split(r"[,;\s]+", value) if item]
    return [as_text(f"{where}[{index}]", item) for index, item in enumerate(as_list(where, value))]


# ---------------------------------------------------------------- mappings


class Map:
    """A mapping of the cluster file at a named place. Keys are taken; :meth:`done` refuses what nobody took."""

    def __init__(self, where: str, value: Any) -> None:
        if value is None:
            value = {}
        if not isinstance(value, dict):
            fail(where or "cluster file", f"expected a mapping (key: value), got {kind_of(value)}")
        self.where = where
        self._left = dict(value)
        self._known: set[str] = set()

    def at(self, key: Any) -> str:
        return f"{self.where}.{key}" if self.where else str(key)

    def has(self, key: str) -> bool:
        return key in self._left

    def take(self, key: str, default: Any = None) -> Any:
        self._known.add(key)
        return self._left.pop(key, default)

    def _typed(self, key: str, default: Any, convert: Any) -> Any:
        value = self.take(key, _MISSING)
        if value is _MISSING or value is None:
            return default
        return convert(self.at(key), value)

    def text(self, key: str, default: str | None = None) -> Any:
        return self._typed(key, default, as_text)

    def integer(self, key: str, default: int | None = None, minimum: int | None = None) -> Any:
        value = self._typed(key, default, as_int)
        if minimum is not None and value is not None and value < minimum:
            fail(self.at(key), f"must be at least {minimum}, got {value}")
        return value

    def number(self, key: str, default: float | None = None) -> Any:
        return self._typed(key, default, as_float)

    def flag(self, key: str, default: bool = False) -> bool:
        return bool(self._typed(key, default, as_bool))

    def size(self, key: str, default: int | None = None) -> Any:
        return self._typed(key, default, as_size)

    def rate(self, key: str, default: float | None = None) -> Any:
        return self._typed(key, default, as_rate)

    def age(self, key: str, default: float | None = None) -> Any:
        return self._typed(key, default, as_age)

    def time(self, key: str, default: float | None = None) -> Any:
        return self._typed(key, default, as_time)

    def names(self, key: str) -> list[str]:
        return list(self._typed(key, [], as_names))

    def rows(self, key: str) -> list[Any]:
        return list(self._typed(key, [], as_list))

    def map(self, key: str) -> Map:
        return Map(self.at(key), self.take(key))

    def choice(self, key: str, choices: Iterable[str], default: str | None = None) -> Any:
        value = self.text(key, default)
        if value is not None and value not in set(choices):
            fail(self.at(key), f"'{value}' is not one of {', '.join(sorted(choices))}")
        return value

    def left(self) -> list[str]:
        """The keys that nobody has taken yet."""
        return [str(key) for key in self._left]

    def rest(self) -> Iterator[tuple[str, Any]]:
        """Take everything that is left; keys as text."""
        for key in list(self._left):
            yield str(key), self._left.pop(key)

    def items(self) -> Iterator[tuple[str, Map]]:
        """Take everything that is left as mappings by name."""
        for key, value in self.rest():
            yield key, Map(self.at(key), value)

    def done(self, extra: Iterable[str] = ()) -> None:
        for key in self._left:
            known = self._known | set(extra)
            fail(self.where or "cluster file", f"unknown key '{key}'{suggestion(str(key), known)}")
