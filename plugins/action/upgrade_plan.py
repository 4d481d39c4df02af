# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``upgrade_plan``: the order of nodes and every move of a rolling upgrade, before anything is touched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import kinds
from ansible_collections.pve.mobility.plugins.module_utils.model.snapshot import SnapshotError
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.model.unknown import Unknown, unseen
from ansible_collections.pve.mobility.plugins.module_utils.planning.ask import Impossible, Options
from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import Limits, Plan, PlanError, plan_from_json
from ansible_collections.pve.mobility.plugins.module_utils.planning.policy import Homing, NodeNeeds, Pinned, Policy
from ansible_collections.pve.mobility.plugins.module_utils.planning.upgrade import plan_upgrade
from ansible_collections.pve.mobility.plugins.module_utils.surface import CONNECTION_SPEC
from ansible_collections.pve.mobility.plugins.plugin_utils import asking, plan_page, plan_show, report

_LIMITS = Limits()
_POLICY = Policy()
_SPEC: dict[str, dict[str, Any]] = {
    "facts": {"type": "raw"},
    "node_facts": {"type": "dict"},
    "nodes": {"type": "list", "elements": "str"},
    "needs": {"type": "dict", "default": {}},
    "goal": {"type": "str"},
    "order": {"type": "list", "elements": "str", "default": []},
    "last": {"type": "list", "elements": "str", "default": []},
    "to": {"type": "list", "elements": "str"},
    "pinned": {"type": "str", "choices": [item.value for item in Pinned], "default": "fail"},
    "homing": {"type": "str", "choices": [item.value for item in Homing], "default": "never"},
    "stopped": {"type": "bool", "default": False},
    "parallel": {"type": "int", "default": _LIMITS.source},
    "parallel_target": {"type": "int", "default": _LIMITS.target},
    "parallel_cluster": {"type": "int", "default": _LIMITS.cluster},
    "restart_seconds": {"type": "float", "default": _POLICY.restart},
    "install_seconds": {"type": "float", "default": _POLICY.install},
    "with_local_disks": {"type": "bool", "default": True},
    "target_storage": {"type": "raw"},
    "accept": {"type": "list", "elements": "str", "default": []},
    "thresholds": asking.THRESHOLDS,
    "isolated": {"type": "bool", "default": False},
    "fail_on": {"type": "str", "choices": ["problems", "never"], "default": "problems"},
    "dest": {"type": "path"},
    "report": {"type": "path"},
}


class ActionModule(ActionBase):
    """Reads with ``cluster_info``, plans on the controller, writes nothing but the plan and its report."""

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
            state = asking.state(snapshot)
            hidden = unseen(state.unknown)
            if hidden is not None:
                return {**result, **blind(hidden)}
            return {**result, **self._planned(options, state)}
        except (Impossible, SnapshotError, PlanError, report.ReportError) as problem:
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

    def _planned(self, options: Mapping[str, Any], state: ClusterState) -> dict[str, Any]:
        policy = _policy(options)
        plan = plan_upgrade(state, policy)
        plain = plan.as_dict()
        result: dict[str, Any] = {
            "changed": False,
            "ok": plan.ok,
            "title": plan_show.title(plain),
            "plan": plain,
            "summary": _summary(plan),
            "problems": list(plan.problems),
        }
        display = Display()
        for text, colour in plan_show.lines(plain):
            display.display(text, color=colour)
        if options["dest"]:
            result |= self._saved(options["dest"], plan)
        if options["report"]:
            plan_page.write(options["report"], plain, state, policy.judge.thresholds.memory_headroom)
            result["report"] = options["report"]
        if plan.problems and options["fail_on"] == "problems":
            more = f" (and {len(plan.problems) - 1} more)" if len(plan.problems) > 1 else ""
            result |= _failure("blocked", f"{result['title']}: {plan.problems[0]}{more}")
        return result

    def _saved(self, path: str, plan: Plan) -> dict[str, Any]:
        """A file that holds the same plan stays as it is: when it was made does not count."""
        target = Path(path)
        before, text = "", plan.as_json()
        try:
            if target.exists():
                before = target.read_text(encoding="utf-8")
                if _same(before, plan):
                    return {"dest": path}
            if not self._task.check_mode:
                target.write_text(text, encoding="utf-8")
        except OSError as problem:
            raise PlanError(
                f"The plan {path} cannot be written: {problem.strerror}. Create the folder, or choose another path."
            ) from None
        found: dict[str, Any] = {"dest": path, "changed": True}
        if self._task.diff:
            found["diff"] = {"before": before, "after": text, "before_header": path, "after_header": path}
        return found


