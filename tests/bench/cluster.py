# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster that both collections are measured on."""

from __future__ import annotations

from typing import Any

CLUSTER: dict[str, Any] = {
    "name": "bench",
    "nodes": ["pve1", "pve2", "pve3"],
    "storages": {"ceph": {"type": "rbd", "pool": "vms", "content": "images,rootdir", "size": "8T"}},
    "guests": {
        100: {"node": "pve1", "name": "plain", "memory": "2G", "disk": "ceph:16G"},
        101: {"node": "pve1", "name": "under-ha", "memory": "2G", "disk": "ceph:16G", "ha": True},
        102: {"node": "pve1", "name": "fails", "memory": "2G", "disk": "ceph:16G"},
    },
    "ha": {"settled": True},
}


def many_under_ha(count: int) -> dict[str, Any]:
    """``count`` VMs under HA on pve1, whose HA manager acts on each request after a random delay."""
    guests = {
        1000 + number: {"node": "pve1", "name": f"ha{number}", "memory": "1G", "disk": "ceph:8G", "ha": True}
        for number in range(count)
    }
    return {
        **CLUSTER,
        "node_defaults": {"memory": "512G"},
        "guests": guests,
        "datacenter": {"max_workers": 8},
        "faults": [{"ha": {"delay": [0, 60]}}],
    }
