# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A drain on the terminal: the plan first, then a line a step for each guest, and how far the whole is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ansible.utils.display import Display

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.plugin_utils import progress
from ansible_collections.pve.mobility.plugins.plugin_utils.watch import STEP

ROWS = 30
"""Moves of a plan that are listed; the rest is counted, and is in the result and the report."""

Call = Callable[[dict[str, Any]], "dict[str, Any]"]


def count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def plan_lines(plan: Mapping[str, Any], number: int | None = None) -> Iterator[tuple[str, str | None]]:
    """Lines and their colours (None: the terminal's own) for a step of a plan."""
    steps = plan.get("steps") or ()
    step = next((item for item in steps if number in (None, item["number"])), None)
    if step is None:
        return
    wanted = set(step["moves"])
    moves = [move for move in plan["moves"] if move["id"] in wanted]
    stays = [stay for stay in plan["stays"] if stay["step"] == step["number"]]
    what = f"Draining {step['node']}" if step["node"] else "Bringing guests home"
    head = f"{what}: {count(len(moves), 'guest')}, {progress.size(step['bytes'])} to send"
    if plan.get("blind_bytes") and plan["blind_bytes"] > plan["bytes"] and len(steps) == 1:
        head += f" (without replicas {progress.size(plan['blind_bytes'])})"
    about = f", about {progress.duration(step['seconds'])}" if moves else ""
    yield f"{head}{about}", None
    targets = Counter(move["target"] for move in moves)
    if targets:
        yield "", None
    for move in moves[:ROWS]:
        yield f"  {_label(move)}  {move['source']} → {move['target']}  {_how(move)}", None
    if len(moves) > ROWS:
        more = ", ".join(f"{number} to {name}" for name, number in sorted(targets.items()))
        yield f"  … and {len(moves) - ROWS} more; in all {more}", None
    for stay in stays:
        colour = {"holds": "red", "stop": "yellow"}.get(stay["fate"])
        word = {"holds": "cannot leave", "stop": "will be shut down", "stays": "stays"}[stay["fate"]]
        remedy = f"; {stay['remedy']}" if stay["remedy"] and stay["fate"] == "holds" else ""
        yield f"  {stay['guest']} {stay['name']}  {word}: {stay['why']}{remedy}", colour
    for problem in untold(plan, stays):
        yield f"  {problem}", "red"


def untold(plan: Mapping[str, Any], stays: Iterable[Mapping[str, Any]]) -> list[str]:
    """Problems of a plan that are not about one of these guests, of which it is told already."""
    told = tuple(f"{stay['guest']} {stay['name']} cannot leave {stay['node']}: " for stay in stays)
    return [problem for problem in plan.get("problems") or () if not problem.startswith(told)]


def _label(move: Mapping[str, Any]) -> str:
    return f"{move['guest']} {move['name']}".rstrip()


def _how(move: Mapping[str, Any]) -> str:
    parts = [{"online": "live", "restart": "restarts", "offline": "does not run"}[move["mode"]]]
    if move["how"] == "maintenance":
        parts.append("with maintenance mode")
    elif move["how"] == "along":
        parts.append(f"along with {move['along']}")
    elif move["ha"]:
        parts.append("through HA")
    parts.append("to its replica" if move["replica"] else "")
    parts.append(progress.size(move["bytes"]) if move["bytes"] else "")
    return "  ".join(part for part in parts if part)


def total_line(node: str, totals: Mapping[str, Any]) -> str:
    """``pve1: 12 of 41 guests, 96 of 318 GiB, 3 moving, about 7 min left``."""
    parts = [f"{totals['done']} of {count(totals['guests'], 'guest')}"] if totals["guests"] else []
    if totals["bytes"]:
        parts.append(progress.amount(totals["sent"], totals["bytes"]))
    if totals["moving"]:
        parts.append(f"{totals['moving']} moving")
    if totals["syncing"]:
        parts.append(f"{totals['syncing']} replicating")
    if totals["failed"]:
        parts.append(f"{totals['failed']} failed")
    if totals["held_by"]:
        parts.append(f"waiting for {count(len(totals['held_by']), 'move')} that others began")
    if totals["eta_s"]:
        parts.append(f"about {progress.duration(totals['eta_s'])} left")
    return f"  {node or 'homing'}: {', '.join(parts)}"


def follow(call: Call, arguments: dict[str, Any], display: Display) -> dict[str, Any]:
    """Begin, and repeat short calls until it is over; the plan is said before, what has happened after each.

    :param call: runs the module with arguments and returns its result.
    """
    answer = begun = call({**arguments, "wait": False})
    look = STEP * max(1.0, Clock().speed)
    said: dict[int, str] = {}
    ended: set[tuple[int, str]] = set()
    summary = ""
    while not answer.get("failed") and "follow" in answer:
        if "plan" in answer:
            begun = answer
            _show_plan(answer, display)
        _show(answer, said, ended, display)
        line = total_line(answer["node"], answer["totals"])
        if line != summary:
            summary = line
            display.display(line)
        answer = call({**arguments, "wait": True, "follow": answer["follow"], "for_seconds": look})
    final = answer.get("failure") if answer.get("failed") else answer
    if "plan" in (final or {}) and final is not begun:
        _show_plan(final or {}, display)
    _show(final or {}, said, ended, display)
    if answer is begun or answer.get("failed"):
        return answer
    return {**{key: begun[key] for key in ("plan", "diff") if key in begun}, **answer}


def _show_plan(answer: Mapping[str, Any], display: Display) -> None:
    for text, colour in plan_lines(answer["plan"], answer.get("step")):
        display.display(text, color=colour)


def _show(answer: Mapping[str, Any], said: dict[int, str], ended: set[tuple[int, str]], display: Display) -> None:
    for row in answer.get("misses") or ():
        key = (row["vmid"], row["target"])
        if key not in ended:
            ended.add(key)
            label = f"{row['vmid']} {row['name']}".rstrip()
            display.display(f"  {label}  {row['source']} → {row['target']}  did not work: {row['why']}", color="yellow")
    for row in answer.get("moves") or ():
        key = (row["vmid"], row["state"])
        if key in ended or row["state"] not in ("moved", "failed", "there"):
            continue
        ended.add(key)
        label = f"{row['vmid']} {row['name']}".rstrip()
        if row["state"] == "failed":
            display.display(f"  {label}  failed: {row['msg']}", color="red")
        elif row["state"] == "there":
            display.display(f"  {label}  had left before")
        else:
            display.display(progress.line({**row, "state": "done"}))
    for row in answer.get("progress") or ():
        text = progress.line(row)
        if text != said.get(row["vmid"]):
            said[row["vmid"]] = text
            display.display(text)
