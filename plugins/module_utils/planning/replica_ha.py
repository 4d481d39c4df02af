# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HA and replicas: the HA manager knows nothing of copies, so rules must keep it to the nodes that hold them.

On a node without a copy a recovered guest cannot start (pve-facts §7.9). What helps is a strict node affinity rule, or
before 9.0 a restricted group.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ansible_collections.pve.mobility.plugins.module_utils.model.ha_config import HaResource, HaRule

PREFIX = "replicas"
LONGEST = 60
NODE_AFFINITY = "node-affinity"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A rule as it should be. ``exists``: it is there already, with other resources.

    :ivar resources: all that it should be about. :ivar added: those of them that it is not about yet.
    """

    rule: str
    nodes: tuple[str, ...]
    resources: tuple[str, ...]
    added: tuple[str, ...]
    exists: bool = False


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A rule that somebody has made lets a resource start where no copy is, or forbids a node that has one."""

    rule: str
    sid: str
    why: str
    remedy: str


@dataclass(frozen=True, slots=True)
class HaJudgement:
    """:ivar moved: resources that leave rules of this kind, by rule, because their set is another one now."""

    proposals: tuple[Proposal, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()
    moved: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fine: tuple[str, ...] = ()


def restricts(rule: HaRule, nodes: Iterable[str]) -> bool:
    """Whether it keeps its resources to these nodes, or some of them."""
    return rule.active and rule.positive and rule.strict and set(rule.nodes) <= set(nodes)


def judge(
    holders: Mapping[str, tuple[str, ...]], resources: Iterable[HaResource], rules: Iterable[HaRule]
) -> HaJudgement:
    """What the HA manager should be told.

    :param holders: nodes that hold the data, by resource ID; those that HA does not know are passed over.
    """
    managed = {item.sid for item in resources if item.state != "ignored"}
    rules = [rule for rule in rules if rule.type == NODE_AFFINITY and not rule.disabled]
    of_sid = {sid: rule for rule in rules for sid in rule.sids}
    fine: list[str] = []
    wrong: list[Contradiction] = []
    moved: dict[str, list[str]] = {}
    lacking: dict[tuple[str, ...], list[str]] = {}
    for sid in sorted(managed & holders.keys()):
        nodes, rule = holders[sid], of_sid.get(sid)
        if rule is None:
            lacking.setdefault(nodes, []).append(sid)
        elif restricts(rule, nodes):
            fine.append(sid)
        elif rule.id.startswith(f"{PREFIX}-"):
            moved.setdefault(rule.id, []).append(sid)
            lacking.setdefault(nodes, []).append(sid)
        else:
            wrong.append(_contradiction(sid, rule, nodes))
    by_id = {rule.id: rule for rule in rules}
    proposals = []
    for nodes, sids in sorted(lacking.items()):
        name = rule_name(nodes)
        present = by_id.get(name)
        kept = [sid for sid in (present.sids if present else ()) if sid not in moved.get(name, ())]
        proposals.append(Proposal(name, nodes, tuple(sorted({*kept, *sids})), tuple(sids), present is not None))
    return HaJudgement(tuple(proposals), tuple(wrong), {name: tuple(sids) for name, sids in moved.items()}, tuple(fine))


def rule_name(nodes: Iterable[str]) -> str:
    """Told by its nodes, so that guests with the same set share a rule."""
    text = "-".join((PREFIX, *sorted(nodes)))
    if len(text) <= LONGEST:
        return text
    return f"{PREFIX}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _contradiction(sid: str, rule: HaRule, nodes: tuple[str, ...]) -> Contradiction:
    kind = "group" if rule.group else "rule"
    wanted = f"{', '.join(nodes)} and {'restricted' if rule.group else 'strict'}"
    if not rule.strict or not rule.positive:
        why = f"HA {kind} {rule.id} does not keep {sid} from nodes without a copy"
    else:
        without = ", ".join(sorted(set(rule.nodes) - set(nodes)))
        why = f"HA {kind} {rule.id} lets {sid} start on {without}, which holds no copy"
    return Contradiction(rule.id, sid, why, f"make the nodes of {rule.id} {wanted}, or replicate to all of its nodes")
