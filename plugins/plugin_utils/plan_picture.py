# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pictures of a plan: what each node does when, and how much memory is promised on it. Plain numbers for SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.plugin_utils.progress import duration

WIDTH = 900.0
"""Of the time axis."""
POINTS = 240
"""Columns into which a curve of memory is gathered."""
_TICKS = (60, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 172800, 604800)


def timeline(plan: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """One row a node. Bars: ``out`` its guests leave, ``work`` it is upgraded, ``in`` guests arrive."""
    whole = max(plan["seconds"], 1.0)
    scale = WIDTH / whole
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for step in plan["steps"]:
        if step["skipped"]:
            continue
        for span in _arrivals(plan, step):
            rows.setdefault(span["node"], []).append(span)
        if step["kind"] != "home":
            rows.setdefault(step["node"], []).extend(_own(step))
    return {
        "rows": [
            {
                "name": name,
                "bars": [
                    {**span, "x": round(span["start"] * scale, 1), "width": round(max(span["seconds"] * scale, 1.5), 1)}
                    for span in bars
                ],
            }
            for name, bars in rows.items()
        ],
        "ticks": _ticks(whole, scale),
        "width": WIDTH,
        "height": 22 * len(rows) + 24,
    }


def _own(step: Mapping[str, Any]) -> list[dict[str, Any]]:
    bars = []
    if step["moves"]:
        text = f"{step['node']}: its guests leave, {duration(step['seconds'])}"
        bars.append({"kind": "out", "start": step["start"], "seconds": step["seconds"], "text": text})
    if step["work"]:
        what = "is upgraded and restarts" if step["kind"] == "upgrade" else "is upgraded in place"
        text = f"{step['node']} {what}, {duration(step['work'])} assumed"
        begin = step["start"] + step["seconds"]
        bars.append({"kind": "work", "start": begin, "seconds": step["work"], "text": text})
    return bars


def _arrivals(plan: Mapping[str, Any], step: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for move in _of_step(plan).get(step["number"], ()):
        span = found.setdefault(
            move["target"],
            {"node": move["target"], "kind": "in", "start": move["start"], "end": 0.0, "count": 0},
        )
        span["start"] = min(span["start"], move["start"])
        span["end"] = max(span["end"], move["start"] + move["seconds"])
        span["count"] += 1
    for span in found.values():
        span["seconds"] = span["end"] - span["start"]
        guests = "1 guest arrives" if span["count"] == 1 else f"{span['count']} guests arrive"
        span["text"] = f"{span['node']}: {guests}, {duration(span['seconds'])}"
    return list(found.values())


def _of_step(plan: Mapping[str, Any]) -> dict[int, list[Mapping[str, Any]]]:
    found: dict[int, list[Mapping[str, Any]]] = {}
    for move in plan["moves"]:
        found.setdefault(move["step"], []).append(move)
    return found


def _ticks(whole: float, scale: float) -> list[dict[str, Any]]:
    every = next((tick for tick in _TICKS if whole / tick <= 9), _TICKS[-1])
    return [
        {"x": round(number * every * scale, 1), "text": duration(number * every) if number else "start"}
        for number in range(int(whole // every) + 1)
    ]


def memory(plan: Mapping[str, Any], state: ClusterState, headroom: float) -> list[dict[str, Any]]:
    """One curve a node: per cent of its memory that running guests are promised; both copies count while they move."""
    curves = []
    changes: dict[str, list[tuple[float, int]]] = {node.name: [] for node in state.nodes}
    for move in plan["moves"]:
        changes.setdefault(move["target"], []).append((move["start"], move["memory"]))
        changes.setdefault(move["source"], []).append((move["start"] + move["seconds"], -move["memory"]))
    whole = max(plan["seconds"], 1.0)
    for node in state.nodes:
        if not node.maxmem:
            continue
        first = sum(guest.maxmem for guest in state.guests_on(node.name) if guest.running)
        columns = _columns(first, sorted(changes[node.name]), whole)
        shares = [100 * value / node.maxmem for value in columns]
        curves.append(
            {
                "name": node.name,
                "before": round(100 * first / node.maxmem),
                "peak": round(max(shares)),
                "after": round(shares[-1]),
                "points": _path(shares),
                "limit": round(100 - headroom),
            }
        )
    return curves


def _columns(first: int, changes: Sequence[tuple[float, int]], whole: float) -> list[int]:
    """The most at any moment of each column, and the end."""
    highest: dict[int, int] = {}
    level = first
    last: dict[int, int] = {}
    for moment, more in changes:
        column = min(POINTS - 1, int(moment / whole * POINTS))
        highest[column] = max(highest.get(column, level), level, level + more)
        level += more
        last[column] = level
    found: list[int] = []
    level = first
    for column in range(POINTS):
        found.append(highest.get(column, level))
        level = last.get(column, level)
    found.append(level)
    return found


def _path(shares: Sequence[float]) -> str:
    """Steps in a box of 240 by 60, 100 per cent at the top."""
    parts: list[str] = []
    before: float | None = None
    for column, share in enumerate(shares):
        height = round(60 - min(share, 110.0) * 0.6, 1)
        if before is None:
            parts.append(f"M0 {height}")
        elif height != before:
            parts.append(f"H{column}V{height}")
        before = height
    return "".join([*parts, "H240"])
