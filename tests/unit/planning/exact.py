# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fewest moves that any order of nodes needs, by a solver that knows nothing of the planner.

Every node of a small cluster is emptied once. Guests may move whenever they like, VMs only to nodes that hold a replica
where there are any, and never from a node that is done to one that is not. Memory has to do when a node is empty; the
second copies of guests on their way do not count, so that the solver never asks for more moves than the best plan has.
"""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Sequence

import highspy

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.planning.policy import Pinned, Policy
from ansible_collections.pve.mobility.plugins.module_utils.planning.upgrade import plan_upgrade

from .world import Wish, draw

Variable = highspy.highs_var


def fewest_moves(state: ClusterState, last: Sequence[str] = (), seconds: float = 60.0) -> int | None:
    """:param last: nodes that have to come last, in this order. :returns: None when there is no way, or no time."""
    with contextlib.redirect_stdout(io.StringIO()):
        model = highspy.Highs()
        model.silent()
    model.setOptionValue("time_limit", seconds)
    model.setOptionValue("threads", 1)
    names = [node.name for node in state.nodes]
    guests = [guest for guest in state.guests if guest.running]
    steps = range(len(names))
    turn = {(name, step): model.addBinary() for name in names for step in steps}
    for name in names:
        model.addConstr(sum(turn[name, step] for step in steps) == 1)
    for step in steps:
        model.addConstr(sum(turn[name, step] for name in names) == 1)
    for offset, name in enumerate(reversed(last)):
        model.addConstr(turn[name, steps[-1] - offset] == 1)
    there: dict[tuple[int, int, str], Variable] = {}
    comes: dict[tuple[int, int, str], Variable] = {}
    for guest, step, name in itertools.product(guests, steps, names):
        there[guest.vmid, step, name] = model.addBinary()
        comes[guest.vmid, step, name] = model.addBinary()
    for guest in guests:
        allowed = _allowed(state, guest, names)
        for step in steps:
            model.addConstr(sum(there[guest.vmid, step, name] for name in names) == 1)
            for name in names:
                here, arrives = there[guest.vmid, step, name], comes[guest.vmid, step, name]
                before = there[guest.vmid, step - 1, name] if step else int(guest.node == name)
                model.addConstr(arrives >= here - before)
                model.addConstr(here + turn[name, step] <= 1)
                if name not in allowed:
                    model.addConstr(here <= 0)
            for source, target in itertools.permutations(names, 2):
                left = there[guest.vmid, step - 1, source] if step else int(guest.node == source)
                done = sum(turn[source, item] for item in range(step))
                fresh = sum(turn[target, item] for item in range(step))
                # Either it does not go that way, or the source is not done, or the target is.
                model.addConstr(left + comes[guest.vmid, step, target] + done - fresh <= 2)
    for step, node in itertools.product(steps, state.nodes):
        held = [guest.maxmem / 2**30 * there[guest.vmid, step, node.name] for guest in guests]
        if held:
            model.addConstr(sum(held) <= node.maxmem / 2**30 + 1e-6)
    model.minimize(sum(comes.values()))
    if model.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    return round(model.getObjectiveValue())


def _allowed(state: ClusterState, guest: Guest, names: Sequence[str]) -> set[str]:
    config = state.config(guest.vmid)
    storages = [state.storage(name) for name in config.storages] if config is not None else []
    found = {name for name in names if all(storage is None or storage.on(name) for storage in storages)}
    # A container moves while it is stopped, and may leave its replicas behind.
    replicas = {job.target for job in state.jobs_of(guest.vmid)} if guest.type == "qemu" else set()
    return found & (replicas | {guest.node}) if replicas else found


def gap(seed: int) -> float | None:
    """By how much the planner's moves exceed the fewest for one small cluster; None when there is no way.

    Without rules and HA, so that both look at the same question.
    """
    nodes = 3 + seed % 2
    wish = Wish(nodes=nodes, guests=nodes * 3, full=(0.4, 0.5, 0.55)[seed % 3], managed=0.0, stopped=0.0, rules=0)
    state = draw(seed, wish)
    busy = (str(state.ha.master), str(state.local)) if state.ha is not None else ()
    best = fewest_moves(state, last=tuple(dict.fromkeys(busy)))
    plan = plan_upgrade(state, Policy(stopped=False, pinned=Pinned.SKIP))
    if not best:
        return None
    assert not plan.left, f"seed {seed}: the planner gives up {plan.left[0].node}, and there is a way"
    assert len(plan.moves) >= best, f"seed {seed}: the planner needs {len(plan.moves)} moves, the solver {best}"
    return len(plan.moves) / best - 1
