# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fewest moves that any order of nodes needs, by a solver that knows nothing of the planner.

Every node of a small cluster is emptied once. Guests may move whenever they like, to nodes that hold a replica where
there are any, never from a node that is done to one that is not, and both copies count while they move.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import highspy

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState

Variable = highspy.highs_var


def fewest_moves(state: ClusterState, last: Sequence[str] = (), seconds: float = 60.0) -> int | None:
    """:param last: nodes that have to come last, in this order. :returns: None when there is no way, or no time."""
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
        held = [
            guest.maxmem
            * (
                (there[guest.vmid, step - 1, node.name] if step else int(guest.node == node.name))
                + comes[guest.vmid, step, node.name]
            )
            for guest in guests
        ]
        if held:
            model.addConstr(sum(item / 2**30 for item in held) <= node.maxmem * 0.9 / 2**30 + 1e-6)
    model.minimize(sum(comes.values()))
    if model.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    return round(model.getObjectiveValue())


def _allowed(state: ClusterState, guest: Guest, names: Sequence[str]) -> set[str]:
    config = state.config(guest.vmid)
    storages = [state.storage(name) for name in config.storages] if config is not None else []
    found = {name for name in names if all(storage is None or storage.on(name) for storage in storages)}
    replicas = {job.target for job in state.jobs_of(guest.vmid)}
    return found & (replicas | {guest.node}) if replicas else found
