# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a drain came to, and how far it is, as the module returns it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import MobilityError, TaskFailed
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_book import MAINTENANCE, Book, Entry
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_stop import Stops
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_view import View
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_work import Work
from ansible_collections.pve.mobility.plugins.module_utils.execution.follow import Follower
from ansible_collections.pve.mobility.plugins.module_utils.execution.progress_row import progress_values
from ansible_collections.pve.mobility.plugins.module_utils.model.codec import plain
from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import Fate, Plan, Step


def foretold(plan: Plan, step: Step, journal: Path) -> dict[str, Any]:
    """What is known before anything is done: also what check mode returns."""
    moves = plan.moves_of(step)
    stays = [stay for stay in plan.stays if stay.step == step.number]
    return {
        "node": step.node,
        "plan": plan.as_dict(),
        "step": step.number,
        "journal": str(journal),
        "resumed": False,
        "empty": not moves and not any(stay.fate is not Fate.STAYS for stay in stays),
        "moves": [],
        "left": [_stay_row(stay) for stay in stays],
        "stopped": [],
        "maintenance": [],
        "summary": {"guests": len(moves), "moved": 0, "failed": 0, "bytes": step.bytes, "seconds": step.seconds},
        "diff": {
            "before": {move.label: move.source for move in moves},
            "after": {move.label: move.target for move in moves},
        },
    }


def shown(book: Book) -> dict[str, Any]:
    """The plan of work that has begun, for whoever shows it."""
    moves = [entry.move for entry in book.entries.values()]
    return {
        "plan": book.plan.as_dict() if book.plan is not None else {},
        "step": book.step,
        "diff": {
            "before": {move.label: move.source for move in moves},
            "after": {move.label: move.target for move in moves},
        },
    }


