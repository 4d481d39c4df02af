# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``upgrade_report``: what was done to the nodes of a cluster, on the terminal and as files."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.pve.mobility.plugins.plugin_utils import work_report

_SPEC: dict[str, dict[str, Any]] = {
    "title": {"type": "str", "default": "Rolling upgrade"},
    "nodes": {"type": "list", "elements": "dict", "required": True},
    "left": {"type": "list", "elements": "dict", "default": []},
    "plan": {"type": "dict"},
    "dest": {"type": "list", "elements": "path", "default": []},
}


class ActionModule(ActionBase):
    """Works on the controller alone."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _spec, options = self.validate_argument_spec(argument_spec=_SPEC)
        try:
            left = [*options["left"], *work_report.left_by(options["plan"] or {})]
            report = work_report.of_nodes(options["title"], options["nodes"], left)
        except (KeyError, TypeError) as problem:
            text = f"nodes is not what drain and the role rolling_upgrade tell of nodes: {problem} is missing or wrong."
            return {**result, "failed": True, "msg": text, "failure": {"kind": "invalid"}}
        display = Display()
        for text in work_report.lines(report):
            display.display(text)
        result |= {"changed": False, "answer": report["answer"], "totals": report["totals"], "good": report["good"]}
        if self._task.check_mode:
            return result
        for path in options["dest"]:
            try:
                work_report.write(path, report)
            except work_report.ReportError as problem:
                return {**result, "failed": True, "msg": str(problem), "failure": {"kind": "invalid"}}
        return result
