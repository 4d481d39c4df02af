# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the lab's answer look like the recorded one?

Same status, reason and error texts; same keys and types in the body, recursively. Elements of a list are compared by
shape: what the recording's elements have between them, the lab's must have between them, grouped by their ``type``.
Task logs are compared line by line with numbers masked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from lab.http.gateway import Answer

_TEXTS = frozenset({"exitstatus", "status", "qmpstatus", "type", "message"})
"""String values that are compared, not only typed."""

ARTEFACTS = (
    # Stock QEMU without KVM, and an imitation of the zfs commands (recorded/README.md).
    re.compile(r"query-backup"),
    re.compile(r"conntrack state migration not supported"),
    re.compile(r"using Debian \d"),
)

_MASKS = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "<time>"),
    (re.compile(r"UPID:\S+?:(?=$|[\s'\"])"), "<upid>"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "<time>"),
    (re.compile(r"\d+(?:\.\d+)?\s?(?:[KMGT]i?B|[KMGT]|B|bytes)(?:/s)?\b"), "<size>"),
    (re.compile(r"\b0x[0-9a-f]+\b"), "<n>"),
    (re.compile(r"\d+(?:\.\d+)?"), "<n>"),
)


def masked(line: str) -> str:
    """A log line without the numbers that differ from run to run."""
    for pattern, replacement in _MASKS:
        line = pattern.sub(replacement, line)
    return line


def log_shape(rows: Iterable[Mapping[str, Any]], ignore: Iterable[str] = ()) -> list[str]:
    """Masked lines, progress lines that repeat taken together, artefacts and ``ignore`` left out."""
    patterns = [*ARTEFACTS, *(re.compile(pattern) for pattern in ignore)]
    lines: list[str] = []
    for row in rows:
        text = str(row["t"])
        if any(pattern.search(text) for pattern in patterns):
            continue
        line = masked(text)
        if not lines or lines[-1] != line:
            lines.append(line)
    return lines


def differences(
    recorded: Mapping[str, Any], answer: Answer, allow: Iterable[str] = (), ignore_lines: Iterable[str] = ()
) -> list[str]:
    """What is wrong with ``answer``, one line each.

    :param allow: patterns of places such as ``data[].uptime`` that may differ.
    """
    found = []
    if answer.status != recorded["status"]:
        found.append(f"status: recorded {recorded['status']}, lab {answer.status}")
    if _text(answer.reason) != _text(recorded["reason"]):
        found.append(f"reason: recorded {recorded['reason']!r}, lab {answer.reason!r}")
    wanted = recorded["body"]
    if not isinstance(wanted, dict):
        if answer.body is not None:
            found.append(f"body: recorded none, lab {answer.body!r}")
    elif answer.body is None:
        found.append("body: recorded one, lab none")
    else:
        found += _body(wanted, answer.body, list(ignore_lines))
    patterns = list(allow)
    return [line for line in found if not any(fnmatchcase(line.partition(": ")[0], item) for item in patterns)]


def _text(reason: str) -> str:
    return re.sub(r"\.tmp\.\d+", ".tmp.<n>", reason).rstrip()


def _body(wanted: dict[str, Any], got: dict[str, Any], ignore_lines: list[str]) -> Iterator[str]:
    for key in sorted(set(wanted) | set(got)):
        if key not in got or key not in wanted:
            yield f"{key}: {'missing' if key in wanted else 'not in the recording'}"
        elif key == "message" and _text(wanted[key]) != _text(got[key]):
            yield f"message: recorded {wanted[key]!r}, lab {got[key]!r}"
        elif key == "errors":
            yield from _errors(wanted[key], got[key])
        elif key == "data" and _is_log(wanted[key]) and _is_log(got[key]):
            left, right = log_shape(wanted[key], ignore_lines), log_shape(got[key], ignore_lines)
            if left != right:
                yield "log: " + _first_difference(left, right)
        elif key != "message":
            yield from _value(key, wanted[key], got[key])


