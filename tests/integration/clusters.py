# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters of the integration tests. Playbooks take nodes and guests from variables, as from a real inventory."""

from __future__ import annotations

from typing import Any

STORAGES: dict[str, Any] = {
    "ceph": {"type": "rbd", "pool": "vms", "content": "images,rootdir", "size": "8T"},
    "tank": {"type": "zfspool", "pool": "tank", "content": "images,rootdir", "size": "2T"},
    "local": {"type": "dir", "path": "/var/lib/vz", "content": "iso,vztmpl,snippets", "size": "100G"},
    "only1": {"type": "dir", "path": "/srv/only1", "content": "images", "size": "1T", "nodes": ["pve1"]},
}

GUESTS: dict[int, dict[str, Any]] = {
    100: {"node": "pve1", "name": "web", "memory": "2G", "disk": "ceph:16G", "dirty_rate": "10M"},
    101: {"node": "pve1", "name": "stopped", "memory": "2G", "disk": "ceph:16G", "running": False},
    102: {"node": "pve1", "name": "disks", "memory": "2G", "disk": {"storage": "tank", "size": "8G", "used": "4G"}},
    103: {"node": "pve1", "name": "pinned", "memory": "2G", "disk": "only1:8G"},
    104: {"node": "pve1", "name": "twin", "memory": "1G", "disk": "ceph:8G"},
    105: {"node": "pve2", "name": "twin", "memory": "1G", "disk": "ceph:8G"},
    110: {"node": "pve1", "name": "ha-web", "memory": "2G", "disk": "ceph:16G", "ha": True},
    111: {"node": "pve1", "name": "ha-db", "memory": "2G", "disk": "ceph:16G", "ha": True},
    112: {"node": "pve2", "name": "ha-rival", "memory": "2G", "disk": "ceph:16G", "ha": True},
    200: {"node": "pve1", "type": "ct", "name": "dns", "memory": "512M", "disk": "ceph:4G"},
}

VARIABLES: dict[str, Any] = {
    "source": "pve1",
    "target": "pve2",
    "other": "pve3",
    "storage": "tank",
    "vm": 100,
    "stopped_vm": 101,
    "disk_vm": 102,
    "ha_vm": 110,
    "ct": 200,
}


def cluster(**more: Any) -> dict[str, Any]:
    """Three nodes of the newest release with all guests; ``more`` replaces top-level keys."""
    return {
        "name": "test",
        "nodes": ["pve1", "pve2", "pve3"],
        "storages": STORAGES,
        "guests": GUESTS,
        "ha": {
            "settled": True,
            "rules": {
                "apart": {"type": "resource-affinity", "resources": ["vm:111", "vm:112"], "affinity": "negative"}
            },
        },
        **more,
    }
