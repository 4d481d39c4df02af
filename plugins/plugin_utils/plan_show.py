# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A plan for an upgrade on the terminal: the whole in a line, then a line for each node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.pve.mobility.plugins.plugin_utils.drain_show import count, untold
from ansible_collections.pve.mobility.plugins.plugin_utils.progress import duration, size

ROWS = 20
"""Guests that stay and problems that are listed; the rest is counted, and is in the plan."""


def title(plan: Mapping[str, Any]) -> str:
    """``Rolling upgrade of 5 nodes from 9.1.4 to 9.2.11``."""
    before = sorted({step["before"] for step in plan["steps"] if step["before"] and not step["skipped"]})
    text = f"Rolling upgrade of {count(len(plan['nodes']), 'node')}"
    if before:
        text += f" from {' and '.join(before)}"
    return text + (f" to {plan['goal']}" if plan["goal"] else "")


def figures(plan: Mapping[str, Any]) -> str:
    """``212 moves (lower bound 208), 318 GiB (blind: 11.4 TiB), about 1 h 50 min``."""
    text = f"{count(len(plan['moves']), 'move')} (lower bound {plan['bounds']['moves']}), {size(plan['bytes'])}"
    if plan["blind_bytes"] > plan["bytes"]:
        text += f" (blind: {size(plan['blind_bytes'])})"
    return f"{text}, about {duration(plan['seconds'])}"


def lines(plan: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Lines and their colours (None: the terminal's own)."""
    yield f"{title(plan)}: {figures(plan)}", None
    yield "", None
    moves: dict[int, list[Mapping[str, Any]]] = {}
    for move in plan["moves"]:
        moves.setdefault(move["step"], []).append(move)
    width = max((len(step["node"]) for step in plan["steps"]), default=0)
    for step in plan["steps"]:
        yield from _step(plan, step, moves.get(step["number"], []), width)
    holding = [stay for stay in plan["stays"] if stay["fate"] == "holds"]
    held = {stay["node"] for stay in holding}
    for left in plan["left"]:
        # What holds a node is told with the guest that does.
        if left["node"] not in held:
            yield f"  {left['node']} is left alone: {left['why']}", None
    yield from _stays(plan)
    problems = untold(plan, holding[:ROWS])
    for problem in problems[:ROWS]:
        yield f"  {problem}", "red"
    if len(problems) > ROWS:
        yield f"  … and {len(problems) - ROWS} more problems", "red"


def peak(plan: Mapping[str, Any], number: int) -> tuple[str, int] | None:
    """The node whose memory a step fills most, and per cent of it; None when it fills none."""
    rooms = [
        room for room in plan["proof"]["rooms"] if room["step"] == number and not room["storage"] and room["limit"]
    ]
    if not rooms:
        return None
    most = max(rooms, key=lambda room: room["peak"] / room["limit"])
    return most["node"], round(100 * most["peak"] / most["limit"])


def _step(
    plan: Mapping[str, Any], step: Mapping[str, Any], moves: list[Mapping[str, Any]], width: int
) -> Iterator[tuple[str, str | None]]:
    number = f"{step['number']:2}. {step['node'] or 'homing':{width}}"
    if step["skipped"]:
        yield f"{number}  left as it is", "yellow"
        return
    if step["kind"] == "install":
        yield f"{number}  upgraded in place, nothing restarts", None
        return
    if not moves:
        yield f"{number}  no guest has to move", None
        return
    targets = Counter(move["target"] for move in moves)
    names = " ".join(sorted(targets)) if len(targets) <= 6 else f"{len(targets)} nodes"
    fullest = peak(plan, step["number"])
    most = f"   peak memory {fullest[1]} % on {fullest[0]}" if fullest else ""
    yield f"{number}  {count(len(moves), 'move')} → {names}   {duration(step['seconds'])}{most}", None


def _stays(plan: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    told = [stay for stay in plan["stays"] if stay["fate"] != "stays"]
    for stay in told[:ROWS]:
        word = "will be shut down meanwhile" if stay["fate"] == "stop" else f"holds {stay['node']}"
        colour = "yellow" if len(untold(plan, [stay])) == len(plan["problems"]) else "red"
        yield f"  {stay['guest']} {stay['name']}  {word}: {stay['why']}", colour
    if len(told) > ROWS:
        yield f"  … and {len(told) - ROWS} more guests that cannot move", "yellow"
    quiet = sum(stay["fate"] == "stays" for stay in plan["stays"])
    if quiet:
        does, stays = ("does", "stays") if quiet == 1 else ("do", "stay")
        yield f"  {count(quiet, 'guest')} that {does} not run or need not move {stays}", None
