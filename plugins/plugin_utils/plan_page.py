# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A plan as a file: a page to open, Markdown for a ticket, JSON to carry it out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.plugin_utils import plan_picture
from ansible_collections.pve.mobility.plugins.plugin_utils.page import moment, render
from ansible_collections.pve.mobility.plugins.plugin_utils.plan_show import figures, peak, title
from ansible_collections.pve.mobility.plugins.plugin_utils.progress import duration, size
from ansible_collections.pve.mobility.plugins.plugin_utils.report import ReportError

_HOW = {
    "request": "",
    "along": "the HA manager takes it along",
    "maintenance": "the HA manager chooses, when maintenance mode begins",
    "failback": "the HA manager brings it back",
}
_FATES = {"stays": "stays", "stop": "is shut down meanwhile", "holds": "holds its node"}


def write(path: str, plan: Mapping[str, Any], state: ClusterState, headroom: float) -> None:
    """:raises ReportError: the suffix is not known, or the file cannot be written."""
    target = Path(path)
    match target.suffix.lower():
        case ".html":
            text = html(plan, state, headroom)
        case ".md":
            text = markdown(plan, state)
        case ".json":
            text = as_json(plan)
        case _:
            raise ReportError(f"The report {path} has no suffix that says what it shall be: use .html, .md, .json.")
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise ReportError(
            f"The report {path} cannot be written: {problem.strerror}. Create the folder, or choose another path."
        ) from None


def as_json(plan: Mapping[str, Any]) -> str:
    return json.dumps(dict(plan), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def answer(plan: Mapping[str, Any]) -> str:
    """The whole in a sentence."""
    if plan["problems"]:
        more = f" And {len(plan['problems']) - 1} more." if len(plan["problems"]) > 1 else ""
        return f"Not like this: {plan['problems'][0]}{more}"
    if not plan["steps"]:
        return "Nothing to do: no node needs it."
    return f"It fits at every step: {figures(plan)}."


def steps(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each step."""
    found = []
    for step in plan["steps"]:
        moves = [move for move in plan["moves"] if move["step"] == step["number"]]
        fullest = peak(plan, step["number"])
        found.append(
            {
                **step,
                "what": _what(step),
                "count": len(moves),
                "targets": sorted({move["target"] for move in moves}),
                "peak": f"{fullest[1]} % on {fullest[0]}" if fullest else "",
            }
        )
    return found


def _what(step: Mapping[str, Any]) -> str:
    if step["skipped"]:
        return "left as it is"
    return {
        "drain": "emptied",
        "upgrade": "emptied, upgraded, restarted",
        "install": "upgraded in place",
        "home": "guests go home",
    }[step["kind"]]


def markdown(plan: Mapping[str, Any], state: ClusterState) -> str:
    """A heading, the answer, the steps, who stays, every move, and how it was made."""
    parts = [f"# {title(plan)}", "", answer(plan), ""]
    parts += ["| Step | Node | What | Moves | To | Time | Peak memory |", "|---|---|---|---|---|---|---|"]
    for row in steps(plan):
        cells = (row["number"], row["node"], row["what"], row["count"], " ".join(row["targets"]),
                 duration(row["seconds"]), row["peak"])  # fmt: skip
        parts.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    parts.append("")
    parts += [f"- {left['node']} is left alone: {left['why']}" for left in plan["left"]]
    parts += [f"- {stay['guest']} {stay['name']} {_FATES[stay['fate']]}: {stay['why']}" for stay in plan["stays"]]
    parts += [f"- **{problem}**" for problem in plan["problems"]]
    parts += ["", "| Step | Guest | From | To | Sent | Begins | Takes |", "|---|---|---|---|---|---|---|"]
    for move in plan["moves"]:
        cells = (move["step"], f"{move['guest']} {move['name']}", move["source"], move["target"], size(move["bytes"]),
                 duration(move["start"]), duration(move["seconds"]))  # fmt: skip
        parts.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    return "\n".join([*parts, "", made(plan, state), ""])


def html(plan: Mapping[str, Any], state: ClusterState, headroom: float) -> str:
    return render(
        "plan",
        {
            "plan": plan,
            "title": title(plan),
            "answer": answer(plan),
            "steps": steps(plan),
            "moves": [{**move, "note": _note(move)} for move in plan["moves"]],
            "held": [{**stay, "word": _FATES[stay["fate"]]} for stay in plan["stays"] if stay["fate"] != "stays"],
            "quiet": [stay for stay in plan["stays"] if stay["fate"] == "stays"],
            "timeline": plan_picture.timeline(plan, [node.name for node in state.nodes]),
            "memory": plan_picture.memory(plan, state, headroom),
            "made": made(plan, state),
        },
    )


def _note(move: Mapping[str, Any]) -> str:
    parts = ["only the difference to its replica"] if move["replica"] else []
    if move["ha"] and not _HOW[move["how"]]:
        parts.append("through the HA manager")
    if _HOW[move["how"]]:
        parts.append(_HOW[move["how"]])
    return ", ".join(parts + list(move["warnings"]))


def made(plan: Mapping[str, Any], state: ClusterState) -> str:
    """How it was made."""
    source = "observed in recent migrations" if plan["observed"] else "assumed from the speed of the link"
    rate = f" Times rest on {size(plan['rate'])}/s for a move, {source}." if plan["rate"] else ""
    version = f" by Proxmox VE {state.version}" if state.version else ""
    return (
        f"Snapshot of {moment(state.collected_at)}{version}, fingerprint {plan['fingerprint']}, planned by pve.mobility"
        f" upgrade_plan.{rate}"
    )
