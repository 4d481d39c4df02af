# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A verdict as a table for the terminal, the worst first."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.pve.mobility.plugins.plugin_utils.progress import duration, size

ROWS = 40
"""Findings that are shown; the rest is counted by id, and is in the result and the report."""

_COLOUR = {"block": "red", "warn": "yellow", "info": None}


def lines(result: Mapping[str, Any], width: int) -> Iterator[tuple[str, str | None]]:
    """Lines and their colours (None: the terminal's own), from a result of ``preflight``."""
    yield _head(result, width), None
    findings: Sequence[Mapping[str, Any]] = result["findings"]
    if not findings:
        return
    yield "", None
    shown = findings[:ROWS]
    subjects = [subject(row, result["names"]) for row in shown]
    first = min(max(map(len, subjects), default=0), 28)
    second = max(len(row["id"]) for row in shown)
    room = max(width - first - second - 14, 40)
    left = room * 3 // 5
    for row, name in zip(shown, subjects, strict=True):
        yield from _row(row, name, first, second, left, room - left)
    if len(findings) > ROWS:
        rest = Counter(row["id"] for row in findings[ROWS:])
        counted = ", ".join(f"{name} {count}" for name, count in rest.most_common())
        yield f" … and {len(findings) - ROWS} more: {counted}", None


def subject(row: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """What a finding is about: the guest by number and name, else the node, else the storage."""
    if row.get("guest") is not None:
        return names.get(str(row["guest"]), str(row["guest"]))
    return str(row.get("node") or row.get("storage") or "cluster")


def moving(result: Mapping[str, Any]) -> str:
    """``would move 61 GiB, about 14 min``; empty when nothing would move."""
    estimate = result["estimate"]
    if not estimate["seconds"]:
        return ""
    return f"would move {size(estimate['bytes'])}, about {duration(estimate['seconds'])}"


def counted(result: Mapping[str, Any]) -> str:
    """``2 block, 3 warn``."""
    summary = result["summary"]
    parts = [f"{summary[name]} {name}" for name in ("block", "warn") if summary[name]]
    if summary["accepted"]:
        parts.append(f"{summary['accepted']} accepted")
    return ", ".join(parts) or "nothing to object to"


def _head(result: Mapping[str, Any], width: int) -> str:
    text = f"{result['title']}, {counted(result)}"
    more = moving(result)
    return f"{text}{more:>{max(width - len(text), len(more) + 3)}}" if more else text


def _row(
    row: Mapping[str, Any], name: str, first: int, second: int, left: int, right: int
) -> Iterator[tuple[str, str | None]]:
    severity = "accept" if row.get("accepted") else row["severity"]
    word = severity.upper() if severity == "block" else severity
    message = textwrap.wrap(row["message"], left) or [""]
    remedy = textwrap.wrap(row["remedy"], right) or [""]
    subjects = textwrap.wrap(name, first) or [""]
    colour = _COLOUR.get(severity)
    for index in range(max(len(message), len(remedy), len(subjects))):
        cells = (
            f"{word if index == 0 else '':<6}",
            f"{_at(subjects, index):<{first}}",
            f"{row['id'] if index == 0 else '':<{second}}",
            f"{_at(message, index):<{left}}",
            _at(remedy, index),
        )
        yield f" {'  '.join(cells)}".rstrip(), colour


def _at(rows: Sequence[str], index: int) -> str:
    return rows[index] if index < len(rows) else ""
