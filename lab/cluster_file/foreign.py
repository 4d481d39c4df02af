# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``foreign_snapshots:``: ZFS snapshots that other tools made (pve-facts §13)."""

from __future__ import annotations

from lab.cluster_file.reader import Map, fail, suggestion
from lab.pve.cluster import Cluster
from lab.pve.storage import Snapshot


def read_foreign_snapshots(top: Map, cluster: Cluster) -> None:
    """Rows of ``{storage, node?, volume, names, age?}``; without ``node`` on every node that has the volume."""
    for index, row in enumerate(top.rows("foreign_snapshots")):
        spec = Map(f"foreign_snapshots[{index}]", row)
        storage, name = spec.text("storage"), spec.text("volume")
        definitions = cluster.storages.definitions()
        if storage not in definitions:
            fail(spec.at("storage"), f"storage '{storage}' is not defined{suggestion(str(storage), definitions)}")
        nodes = spec.names("node") or list(cluster.nodes)
        created = cluster.engine.epoch - spec.age("age", 3600.0)
        found = []
        for node in nodes:
            backing = cluster.storages.backing(storage, node)
            if backing is not None and name in backing.volumes:
                found.append(backing.volumes[name])
        if not found:
            fail(spec.at("volume"), f"there is no volume '{name}' on storage '{storage}'")
        for snapshot in spec.names("names"):
            guid = cluster.storages.new_guid()
            for volume in found:
                volume.snapshots.append(Snapshot(snapshot, guid, created, volume.used))
        spec.done()
