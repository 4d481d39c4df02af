# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy for replication costs over 500 guests on 8 nodes: made true from nothing, and found true."""

from __future__ import annotations

from typing import Any

from tests.bench.adhoc import call
from tests.integration.harness import running_lab

NODES = [f"pve{number}" for number in range(1, 9)]
GUESTS = 500
CANNOT = 3
"""Guests of which each run has to look again whether they can be replicated by now."""
POLICY: dict[str, Any] = {
    "rules": [
        {"name": "db", "guests": {"tags": ["db"]}, "sets": [NODES[:4], NODES[4:]], "schedule": "*/15", "rate": 80},
        {"name": "all", "sets": [NODES[:2], NODES[2:4], NODES[4:6], NODES[6:]], "schedule": "hourly"},
    ],
}


def cluster() -> dict[str, Any]:
    guests = {
        1000 + number: {
            "node": NODES[number % len(NODES)],
            "name": f"g{number}",
            "memory": "1G",
            "disk": "ceph:4G" if number < CANNOT else {"storage": "tank", "size": "4G", "used": "100M"},
            "running": False,
            "tags": ["db"] if number % 10 == 5 else [],
            "ha": number % 25 == 7,
        }
        for number in range(GUESTS)
    }
    return {
        "name": "policy",
        "nodes": NODES,
        "node_defaults": {"memory": "512G"},
        "storages": {
            "tank": {"type": "zfspool", "pool": "tank", "content": "images,rootdir", "size": "8T", "sparse": True},
            "ceph": {"type": "rbd", "pool": "vms", "content": "images,rootdir", "size": "8T"},
        },
        "guests": guests,
        "ha": {"settled": True},
    }


def measure() -> dict[str, float]:
    with running_lab(cluster(), 1.0) as lab:
        first = call(lab, "pve.mobility.replication_policy", POLICY)
        assert first.result.get("failed_jobs") == [], first.result
        assert len(first.result["cannot"]) == CANNOT, first.result["cannot"]
        second = call(lab, "pve.mobility.replication_policy", POLICY)
        assert lab.requests(), "the requests were counted"
    changed = [id for key in ("created", "updated", "removed") for id in second.result[key]]
    return {
        "replication_policy_jobs": len(first.result["created"]),
        "replication_policy_requests": first.requests,
        "replication_policy_wall_s": round(first.wall, 2),
        "replication_second_run_changed": len(changed) + bool(second.result["changed"]),
        "replication_second_run_requests": second.requests,
        "replication_second_run_limit": len(NODES) + 10,
    }
