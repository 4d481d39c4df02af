# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HA stack of a cluster as other parts see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.pmxcfs import VmEntry


class HaStack:
    """Resources, rules, CRM and LRMs."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def managed(self, entry: VmEntry) -> bool:
        """Whether the HA manager moves this guest (configured, not ignored, not disarmed with mode ignore)."""
        return False

    def guest_states(self) -> dict[int, str]:
        """``hastate`` of every HA resource by vmid, as /cluster/resources shows it."""
        return {}

    def node_states(self) -> dict[str, str]:
        """``hastate`` of the nodes that the HA manager knows (online, maintenance, fence, unknown)."""
        return {}
