# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""In which order nodes are worked on, so that few guests have to move twice.

Older nodes come first, so that guests always find a node that is not older. Among nodes of the same release those come
first whose guests can then go to nodes that are done; the HA master and the API host in use come last.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.planning.affinity import Affinity, is_running
from ansible_collections.pve.mobility.plugins.module_utils.planning.levels import Level
from ansible_collections.pve.mobility.plugins.module_utils.planning.policy import Policy

Choices = Mapping[tuple[str, frozenset[str]], int]
"""(node, nodes to which its guests may go) → how many of its guests."""

Class = tuple[int, Level, int]
"""What decides before anything else: wishes, releases, and who comes last."""
_PASSES = 3
"""Times that all places are tried for all nodes."""


def choices(state: ClusterState, affinity: Affinity, policy: Policy, only: Container[int] | None = None) -> Choices:
    """By replicas, rules and storages alone: quick, and never fewer nodes than there are. :param only: these guests."""
    everywhere = frozenset(
        node.name
        for node in state.nodes
        if node.online and not node.maintenance and (policy.to is None or node.name in policy.to)
    )
    counted: Counter[tuple[str, frozenset[str]]] = Counter()
    by_storage: dict[frozenset[str], frozenset[str]] = {}
    for guest in state.guests:
        if (policy.stopped or is_running(guest)) and (only is None or guest.vmid in only):
            allowed = everywhere & _places(state, guest, affinity, everywhere, by_storage)
            counted[guest.node, allowed - {guest.node}] += 1
    return dict(counted)


def _places(
    state: ClusterState,
    guest: Guest,
    affinity: Affinity,
    everywhere: frozenset[str],
    by_storage: dict[frozenset[str], frozenset[str]],
) -> frozenset[str]:
    config = state.config(guest.vmid)
    used = config.storages if config is not None else frozenset()
    found = by_storage.get(used)
    if found is None:
        found = frozenset(
            name
            for name in everywhere
            if all(storage is None or storage.on(name) for storage in map(state.storage, used))
        )
        by_storage[used] = found
    replicas = frozenset(job.target for job in state.jobs_of(guest.vmid) if job.removing is None)
    if replicas:
        found &= replicas
    lasting = affinity.lasting(guest.vmid, everywhere)
    return found if lasting is None else found & lasting


@dataclass(frozen=True, slots=True)
class _Weighed:
    """:ivar keys: (number of the node, bits of where its guests may go, how many)."""

    names: tuple[str, ...]
    keys: tuple[tuple[int, int, int], ...]
    safe: int

    @classmethod
    def of(cls, names: Sequence[str], found: Choices, safe: frozenset[str]) -> _Weighed:
        number = {name: index for index, name in enumerate(names)}
        bits = {name: 1 << index for name, index in number.items()}
        safe_bit = 1 << len(names)
        keys: Counter[tuple[int, int]] = Counter()
        for (node, nodes), count in found.items():
            if node in number and nodes and not nodes & safe:
                keys[number[node], sum(bits[name] for name in nodes if name in bits)] += count
        return cls(tuple(names), tuple((node, mask, count) for (node, mask), count in sorted(keys.items())), safe_bit)

    def cost(self, order: Sequence[int]) -> int:
        """Guests that find no node that is done when theirs is emptied."""
        done = [0] * len(order)
        before = 0
        for index in order:
            done[index] = before
            before |= 1 << index
        return sum(count for node, mask, count in self.keys if not mask & done[node])


def orders(
    state: ClusterState,
    worked: Sequence[str],
    safe: frozenset[str],
    found: Choices,
    known: Mapping[str, Level],
    policy: Policy,
    most: int,
) -> list[tuple[str, ...]]:
    """Up to ``most`` orders worth a try, the most promising first. :param safe: nodes that will not restart."""
    names = sorted(worked)
    weighed = _Weighed.of(names, found, safe)
    rank = {name: index for index, name in enumerate(policy.order)}
    last = {name: index for index, name in enumerate((*_busy(state), *policy.last))}
    classes: dict[int, Class] = {
        index: (rank.get(name, len(rank)), known[name], last.get(name, -1)) for index, name in enumerate(names)
    }
    guests = {index: len(state.guests_on(name)) for index, name in enumerate(names)}
    memory = {index: _load(state, name) for index, name in enumerate(names)}
    greedy = _greedy(weighed, classes, guests, memory)
    starts = [_improved(weighed, classes, greedy), greedy]
    first = min(classes.values(), default=None)
    for index in sorted(classes, key=lambda item: (guests[item], memory[item], item)):
        if classes[index] == first:
            starts.append(_improved(weighed, classes, _greedy(weighed, classes, guests, memory, index)))
        if len(starts) > 2 * most:
            break
    unique = list(dict.fromkeys(starts))
    head = unique[0]
    unique.sort(key=lambda order: (weighed.cost(order), order != head))
    return [tuple(names[index] for index in order) for order in unique[:most]]


def _busy(state: ClusterState) -> tuple[str, ...]:
    """The HA master, and after it the node that answers: their work has to go elsewhere when they restart."""
    found = []
    if state.ha is not None and state.ha.master and state.ha.master != state.local:
        found.append(str(state.ha.master))
    if state.local:
        found.append(str(state.local))
    return tuple(found)


def _load(state: ClusterState, name: str) -> float:
    node = state.node(name)
    promised = sum(guest.maxmem for guest in state.guests_on(name) if guest.running)
    return promised / node.maxmem if node is not None and node.maxmem else 0.0


def _greedy(
    weighed: _Weighed,
    classes: Mapping[int, Class],
    guests: Mapping[int, int],
    memory: Mapping[int, float],
    first: int | None = None,
) -> tuple[int, ...]:
    """Always the node from which the fewest guests would have to go on."""
    left = set(classes)
    by_node: dict[int, list[tuple[int, int]]] = {index: [] for index in classes}
    for node, mask, count in weighed.keys:
        by_node[node].append((mask, count))
    found: list[int] = []
    before = 0
    while left:
        low = min(classes[index] for index in left)
        allowed = [index for index in left if classes[index] == low]
        if first is not None and not found:
            chosen = first
        else:
            chosen = min(
                allowed,
                key=lambda index: (
                    sum(count for mask, count in by_node[index] if not mask & before),
                    memory[index],
                    guests[index],
                    index,
                ),
            )
        found.append(chosen)
        left.discard(chosen)
        before |= 1 << chosen
    return tuple(found)


def _improved(weighed: _Weighed, classes: Mapping[int, Class], order: Sequence[int]) -> tuple[int, ...]:
    """Take each node out and put it where it costs least, among nodes of its class."""
    best, cost = list(order), weighed.cost(order)
    for _pass in range(_PASSES):
        before = cost
        for index in order:
            rest = [item for item in best if item != index]
            for place in range(len(best)):
                tried = [*rest[:place], index, *rest[place:]]
                if any(classes[a] > classes[b] for a, b in itertools.pairwise(tried)):
                    continue
                found = weighed.cost(tried)
                if found < cost:
                    best, cost = tried, found
        if cost == before:
            break
    return tuple(best)
