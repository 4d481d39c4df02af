# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a cluster is upgraded node by node: the order of nodes, and every move."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Node
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.planning.affinity import Affinity
from ansible_collections.pve.mobility.plugins.module_utils.planning.ask import Impossible
from ansible_collections.pve.mobility.plugins.module_utils.planning.bounds import Least, forced_extra, seconds_at_least
from ansible_collections.pve.mobility.plugins.module_utils.planning.course import Course
from ansible_collections.pve.mobility.plugins.module_utils.planning.drain import clock_of, scope_problems
from ansible_collections.pve.mobility.plugins.module_utils.planning.fingerprint import fingerprint
from ansible_collections.pve.mobility.plugins.module_utils.planning.levels import Level, beyond, level, levels
from ansible_collections.pve.mobility.plugins.module_utils.planning.moves import find_node
from ansible_collections.pve.mobility.plugins.module_utils.planning.order import choices, orders
from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import Bounds, How, Left, Plan, Work
from ansible_collections.pve.mobility.plugins.module_utils.planning.policy import Homing, NodeNeeds, Policy
from ansible_collections.pve.mobility.plugins.module_utils.planning.proof import prove

TRIES = 12
"""Orders of nodes that are planned to the end in a small cluster, before the best one is taken."""
ENOUGH_WORK = 2400
"""Guests, all orders together, after which no further order is tried."""


def plan_upgrade(state: ClusterState, policy: Policy | None = None) -> Plan:
    """Of all nodes that need it. :raises Impossible: a node that is named is not there."""
    policy = policy or Policy(stopped=False)
    for name in (*(policy.only or ()), *policy.order, *policy.last, *(policy.to or ()), *policy.needs):
        find_node(state, name)
    known = levels(state)
    goal = _goal(policy, known)
    restarts, installs, left = _sorted_out(state, policy, known, goal)
    safe = frozenset(node.name for node in state.nodes if node.online) - set(restarts)
    affinity = Affinity.of(state)
    found = choices(state, affinity, policy)
    tries = max(1, min(TRIES, ENOUGH_WORK // max(1, len(state.guests))))
    best: Course | None = None
    for order in orders(state, restarts, safe, found, known, policy, tries) or [()]:
        course = Course(state, affinity, policy, clock_of(state, policy), dict(known), goal, set(safe))
        course.run(order, installs)
        if best is None or _price(course) < _price(best):
            best = course
    if best is None:
        raise Impossible("There is no node in the snapshot.")
    return _plan(state, policy, best, tuple(left), safe)


def _goal(policy: Policy, known: dict[str, Level]) -> Level:
    if policy.goal is None:
        return beyond(known)
    goal = level(policy.goal)
    if not goal:
        raise Impossible(f"{policy.goal} is no version: give it as pve-manager says it, such as 9.2.11.")
    return goal


def _sorted_out(
    state: ClusterState, policy: Policy, known: dict[str, Level], goal: Level
) -> tuple[list[str], tuple[str, ...], list[Left]]:
    """Nodes that restart, nodes that are upgraded in place, and nodes that are left alone."""
    newest = max(known.values(), default=())
    mixed = len(set(known.values())) > 1
    restarts: list[str] = []
    installs: list[str] = []
    left: list[Left] = []
    for node in state.nodes:
        needs = policy.needs.get(node.name)
        if why := _idle(state, node, policy, needs):
            left.append(Left(node.name, why))
        elif needs is not None and not needs.reboot:
            installs.append(node.name)
        elif needs is None and policy.goal is not None and known[node.name] >= goal:
            left.append(Left(node.name, f"it runs {_version(state, node.name)} already"))
        elif needs is None and policy.goal is None and policy.only is None and mixed and known[node.name] == newest:
            left.append(Left(node.name, f"it runs {_version(state, node.name)}, the newest of all nodes"))
        else:
            restarts.append(node.name)
    return restarts, tuple(installs), left


def _idle(state: ClusterState, node: Node, policy: Policy, needs: NodeNeeds | None) -> str:
    if not node.online:
        return f"it is {node.status}"
    if policy.only is not None and node.name not in policy.only:
        return "it is not among the nodes that were named"
    if needs is not None and not needs.upgrade and not needs.reboot:
        return needs.why or "nothing is to be upgraded there"
    return ""


def _version(state: ClusterState, node: str) -> str:
    facts = state.facts(node)
    return (facts.version if facts is not None else None) or "an unknown version"


def _price(course: Course) -> tuple[int, int, int, float]:
    """What is worse: nodes that are left out, moves, bytes, time."""
    return (len(course.left), len(course.moves), sum(move.bytes for move in course.moves), course.time)


def _plan(state: ClusterState, policy: Policy, course: Course, left: tuple[Left, ...], safe: frozenset[str]) -> Plan:
    worked = tuple(step.node for step in course.steps if step.kind in (Work.UPGRADE, Work.INSTALL) and not step.skipped)
    problems = scope_problems(state, policy, {node.name for node in state.nodes})
    proof = prove(state, course.moves, course.steps, policy, course.stays)
    return Plan(
        "upgrade",
        fingerprint(state),
        cluster=state.name,
        made_at=state.collected_at,
        nodes=worked,
        steps=tuple(course.steps),
        moves=tuple(course.moves),
        stays=tuple(course.stays),
        left=(*left, *course.left),
        bounds=_bounds(state, course, safe, policy),
        proof=proof,
        limits=policy.limits,
        rate=course.clock.wire.stream,
        observed=course.clock.rates.observed,
        bytes=sum(move.bytes for move in course.moves),
        blind_bytes=course.blind_bytes,
        seconds=course.time,
        moving_seconds=sum(_moving(course)),
        pinned=policy.pinned.value,
        homing=policy.homing.value,
        goal=policy.goal,
        problems=(*problems, *course.problems, *proof.broken),
    )


def _moving(course: Course) -> Iterable[float]:
    """Seconds of each step in which guests move, those that come back afterwards included."""
    ends: dict[int, float] = {}
    for move in course.moves:
        if move.how is How.FAILBACK:
            ends[move.step] = max(ends.get(move.step, 0.0), move.end)
    for step in course.steps:
        back = ends.get(step.number, 0.0)
        yield step.seconds + max(0.0, back - step.start - step.seconds - step.work)


def _bounds(state: ClusterState, course: Course, safe: frozenset[str], policy: Policy) -> Bounds:
    """Every guest that leaves a node has to leave it once, and some twice in whatever order."""
    restarted = [step.node for step in course.steps if step.kind is Work.UPGRADE and not step.skipped]
    skipped = {step.node for step in course.steps if step.skipped}
    by_home: dict[str, list[Least]] = {}
    for vmid, least in course.least.items():
        by_home.setdefault(course.homes[vmid], []).append(least)
    # Whom the HA manager brings back moves twice in whatever order; so does everybody who is to be at home in the end.
    back = {move.guest for move in course.moves if move.how is How.FAILBACK}
    if policy.homing is not Homing.NEVER:
        ends = {move.guest: move.target for move in course.moves}
        back |= {vmid for vmid in course.least if ends[vmid] == course.homes[vmid]}
    moves = len(course.least) + len(back)
    extra = 0
    if policy.homing is Homing.NEVER:
        found = choices(state, course.affinity, policy, course.least.keys() - back)
        extra = forced_extra(found, restarted, safe | skipped)
    return Bounds(
        moves + extra,
        sum(least.bytes for least in course.least.values()),
        sum(seconds_at_least(least, course.clock) for least in by_home.values()),
    )
