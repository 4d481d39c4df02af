# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What no plan can beat: the fewest moves, the fewest bytes, the shortest time. Never more than the best plan needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.planning.estimate import estimate_move
from ansible_collections.pve.mobility.plugins.module_utils.planning.moves import Movers
from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import Bounds, Move
from ansible_collections.pve.mobility.plugins.module_utils.planning.policy import Policy
from ansible_collections.pve.mobility.plugins.module_utils.planning.steps import Clock, lead_and_tail


@dataclass(frozen=True, slots=True)
class Least:
    """The cheapest way for one guest to leave its node: bytes, and seconds beside sending them."""

    vmid: int
    bytes: int
    lead: float
    tail: float
    ha: bool

    def alone(self, stream: float) -> float:
        return self.lead + self.tail + self.bytes / stream


def least_of(state: ClusterState, vmids: Iterable[int], policy: Policy, clock: Clock) -> dict[int, Least]:
    """Towards a replica where there is one, else anywhere: all other targets cost the same."""
    movers = Movers(state, policy.judge)
    found: dict[int, Least] = {}
    for vmid in vmids:
        guest = state.guest(vmid)
        if guest is None:
            continue
        replicas = [job.target for job in state.jobs_of(vmid) if job.removing is None and job.target != guest.node]
        others = [node.name for node in state.nodes if node.name != guest.node][:1]
        ways = []
        for name in replicas or others:
            target = state.node(name)
            if target is not None:
                facts = movers.move(guest, target)
                ways.append((estimate_move(facts, clock.rates).bytes, facts))
        if ways:
            size, facts = min(ways, key=lambda item: item[0])
            lead, tail = lead_and_tail(facts)
            found[vmid] = Least(vmid, size, lead, tail, facts.managed)
    return found


def drain_bounds(state: ClusterState, node: str, moves: Sequence[Move], policy: Policy, clock: Clock) -> Bounds:
    """Of emptying one node of the guests that can leave it."""
    leaving = sorted({move.guest for move in moves if move.source == node})
    least = list(least_of(state, leaving, policy, clock).values())
    return Bounds(len(leaving), sum(item.bytes for item in least), seconds_at_least(least, clock))


def seconds_at_least(least: Sequence[Least], clock: Clock) -> float:
    """For moves that all leave the same node: its link, its slots, the HA manager's workers, the longest move."""
    if not least:
        return 0.0
    wire, limits = clock.wire, clock.limits
    slots = min((limit for limit in (limits.source, limits.cluster) if limit), default=len(least))
    managed = [item.alone(wire.stream) for item in least if item.ha]
    alone = [item.alone(wire.stream) for item in least]
    by_link = sum(item.bytes for item in least) / wire.link
    by_link += min(item.lead for item in least) + min(item.tail for item in least)
    by_slots = sum(alone) / slots
    by_manager = sum(managed) / min(slots, wire.workers)
    return max(by_link, by_slots, by_manager, *alone)


def forced_extra(choices: Mapping[tuple[str, frozenset[str]], int], worked: Sequence[str], safe: frozenset[str]) -> int:
    """Moves beyond one a guest that any order of nodes costs.

    :param choices: (node, nodes where its guests may go) → how many guests. :param worked: nodes that are restarted.
    :param safe: nodes that never are, or are done already.

    The node that comes first has nowhere to send its guests but to nodes whose turn is still to come. And where two
    nodes can only send guests to each other, the one that comes first sends them twice.
    """
    if not worked:
        return 0
    restarted = frozenset(worked)
    lonely: dict[str, int] = dict.fromkeys(worked, 0)
    pairs: dict[frozenset[str], dict[str, int]] = {}
    for (node, nodes), count in choices.items():
        if node not in restarted or nodes & safe:
            continue
        lonely[node] += count
        inside = nodes & restarted
        if len(inside) == 1:
            pair = frozenset((node, *inside))
            pairs.setdefault(pair, {})[node] = pairs.get(pair, {}).get(node, 0) + count
    by_pairs = sum(min(pair.get(node, 0) for node in nodes) for nodes, pair in pairs.items())
    return max(min(lonely.values()), by_pairs)
