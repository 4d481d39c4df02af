# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the HA manager is told: resources, rules, and the groups of releases before 9.0 (pve-facts §7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.names import NodeName, RuleName, Sentence
from ansible_collections.pve.mobility.plugins.module_utils.model.propstring import truth, whole, words


@dataclass(frozen=True, slots=True)
class HaResource:
    """``sid`` is ``vm:100`` or ``ct:200``; ``state`` started, stopped, disabled or ignored."""

    sid: str
    state: str = "started"
    max_restart: int = 1
    max_relocate: int = 1
    failback: bool = True
    group: RuleName | None = None

    @property
    def vmid(self) -> int:
        number = self.sid.rpartition(":")[2]
        return int(number) if number.isdigit() else 0


@dataclass(frozen=True, slots=True)
class HaRule:
    """A rule, or a group as the rule that it stands for.

    :ivar type: ``node-affinity`` or ``resource-affinity``. :ivar sids: the resources that it is about.
    :ivar positive: together, or on these nodes; otherwise apart, or not on these nodes.
    :ivar nodes: name → priority, for node affinity. :ivar strict: no other node is allowed.
    :ivar errors: why the HA manager ignores it. :ivar group: it is a group.
    """

    id: RuleName
    type: str
    sids: tuple[str, ...] = ()
    positive: bool = True
    nodes: Mapping[NodeName, int] = field(default_factory=dict)
    strict: bool = False
    disabled: bool = False
    errors: tuple[Sentence, ...] = ()
    group: bool = False

    @property
    def active(self) -> bool:
        return not self.disabled and not self.errors


def ha_resource(row: Mapping[str, Any]) -> HaResource:
    """From a row of ``GET /cluster/ha/resources``, which leaves defaults out."""
    sid, kind = str(row["sid"]), row.get("type")
    state = str(row.get("state") or "started")
    return HaResource(
        sid if ":" in sid else f"{kind or 'vm'}:{sid}",
        "started" if state == "enabled" else state,
        whole(row, "max_restart", 1),
        whole(row, "max_relocate", 1),
        truth(row.get("failback"), True),
        row.get("group") or None,
    )


def ha_rule(row: Mapping[str, Any]) -> HaRule:
    """From a row of ``GET /cluster/ha/rules``."""
    errors = row.get("errors") or {}
    return HaRule(
        str(row["rule"]),
        str(row.get("type", "")),
        words(row.get("resources")),
        str(row.get("affinity") or "positive") == "positive",
        _priorities(row.get("nodes")),
        truth(row.get("strict")),
        truth(row.get("disable")),
        tuple(_sentences(errors)),
    )


def group_rules(rows: Iterable[Mapping[str, Any]], resources: Iterable[HaResource]) -> tuple[HaRule, ...]:
    """From ``GET /cluster/ha/groups``: each group as a node affinity rule of the resources that are in it."""
    members: dict[str, list[str]] = {}
    for resource in resources:
        if resource.group:
            members.setdefault(resource.group, []).append(resource.sid)
    return tuple(
        HaRule(
            str(row["group"]),
            "node-affinity",
            tuple(sorted(members.get(str(row["group"]), ()))),
            True,
            _priorities(row.get("nodes")),
            truth(row.get("restricted")),
            group=True,
        )
        for row in rows
    )


def allowed_nodes(rules: Iterable[HaRule], nodes: Iterable[str]) -> frozenset[str]:
    """Nodes on which the HA manager may run a resource, by the rules that are about it; it knows no replicas (§7.9)."""
    allowed = frozenset(nodes)
    for rule in rules:
        if rule.type != "node-affinity" or not rule.active:
            continue
        if not rule.positive:
            allowed -= rule.nodes.keys()
        elif rule.strict:
            allowed &= rule.nodes.keys()
    return allowed


def _priorities(value: Any) -> dict[str, int]:
    found = {}
    for word in words(value):
        name, _colon, priority = word.partition(":")
        found[name] = int(priority) if priority.isdigit() else 0
    return found


def _sentences(errors: Any) -> list[str]:
    """``{option: [message…]}`` in whatever depth."""
    if isinstance(errors, Mapping):
        return [text for key in sorted(errors) for text in _sentences(errors[key])]
    if isinstance(errors, list | tuple):
        return [text for item in errors for text in _sentences(item)]
    return [" ".join(str(errors).split())]
