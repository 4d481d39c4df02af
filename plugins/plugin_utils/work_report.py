# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was done to nodes, as a file: a page for the change ticket, Markdown, JSON.

Both a single drain and a rolling upgrade are a list of nodes, each with its moves, its times, and what was left.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.pve.mobility.plugins.plugin_utils.drain_show import count
from ansible_collections.pve.mobility.plugins.plugin_utils.page import render
from ansible_collections.pve.mobility.plugins.plugin_utils.progress import duration, size

_ORDER = ("drain", "upgrade", "reboot", "checks", "home")
"""Of what is done to a node."""
MADE = {"moved", "there", "maintenance"}


class ReportError(ValueError):
    """The report cannot be written: one sentence."""


def write(path: str, report: Mapping[str, Any]) -> None:
    """:raises ReportError: the suffix is not known, or the file cannot be written."""
    target = Path(path).expanduser()
    makers = {".html": html, ".md": markdown, ".json": as_json}
    maker = makers.get(target.suffix.lower())
    if maker is None:
        raise ReportError(f"The report {path} has no suffix that says what it shall be: use {', '.join(makers)}.")
    try:
        target.write_text(maker(report), encoding="utf-8")
    except OSError as problem:
        raise ReportError(
            f"The report {path} cannot be written: {problem.strerror}. Create the folder, or choose another path."
        ) from None


def of_drain(result: Mapping[str, Any]) -> dict[str, Any]:
    """From a result of ``drain``, or the ``failure`` of one."""
    node = {
        "name": result["node"],
        "state": "done" if result.get("empty") else "failed",
        "why": "" if result.get("empty") else "it is not empty",
        "times": {"drain": result.get("duration_s") or 0.0},
        **{key: result.get(key) or [] for key in ("moves", "left", "stopped", "misses")},
    }
    return of_nodes(f"Drain of {result['node']}", [node])


