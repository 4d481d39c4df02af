# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a node is emptied: who goes where and when, who stays and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import judge_scope
from ansible_collections.pve.mobility.plugins.module_utils.checks.scope import Scope
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.planning.affinity import Affinity, is_running
from ansible_collections.pve.mobility.plugins.module_utils.planning.bounds import drain_bounds
from ansible_collections.pve.mobility.plugins.module_utils.planning.estimate import Rates
from ansible_collections.pve.mobility.plugins.module_utils.planning.fingerprint import fingerprint
from ansible_collections.pve.mobility.plugins.module_utils.planning.levels import Level, levels
from ansible_collections.pve.mobility.plugins.module_utils.planning.moves import find_node
from ansible_collections.pve.mobility.plugins.module_utils.planning.place import Held, Placing
from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import Fate, How, Plan, Stay, Step, Work
from ansible_collections.pve.mobility.plugins.module_utils.planning.policy import Pinned, Policy
from ansible_collections.pve.mobility.plugins.module_utils.planning.proof import prove
from ansible_collections.pve.mobility.plugins.module_utils.planning.room import Ledger
from ansible_collections.pve.mobility.plugins.module_utils.planning.schedule import Wire
from ansible_collections.pve.mobility.plugins.module_utils.planning.steps import Clock, timed


@dataclass(frozen=True, slots=True)
class Emptied:
    """Where the guests of a node go. ``stays``: guests that may stay."""

    placing: Placing
    stays: tuple[Stay, ...]
    held: tuple[Held, ...]


def plan_drain(state: ClusterState, node: str, policy: Policy | None = None) -> Plan:
    """Of one node. :raises Impossible: there is no such node."""
    policy = policy or Policy()
    source = find_node(state, node)
    for name in policy.to or ():
        find_node(state, name)
    clock = clock_of(state, policy)
    problems = scope_problems(state, policy, {source.name})
    if not source.online:
        problems.append(f"{node} is {source.status}: guests of a node that is off cannot be moved.")
    emptied = empty(state, node, Affinity.of(state), policy, levels(state, releases_only=True))
    found = timed(emptied.placing.placed.values(), clock, 1, 1, 0.0)
    held = [stay_of(item, 1, policy.pinned) for item in emptied.held]
    if policy.pinned is Pinned.FAIL:
        problems += [f"{item.label} cannot leave {node}: {item.why}." for item in held if item.fate is Fate.HOLDS]
    bounds = drain_bounds(state, node, found.moves, policy, clock)
    step = Step(
        1,
        node,
        Work.DRAIN,
        tuple(move.id for move in found.moves),
        0.0,
        found.end,
        0.0,
        bounds.seconds,
        sum(move.bytes for move in found.moves),
        any(move.how is How.MAINTENANCE for move in found.moves) or bool(state.ha_resources),
        before=version_of(state, node),
    )
    proof = prove(state, found.moves, (step,), policy, held, releases_only=True)
    return Plan(
        "drain",
        fingerprint(state),
        cluster=state.name,
        made_at=state.collected_at,
        nodes=(node,),
        steps=(step,),
        moves=found.moves,
        stays=tuple(sorted([*emptied.stays, *held], key=lambda item: item.guest)),
        bounds=bounds,
        proof=proof,
        limits=policy.limits,
        rate=clock.wire.stream,
        observed=clock.rates.observed,
        bytes=step.bytes,
        blind_bytes=found.blind_bytes,
        seconds=found.end,
        moving_seconds=found.end,
        pinned=policy.pinned.value,
        problems=(*problems, *proof.broken),
    )


def empty(
    state: ClusterState,
    node: str,
    affinity: Affinity,
    policy: Policy,
    known: Mapping[str, Level],
    tier: Callable[[str], int] = lambda name: 0,
    ledger: Ledger | None = None,
) -> Emptied:
    """Targets for all guests of a node that have to leave. :param tier: see :class:`Placing`."""
    stays = []
    leaving: list[Guest] = []
    for guest in state.guests_on(node):
        if policy.stopped or is_running(guest):
            leaving.append(guest)
        else:
            what = "a template" if guest.template else guest.status
            stays.append(Stay(1, guest.vmid, guest.name, node, Fate.STAYS, f"it is {what}, so it need not move"))
    ledger = ledger or Ledger.of(state, policy.judge.thresholds)
    placing = Placing(state, node, affinity, policy, known, ledger, tier)
    placing.place(leaving)
    carried = set(placing.placed)
    return Emptied(
        placing,
        tuple(item for item in stays if item.guest not in carried),
        tuple(placing.held[vmid] for vmid in sorted(placing.held)),
    )


def stay_of(held: Held, step: int, pinned: Pinned) -> Stay:
    """What becomes of a guest that cannot leave."""
    reason = held.why.first
    if pinned is Pinned.STOP:
        fate = Fate.STOP if is_running(held.guest) else Fate.STAYS
    else:
        fate = Fate.HOLDS
    guest = held.guest
    return Stay(step, guest.vmid, guest.name, guest.node, fate, reason.message, held.why.ids, reason.remedy)


def clock_of(state: ClusterState, policy: Policy) -> Clock:
    thresholds = policy.judge.thresholds
    return Clock(Wire.of(state, thresholds), Rates.of(state, thresholds), policy.limits)


def scope_problems(state: ClusterState, policy: Policy, nodes: Iterable[str]) -> list[str]:
    """What is wrong with the cluster itself, in sentences."""
    options = policy.judge
    scope = Scope(
        state,
        options.thresholds,
        frozenset(nodes),
        frozenset(guest.vmid for name in nodes for guest in state.guests_on(name)),
        options.zfs,
        options.isolated,
    )
    found = []
    for item in judge_scope(scope):
        if item.severity is Severity.BLOCK and item.id not in options.accept:
            message = item.message.rstrip(".")
            found.append(f"{message[:1].upper()}{message[1:]} ({item.id}).")
    return sorted(set(found))


def version_of(state: ClusterState, node: str) -> str | None:
    facts = state.facts(node)
    return facts.version if facts is not None else None
