# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rules of the HA manager that keep guests to the nodes that hold their copies: read, proposed, made (pve-facts
§7.9)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import NotImplementedByRelease
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.model.ha_config import (
    HaResource,
    HaRule,
    group_rules,
    ha_resource,
    ha_rule,
)
from ansible_collections.pve.mobility.plugins.module_utils.planning.replica_ha import HaJudgement, Proposal, judge
from ansible_collections.pve.mobility.plugins.module_utils.planning.replication_policy import GuestPlan

RULES = "/cluster/ha/rules"
GROUPS = "/cluster/ha/groups"
RESOURCES = "/cluster/ha/resources"
COMMENT = "nodes that hold the replicas"


@dataclass(slots=True)
class HaSide:
    """:ivar groups: the release has groups, not rules (before 9.0). :ivar made: rules that were made or changed."""

    judgement: HaJudgement = field(default_factory=HaJudgement)
    groups: bool = False
    made: list[str] = field(default_factory=list)
    _rules: dict[str, HaRule] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        return bool(self.made)

    @classmethod
    def read(cls, session: Session, plans: Iterable[GuestPlan]) -> HaSide:
        """Two requests, three before 9.0; one when HA has no resources."""
        resources, rules, groups = read_ha(session)
        holders = {item.guest.sid: item.nodes for item in plans if not item.homeless and _has_copies(item)}
        return cls(judge(holders, resources, rules), groups, _rules={rule.id: rule for rule in rules})

    def create(self, session: Session) -> None:
        """Make what is proposed. A rule that somebody else has made is never changed.

        :raises ApiError: one may not (Sys.Console on /), or there is no quorum.
        """
        for name, sids in self.judgement.moved.items():
            if not self.groups:
                self._shrink(session, name, sids)
        for proposal in self.judgement.proposals:
            (self._group if self.groups else self._rule)(session, proposal)
            self.made.append(proposal.rule)

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": "group" if self.groups else "rule",
            "proposals": [
                {
                    "rule": item.rule,
                    "nodes": list(item.nodes),
                    "resources": list(item.resources),
                    "added": list(item.added),
                    "exists": item.exists,
                }
                for item in self.judgement.proposals
            ],
            "contradictions": [
                {"rule": item.rule, "resource": item.sid, "why": item.why, "remedy": item.remedy}
                for item in self.judgement.contradictions
            ],
            "fine": list(self.judgement.fine),
            "made": self.made,
        }

    def _rule(self, session: Session, proposal: Proposal) -> None:
        resources = ",".join(proposal.resources)
        if proposal.exists:
            session.put(f"{RULES}/{proposal.rule}", {"type": "node-affinity", "resources": resources})
            return
        session.post(
            RULES,
            {
                "rule": proposal.rule,
                "type": "node-affinity",
                "resources": resources,
                "nodes": ",".join(proposal.nodes),
                "strict": True,
                "comment": COMMENT,
            },
        )

    def _shrink(self, session: Session, name: str, sids: tuple[str, ...]) -> None:
        """A resource is in one rule at most, so it leaves its former one first."""
        rest = [sid for sid in self._rules[name].sids if sid not in sids]
        if rest:
            session.put(f"{RULES}/{name}", {"type": "node-affinity", "resources": ",".join(rest)})
        else:
            session.delete(f"{RULES}/{name}")

    def _group(self, session: Session, proposal: Proposal) -> None:
        if not proposal.exists:
            session.post(
                GROUPS,
                {
                    "group": proposal.rule,
                    "nodes": ",".join(proposal.nodes),
                    "restricted": True,
                    "comment": COMMENT,
                },
            )
        for sid in proposal.added:
            session.put(f"{RESOURCES}/{sid}", {"group": proposal.rule})


def read_ha(session: Session) -> tuple[list[HaResource], list[HaRule], bool]:
    """Resources, rules (groups as the rules that they stand for), and whether the release has groups."""
    resources = [ha_resource(row) for row in session.get(RESOURCES) or ()]
    if not resources:
        return [], [], False
    try:
        return resources, [ha_rule(row) for row in session.get(RULES) or ()], False
    except NotImplementedByRelease:
        return resources, list(group_rules(session.get(GROUPS) or (), resources)), True


def _has_copies(item: GuestPlan) -> bool:
    """Whether it has jobs, or gets some."""
    return bool(item.plan.keep or item.plan.create)
