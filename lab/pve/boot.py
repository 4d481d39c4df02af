# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting what runs on a cluster once its state has been read."""

from __future__ import annotations

from collections.abc import Mapping

from lab.pve.cluster import Cluster


def start_daemons(cluster: Cluster, states: Mapping[str, str] | None = None) -> None:
    """Bring a cluster to life.

    :param states: ``offline`` or ``cut-off`` by node; all others run and are members.
    """
    # Guests know the keys of the cluster file, and reading that file ends here.
    from lab.guests.replication.scheduler import Replication
    from lab.ha.stack import HaStack

    for name, state in (states or {}).items():
        if state == "online":
            continue
        node = cluster.nodes[name]
        node.member = node.linked = False
        if state == "offline":
            node.powered = False
            node.running.clear()
    cluster.ha = HaStack(cluster)
    cluster.statd.start()
    cluster.ha.start()
    cluster.replication = Replication(cluster)
    cluster.replication.start()
