# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Showing disks while they move: short calls of ``move_disk`` itself, which begins the next disk when one is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.utils.display import Display

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.plugin_utils import progress
from ansible_collections.pve.mobility.plugins.plugin_utils.watch import STEP

_FIRST = ("findings", "there", "diff", "guest", "node", "storage")
"""What only the call that decided knows."""

Call = Callable[[dict[str, Any]], "dict[str, Any]"]


def follow_disks(call: Call, arguments: dict[str, Any], display: Display) -> dict[str, Any]:
    """Begin, and repeat until it is over; the module itself minds the time limit.

    :param call: runs the module with arguments and returns its result.
    """
    shown = 0

    def show(answer: dict[str, Any], said: dict[Any, str]) -> None:
        nonlocal shown
        guest = answer["guest"]
        arrived = [row for row in answer.get("moves", ()) if row["to"] is not None]
        for row in arrived[shown:]:
            display.display(_arrived(guest["vmid"], guest["name"], row))
        shown = max(shown, len(arrived))
        if "progress" in answer:
            _say(answer["progress"], said, display)

    answer, begun = _repeat(call, arguments, show)
    if answer is begun or answer.get("failed"):
        return answer
    return {**answer, **{key: begun[key] for key in _FIRST if key in begun}}


def follow_drain(call: Call, arguments: dict[str, Any], display: Display) -> dict[str, Any]:
    """The same for a whole storage: a line for each guest that says something new."""
    shown = 0

    def show(answer: dict[str, Any], said: dict[Any, str]) -> None:
        nonlocal shown
        for row in answer.get("done", ())[shown:]:
            if row["state"] == "failed":
                display.display(f"  {row['label']}  failed: {row['msg']}")
            vmid, _blank, name = row["label"].partition(" ")
            for move in row["moves"]:
                display.display(_arrived(vmid, name, move))
        shown = max(shown, len(answer.get("done", ())))
        for row in answer.get("progress", ()):
            _say(row, said, display)

    answer, begun = _repeat(call, arguments, show)
    if answer is begun or answer.get("failed"):
        return answer
    return {**answer, **{key: begun[key] for key in ("planned", "bytes", "diff") if key in begun}}


def _repeat(
    call: Call, arguments: dict[str, Any], show: Callable[[dict[str, Any], dict[Any, str]], None]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The last answer and the first one."""
    answer = begun = call({**arguments, "wait": False})
    look = STEP * max(1.0, Clock().speed)
    said: dict[Any, str] = {}
    while not answer.get("failed") and "follow" in answer:
        show(answer, said)
        answer = call({**arguments, "wait": True, "follow": answer["follow"], "for_seconds": look})
    if not answer.get("failed"):
        show(answer, said)
    return answer, begun


def _say(row: dict[str, Any], said: dict[Any, str], display: Display) -> None:
    text = progress.line(row)
    if text != said.get(row["vmid"]):
        said[row["vmid"]] = text
        display.display(text)


def _arrived(vmid: Any, name: str, row: dict[str, Any]) -> str:
    """The line for a disk that is where it should be."""
    return progress.line(
        {
            "vmid": vmid,
            "name": name,
            "state": "done",
            "disk": row["disk"],
            "source": row["from"].partition(":")[0],
            "target": row["storage"],
            "duration_s": row["duration_s"],
        }
    )


def true(value: Any) -> bool:
    """As Ansible reads booleans, the values that it calls false being the shorter list."""
    return str(value).lower() not in ("false", "no", "0", "off", "n", "f")
