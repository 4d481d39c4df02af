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


def memory_limit(node: Node, thresholds: Thresholds) -> int:
    """Bytes that may be promised on a node; 0 when its memory is not known."""
    return int(node.maxmem * (1 - thresholds.memory_headroom / 100))


@dataclass(slots=True)
class Ledger:
    """Counts both copies of a guest that moves: it is taken on the target when it starts, given back when it ended.

    A node's memory is what its running guests are promised, and what it uses beyond that: caches, Ceph, itself.
    Storage that nobody told the size of has room for anything: no hindrance is made up.
    """

    limits: dict[str, int]
    memory: dict[str, int]
    free: dict[tuple[str, str], int]

    @classmethod
    def of(cls, state: ClusterState, thresholds: Thresholds) -> Ledger:
        promised: dict[str, int] = {node.name: 0 for node in state.nodes}
        for guest in state.guests:
            if guest.running:
                promised[guest.node] = promised.get(guest.node, 0) + guest.maxmem
        return cls(
            {node.name: memory_limit(node, thresholds) for node in state.nodes},
            {node.name: max(node.mem, promised[node.name]) for node in state.nodes},
            {
                (item.storage, item.node): int(item.avail - item.total * thresholds.storage_headroom / 100)
                for item in state.storage_status
                if item.active and item.total
            },
        )

    def fits(self, node: str, need: Need) -> bool:
        if need.memory and self.limits.get(node) and self.memory.get(node, 0) + need.memory > self.limits[node]:
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
        """Share of the memory that is taken, with ``need`` on top."""
        more = need.memory if need is not None else 0
        return (self.memory.get(node, 0) + more) / (self.limits.get(node) or 1)
