# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a polling client sees: the changes of an answer over virtual time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance.client import Answer, Cut, Lab

TIMELINES = Path(__file__).resolve().parent / "timelines"
CONNECTION_ERROR = "conn-error"

Look = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Change:
    """From ``at`` (seconds since polling began) on the answer was ``value``."""

    at: float
    value: Any


def poll(lab: Lab, looks: Mapping[str, Look], seconds: float, interval: float = 0.25) -> dict[str, list[Change]]:
    """Ask everything again and again for ``seconds``; the changes of each answer."""
    start = lab.now
    changes: dict[str, list[Change]] = {name: [] for name in looks}
    while lab.now - start < seconds:
        for name, look in looks.items():
            value = look()
            seen = changes[name]
            if not seen or seen[-1].value != value:
                seen.append(Change(lab.now - start, value))
        lab.advance(interval)
    return changes


def status(lab: Lab, path: str, node: str) -> Look:
    """The HTTP status of a GET, or ``conn-error``."""

    def look() -> Any:
        return _status(lambda: lab.request("GET", path, node=node))

    return look


def _status(request: Callable[[], Answer]) -> Any:
    try:
        return request().status
    except Cut:
        return CONNECTION_ERROR


def values(changes: list[Change]) -> list[Any]:
    return [change.value for change in changes]


def span(changes: list[Change], value: Any) -> tuple[float, float]:
    """When ``value`` first appeared, and when something else followed it."""
    for index, change in enumerate(changes):
        if change.value == value:
            assert index + 1 < len(changes), f"{value!r} lasts to the end: {changes}"
            return change.at, changes[index + 1].at
    raise AssertionError(f"{value!r} was never seen: {changes}")


def recorded(name: str, endpoint: str, first: float, last: float) -> list[Change]:
    """The changes of the HTTP status of an endpoint in a recorded timeline, between two of its times."""
    found: list[Change] = []
    with open(TIMELINES / f"{name}.jsonl", encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            if line.get("endpoint") != endpoint or not line["t"] <= last:
                continue
            change = Change(line["t"] - first, line["status"])
            if line["t"] < first:
                found = [Change(0.0, line["status"])]
            elif not found or found[-1].value != change.value:
                found.append(change)
    return found