def _errors(wanted: dict[str, str], got: dict[str, str]) -> Iterator[str]:
    for key in sorted(set(wanted) | set(got)):
        if wanted.get(key) != got.get(key):
            yield f"errors.{key}: recorded {wanted.get(key)!r}, lab {got.get(key)!r}"


def _is_log(data: Any) -> bool:
    return (
        isinstance(data, list) and bool(data) and all(isinstance(row, dict) and set(row) == {"n", "t"} for row in data)
    )


def _first_difference(left: list[str], right: list[str]) -> str:
    for number, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return f"line {number + 1}: recorded {one!r}, lab {other!r}"
    longer, who = (left, "only recorded") if len(left) > len(right) else (right, "only in the lab")
    return f"line {min(len(left), len(right)) + 1}: {who}: {longer[min(len(left), len(right))]!r}"


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def _value(place: str, wanted: Any, got: Any) -> Iterator[str]:
    if _kind(wanted) != _kind(got):
        yield f"{place}: recorded {_kind(wanted)} {_short(wanted)}, lab {_kind(got)} {_short(got)}"
    elif isinstance(wanted, dict):
        yield from _object(place, [wanted], [got])
    elif isinstance(wanted, list):
        yield from _array(place, wanted, got)
    elif isinstance(wanted, str) and place.rpartition(".")[2] in _TEXTS and masked(wanted) != masked(got):
        yield f"{place}: recorded {wanted!r}, lab {got!r}"


def _array(place: str, wanted: list[Any], got: list[Any]) -> Iterator[str]:
    place = f"{place}[]"
    if bool(wanted) != bool(got):
        yield f"{place}: recorded {len(wanted)} elements, lab {len(got)}"
        return
    if not all(isinstance(item, dict) for item in (*wanted, *got)):
        kinds, lab_kinds = ({_kind(item) for item in items} for items in (wanted, got))
        if kinds != lab_kinds:
            yield f"{place}: recorded {sorted(kinds)}, lab {sorted(lab_kinds)}"
        return
    groups, lab_groups = _grouped(wanted), _grouped(got)
    for name in sorted(set(groups) | set(lab_groups)):
        if name not in lab_groups or name not in groups:
            who = "only recorded" if name in groups else "only in the lab"
            yield f"{place}: elements of type {name!r} {who}"
        else:
            yield from _object(place, groups[name], lab_groups[name])


def _grouped(items: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        kind = item.get("type")
        groups.setdefault(kind if isinstance(kind, str) else "", []).append(item)
    return groups


def _object(place: str, wanted: list[dict[str, Any]], got: list[dict[str, Any]]) -> Iterator[str]:
    """Compare what objects have between them; a key that all recorded ones have, all of the lab's must have."""
    ever, lab_ever = ({key for item in items for key in item} for items in (wanted, got))
    for key in sorted(ever | lab_ever):
        where = f"{place}.{key}"
        if key not in lab_ever:
            yield f"{where}: missing"
            continue
        if key not in ever:
            shown = [item[key] for item in got if key in item][0]  # noqa: RUF015  (next() may end a generator silently)
            yield f"{where}: not in the recording (lab {_short(shown)})"
            continue
        if all(key in item for item in wanted) and not all(key in item for item in got):
            yield f"{where}: missing in some elements"
        if len(wanted) == len(got) == 1:
            yield from _value(where, wanted[0][key], got[0][key])
            continue
        kinds, lab_kinds = ({_kind(item[key]) for item in items if key in item} for items in (wanted, got))
        if not lab_kinds <= kinds:
            yield f"{where}: recorded {sorted(kinds)}, lab {sorted(lab_kinds)}"
        elif kinds == {"object"}:
            yield from _object(where, [i[key] for i in wanted if key in i], [i[key] for i in got if key in i])


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
