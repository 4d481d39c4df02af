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
    answer = call({**arguments, "wait": False})
    begun = answer
    look = STEP * max(1.0, Clock().speed)
    shown: list[dict[str, Any]] = []
    said = ""
    while not answer.get("failed") and "follow" in answer:
        _done(answer, shown, display)
        text = progress.line(answer["progress"])
        if text != said:
            said = text
            display.display(text)
        answer = call({**arguments, "wait": True, "follow": answer["follow"], "for_seconds": look})
    if answer is begun or answer.get("failed"):
        return answer
    _done(answer, shown, display)
    answer.pop("progress", None)
    return {**answer, **{key: begun[key] for key in _FIRST if key in begun}}


def _done(answer: dict[str, Any], shown: list[dict[str, Any]], display: Display) -> None:
    """A line for each disk that has arrived since the last look."""
    arrived = [row for row in answer.get("moves", ()) if row["to"] is not None]
    guest = answer["guest"]
    for row in arrived[len(shown) :]:
        shown.append(row)
        display.display(
            progress.line(
                {
                    "vmid": guest["vmid"],
                    "name": guest["name"],
                    "state": "done",
                    "disk": row["disk"],
                    "source": row["from"].partition(":")[0],
                    "target": row["storage"],
                    "duration_s": row["duration_s"],
                    "elapsed_s": 0,
                }
            )
        )


def true(value: Any) -> bool:
    """As Ansible reads booleans, the values that it calls false being the shorter list."""
    return str(value).lower() not in ("false", "no", "0", "off", "n", "f")
