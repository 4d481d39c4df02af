# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is judged besides a single move: the cluster, seen from the guests and nodes that a piece of work concerns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Node
from ansible_collections.pve.mobility.plugins.module_utils.model.node_facts import NodeFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.model.thresholds import Thresholds
from ansible_collections.pve.mobility.plugins.module_utils.model.zfs_facts import ZfsFacts


@dataclass(frozen=True, slots=True)
class Scope:
    """:ivar only_nodes: those that the work concerns, None for all. :ivar only_guests: likewise, vmids.

    :ivar now: Unix time of the judgement by the cluster's clock; 0 when it is not known.
    :ivar zfs: what ``zfs_info`` found, by node; empty when it was not given.
    :ivar isolated: the administrator says that the migration network is one that nobody else can listen to.
    """

    state: ClusterState
    thresholds: Thresholds = field(default_factory=Thresholds)
    only_nodes: frozenset[str] | None = None
    only_guests: frozenset[int] | None = None
    zfs: Mapping[str, ZfsFacts] = field(default_factory=dict)
    isolated: bool = False

    @property
    def now(self) -> int:
        return self.state.collected_at or 0

    def nodes(self) -> Iterator[Node]:
        """Nodes that the work concerns."""
        return (node for node in self.state.nodes if self.only_nodes is None or node.name in self.only_nodes)

    def facts(self) -> Iterator[NodeFacts]:
        """Their details, as far as they are known."""
        return (facts for node in self.nodes() if (facts := self.state.facts(node.name)) is not None)

    def guests(self) -> Iterator[Guest]:
        """Guests that the work concerns."""
        if self.only_guests is None:
            return iter(self.state.guests)
        found = (self.state.guest(vmid) for vmid in sorted(self.only_guests))
        return (guest for guest in found if guest is not None)
