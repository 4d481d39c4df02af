# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is left of memory and local storage, while guests are placed one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Node
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.model.thresholds import Thresholds


@dataclass(frozen=True, slots=True)
class Need:
    """What a guest takes where it arrives: memory, and bytes by storage."""

    memory: int = 0
    disks: Mapping[str, int] = field(default_factory=dict)


def need_of(facts: MoveFacts) -> Need:
    """Of a move. A guest that does not run needs no memory; a replica is there already."""
    disks: dict[str, int] = {}
    for volume in facts.volumes:
        if volume.full_copy:
            disks[volume.to] = disks.get(volume.to, 0) + volume.full_copy
    return Need(facts.guest.maxmem if facts.guest.running else 0, disks)


@dataclass(slots=True)
class Ledger:
    """Counts both copies of a guest that moves: it is taken on the target when it starts, given back when it ended.

    A node's memory is what its running guests are promised. At first the headroom is kept, and what the node uses
    beyond its guests (caches, Ceph, itself) has to fit too; ``relaxed`` asks for no more than that the promises fit,
    and leaves the rest to the checks. Storage of unknown size has room for anything: no hindrance is made up.
    """

    sizes: dict[str, int]
    limits: dict[str, int]
    memory: dict[str, int]
    free: dict[tuple[str, str], int]
    relaxed: bool = False

    @classmethod
    def of(cls, state: ClusterState, thresholds: Thresholds) -> Ledger:
        promised: dict[str, int] = {node.name: 0 for node in state.nodes}
        used: dict[str, int] = dict(promised)
        for guest in state.guests:
            if guest.running:
                promised[guest.node] = promised.get(guest.node, 0) + guest.maxmem
                used[guest.node] = used.get(guest.node, 0) + min(guest.mem, guest.maxmem)
        return cls(
            {node.name: node.maxmem for node in state.nodes},
            {
                node.name: _limit(node, promised[node.name], used[node.name], thresholds.memory_headroom)
                for node in state.nodes
            },
            promised,
            {
                (item.storage, item.node): int(item.avail - item.total * thresholds.storage_headroom / 100)
                for item in state.storage_status
                if item.active and item.total
            },
        )

    def limit(self, node: str) -> int:
        """Bytes that may be promised; 0 when the node's memory is not known."""
        return (self.sizes if self.relaxed else self.limits).get(node, 0)

    def fits(self, node: str, need: Need) -> bool:
        limit = self.limit(node)
        if need.memory and limit and self.memory.get(node, 0) + need.memory > limit:
            return False
        return all(self.free.get((storage, node), size) >= size for storage, size in need.disks.items())

    def take(self, node: str, need: Need) -> None:
        self.memory[node] = self.memory.get(node, 0) + need.memory
        for storage, size in need.disks.items():
            if (storage, node) in self.free:
                self.free[storage, node] -= size

    def give(self, node: str, need: Need) -> None:
        """The reverse of :meth:`take`."""
        self.memory[node] = self.memory.get(node, 0) - need.memory
        for storage, size in need.disks.items():
            if (storage, node) in self.free:
                self.free[storage, node] += size

    def load(self, node: str, need: Need | None = None) -> float:
        """Share of the memory that may be taken, with ``need`` on top."""
        more = need.memory if need is not None else 0
        return (self.memory.get(node, 0) + more) / (self.limits.get(node) or 1)


def _limit(node: Node, promised: int, used: int, headroom: float) -> int:
    """:param used: by running guests; when no guest's is known, it is told from the node's."""
    beyond = max(0, node.mem - (used or min(node.mem, promised)))
    return max(1, min(int(node.maxmem * (1 - headroom / 100)), node.maxmem - beyond)) if node.maxmem else 0
