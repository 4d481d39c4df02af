# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The HA manager: will it carry out the move, and who comes along?"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts

_CAUSES = {
    "resource-affinity": "must not be on the same node (negative resource affinity)",
    "node-affinity": "is not allowed there (node affinity rule)",
}


def manager_will_act(move: MoveFacts) -> Iterator[Finding]:
    """A service in error, a disarmed stack or a service that is being recovered: commands are dropped silently."""
    if move.ha is None:
        return
    guest = move.guest
    service = move.ha.services.get(guest.sid)
    state = service.state if service is not None else guest.hastate or ""
    if move.ha.disarm_mode or state == "freeze":
        yield Finding(
            "ha-disarmed",
            Severity.BLOCK,
            f"the HA stack is disarmed, so it carries out no moves ({guest.sid} is in state {state or 'unknown'})",
            "arm it again (POST /cluster/ha/status/arm-ha), or set the resource to ignored for the time of the work",
            guest=guest.vmid,
            evidence={"state": state, "mode": move.ha.disarm_mode},
        )
    elif state == "error":
        yield Finding(
            "ha-error",
            Severity.BLOCK,
            f"the HA manager has {guest.sid} in state error and will not move it",
            f"set it to disabled, mend the cause, then to started: ha-manager set {guest.sid} --state disabled",
            guest=guest.vmid,
            evidence={"state": state},
        )
    elif state in {"fence", "recovery"}:
        yield Finding(
            "ha-recovering",
            Severity.BLOCK,
            f"the HA manager is recovering {guest.sid} (state {state})",
            "wait until it is started again",
            guest=guest.vmid,
            evidence={"state": state},
        )
    elif not move.ha.quorate:
        yield Finding(
            "ha-no-quorum",
            Severity.BLOCK,
            "the HA manager has no quorum",
            "bring back a majority of the nodes",
            guest=guest.vmid,
        )
    known = move.ha.nodes.get(move.target.name)
    if move.target.online and known not in (None, "online", "maintenance"):
        yield Finding(
            "ha-node-state",
            Severity.BLOCK,
            f"the HA manager has {move.target.name} in state {known}, and drops requests to such nodes",
            f"see that pve-ha-lrm runs on {move.target.name}, or choose another target",
            guest=guest.vmid,
            node=move.target.name,
            evidence={"state": known},
        )


def rules(move: MoveFacts) -> Iterator[Finding]:
    """Affinity rules: the request would be accepted with 200 and refused by the HA manager's journal alone."""
    for sid, cause in move.precondition.hindrance(move.target.name).blocking:
        yield Finding(
            "ha-rule",
            Severity.BLOCK,
            f"an HA rule keeps {move.guest.sid} off {move.target.name}: {sid} {_CAUSES.get(cause, cause)}",
            "choose another target, move the other resource first, or change the rule",
            guest=move.guest.vmid,
            node=move.target.name,
            evidence={"sid": sid, "cause": cause},
        )
    yield from _node_affinity(move)
    if move.precondition.dependents:
        partners = ", ".join(move.precondition.dependents)
        yield Finding(
            "ha-partners",
            Severity.INFO,
            f"{partners} will move along (positive resource affinity)",
            "nothing to do; see that the target has room for all of them",
            guest=move.guest.vmid,
            node=move.target.name,
            evidence={"sids": list(move.precondition.dependents)},
        )


def _node_affinity(move: MoveFacts) -> Iterator[Finding]:
    """The HA manager carries such a move out, and some rounds later it brings the guest back (pve-facts §7.3)."""
    target = move.target.name
    for rule in move.rules:
        if rule.type != "node-affinity" or not rule.active or move.guest.sid not in rule.sids:
            continue
        kind = "group" if rule.group else "rule"
        nodes = ", ".join(sorted(rule.nodes))
        allowed = (target in rule.nodes) is rule.positive
        if not allowed and (rule.strict or not rule.positive):
            yield Finding(
                "ha-node-affinity",
                Severity.BLOCK,
                f"HA {kind} {rule.id} {'keeps' if rule.positive else 'bars'} {move.guest.sid}"
                f" {'on' if rule.positive else 'from'} {nodes}, so the HA manager would bring it back from {target}",
                f"choose another target, or change the {kind}",
                guest=move.guest.vmid,
                node=target,
                evidence={"rule": rule.id, "nodes": dict(rule.nodes)},
            )
        elif rule.positive and rule.nodes.get(target, -1) < max(rule.nodes.values(), default=-1):
            yield Finding(
                "ha-preferred-node",
                Severity.WARN,
                f"HA {kind} {rule.id} prefers other nodes for {move.guest.sid} ({nodes}): unless failback is off, the"
                f" HA manager brings it back from {target} while one of them is online",
                f"choose a preferred node, switch failback off for the resource, or change the {kind}",
                guest=move.guest.vmid,
                node=target,
                evidence={"rule": rule.id, "nodes": dict(rule.nodes)},
            )
