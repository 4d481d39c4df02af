# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``migrate`` with live progress: the module starts the move, short calls of ``follow`` show it."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.pve.mobility.plugins.plugin_utils.watch import Watch


class ActionModule(ActionBase):
    """Shows what the module does; decides nothing."""

    _requires_connection = True
    _supports_async = True
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        if self._task.async_val or self._task.check_mode or not _true(self._task.args.get("wait", True)):
            # Nothing to show: a background task has no display, and check mode moves nothing.
            return self._merge(result, self._module(dict(self._task.args), task_vars))
        started = self._module({**self._task.args, "wait": False}, task_vars)
        if started.get("failed") or "follow" not in started:
            return self._merge(result, started)
        return self._merge(result, self._follow(started, task_vars))

    def _follow(self, started: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        """Until the end, or until the time is up; then the module itself attaches, and says what it always says."""

        def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
            return dict(self._execute_module(module_name=name, module_args=arguments, task_vars=task_vars))

        handle = started.pop("follow")
        timeout = float(self._task.args.get("timeout", 3600))
        answer = Watch(call, self._task.args, Display()).until([handle], [], timeout or None)
        if answer.get("failed") or "guests" not in answer:
            return answer
        row = answer["guests"][0]
        match row["state"]:
            case "done":
                kept = {key: value for key, value in row.items() if key in started}
                return {**started, **kept, **({"warnings": row["warnings"]} if row["warnings"] else {})}
            case "failed":
                failure = dict(row["failure"])
                findings = failure.pop("findings", started.get("findings", []))
                return {"failed": True, "msg": row["msg"], "failure": failure, "findings": findings}
        return self._module({**self._task.args, "wait": True, "follow": row["follow"]}, task_vars)

    def _module(self, arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        return dict(
            self._execute_module(
                module_name="pve.mobility.migrate",
                module_args=arguments,
                task_vars=task_vars,
                wrap_async=bool(self._task.async_val),
            )
        )

    def _merge(self, result: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
        result.update(more)
        return result


def _true(value: Any) -> bool:
    return str(value).lower() not in ("false", "no", "0", "off", "n", "f")
