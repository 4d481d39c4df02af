# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Showing moves while they run: short calls of the ``follow`` module, a line a step.

Nothing here talks to the API: that is done where the module runs, so that ``delegate_to`` and execution environments
keep working.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.utils.display import Display

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.plugin_utils import progress

STEP = 4.0
"""Seconds between two lines, as the person before the screen counts them.

A rehearsal that runs faster than real time looks for as long: in the gaps between two calls it would miss the more.
"""
CONNECTION = (
    "api_host",
    "api_port",
    "api_user",
    "api_password",
    "api_token_id",
    "api_token_secret",
    "validate_certs",
    "ca_path",
    "api_timeout",
)

Call = Callable[[str, "dict[str, Any]"], "dict[str, Any]"]


class Watch:
    """Follows moves to their end.

    :param call: runs a module of the collection with arguments and returns its result.
    """

    def __init__(self, call: Call, arguments: Mapping[str, Any], display: Display) -> None:
        self._call = call
        self._connection = {name: arguments[name] for name in CONNECTION if name in arguments}
        self._display = display
        self._said: dict[int, str] = {}
        self._had_task: dict[int, bool] = {}

    def until(self, moves: list[Any], tasks: list[str], seconds: float | None) -> dict[str, Any]:
        """Repeat ``follow`` until all is over or ``seconds`` have passed; returns its last result, completed.

        Moves that have ended are not asked about again.
        """
        rows: dict[int, dict[str, Any]] = {}
        open_moves = list(enumerate(moves))
        open_tasks = list(tasks)
        task_rows: list[dict[str, Any]] = []
        clock = Clock()
        deadline = None if seconds is None else clock.monotonic() + seconds
        look = STEP * max(1.0, clock.speed)
        for move in moves:
            if isinstance(move, Mapping) and move.get("ha") and not move.get("task"):
                # The HA manager takes its time: say so at once.
                self._show({**move, "state": "running", "waiting_for_ha": True})
        while True:
            step = look if deadline is None else max(0.0, min(look, deadline - clock.monotonic()))
            answer = self._call(
                "pve.mobility.follow",
                {
                    **self._connection,
                    "guests": [move for _index, move in open_moves],
                    "tasks": open_tasks,
                    "for_seconds": step,
                },
            )
            if answer.get("failed") or "guests" not in answer:
                return answer
            for (index, _move), row in zip(open_moves, answer["guests"], strict=True):
                rows[index] = row
                self._show(row)
            task_rows = answer["tasks"]
            open_moves = [
                (index, rows[index]["follow"]) for index, _m in open_moves if rows[index]["state"] == "running"
            ]
            if answer["finished"] or (deadline is not None and clock.monotonic() >= deadline):
                guests = [rows[index] for index in range(len(moves))]
                failed = sum(row["state"] == "failed" for row in (*guests, *task_rows))
                return {**answer, "guests": guests, "tasks": task_rows, "failed_count": failed}

    def say(self, text: str) -> None:
        self._display.display(text)

    def _show(self, row: Mapping[str, Any]) -> None:
        """A line when it says something new."""
        vmid = row["vmid"]
        if row.get("ha") and row.get("task") and not self._had_task.get(vmid):
            if self._said.get(vmid):
                self.say(progress.started_by_ha(row))
            self._had_task[vmid] = True
        text = progress.line(row)
        if text != self._said.get(vmid):
            self._said[vmid] = text
            self.say(text)
