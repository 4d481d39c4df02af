# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HA rules as a plan needs them: who moves together, who must stay apart, and where the HA manager leaves a guest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.ha_config import HaRule
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState


@dataclass(frozen=True, slots=True)
class Affinity:
    """Rules do not change while a plan is carried out, so this is made once.

    :ivar together: vmid → all that share a positive resource affinity with it, itself included, the lowest first.
    :ivar apart: vmid → those that must not be beside it. :ivar places: vmid → its node affinity rules.
    :ivar failback: vmids that the HA manager brings back to the nodes that a rule prefers.
    """

    together: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    apart: Mapping[int, frozenset[int]] = field(default_factory=dict)
    places: Mapping[int, tuple[HaRule, ...]] = field(default_factory=dict)
    failback: frozenset[int] = frozenset()

    @classmethod
    def of(cls, state: ClusterState) -> Affinity:
        managed = {
            guest.sid: guest.vmid
            for guest in state.guests
            if (resource := state.ha_resource(guest.sid)) is not None and resource.state != "ignored"
        }
        if state.ha is not None and state.ha.disarm_mode == "ignore":
            managed = {}
        together: dict[int, set[int]] = {}
        apart: dict[int, set[int]] = {}
        places: dict[int, list[HaRule]] = {}
        for rule in state.ha_rules:
            if not rule.active:
                continue
            vmids = {managed[sid] for sid in rule.sids if sid in managed}
            if rule.type == "node-affinity":
                for vmid in vmids:
                    places.setdefault(vmid, []).append(rule)
            elif rule.positive:
                # The HA manager merges rules that share a resource.
                merged = vmids.union(*(together.get(vmid, ()) for vmid in vmids))
                for vmid in merged:
                    together[vmid] = merged
            else:
                for vmid in vmids:
                    apart.setdefault(vmid, set()).update(vmids - {vmid})
        return cls(
            {vmid: tuple(sorted(group)) for vmid, group in together.items() if len(group) > 1},
            {vmid: frozenset(others) for vmid, others in apart.items() if others},
            {vmid: tuple(rules) for vmid, rules in places.items()},
            frozenset(item.vmid for item in state.ha_resources if item.failback),
        )

    def unit(self, vmid: int) -> tuple[int, ...]:
        """All that move when this guest moves."""
        return self.together.get(vmid, (vmid,))

    def lasting(self, vmid: int, nodes: Iterable[str]) -> frozenset[str] | None:
        """Of ``nodes``, those on which the HA manager would leave the guest; None for all of them.

        With failback it brings the guest to the nodes of the highest priority that there are (pve-facts §7.3).
        """
        rules = self.places.get(vmid)
        if not rules:
            return None
        allowed = frozenset(nodes)
        for rule in rules:
            here = allowed & frozenset(rule.nodes)
            if not rule.positive:
                allowed -= here
            elif here and vmid in self.failback:
                best = max(rule.nodes[name] for name in here)
                allowed = frozenset(name for name in here if rule.nodes[name] == best)
            elif rule.strict:
                allowed = here
        return allowed

    def priority(self, vmid: int, node: str) -> int:
        """That rules give a node for a guest; -1 when none names it."""
        return max((rule.nodes.get(node, -1) for rule in self.places.get(vmid, ()) if rule.positive), default=-1)

    def clash(self, vmid: int, where: Mapping[int, set[str]], node: str) -> int | None:
        """Who is on ``node`` or on its way there and must not be beside the guest."""
        for other in sorted(self.apart.get(vmid, ())):
            if node in where.get(other, ()):
                return other
        return None


def is_running(guest: Guest) -> bool:
    """Templates never run."""
    return guest.running and not guest.template
