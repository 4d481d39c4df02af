# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whatever the cluster: a plan never does harm, and every guest leaves or it is said why not.

``python -m tests.unit.planning 20`` tries twenty times as many clusters, others each time.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.planning.drain import plan_drain
from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import Fate, How, Plan, Work, plan_from_json
from ansible_collections.pve.mobility.plugins.module_utils.planning.policy import Homing, Pinned, Policy
from ansible_collections.pve.mobility.plugins.module_utils.planning.upgrade import plan_upgrade

from .witness import Witness
from .world import Wish, draw

SHARES = st.sampled_from((0.0, 0.1, 0.5, 1.0))
WISHES = st.builds(
    Wish,
    nodes=st.integers(3, 12),
    guests=st.integers(0, 70),
    full=st.sampled_from((0.3, 0.55, 0.7, 0.85)),
    local=SHARES,
    replicated=SHARES,
    containers=SHARES,
    stopped=st.sampled_from((0.0, 0.2)),
    managed=SHARES,
    pinned=st.sampled_from((0.0, 0.0, 0.05)),
    rules=st.integers(0, 6),
    lame=st.sampled_from((0.0, 0.0, 0.2)),
    mixed=st.booleans(),
)
SEEDS = st.integers(0, 10**6)
FACTOR = int(os.environ.get("PLANNING_FACTOR", "0"))
"""How many times as many clusters are tried; with 0 always the same ones, so that a failure is one of a change."""


def clusters(number: int) -> settings:
    return settings(
        max_examples=number * max(1, FACTOR),
        derandomize=not FACTOR,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )


def explained(state: ClusterState, plan: Plan, node: str) -> None:
    """Every guest of the node leaves it, or it is said why it does not."""
    gone = {move.guest for move in plan.moves if move.source == node}
    said = {stay.guest: stay for stay in plan.stays}
    for guest in state.guests_on(node):
        assert guest.vmid in gone or said[guest.vmid].why, f"nothing is said of {guest.label}"


@clusters(40)
@given(SEEDS, WISHES)
def test_drain(seed: int, wish: Wish) -> None:
    state = draw(seed, wish)
    policy = Policy(pinned=Pinned.SKIP)
    node = state.guests[0].node if state.guests else state.nodes[0].name
    plan = plan_drain(state, node, policy)
    assert not plan.proof.broken
    assert Witness(state, plan, policy).watch() == []
    explained(state, plan, node)
    assert all(stay.fate is Fate.HOLDS for stay in plan.stays)
    assert plan.bounds.moves <= len(plan.moves)
    assert plan.bounds.bytes <= plan.bytes
    assert plan.bounds.seconds <= plan.moving_seconds + 0.01
    assert plan_from_json(plan.as_json()) == plan
    assert plan_drain(draw(seed, wish), node, policy).as_json() == plan.as_json()


@clusters(40)
@given(SEEDS, WISHES, st.sampled_from(list(Pinned)), st.sampled_from(list(Homing)), st.booleans())
def test_upgrade(seed: int, wish: Wish, pinned: Pinned, homing: Homing, stopped: bool) -> None:
    state = draw(seed, wish)
    policy = Policy(pinned=pinned, homing=homing, stopped=stopped)
    plan = plan_upgrade(state, policy)
    assert not plan.proof.broken
    assert Witness(state, plan, policy).watch() == []
    assert plan.ok or pinned is Pinned.FAIL
    touched = {step.node for step in plan.steps if step.kind is not Work.HOME} | {left.node for left in plan.left}
    assert touched == {node.name for node in state.nodes}, "a node is neither worked on nor left out with a reason"
    assert plan.bounds.moves <= len(plan.moves)
    assert plan.bounds.bytes <= plan.bytes
    assert plan.bounds.seconds <= plan.moving_seconds + 0.01
    assert plan_from_json(plan.as_json()) == plan
    if homing is not Homing.NEVER and not plan.left:
        back = {move.guest: move.target for move in plan.moves}
        said = {stay.guest for stay in plan.stays}
        for vmid, last in back.items():
            guest = state.guest(vmid)
            assert guest is not None
            assert last == guest.node or vmid in said, f"{guest.label} does not come home"


@clusters(3)
@given(SEEDS, st.integers(13, 32), st.integers(0, 20))
def test_upgrade_of_many_nodes(seed: int, nodes: int, rules: int) -> None:
    state = draw(seed, Wish(nodes=nodes, guests=nodes * 8, rules=rules, mixed=bool(seed % 2)))
    policy = Policy(pinned=Pinned.SKIP, stopped=False)
    plan = plan_upgrade(state, policy)
    assert not plan.proof.broken
    assert Witness(state, plan, policy).watch() == []
    assert all(move.how is not How.REQUEST or move.source != move.target for move in plan.moves)
