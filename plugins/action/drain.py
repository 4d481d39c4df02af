# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``drain`` with the plan first and live progress: the module works in short calls, and keeps a journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.pve.mobility.plugins.plugin_utils import work_report
from ansible_collections.pve.mobility.plugins.plugin_utils.disks import true
from ansible_collections.pve.mobility.plugins.plugin_utils.drain_show import follow, plan_lines


class ActionModule(ActionBase):
    """Shows what the module does and writes the report; decides nothing."""

    _requires_connection = True
    _supports_async = True
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = {name: value for name, value in self._task.args.items() if name != "report"}
        watched = true(arguments.get("wait", True)) and arguments.get("for_seconds") is None
        restores = arguments.get("state", "drained") == "restored"

        def call(given: dict[str, Any]) -> dict[str, Any]:
            return dict(
                self._execute_module(
                    module_name="pve.mobility.drain",
                    module_args=given,
                    task_vars=task_vars,
                    wrap_async=bool(self._task.async_val),
                )
            )

        display = Display()
        if self._task.async_val or self._task.check_mode or not watched or restores:
            result.update(call(arguments))
            if self._task.check_mode and not restores:
                told = result if "plan" in result else result.get("failure") or {}
                for text, colour in plan_lines(told.get("plan") or {}, told.get("step")):
                    display.display(text, color=colour)
        else:
            result.update(follow(call, arguments, display))
        path = self._task.args.get("report")
        if path and not self._task.check_mode:
            self._report(str(path), result)
        return result

    @staticmethod
    def _report(path: str, result: dict[str, Any]) -> None:
        """A report that cannot be written makes a good drain no failure, but it is said."""
        facts: Mapping[str, Any] = (result.get("failure") or {}) if result.get("failed") else result
        if "moves" not in facts or "duration_s" not in facts:
            return
        try:
            work_report.write(path, work_report.of_drain(facts))
            result["report"] = path
        except work_report.ReportError as problem:
            Display().warning(str(problem))
            result["report"] = None
