# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A verdict as a file: a page to open, Markdown for a ticket, JSON for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Node
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.plugin_utils.page import moment, render
from ansible_collections.pve.mobility.plugins.plugin_utils.progress import duration, size
from ansible_collections.pve.mobility.plugins.plugin_utils.table import counted, moving, subject


class ReportError(ValueError):
    """The report cannot be written: one sentence."""


def write(path: str, result: Mapping[str, Any], state: ClusterState) -> None:
    """:raises ReportError: the suffix is not known, or the file cannot be written."""
    target = Path(path)
    makers = {".html": html, ".md": markdown, ".json": as_json}
    maker = makers.get(target.suffix.lower())
    if maker is None:
        raise ReportError(f"The report {path} has no suffix that says what it shall be: use {', '.join(makers)}.")
    try:
        target.write_text(maker(result, state), encoding="utf-8")
    except OSError as problem:
        raise ReportError(
            f"The report {path} cannot be written: {problem.strerror}. Create the folder, or choose another path."
        ) from None


def as_json(result: Mapping[str, Any], state: ClusterState) -> str:
    return json.dumps(dict(result), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def markdown(result: Mapping[str, Any], state: ClusterState) -> str:
    """A heading, the answer, the findings, the moves, and how it was made."""
    parts = [f"# {result['title']}", "", answer(result), ""]
    if result["findings"]:
        parts += ["| Severity | What | Finding | Message | Remedy |", "|---|---|---|---|---|"]
        for row in result["findings"]:
            severity = f"{row['severity']} (accepted)" if row.get("accepted") else row["severity"]
            cells = (severity, subject(row, result["names"]), row["id"], row["message"], row["remedy"])
            parts.append("| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |")
        parts.append("")
    if result["moves"]:
        parts += ["| Guest | From | To | Copied | Time |", "|---|---|---|---|---|"]
        for row in result["moves"]:
            to = row["target"] or "stays"
            sent = (size(row["bytes"]), duration(row["seconds"])) if row["target"] else ("", "")
            parts.append(f"| {row['guest']} {row['name']} | {row['source']} | {to} | {sent[0]} | {sent[1]} |")
        parts.append("")
    parts.append(_made(result, state))
    return "\n".join(parts) + "\n"


def html(result: Mapping[str, Any], state: ClusterState) -> str:
    return render(
        "preflight",
        {
            "result": result,
            "answer": answer(result),
            "nodes": nodes(result, state),
            "rows": [{**row, "subject": subject(row, result["names"])} for row in result["findings"]],
            "made": _made(result, state),
        },
    )


def answer(result: Mapping[str, Any]) -> str:
    """The whole in a sentence."""
    summary = result["summary"]
    if summary["block"]:
        text = f"Not safe yet: {counted(result)}."
    elif summary["warn"]:
        text = f"Possible, at a price: {counted(result)}."
    else:
        text = "Safe: nothing to object to."
    more = moving(result)
    if summary["staying"]:
        text += f" {summary['staying']} of {summary['guests']} guests would stay behind."
    return f"{text} It {more}." if more else text


def nodes(result: Mapping[str, Any], state: ClusterState) -> list[dict[str, Any]]:
    """The cluster at a glance: one card a node."""
    worst: dict[str, Counter[str]] = {}
    for row in result["findings"]:
        guest = state.guest(row["guest"]) if row.get("guest") is not None else None
        name = guest.node if guest is not None else row.get("node")
        if name and not row.get("accepted"):
            worst.setdefault(name, Counter())[row["severity"]] += 1
    coming = Counter(row["target"] for row in result["moves"] if row["target"])
    return [_card(node, state, worst.get(node.name, Counter()), coming[node.name]) for node in state.nodes]


def _card(node: Node, state: ClusterState, found: Counter[str], coming: int) -> dict[str, Any]:
    facts = state.facts(node.name)
    guests = state.guests_on(node.name)
    committed = sum(guest.maxmem for guest in guests if guest.running)
    return {
        "name": node.name,
        "state": "maintenance" if node.online and node.maintenance else node.status,
        "release": (facts.version if facts else None) or "",
        "cpu": facts.cpu.model if facts and facts.cpu else "",
        "memory": node.maxmem,
        "used": _per_cent(node.mem, node.maxmem),
        "committed": _per_cent(committed, node.maxmem),
        "guests": len(guests),
        "running": sum(guest.running for guest in guests),
        "coming": coming,
        "block": found["block"],
        "warn": found["warn"],
    }


def _per_cent(part: int, whole: int) -> int:
    return round(100 * part / whole) if whole else 0


def _made(result: Mapping[str, Any], state: ClusterState) -> str:
    rate = result["estimate"]["rate"]
    source = "observed in recent migrations" if result["estimate"]["observed"] else "assumed from the speed of the link"
    how = f" Times rest on {size(rate)}/s, {source}." if rate else ""
    version = f" by Proxmox VE {state.version}" if state.version else ""
    return f"Snapshot of {moment(state.collected_at)}{version}, judged by pve.mobility preflight.{how}"
