# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``/cluster/ha/rules`` (9.0) and ``/cluster/ha/groups`` (pve-ha-manager API2/HA/{Rules,Groups}.pm; pve-facts §7.3)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from lab.api.ha import AUDIT, CONSOLE
from lab.errors import BadParameters, Die
from lab.ha.config import (
    GROUP_OPTIONS,
    GROUPS,
    Group,
    check_domain_lock,
    delete_options,
    groups,
    groups_are_gone,
    options_text,
    parse_priorities,
    print_groups,
    print_priorities,
)
from lab.ha.rules import NODE, RULES, TOGETHER, TYPES, Rule, all_rules, configured_rules, infeasible, print_rules
from lab.http.formats import format_check
from lab.http.params import MISSING, UNKNOWN
from lab.http.router import Call, Param, opt, route
from lab.pve.formats import split_list
from lab.pve.pmxcfs import assert_digest, digest

_SINCE = (9, 0)
_RULE = Param("rule", format="pve-configid")
_DIGEST = opt("digest", max_length=64)
_DELETE = opt("delete", format="pve-configid-list", max_length=4096)
_OF_TYPE = {NODE: ("nodes", "strict"), TOGETHER: ("affinity",)}
_RULE_OPTIONS = (
    opt("nodes", format="pve-ha-node-list"), opt("strict", "boolean"),
    opt("affinity", enum=("positive", "negative")), opt("disable", "boolean"), opt("comment", max_length=4096),
)  # fmt: skip


@format_check("pve-ha-node")
def _ha_node(value: str) -> None:
    if not re.fullmatch(r"[a-zA-Z0-9]([a-zA-Z0-9\-]*[a-zA-Z0-9])?(:\d+)?", value):
        raise ValueError("value does not look like a valid ha node")


# ---------------------------------------------------------------- reading rules


def _row(call: Call, rule: Rule, errors: list[str] | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "rule": rule.id, "type": rule.type, "resources": ",".join(sorted(rule.resources)), "order": rule.order,
        "digest": digest(call.cluster.fs.read(RULES)),
    }  # fmt: skip
    if rule.type == NODE:
        row["nodes"] = print_priorities(rule.nodes)
        if rule.strict:
            row["strict"] = 1
    if rule.affinity:
        row["affinity"] = rule.affinity
    if rule.disable:
        row["disable"] = 1
    if rule.comment:
        row["comment"] = rule.comment
    if errors:
        row["errors"] = {"resources": errors}
    return row


def _known_nodes(call: Call) -> list[str]:
    """The nodes that the HA manager knows."""
    return list(call.cluster.ha.status.node_status)


@route("GET", "/cluster/ha/rules", opt("type", enum=TYPES), opt("resource"), permission=AUDIT, since=_SINCE)
def list_rules(call: Call) -> list[dict[str, Any]]:
    rules = all_rules(call.cluster)
    errors = infeasible(rules, _known_nodes(call))
    wanted = call.get("resource")
    return [
        _row(call, rule, errors.get(rule.id))
        for rule in sorted(rules.values(), key=lambda item: item.order)
        if call.get("type", rule.type) == rule.type and (wanted is None or wanted in rule.resources)
    ]


@route("GET", "/cluster/ha/rules/{rule}", _RULE, permission=AUDIT, since=_SINCE)
def read_rule(call: Call) -> dict[str, Any]:
    rules = all_rules(call.cluster)
    rule = rules.get(call["rule"])
    if rule is None:
        raise Die(f"no such ha rule '{call['rule']}'")
    return _row(call, rule, infeasible(rules, _known_nodes(call)).get(rule.id))


# ---------------------------------------------------------------- changing rules


def _check_options(call: Call, kind: str, required: tuple[str, ...]) -> None:
    """Which options there are depends on the type."""
    foreign = {name for other, names in _OF_TYPE.items() if other != kind for name in names}
    errors = dict.fromkeys(sorted(foreign & call.params.keys()), UNKNOWN)
    errors |= {name: MISSING for name in required if name not in call.params}
    if errors:
        raise BadParameters(errors)


