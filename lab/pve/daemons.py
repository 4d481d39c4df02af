# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stopping, starting, restarting and reloading pveproxy and pvedaemon (timelines 10 and 10b)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lab.pve.tasks import PVEDAEMON, Signal
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.node import Node

STOP_SECONDS = 1.0
"""From ``systemctl restart`` until the daemon is gone."""
PROXY_GAP = 2.0
DAEMON_GAP = 5.0


def proxy_stop(cluster: Cluster, node: Node) -> None:
    node.proxy_up = False
    cluster.changed(node)


def proxy_start(cluster: Cluster, node: Node) -> None:
    node.proxy_up = True
    node.proxy_starts += 1
    cluster.changed(node)


def daemon_stop(cluster: Cluster, node: Node) -> None:
    """Stop pvedaemon; the workers it started are in its control group and are told to end."""
    node.daemon_up = False
    for task in list(cluster.tasks.running(node.name)):
        if task.parent == PVEDAEMON:
            cluster.tasks.signal(task, Signal.TERM)


def daemon_start(_cluster: Cluster, node: Node) -> None:
    node.daemon_up = True
    node.daemon_starts += 1


def proxy_restart(cluster: Cluster, node: Node) -> None:
    """A gap of two seconds; running migrations are unharmed."""
    _restart(cluster, node, proxy_stop, proxy_start, PROXY_GAP)


def daemon_restart(cluster: Cluster, node: Node) -> None:
    """Interrupts running workers; protected calls fail for five seconds, others go on."""
    _restart(cluster, node, daemon_stop, daemon_start, DAEMON_GAP)


def reload(_cluster: Cluster, _node: Node) -> None:
    """New processes take over the sockets; no request fails and no worker notices."""


Action = Callable[["Cluster", "Node"], None]


def _restart(cluster: Cluster, node: Node, stop: Action, start: Action, gap: float) -> None:
    def run() -> Sim:
        yield cluster.engine.sleep(STOP_SECONDS)
        boot = node.boot_time
        stop(cluster, node)
        yield cluster.engine.sleep(gap)
        if node.powered and node.boot_time == boot:
            start(cluster, node)

    cluster.engine.spawn(run())
