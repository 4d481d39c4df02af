# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ha/rules.cfg: where resources may run, and with whom (pve-ha-manager HA/Rules.pm, Rules/*Affinity.pm)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from lab.ha.config import Group, Resource, encode_text, groups, parse_priorities, print_priorities, resources
from lab.pve.formats import Section, parse_section_config, print_section_config, split_list

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster

RULES = "ha/rules.cfg"
NODE = "node-affinity"
TOGETHER = "resource-affinity"
TYPES = (NODE, TOGETHER)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    :ivar nodes: priority by node (node affinity).
    :ivar affinity: ``positive`` or ``negative``; node affinity may have it, too: negative means to avoid the nodes.
    :ivar order: position in the file, from 1.
    """

    id: str
    type: str
    resources: frozenset[str]
    nodes: dict[str, int]
    strict: bool = False
    affinity: str = ""
    disable: bool = False
    comment: str | None = None
    order: int = 0

    @property
    def several_priorities(self) -> bool:
        return len(set(self.nodes.values())) > 1

    def with_resources(self, resources: frozenset[str]) -> Rule:
        return replace(self, resources=resources)


def rule_of(section: Section, order: int) -> Rule:
    values = section.values
    return Rule(
        section.id, section.type, frozenset(split_list(values.get("resources"))),
        parse_priorities(values.get("nodes", "")), values.get("strict") == "1", values.get("affinity", ""),
        "disable" in values, unquote(values["comment"]) if "comment" in values else None, order,
    )  # fmt: skip


def parse_rules(text: str) -> dict[str, Rule]:
    sections = parse_section_config(text).values()
    return {section.id: rule_of(section, order) for order, section in enumerate(sections, start=1)}


def print_rules(rules: Iterable[Rule]) -> str:
    sections = []
    for rule in rules:
        values = {"resources": ",".join(sorted(rule.resources))}
        if rule.type == NODE:
            values["nodes"] = print_priorities(rule.nodes)
            if rule.strict:
                values["strict"] = "1"
        if rule.affinity:
            values["affinity"] = rule.affinity
        if rule.disable:
            values["disable"] = "1"
        if rule.comment:
            values["comment"] = encode_text(rule.comment)
        sections.append(Section(rule.type, rule.id, values))
    return print_section_config(sections, frozenset({"disable"}))


def configured_rules(cluster: Cluster) -> dict[str, Rule]:
    """What rules.cfg says."""
    return cluster.fs.parsed(RULES, parse_rules)


def all_rules(cluster: Cluster, own: dict[str, Rule] | None = None) -> dict[str, Rule]:
    """Rules, and groups as the rules that they amount to."""
    found = dict(configured_rules(cluster) if own is None else own)
    return found | from_groups(groups(cluster), resources(cluster), len(found))


def from_groups(known: dict[str, Group], managed: dict[str, Resource], order: int) -> dict[str, Rule]:
    """HA/Groups.pm:migrate_groups_to_rules."""
    members: dict[str, set[str]] = {}
    for sid, resource in managed.items():
        if resource.group in known:
            members.setdefault(str(resource.group), set()).add(sid)
    found = {}
    for number, (name, sids) in enumerate(members.items(), start=order + 1):
        group = known[name]
        comment = group.values.get("comment") or f"Generated from HA group '{name}'."
        id = f"ha-group-{name}"
        found[id] = Rule(id, NODE, frozenset(sids), group.nodes, group.restricted, comment=comment, order=number)
    return found


# ---------------------------------------------------------------- what cannot be

Errors = dict[str, list[str]]
"""Complaints about ``resources`` by rule."""


def infeasible(rules: dict[str, Rule], nodes: Iterable[str]) -> Errors:
    """HA/Rules.pm:check_feasibility: the complaints, in the order of its checks."""
    errors: Errors = {}
    active = {id: rule for id, rule in rules.items() if not rule.disable}
    places = {id: rule for id, rule in active.items() if rule.type == NODE}
    affinity = {id: rule for id, rule in active.items() if rule.type == TOGETHER}
    positive = {id: rule for id, rule in affinity.items() if rule.affinity == "positive"}
    negative = {id: rule for id, rule in affinity.items() if rule.affinity == "negative"}
    _one_place_each(places, errors)
    _counts(affinity, negative, len(set(nodes)), errors)
    _contradictions(positive, negative, errors)
    _priorities(affinity, places, errors)
    _places_of_bundles(positive, places, errors)
    _room_to_separate(negative, places, errors)
    return errors


def _complain(errors: Errors, ids: Iterable[str], text: str) -> None:
    for id in sorted(ids):
        errors.setdefault(id, []).append(text)


def _one_place_each(places: dict[str, Rule], errors: Errors) -> None:
    users: dict[str, list[str]] = {}
    for id, rule in places.items():
        for sid in rule.resources:
            users.setdefault(sid, []).append(id)
    conflicts = sorted((id, sid) for sid, ids in users.items() if len(ids) > 1 for id in ids)
    for id, sid in conflicts:
        _complain(errors, [id], f"resource '{sid}' is already used in another node affinity rule")


def _counts(affinity: dict[str, Rule], negative: dict[str, Rule], nodes: int, errors: Errors) -> None:
    few = [id for id, rule in affinity.items() if len(rule.resources) < 2]
    _complain(errors, few, "rule is ineffective as there are less than two resources")
    many = [id for id, rule in negative.items() if len(rule.resources) > nodes]
    _complain(errors, many, "rule defines more resources than available nodes")


def _contradictions(positive: dict[str, Rule], negative: dict[str, Rule], errors: Errors) -> None:
    for ids, sids in bundles(positive):
        for id, rule in negative.items():
            if len(sids & rule.resources) >= 2:
                text = "rule shares two or more resources with a {} resource affinity rule"
                _complain(errors, [id], text.format("positive"))
                _complain(errors, ids, text.format("negative"))


def _priorities(affinity: dict[str, Rule], places: dict[str, Rule], errors: Errors) -> None:
    for id, rule in affinity.items():
        paired = [other for other, place in places.items() if rule.resources & place.resources]
        if any(places[other].several_priorities for other in paired):
            _complain(errors, [id], "resources are in node affinity rules with multiple priorities")
            _complain(
                errors, paired,
                "resources are in a resource affinity rule and cannot be in a node affinity rule with multiple "
                "priorities",
            )  # fmt: skip


def _places_of_bundles(positive: dict[str, Rule], places: dict[str, Rule], errors: Errors) -> None:
    for ids, sids in bundles(positive):
        paired = [id for id, place in places.items() if sids & place.resources]
        if len(paired) > 1:
            _complain(errors, ids, "resources are in multiple node affinity rules")
            _complain(
                errors, paired,
                "at least one resource is in a positive resource affinity rule and there are other resources in at "
                "least one other node affinity rule already",
            )  # fmt: skip


def _room_to_separate(negative: dict[str, Rule], places: dict[str, Rule], errors: Errors) -> None:
    for id, rule in negative.items():
        nodes: set[str] = set()
        located: set[str] = set()
        paired = []
        for other, place in places.items():
            if common := rule.resources & place.resources:
                located |= common
                nodes |= set(place.nodes)
                paired.append(other)
        if len(nodes) < len(located):
            _complain(errors, [id],
                      "two or more resources are restricted to less nodes than available to the resources")  # fmt: skip
            _complain(
                errors, paired,
                "at least one resource is in a negative resource affinity rule and this rule would restrict these to "
                "less nodes than available to the resources",
            )  # fmt: skip


def bundles(positive: dict[str, Rule]) -> list[tuple[list[str], set[str]]]:
    """Rules that share resources, taken together: ``(rule ids, resources)``."""
    found: list[tuple[list[str], set[str]]] = []
    for rule in sorted(positive.values(), key=lambda item: (min(item.resources, default=""), item.id)):
        for ids, sids in found:
            if sids & rule.resources:
                ids.append(rule.id)
                sids |= rule.resources
                break
        else:
            found.append(([rule.id], set(rule.resources)))
    return found


# ---------------------------------------------------------------- what the scheduler looks at


@dataclass(frozen=True, slots=True)
class Compiled:
    """Rules by resource: priority by node, resources to be with, resources to stay away from."""

    places: dict[str, dict[str, int]]
    together: dict[str, frozenset[str]]
    apart: dict[str, frozenset[str]]

    def concerns(self, sid: str) -> bool:
        return sid in self.places or sid in self.together or sid in self.apart


NO_RULES = Compiled({}, {}, {})


def compile_rules(rules: dict[str, Rule], nodes: list[str]) -> tuple[Compiled, list[str]]:
    """Feasible rules for the scheduler, and why others were dropped (HA/Rules.pm:transform, compile)."""
    errors = infeasible(rules, nodes)
    messages = [f"Drop rule '{id}', because {text}." for id in sorted(errors) for text in errors[id]]
    kept = [rule for id, rule in rules.items() if id not in errors and not rule.disable]
    together: dict[str, frozenset[str]] = {}
    joined = bundles({rule.id: rule for rule in kept if rule.type == TOGETHER and rule.affinity == "positive"})
    for _ids, sids in joined:
        for sid in sids:
            together[sid] = frozenset(sids - {sid})
    apart: dict[str, set[str]] = {}
    for rule in kept:
        if rule.type == TOGETHER and rule.affinity == "negative":
            for sid in rule.resources:
                apart.setdefault(sid, set()).update(rule.resources - {sid})
    for _ids, sids in joined:
        # Whoever stays away from one of a bundle stays away from all of it.
        others = set().union(*(apart.get(sid, set()) for sid in sids)) - sids
        for sid in sids if others else ():
            apart.setdefault(sid, set()).update(others)
        for other in others:
            apart.setdefault(other, set()).update(sids)
    places: dict[str, dict[str, int]] = {}
    for rule in kept:
        if rule.type == NODE:
            effective = dict(rule.nodes)
            if rule.affinity == "negative":
                effective = {node: 0 for node in nodes if node not in rule.nodes}
            if not rule.strict:
                effective |= {node: -1 for node in nodes if node not in effective}
            members = set(rule.resources)
            for _ids, sids in joined:
                if sids & rule.resources:
                    members |= sids
            places |= dict.fromkeys(members, effective)
    return Compiled(places, together, {sid: frozenset(others) for sid, others in apart.items()}), messages
