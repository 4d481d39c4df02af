# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``follow`` with live progress."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.pve.mobility.plugins.plugin_utils.watch import Watch


class ActionModule(ActionBase):
    """Repeats short calls of the module and shows what they say."""

    _requires_connection = True
    _supports_async = True
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)

        def call(name: str, values: dict[str, Any]) -> dict[str, Any]:
            return dict(self._execute_module(module_name=name, module_args=values, task_vars=task_vars))

        guests, tasks = arguments.get("guests"), arguments.get("tasks")
        if self._task.async_val or not isinstance(guests or [], list) or not isinstance(tasks or [], list):
            # The module itself checks its arguments, and tells best what is wrong with them.
            answer = self._execute_module(task_vars=task_vars, wrap_async=bool(self._task.async_val))
        elif not guests and not tasks:
            answer = self._execute_module(task_vars=task_vars)
        else:
            seconds = arguments.get("for_seconds")
            watch = Watch(call, arguments, Display())
            answer = watch.until(guests or [], tasks or [], None if seconds is None else float(seconds))
        result.update(answer)
        return result
