# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``preflight``: judge a move, a node drain or a whole cluster before anything is touched."""

from __future__ import annotations

import getpass
import shutil
from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import kinds
from ansible_collections.pve.mobility.plugins.module_utils.model.snapshot import SnapshotError, to_plain
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.planning.ask import (
    ClusterAsk,
    DrainAsk,
    Impossible,
    MoveAsk,
    Options,
)
from ansible_collections.pve.mobility.plugins.module_utils.planning.preflight import judge
from ansible_collections.pve.mobility.plugins.module_utils.surface import CONNECTION_SPEC
from ansible_collections.pve.mobility.plugins.plugin_utils import asking, preflight_result, report, rules, table

_FAILS: dict[str, frozenset[Severity]] = {
    "block": frozenset({Severity.BLOCK}),
    "warn": frozenset({Severity.BLOCK, Severity.WARN}),
    "never": frozenset(),
}
_SPEC: dict[str, dict[str, Any]] = {
    "scope": {"type": "str", "choices": ["move", "drain", "cluster"], "default": "cluster"},
    "guest": {"type": "str"},
    "target": {"type": "str"},
    "mode": {"type": "str", "choices": ["auto", "online", "restart", "offline"], "default": "auto"},
    "node": {"type": "str"},
    "targets": {"type": "list", "elements": "str"},
    "target_storage": {"type": "raw"},
    "with_local_disks": {"type": "bool", "default": True},
    "facts": {"type": "raw"},
    "node_facts": {"type": "dict"},
    "accept": {"type": "list", "elements": "str", "default": []},
    "accept_note": {"type": "str"},
    "fail_on": {"type": "str", "choices": list(_FAILS), "default": "block"},
    "thresholds": asking.THRESHOLDS,
    "isolated": {"type": "bool", "default": False},
    "rules": {"type": "list", "elements": "dict", "default": []},
    "report": {"type": "path"},
}
_NEEDS = {"move": ("guest", "target"), "drain": ("node",), "cluster": ()}


class ActionModule(ActionBase):
    """Reads with ``cluster_info``, judges on the controller, writes nothing but the report."""

    _requires_connection = True
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _spec, options = self.validate_argument_spec(argument_spec={**_SPEC, **CONNECTION_SPEC})
        snapshot = options["facts"] or self._collected(task_vars)
        if isinstance(snapshot, Mapping) and snapshot.get("failed"):
            return {**result, **snapshot}
        try:
            return {**result, **self._judged(options, asking.state(snapshot))}
        except (Impossible, SnapshotError, rules.RuleError, report.ReportError) as problem:
            return {**result, **_failure("invalid", str(problem))}

    def _collected(self, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        connection = {name: value for name, value in self._task.args.items() if name in CONNECTION_SPEC}
        return dict(
            self._execute_module(
                module_name="pve.mobility.cluster_info",
                module_args={**connection, "subset": ["all", "history"]},
                task_vars=task_vars,
            )
        )

    def _judged(self, options: dict[str, Any], state: ClusterState) -> dict[str, Any]:
        own = rules.parse(options["rules"], kinds())
        accept = frozenset(options["accept"])
        asking.know(accept, {*kinds(), *(rule.id for rule in own)})
        verdict = judge(
            state,
            _ask(options),
            Options(
                accept,
                asking.thresholds(options["thresholds"]),
                asking.zfs(options["node_facts"]),
                options["with_local_disks"],
                asking.storage_map(options["target_storage"]),
                options["isolated"],
            ),
        )
        if own:
            plain = to_plain(state)
            verdict = verdict.with_more(found for rule in own for found in rule.findings(plain))
        who = {"by": getpass.getuser(), "note": options["accept_note"]}
        result = preflight_result.result(state, verdict, who)
        self._show(result)
        if options["report"]:
            report.write(options["report"], result, state)
            result["report"] = options["report"]
        blocking = [item for item in verdict.findings if verdict.counts(item, _FAILS[options["fail_on"]])]
        if blocking:
            more = f" (and {len(blocking) - 1} more)" if len(blocking) > 1 else ""
            first = blocking[0]
            about = result["names"].get(str(first.guest), "")
            # Beside its subject in the table a message need not name the guest; alone it has to.
            named = about in verdict.title or about in first.message
            message = first.message if named else f"{about}: {first.message}"
            result |= _failure("blocked", f"{verdict.title}: {message} ({first.id}){more}; {first.remedy}.")
        return result

    def _show(self, result: Mapping[str, Any]) -> None:
        display = Display()
        for text, colour in table.lines(result, max(shutil.get_terminal_size((140, 40)).columns, 100)):
            display.display(text, color=colour)


def _ask(options: Mapping[str, Any]) -> MoveAsk | DrainAsk | ClusterAsk:
    scope = options["scope"]
    missing = [name for name in _NEEDS[scope] if not options[name]]
    if missing:
        raise Impossible(f"scope: {scope} needs {' and '.join(missing)}.")
    match scope:
        case "move":
            return MoveAsk(options["guest"], options["target"], options["mode"])
        case "drain":
            return DrainAsk(options["node"], tuple(options["targets"]) if options["targets"] else None)
    return ClusterAsk()


def _failure(kind: str, sentence: str) -> dict[str, Any]:
    return {"failed": True, "msg": sentence, "failure": {"kind": kind}}