def _same(text: str, plan: Plan) -> bool:
    try:
        old = plan_from_json(text)
    except PlanError:
        return False
    drop = {"made_at": None}
    return json.dumps({**old.as_dict(), **drop}, sort_keys=True) == json.dumps(
        {**plan.as_dict(), **drop}, sort_keys=True
    )


def _policy(options: Mapping[str, Any]) -> Policy:
    accept = frozenset(options["accept"])
    asking.know(accept, set(kinds()))
    for name in ("parallel", "parallel_target"):
        if options[name] < 1:
            raise Impossible(f"{name} is {options[name]}: at least one move at a time has to be allowed.")
    return Policy(
        Options(
            accept,
            asking.thresholds(options["thresholds"]),
            asking.zfs(options["node_facts"]),
            options["with_local_disks"],
            asking.storage_map(options["target_storage"]),
            options["isolated"],
        ),
        Limits(options["parallel"], options["parallel_target"], options["parallel_cluster"]),
        Pinned(options["pinned"]),
        Homing(options["homing"]),
        options["stopped"],
        tuple(options["to"]) if options["to"] else None,
        tuple(options["nodes"]) if options["nodes"] else None,
        tuple(options["order"]),
        tuple(options["last"]),
        options["goal"],
        _needs(options["needs"]),
        options["restart_seconds"],
        options["install_seconds"],
    )


def _needs(given: Mapping[str, Any]) -> dict[str, NodeNeeds]:
    found = {}
    for node, row in given.items():
        if not isinstance(row, Mapping) or not {"upgrade", "reboot", "why"}.issuperset(row):
            raise Impossible(f"needs of {node} is {row!r}: give upgrade and reboot, each true or false, and why.")
        values = {name: row[name] for name in ("upgrade", "reboot") if name in row}
        if not all(isinstance(value, bool) for value in values.values()):
            raise Impossible(f"needs of {node} is {dict(row)!r}: upgrade and reboot have to be true or false.")
        found[str(node)] = NodeNeeds(**values, why=str(row.get("why", "")))
    return found


def _summary(plan: Plan) -> dict[str, Any]:
    return {
        "nodes": len(plan.nodes),
        "moves": len(plan.moves),
        "moves_at_least": plan.bounds.moves,
        "bytes": plan.bytes,
        "bytes_at_least": plan.bounds.bytes,
        "blind_bytes": plan.blind_bytes,
        "seconds": plan.seconds,
        "moving_seconds": plan.moving_seconds,
        "moving_seconds_at_least": plan.bounds.seconds,
        "stopped": sum(stay.fate.value == "stop" for stay in plan.stays),
        "holding": sum(stay.fate.value == "holds" for stay in plan.stays),
        "fits": plan.proof.holds,
    }


def blind(hidden: Unknown) -> dict[str, Any]:
    """A plan that knows nothing of some guests would look as good as any other."""
    path, privileges = hidden.path or "/", hidden.privileges
    sentence = (
        f"Permission is missing: {' or '.join(privileges)} on {path} is needed to plan with everything that is there"
        f" ({hidden.part} could not be read). Give a role with it to the user, and to the token too when it has"
        " privilege separation. Nothing was changed."
    )
    return {
        "failed": True,
        "msg": sentence,
        "failure": {"kind": "permission", "path": path, "privileges": list(privileges)},
    }


def _failure(kind: str, sentence: str) -> dict[str, Any]:
    return {"failed": True, "msg": sentence, "failure": {"kind": kind}}
