# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of each node's LRM in /etc/pve/priv/lock, with its lifetime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.node import Node

LIFETIME = 120.0
"""Seconds after which pmxcfs lets another one have a lock that was not renewed."""


@dataclass(slots=True)
class _Lock:
    """``since``: from when its lifetime counts; None while its owner is a member and renews it."""

    owner: str
    since: float | None


class AgentLocks:
    """``ha_agent_<node>_lock`` of every node."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._held: dict[str, _Lock] = {}
        cluster.on_membership.append(self._membership)

    def acquire(self, node: str, owner: str) -> bool:
        """Take or renew the lock of ``node`` for its LRM; ``owner`` differs after each boot."""
        lock = self._held.get(node)
        if lock is not None and lock.owner != owner:
            if lock.since is None:
                lock.since = self._cluster.engine.now
            if not self._expired(lock):
                return False
        self._held[node] = _Lock(owner, None)
        return True

    def release(self, node: str) -> None:
        self._held.pop(node, None)

    def steal(self, node: str) -> bool:
        """What the CRM does to fence a node: it gets the lock once its lifetime is over."""
        lock = self._held.get(node)
        if lock is not None and lock.owner != "crm" and not self._expired(lock):
            return False
        self._held[node] = _Lock("crm", self._cluster.engine.now)
        return True

    def _expired(self, lock: _Lock) -> bool:
        return lock.since is not None and self._cluster.engine.now - lock.since > LIFETIME

    def _membership(self, node: Node) -> None:
        """The others notice at the change of membership that nobody renews the lock any more (timelines 09)."""
        lock = self._held.get(node.name)
        if lock is not None and lock.since is None and not node.member:
            lock.since = self._cluster.engine.now
