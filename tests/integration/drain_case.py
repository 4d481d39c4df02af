# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster to drain, in the same process as what drains it; and how to run that."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.execution.drain import run
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_request import from_options
from tests.conformance.client import Lab
from tests.integration.inprocess import LabClock, LabSession, reading

CLUSTER: dict[str, Any] = {
    "name": "drain",
    "node_defaults": {"memory": "64G", "link_speed": "10Gbit"},
    "nodes": {"pve1": {}, "pve2": {}, "pve3": {}, "pve4": {}},
    "storages": {
        "ceph": {"type": "rbd", "pool": "vms", "content": "images,rootdir", "size": "4T"},
        "tank": {"type": "zfspool", "pool": "tank", "content": "images,rootdir", "size": "1T"},
    },
    "guests": {
        100: {"node": "pve1", "name": "web", "memory": "4G", "disk": "ceph:16G", "ha": True},
        101: {
            "node": "pve1",
            "name": "db",
            "memory": "8G",
            "disk": {"storage": "tank", "size": "40G", "used": "20G"},
            "replicate": {"pve3": {"schedule": "*/15", "last_sync": "20m"}},
        },
        102: {"node": "pve1", "name": "mail", "memory": "2G", "disk": {"storage": "tank", "size": "8G", "used": "2G"}},
        103: {"node": "pve1", "name": "rests", "memory": "2G", "disk": "ceph:8G", "running": False},
        104: {"node": "pve1", "name": "app1", "memory": "4G", "disk": "ceph:16G"},
        105: {"node": "pve1", "name": "app2", "memory": "4G", "disk": "ceph:16G"},
        200: {"node": "pve1", "type": "ct", "name": "dns", "memory": "512M", "disk": "ceph:4G"},
        201: {"node": "pve1", "type": "ct", "name": "metrics", "memory": "1G", "disk": "ceph:8G", "ha": True},
        110: {"node": "pve2", "name": "other", "memory": "8G", "disk": "ceph:16G"},
        111: {"node": "pve4", "name": "heavy", "memory": "32G", "disk": "ceph:16G"},
    },
    "ha": {"settled": True},
}
MOVED = {100, 101, 102, 103, 104, 105, 200, 201}


def start(**more: Any) -> Lab:
    lab = Lab.from_dict({**copy.deepcopy(CLUSTER), **more})
    lab.advance(30.0)
    return lab


def session(
    lab: Lab, before: Callable[[int], None] | None = None, after: Callable[[int], None] | None = None
) -> LabSession:
    return LabSession(lab, before, after)


def drain(lab: Lab, journal: Path, using: LabSession | None = None, **options: Any) -> dict[str, Any]:
    """A run of the module's work; options of the module, and ``check``, ``wait``, ``handle`` and so on."""
    how = {key: options.pop(key) for key in ("check", "wait", "handle", "for_seconds", "restore") if key in options}
    used = using or session(lab)
    request = from_options({"node": "pve1", "journal": str(journal), **options})
    with reading(used):
        return run(used, LabClock(lab), request, **how)


def where(lab: Lab) -> dict[int, str]:
    return {vmid: entry.node for vmid, entry in lab.cluster.fs.vmlist.items()}


def running(lab: Lab) -> set[int]:
    return {vmid for node in lab.cluster.nodes.values() for vmid in node.running}


def moves(lab: Lab, node: str = "pve1") -> list[dict[str, Any]]:
    """Tasks that moved a guest away from a node, those that failed too."""
    rows = lab.get(f"/nodes/{node}/tasks", {"source": "all", "limit": 500})
    return [row for row in rows if row["type"] in ("qmigrate", "vzmigrate")]