def held(node: str, journal: Path, by: Iterable[str], handle: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing is planned yet: moves that others have begun have to end first."""
    numbers = dict.fromkeys(("guests", "done", "failed", "moving", "syncing", "bytes", "sent"), 0)
    return {
        "changed": True,
        "node": node,
        "journal": str(journal),
        "empty": False,
        "moves": [],
        "progress": [],
        "totals": {**numbers, "held_by": sorted(by), "seconds": 0.0, "eta_s": None},
        "follow": dict(handle),
    }


def _stay_row(stay: Any) -> dict[str, Any]:
    row: dict[str, Any] = plain(stay)
    return {"vmid": stay.guest, "name": stay.name, "fate": stay.fate.value} | {
        key: row[key] for key in ("why", "findings", "remedy")
    }


def finished(book: Book, view: View, stops: Stops, seconds: float) -> dict[str, Any]:
    """After the last move: what is on the node now is what counts."""
    rows = [_row(entry) for entry in book.entries.values()]
    moved = [row for row in rows if row["state"] == "moved"]
    failed = [row for row in rows if row["state"] == "failed"]
    stopped = [row for row in book.stopped.values() if row.get("state") in ("stopped", "stopping")]
    left = _left(book, view, stops)
    moving = any(row["moving"] for row in left)
    running = [row["vmid"] for row in left if row["status"] != "stopped"]
    result: dict[str, Any] = {
        "node": book.node,
        "journal": str(book.journal.path),
        "resumed": any(event.get("event") == "resume" for event in book.journal.events),
        "empty": not running and not moving and not failed,
        "running": running,
        "moves": rows,
        "left": left,
        "stopped": stopped,
        "misses": misses(book),
        "maintenance": [entry.move.guest for entry in book.entries.values() if entry.stage == MAINTENANCE],
        "warnings": [text for row in rows for text in row.get("warnings", ())],
        "duration_s": round(seconds, 1),
        "summary": {
            "guests": len(rows),
            "moved": len(moved),
            "failed": len(failed) + len(stops.failed),
            "bytes": sum(row.get("bytes") or 0 for row in moved),
            "seconds": round(seconds, 1),
        },
    }
    result["changed"] = bool(moved or stopped)
    return result


def _row(entry: Entry) -> dict[str, Any]:
    if entry.row:
        return entry.row
    return {**entry.base(), "state": "maintenance" if entry.stage == MAINTENANCE else entry.stage}


def _left(book: Book, view: View, stops: Stops) -> list[dict[str, Any]]:
    """Guests that are still on the node, and why."""
    if not book.node:
        return []
    stays = {stay.guest: stay for stay in book.stays}
    found = []
    for guest in view.guests():
        if guest.node != book.node:
            continue
        entry, stay = book.of_guest(guest.vmid), stays.get(guest.vmid)
        why, remedy = "it came to the node meanwhile", "run this again"
        fate = "holds"
        if guest.vmid in stops.failed:
            why, remedy = stops.failed[guest.vmid], "shut it down by hand"
        elif entry is not None and entry.stage == MAINTENANCE:
            why, remedy = "an HA rule prefers this node", "it leaves when the node enters maintenance mode"
        elif entry is not None and entry.stage == "failed":
            why, remedy = str(entry.row.get("msg", entry.why)), "run this again when the cause is gone"
        elif stay is not None:
            why, remedy, fate = stay.why, stay.remedy, stay.fate.value
        status = "stopped" if guest.vmid in _stopped_now(book) else guest.status
        found.append(
            {
                "vmid": guest.vmid,
                "name": guest.name,
                "status": status,
                "moving": guest.lock == "migrate",
                "fate": fate,
                "why": why,
                "remedy": remedy,
            }
        )
    return found


def _stopped_now(book: Book) -> set[int]:
    """The list of resources lags by ten seconds (pve-facts §16)."""
    return {vmid for vmid, row in book.stopped.items() if row.get("state") == "stopped"}


def failure(book: Book, result: Mapping[str, Any]) -> MobilityError | None:
    """The error for work that is not complete, with all that was done."""
    failed = [row for row in result["moves"] if row["state"] == "failed"]
    held = [row for row in result["left"] if row["vmid"] not in {item["vmid"] for item in failed}]
    held = [row for row in held if row["fate"] == "holds" and row["status"] != "stopped"]
    pinned = str(book.options.get("pinned", "fail"))
    if pinned == "skip" or not book.node:
        held = []
    held = [row for row in held if row["vmid"] not in result["maintenance"]]
    if not failed and not held:
        return None
    first = failed[0]["msg"] if failed else f"{held[0]['vmid']} {held[0]['name']}: {held[0]['why']}"
    count = len(failed) + len(held)
    more = f" (and {count - 1} more {'guest' if count == 2 else 'guests'})" if count > 1 else ""
    what = f"{book.node} is not empty" if book.node else "Not all guests are where they should be"
    moved = result["summary"]["moved"]
    return TaskFailed(
        f"{what}: {first.rstrip('.')}{more}. {moved} {'guest' if moved == 1 else 'guests'} moved all the same; run this"
        " again when the cause is gone.",
        **result,
    )


# ---------------------------------------------------------------- while it runs


def going(book: Book, work: Work, seconds: float) -> dict[str, Any]:
    """How far it is."""
    entries = list(book.entries.values())
    done = [entry for entry in entries if entry.stage == "done"]
    failed = [entry for entry in entries if entry.stage == "failed"]
    total = sum(entry.move.bytes for entry in entries)
    sent = sum(entry.move.bytes for entry in (*done, *failed))
    sent += sum(
        min(follower.progress.carried, book.entries[number].move.bytes) for number, follower in work.followers.items()
    )
    return {
        "node": book.node,
        "journal": str(book.journal.path),
        "empty": False,
        "moves": [_row(entry) for entry in (*done, *failed)],
        "progress": [_progress(book.entries[number], item) for number, item in work.followers.items()],
        "misses": misses(book),
        "totals": {
            "guests": len(entries),
            "done": len(done),
            "failed": len(failed),
            "moving": len(work.followers),
            "syncing": sum(entry.stage == "syncing" for entry in entries),
            "held_by": sorted(work.foreign.holding),
            "bytes": total,
            "sent": sent,
            "seconds": round(seconds, 1),
            "eta_s": _left_seconds(book, sent, total, seconds),
        },
    }


def misses(book: Book) -> list[dict[str, Any]]:
    """Moves that did not work, whose guests go elsewhere or have yet to."""
    return [
        {
            "vmid": entry.move.guest,
            "name": entry.move.name,
            "source": entry.move.source,
            "target": target,
            "why": _cause(why),
        }
        for entry in book.entries.values()
        for target, why in entry.failed.items()
    ]


def _cause(sentence: str) -> str:
    """The cause alone, of the sentence about a move that failed."""
    head, mark, rest = sentence.partition(" failed: ")
    return (rest if mark and head.startswith("The move of ") else sentence).partition(" (last lines of ")[0].rstrip(".")


def _left_seconds(book: Book, sent: int, total: int, seconds: float) -> float | None:
    """By the pace so far, once there is one; by the plan before."""
    if not total:
        return None
    if sent > total / 20 and seconds > 20:
        return round(seconds * (total - sent) / sent)
    plan = book.plan
    step = next((item for item in plan.steps if item.number == book.step), None) if plan is not None else None
    return round(max(0.0, step.seconds - seconds)) if step is not None else None


def _progress(entry: Entry, follower: Follower) -> dict[str, Any]:
    moving = follower.moving
    return {
        "vmid": moving.vmid,
        "name": moving.name,
        "state": "running",
        "source": moving.source,
        "target": moving.target,
        "ha": moving.ha,
        "task": moving.task,
        "waiting_for_ha": moving.ha and moving.task is None,
        "progress": progress_values(follower.progress),
    }