def of_nodes(title: str, nodes: Iterable[Mapping[str, Any]], left: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """:param nodes: that were worked on: ``name``, ``state`` done | failed | open, ``why``, ``before`` and ``after``
    versions, ``rebooted``, ``times`` in seconds by what was done, ``moves``, ``left``, ``stopped``, ``home``.
    :param left: nodes that were not touched: ``node`` and ``why``.
    """
    rows = [_node(dict(node)) for node in nodes]
    moves = [move for row in rows for move in (*row["moves"], *row["home"])]
    moved = [move for move in moves if move["state"] == "moved"]
    failed = [move for move in moves if move["state"] == "failed"]
    report: dict[str, Any] = {
        "title": title,
        "nodes": rows,
        "left": [dict(item) for item in left],
        "guests": _guests(moves),
        "totals": {
            "nodes": len(rows),
            "done": sum(row["state"] == "done" for row in rows),
            "failed": sum(row["state"] == "failed" for row in rows),
            "rebooted": sum(bool(row["rebooted"]) for row in rows),
            "moves": len(moved),
            "failed_moves": len(failed),
            "bytes": sum(move.get("bytes") or 0 for move in moved),
            "seconds": round(sum(row["seconds"] for row in rows), 1),
            "downtime_ms": max((move.get("downtime_ms") or 0 for move in moved), default=0),
        },
    }
    return report | {"answer": answer(report), "good": report["totals"]["done"] == len(rows)}


def left_by(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Nodes that a plan leaves alone, and those that it skips because a guest holds them."""
    found = [{"node": item["node"], "why": item["why"]} for item in plan.get("left") or ()]
    for step in plan.get("steps") or ():
        if step.get("skipped"):
            held = [item for item in plan["stays"] if item["step"] == step["number"] and item["fate"] == "holds"]
            why = "; ".join(f"{item['guest']} {item['name']} cannot leave: {item['why']}" for item in held[:3])
            found.append({"node": step["node"], "why": why or "a guest holds it"})
    return found


def _node(row: dict[str, Any]) -> dict[str, Any]:
    given = row.get("times") or {}
    times = {key: float(given[key]) for key in (*_ORDER, *(set(given) - set(_ORDER))) if given.get(key)}
    base = {"state": "open", "why": "", "before": "", "after": "", "rebooted": False}
    lists: dict[str, list[Any]] = {
        key: list(row.get(key) or ()) for key in ("moves", "left", "stopped", "home", "misses")
    }
    for move in (*lists["moves"], *lists["home"]):
        move.setdefault("msg", "")
    # Who was shut down has not just stayed: it is told of once.
    why = {item["vmid"]: item for item in lists["left"]}
    lists["stopped"] = [{"why": "it could not move", **why.get(item["vmid"], {}), **item} for item in lists["stopped"]]
    off = {item["vmid"] for item in lists["stopped"]}
    lists["left"] = [item for item in lists["left"] if item["vmid"] not in off]
    return {**base, **row, **lists, "times": times, "seconds": sum(times.values())}


def _guests(moves: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each guest once: how often it moved, its longest pause, all that was sent of it."""
    found: dict[int, dict[str, Any]] = {}
    for move in moves:
        fresh = {"vmid": move["vmid"], "name": move["name"], "way": [move["source"]], "moves": 0, "bytes": 0}
        row = found.setdefault(move["vmid"], {**fresh, "pause": None})
        if move["state"] not in MADE:
            continue
        row["way"].append(move["target"])
        row["moves"] += move["state"] == "moved"
        row["bytes"] += move.get("bytes") or 0
        pause = move.get("downtime_ms")
        if pause is not None:
            row["pause"] = max(pause, row["pause"] or 0)
    return [found[vmid] for vmid in sorted(found)]


def answer(report: Mapping[str, Any]) -> str:
    """The whole in a sentence or two."""
    totals = report["totals"]
    done = f"{totals['done']} of {count(totals['nodes'], 'node')} done"
    moves = f"{count(totals['moves'], 'move')}, {size(totals['bytes'])}"
    text = f"{done} in {duration(totals['seconds'])}: {moves}"
    if totals["rebooted"]:
        text += f", {count(totals['rebooted'], 'reboot')}"
    if totals["downtime_ms"]:
        text += f", longest pause of a running VM {totals['downtime_ms']} ms"
    wrong = [f"{row['name']}: {row['why']}" for row in report["nodes"] if row["state"] == "failed" and row["why"]]
    return f"{text}. {' '.join(item.rstrip('.') + '.' for item in wrong)}".rstrip()


def lines(report: Mapping[str, Any]) -> list[str]:
    """For the terminal: the answer, then a line a node."""
    found = [f"{report['title']}: {report['answer']}"]
    width = max((len(row["name"]) for row in report["nodes"]), default=0)
    for row in report["nodes"]:
        version = f"{row['before']} → {row['after']}" if row["after"] else row["before"]
        moved = sum(move["state"] == "moved" for move in row["moves"])
        parts = [row["state"], version, "rebooted" if row["rebooted"] else "", count(moved, "move")]
        parts += [f"{name} {duration(seconds)}" for name, seconds in row["times"].items()]
        found.append(f"  {row['name']:{width}}  " + "  ".join(part for part in parts if part))
    found += [f"  {item['node']:{width}}  left alone: {item['why']}" for item in report["left"]]
    for title, rows in _rest(report):
        found += [f"  {title}: {_label(row)} on {row['node']}: {row['why']}" for row in rows[:20]]
    return found


# ---------------------------------------------------------------- forms


def as_json(report: Mapping[str, Any]) -> str:
    return json.dumps(dict(report), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def html(report: Mapping[str, Any]) -> str:
    return render("work", {"report": report, "longest": max((row["seconds"] for row in report["nodes"]), default=0.0)})


def markdown(report: Mapping[str, Any]) -> str:
    parts = [f"# {report['title']}", "", report["answer"], ""]
    parts += ["| Node | State | Version | Reboot | Time | Moves |", "|---|---|---|---|---|---|"]
    for row in report["nodes"]:
        version = f"{row['before']} → {row['after']}" if row["after"] else row["before"]
        state = f"{row['state']}: {row['why']}" if row["why"] else row["state"]
        reboot = "yes" if row["rebooted"] else "no"
        cells = (row["name"], state, version, reboot, duration(row["seconds"]), str(len(row["moves"])))
        parts.append(_cells(cells))
    parts += [_cells((item["node"], f"left alone: {item['why']}", "", "", "", "")) for item in report["left"]]
    if report["guests"]:
        parts += ["", "| Guest | Way | Sent | Pause |", "|---|---|---|---|"]
        for row in report["guests"]:
            pause = f"{row['pause']} ms" if row["pause"] is not None else ""
            parts.append(_cells((_label(row), " → ".join(row["way"]), size(row["bytes"]), pause)))
    for title, rows in _rest(report):
        parts += ["", f"## {title}", ""]
        parts += [f"- {_label(row)} on {row['node']}: {row['why']}" for row in rows]
    return "\n".join(parts) + "\n"


def _rest(report: Mapping[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """What did not go as wished, by kind; empty ones are left out."""
    failed = [
        {"vmid": move["vmid"], "name": move["name"], "node": move["source"], "why": move["msg"]}
        for row in report["nodes"]
        for move in (*row["moves"], *row["home"])
        if move["state"] == "failed"
    ]
    stayed = [{**item, "node": row["name"]} for row in report["nodes"] for item in row["left"]]
    stopped = [
        {**item, "node": row["name"], "why": f"{item['why']} ({item['state']})"}
        for row in report["nodes"]
        for item in row["stopped"]
    ]
    missed = [
        {**item, "node": row["name"], "why": f"the move to {item['target']} did not work: {item['why']}"}
        for row in report["nodes"]
        for item in row["misses"]
        if item["vmid"] not in {other["vmid"] for other in failed}
    ]
    kinds = (("Failed", failed), ("Tried elsewhere", missed), ("Stayed", stayed), ("Shut down", stopped))
    return [(title, rows) for title, rows in kinds if rows]


def _label(row: Mapping[str, Any]) -> str:
    return f"{row['vmid']} {row['name']}".rstrip()


def _cells(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
