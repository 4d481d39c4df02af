# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``replication_policy``: answers the queries of the rules on the controller; the module does the rest."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.pve.mobility.plugins.plugin_utils.queries import QueryError, answered, has_queries
from ansible_collections.pve.mobility.plugins.plugin_utils.watch import CONNECTION


class ActionModule(ActionBase):
    """Reads the guests only when a rule has a query."""

    _requires_connection = True
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if has_queries(arguments.get("rules")):
            connection = {name: arguments[name] for name in CONNECTION if name in arguments}
            seen = self._execute_module(
                module_name="pve.mobility.cluster_info",
                module_args={**connection, "subset": ["guests"]},
                task_vars=task_vars,
            )
            if seen.get("failed"):
                result.update(seen)
                return result
            try:
                arguments["rules"] = answered(arguments["rules"], seen["guests"])
            except QueryError as wrong:
                raise AnsibleActionFail(str(wrong)) from None
        result.update(
            self._execute_module(
                module_name="pve.mobility.replication_policy", module_args=arguments, task_vars=task_vars
            )
        )
        return result
