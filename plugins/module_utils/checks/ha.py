# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""High availability: will the HA manager carry out the move, and will the guest stay? (pve-facts §1.4, §7)"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.ha import MOVING, Service
from ansible_collections.pve.mobility.plugins.module_utils.model.ha_config import HaRule
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts

DISARMED = Kind(
    "ha-disarmed",
    Severity.BLOCK,
    "The HA stack is disarmed and keeps its services frozen.",
    "Requests to move a service are accepted and never carried out.",
    "arm it again (POST /cluster/ha/status/arm-ha), or set the resource to ignored for the time of the work",
    "state of the service, mode of the disarmed stack",
    enforced=True,
)
ERROR = Kind(
    "ha-error",
    Severity.BLOCK,
    "The HA manager has the guest in state error.",
    "It does nothing with such a service until that is cleared.",
    "set it to disabled, mend the cause, then set it to started",
    "state of the service",
    enforced=True,
)
RECOVERING = Kind(
    "ha-recovering",
    Severity.BLOCK,
    "The HA manager is recovering the guest from a node that failed.",
    "It drops requests for such a service.",
    "wait until it is started again",
    "state of the service",
    enforced=True,
)
NO_QUORUM = Kind(
    "ha-no-quorum",
    Severity.BLOCK,
    "The HA manager has no quorum.",
    "Without it nothing is moved.",
    "bring back a majority of the nodes",
    enforced=True,
)
NODE_STATE = Kind(
    "ha-node-state",
    Severity.BLOCK,
    "The HA manager does not have the target as online.",
    "It drops requests to such nodes, and only its journal says so.",
    "see that pve-ha-lrm runs on the target, or choose another target",
    "state of the node",
    enforced=True,
)
BUSY = Kind(
    "ha-busy",
    Severity.WARN,
    "The HA manager is moving the guest already, or has a request for it that it has not acted on.",
    "One move at a time: the request waits, or the later one wins.",
    "wait until the service is at rest",
    "state of the service, the request",
)
RULE = Kind(
    "ha-rule",
    Severity.BLOCK,
    "An HA rule keeps the guest off the target because of another resource.",
    "The request is accepted, and refused in the journal of the HA manager alone.",
    "choose another target, move the other resource first, or change the rule",
    "the other resource, cause",
    enforced=True,
)
NODE_AFFINITY = Kind(
    "ha-node-affinity",
    Severity.BLOCK,
    "An HA rule or restricted group does not allow the target.",
    "The HA manager carries the move out, and some rounds later it brings the guest back. A service that is stopped"
    " stays until it is started.",
    "choose another target, or change the rule",
    "the rule, its nodes and their priorities",
    enforced=True,
)
PREFERRED = Kind(
    "ha-preferred-node",
    Severity.WARN,
    "An HA rule or group prefers other nodes than the target.",
    "Unless failback is off, the HA manager brings the guest back while one of them is online.",
    "choose a preferred node, switch failback off for the resource, or change the rule",
    "the rule, its nodes and their priorities",
)
PARTNERS = Kind(
    "ha-partners",
    Severity.INFO,
    "Other resources move along, because an HA rule keeps them together.",
    "They need room on the target too.",
    "nothing to do; see that the target has room for all of them",
    "the resources",
)
STOPS = Kind(
    "ha-would-stop",
    Severity.BLOCK,
    "The guest runs, and the HA manager is told that it shall be stopped.",
    "As long as nothing happens it is left alone; after a move the HA manager stops it.",
    "set the resource to started, or to ignored for the time of the work",
    "state that the resource shall have",
    enforced=True,
)

_CAUSES = {
    "resource-affinity": "must not be on the same node (negative resource affinity)",
    "node-affinity": "is not allowed there (node affinity rule)",
}
_AT_REST = frozenset({"stopped", "disabled"})


def manager_will_act(move: MoveFacts) -> Iterator[Finding]:
    """A service in error, a disarmed stack or a service that is being recovered: commands are dropped silently."""
    if move.ha is None:
        return
    guest = move.guest
    state = _state(move)
    if move.ha.disarm_mode or state == "freeze":
        yield DISARMED.found(
            f"the HA stack is disarmed, so it carries out no moves ({guest.sid} is in state {state or 'unknown'})",
            guest=guest.vmid,
            state=state,
            mode=move.ha.disarm_mode,
        )
    elif state == "error":
        yield ERROR.found(
            f"the HA manager has {guest.sid} in state error and will not move it",
            f"set it to disabled, mend the cause, then to started: ha-manager set {guest.sid} --state disabled",
            guest=guest.vmid,
            state=state,
        )
    elif state in {"fence", "recovery"}:
        yield RECOVERING.found(
            f"the HA manager is recovering {guest.sid} (state {state})", guest=guest.vmid, state=state
        )
    elif not move.ha.quorate:
        yield NO_QUORUM.found("the HA manager has no quorum", guest=guest.vmid)
    else:
        yield from _busy(move)
        yield from _stops(move)
    known = move.ha.nodes.get(move.target.name)
    if move.target.online and known not in (None, "online", "maintenance"):
        yield NODE_STATE.found(
            f"the HA manager has {move.target.name} in state {known}, and drops requests to such nodes",
            f"see that pve-ha-lrm runs on {move.target.name}, or choose another target",
            guest=guest.vmid,
            node=move.target.name,
            state=known,
        )