def _changed(call: Call, rule: Rule) -> Rule:
    """The rule with what the call says."""
    values: dict[str, Any] = {}
    if "resources" in call.params:
        values["resources"] = frozenset(split_list(call["resources"]))
        _check_resources(call, values["resources"])
    if "nodes" in call.params:
        values["nodes"] = parse_priorities(call["nodes"])
        _check_nodes(call, values["nodes"])
    if "strict" in call.params:
        values["strict"] = bool(call["strict"])
    if "affinity" in call.params:
        values["affinity"] = call["affinity"]
    if call.get("disable"):
        values["disable"] = True
    if "comment" in call.params:
        values["comment"] = call["comment"] or None
    return replace(rule, **values)


def _check_resources(call: Call, resources: frozenset[str]) -> None:
    if not resources:
        raise Die("no resources were specified")
    unmanaged = sorted(resources - call.cluster.ha.resources().keys())
    if unmanaged:
        raise Die(f"cannot use unmanaged resource(s) {', '.join(unmanaged)}.")


def _check_nodes(call: Call, nodes: dict[str, int]) -> None:
    if not nodes:
        raise Die("no nodes were specified")
    missing = sorted(nodes.keys() - call.cluster.nodes.keys())
    if missing:
        raise Die(f"cannot use non-existent node(s) {', '.join(missing)}.")


def _save(call: Call, rules: dict[str, Rule], id: str) -> None:
    """:raises Die: the rule contradicts others; the reasons follow the first line."""
    errors = infeasible(all_rules(call.cluster, rules), _known_nodes(call)).get(id)
    if errors:
        raise Die(f"400 Rule '{id}' is invalid.\nresources: {', '.join(errors)}")
    call.cluster.fs.write(RULES, print_rules(rules.values()))


@route(
    "POST", "/cluster/ha/rules", _RULE, Param("type", enum=TYPES),
    Param("resources", format="pve-ha-resource-id-list"), *_RULE_OPTIONS, permission=CONSOLE, protected=True,
    since=_SINCE,
)  # fmt: skip
def create_rule(call: Call) -> None:
    id, kind, what = call["rule"], call["type"], "create ha rule failed"
    _check_options(call, kind, ("nodes",) if kind == NODE else ("affinity",))
    call.cluster.check_quorum(call.node)
    if not groups_are_gone(call.cluster, call.node):
        raise Die("cannot create ha rule: ha groups have not been migrated yet")
    check_domain_lock(call.cluster, call.node, what)
    rules = dict(configured_rules(call.cluster))
    try:
        if id in rules:
            raise Die(f"HA rule '{id}' already defined")
        rules[id] = _changed(call, Rule(id, kind, frozenset(), {}, order=len(rules) + 1))
        _save(call, rules, id)
    except Die as reason:
        raise Die(f"{what}: {reason.reason}") from reason


@route(
    "PUT", "/cluster/ha/rules/{rule}", _RULE, Param("type", enum=TYPES),
    opt("resources", format="pve-ha-resource-id-list"), *_RULE_OPTIONS, _DIGEST, _DELETE, permission=CONSOLE,
    protected=True, since=_SINCE,
)  # fmt: skip
def update_rule(call: Call) -> None:
    id, what = call["rule"], "update HA rules failed"
    _check_options(call, call["type"], ())
    if not groups_are_gone(call.cluster, call.node):
        raise Die("cannot update ha rule: ha groups have not been migrated yet")
    check_domain_lock(call.cluster, call.node, what)
    rules = dict(configured_rules(call.cluster))
    try:
        assert_digest(call.get("digest"), call.cluster.fs.read(RULES))
        if id not in rules:
            raise Die(f"HA rule '{id}' does not exist")
        rules[id] = _without(_changed(call, rules[id]), call.get("delete"))
        _save(call, rules, id)
    except Die as reason:
        raise Die(f"{what}: {reason.reason}") from reason


def _without(rule: Rule, delete: str | None) -> Rule:
    empty: dict[str, Any] = {"strict": False, "disable": False, "comment": None}
    known = ("resources", "disable", "comment", *_OF_TYPE[rule.type])
    required = ("resources", "nodes", "affinity")
    delete_options({}, delete, known, required)
    return replace(rule, **{key: empty[key] for key in split_list(delete)})


