# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``replication_job`` with live progress: the module waits in short calls, a line a step."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.pve.mobility.plugins.plugin_utils.disks import true
from ansible_collections.pve.mobility.plugins.plugin_utils.replication import follow_replication


class ActionModule(ActionBase):
    """Shows what the module does; decides nothing."""

    _requires_connection = True
    _supports_async = True
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        watched = true(arguments.get("wait", True)) and arguments.get("for_seconds") is None

        def call(given: dict[str, Any]) -> dict[str, Any]:
            return dict(
                self._execute_module(
                    module_name="pve.mobility.replication_job",
                    module_args=given,
                    task_vars=task_vars,
                    wrap_async=bool(self._task.async_val),
                )
            )

        if self._task.async_val or self._task.check_mode or not watched:
            # Nothing to show: a background task has no display, and check mode waits for nothing.
            result.update(call(arguments))
        else:
            result.update(follow_replication(call, arguments, Display()))
        return result