def _service(move: MoveFacts) -> Service | None:
    return move.ha.services.get(move.guest.sid) if move.ha is not None else None


def _state(move: MoveFacts) -> str:
    service = _service(move)
    return service.state if service is not None else move.guest.hastate or ""


def _busy(move: MoveFacts) -> Iterator[Finding]:
    service = _service(move)
    if service is None or (service.state not in MOVING and not service.command):
        return
    doing = f"is in state {service.state}" if service.state in MOVING else f"has to {' '.join(service.command)}"
    yield BUSY.found(
        f"{move.guest.sid} {doing}, so a move to {move.target.name} has to wait",
        guest=move.guest.vmid,
        state=service.state,
        command=list(service.command),
    )


def _stops(move: MoveFacts) -> Iterator[Finding]:
    resource = move.state.ha_resource(move.guest.sid)
    if resource is not None and resource.state in _AT_REST and move.precondition.running:
        yield STOPS.found(
            f"{move.guest.label} runs, and the HA manager, which has {move.guest.sid} as {resource.state}, would stop"
            f" it on {move.target.name}",
            f"ha-manager set {move.guest.sid} --state started, or ignored for the time of the work",
            guest=move.guest.vmid,
            node=move.target.name,
            state=resource.state,
        )


def rules(move: MoveFacts) -> Iterator[Finding]:
    """Affinity rules: the request would be accepted with 200 and refused by the HA manager's journal alone."""
    for sid, cause in move.precondition.hindrance(move.target.name).blocking:
        yield RULE.found(
            f"an HA rule keeps {move.guest.sid} off {move.target.name}: {sid} {_CAUSES.get(cause, cause)}",
            guest=move.guest.vmid,
            node=move.target.name,
            sid=sid,
            cause=cause,
        )
    for rule in move.rules:
        if rule.type == "node-affinity" and rule.active and move.guest.sid in rule.sids:
            yield from _node_affinity(move, rule)
    if move.precondition.dependents:
        partners = ", ".join(move.precondition.dependents)
        yield PARTNERS.found(
            f"{partners} will move along (positive resource affinity)",
            guest=move.guest.vmid,
            node=move.target.name,
            sids=list(move.precondition.dependents),
        )


def _node_affinity(move: MoveFacts, rule: HaRule) -> Iterator[Finding]:
    """The HA manager carries such a move out, and some rounds later it brings the guest back (pve-facts §7.3)."""
    target, guest = move.target.name, move.guest
    kind = "group" if rule.group else "rule"
    nodes = ", ".join(sorted(rule.nodes))
    allowed = (target in rule.nodes) is rule.positive
    resource = move.state.ha_resource(guest.sid)
    if not allowed and (rule.strict or not rule.positive):
        rests = _state(move) in _AT_REST
        yield NODE_AFFINITY.found(
            f"HA {kind} {rule.id} {'keeps' if rule.positive else 'bars'} {guest.sid}"
            f" {'on' if rule.positive else 'from'} {nodes}, so the HA manager would bring it back from {target}"
            f"{' as soon as it is started' if rests else ''}",
            f"choose another target, or change the {kind}",
            severity=Severity.WARN if rests else None,
            guest=guest.vmid,
            node=target,
            rule=rule.id,
            nodes=dict(rule.nodes),
        )
    elif (
        rule.positive
        and rule.nodes.get(target, -1) < max(rule.nodes.values(), default=-1)
        and (resource is None or resource.failback)
    ):
        yield PREFERRED.found(
            f"HA {kind} {rule.id} prefers other nodes for {guest.sid} ({nodes}): unless failback is off, the"
            f" HA manager brings it back from {target} while one of them is online",
            f"choose a preferred node, switch failback off for the resource, or change the {kind}",
            guest=guest.vmid,
            node=target,
            rule=rule.id,
            nodes=dict(rule.nodes),
        )