@route("DELETE", "/cluster/ha/rules/{rule}", _RULE, permission=CONSOLE, protected=True, since=_SINCE)
def delete_rule(call: Call) -> None:
    """Nobody minds when there is no such rule."""
    check_domain_lock(call.cluster, call.node, "delete ha rule failed")
    rules = dict(configured_rules(call.cluster))
    rules.pop(call["rule"], None)
    call.cluster.fs.write(RULES, print_rules(rules.values()))


# ---------------------------------------------------------------- groups

_GROUP = Param("group", format="pve-configid")
_GROUP_OPTIONS = (
    opt("restricted", "boolean"), opt("nofailback", "boolean"), opt("comment", max_length=4096),
)  # fmt: skip


def _refuse(call: Call, what: str) -> None:
    if groups_are_gone(call.cluster, call.node):
        raise Die(f"cannot {what}: ha groups have been migrated to rules")


def _group_row(call: Call, group: Group) -> dict[str, Any]:
    row: dict[str, Any] = {"group": group.id, "type": "group", "digest": digest(call.cluster.fs.read(GROUPS))}
    for key, value in group.values.items():
        row[key] = int(value) if key in {"restricted", "nofailback"} else value
    return row


@route("GET", "/cluster/ha/groups", permission=AUDIT)
def list_groups(call: Call) -> list[dict[str, Any]]:
    _refuse(call, "index groups")
    return [_group_row(call, group) for group in groups(call.cluster).values()]


@route("GET", "/cluster/ha/groups/{group}", _GROUP, permission=AUDIT)
def read_group(call: Call) -> dict[str, Any]:
    _refuse(call, "read group")
    group = groups(call.cluster).get(call["group"])
    if group is None:
        raise Die(f"no such ha group '{call['group']}'")
    return _group_row(call, group)


@route("POST", "/cluster/ha/groups", _GROUP, opt("type", enum=("group",)), Param("nodes", format="pve-ha-node-list"),
       *_GROUP_OPTIONS, permission=CONSOLE, protected=True)  # fmt: skip
def create_group(call: Call) -> None:
    _refuse(call, "create group")
    call.cluster.check_quorum(call.node)
    check_domain_lock(call.cluster, call.node, "create ha group failed")
    known, id = dict(groups(call.cluster)), call["group"]
    if id in known:
        raise Die(f"create ha group failed: ha group ID '{id}' already defined")
    known[id] = Group(id, options_text(call.params, GROUP_OPTIONS))
    call.cluster.fs.write(GROUPS, print_groups(known.values()))


@route("PUT", "/cluster/ha/groups/{group}", _GROUP, opt("nodes", format="pve-ha-node-list"), *_GROUP_OPTIONS, _DIGEST,
       _DELETE, permission=CONSOLE, protected=True)  # fmt: skip
def update_group(call: Call) -> None:
    _refuse(call, "update group")
    what, id = "update ha group failed", call["group"]
    check_domain_lock(call.cluster, call.node, what)
    known = dict(groups(call.cluster))
    try:
        assert_digest(call.get("digest"), call.cluster.fs.read(GROUPS))
        if id not in known:
            raise Die(f"no such ha group '{id}'")
        values = {**known[id].values, **options_text(call.params, GROUP_OPTIONS)}
        delete_options(values, call.get("delete"), GROUP_OPTIONS, ("nodes",))
    except Die as reason:
        raise Die(f"{what}: {reason.reason}") from reason
    known[id] = Group(id, values)
    call.cluster.fs.write(GROUPS, print_groups(known.values()))


@route("DELETE", "/cluster/ha/groups/{group}", _GROUP, permission=CONSOLE, protected=True)
def delete_group(call: Call) -> None:
    _refuse(call, "delete group")
    what, id = "delete ha group failed", call["group"]
    check_domain_lock(call.cluster, call.node, what)
    for sid, resource in call.cluster.ha.resources().items():
        if resource.group == id:
            raise Die(f"{what}: ha group is used by service '{sid}'")
    known = dict(groups(call.cluster))
    known.pop(id, None)
    call.cluster.fs.write(GROUPS, print_groups(known.values()))
