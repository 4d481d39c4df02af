# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cluster files of any size with the variety of real ones, for benches and property tests."""

from __future__ import annotations

import random
from typing import Any

_CPUS = ("xeon-gold-6338", "xeon-gold-6430", "epyc-7543", "epyc-9354")
_NAMES = ("web", "app", "db", "mail", "git", "build", "cache", "proxy", "queue", "vpn", "files", "dc", "mon", "log")
_TAGS = ("production", "staging", "test", "web", "database", "windows", "infra")
_MEMORY = (1, 2, 2, 4, 4, 4, 8, 8, 16, 32)
_DISK = (8, 16, 20, 32, 32, 40, 64, 100, 200)


def generate(nodes: int = 3, guests: int = 30, seed: int = 1, release: float = 9.2) -> dict[str, Any]:
    """A cluster file's content; the same arguments give the same cluster.

    Memory and storage are sized so that each node can lose a neighbour: guests take about 60 % of the memory.
    """
    if nodes < 1 or guests < 0:
        raise ValueError("a cluster needs at least one node and no negative number of guests")
    rng = random.Random(seed)
    names = [f"pve{number}" for number in range(1, nodes + 1)]
    rows = {100 + index: _guest(rng, 100 + index, names[index % nodes], names) for index in range(guests)}
    if guests >= 20:
        rows[99_000] = {"node": names[0], "name": "template", "disk": "ceph:8G", "template": True}
    memory = sum(row.get("memory_gib", 1) for row in rows.values())
    per_node = max(64, -(-int(memory / nodes / 0.6) // 32) * 32)
    disks = sum(row.get("disk_gib", 8) for row in rows.values())
    for row in rows.values():
        row.pop("memory_gib", None)
        row.pop("disk_gib", None)
    cpu = rng.choice(_CPUS)
    return {
        "name": f"generated-{nodes}x{guests}",
        "seed": seed,
        "node_defaults": {
            "release": release, "cpu": cpu, "memory": f"{per_node}G",
            "network": {
                "eno1": {"speed": "25Gbit"}, "eno2": {"speed": "25Gbit", "mtu": 9000},
                "vmbr0": {"address": "10.0.0.<n>/16", "ports": "eno1", "speed": "25Gbit", "vlan_aware": True},
                "vmbr1": {"address": "10.1.0.<n>/16", "ports": "eno2", "speed": "25Gbit", "mtu": 9000},
            },
            "address": "10.0.0.<n>",
        },
        "nodes": names,
        "datacenter": {"migration": {"type": "secure", "network": "10.1.0.0/16"}},
        "storages": {
            "local": {"type": "dir", "path": "/var/lib/vz", "content": "iso,vztmpl", "size": "100G"},
            "tank": {"type": "zfspool", "pool": "tank/vm", "sparse": True, "size": f"{max(2000, disks // nodes * 3)}G"},
            "ceph": {"type": "rbd", "pool": "vms", "content": "images,rootdir", "size": f"{max(10_000, disks * 2)}G"},
            "nas": {"type": "nfs", "server": "10.0.255.5", "export": "/pve", "content": "iso,backup,images",
                    "size": "100T"},
        },
        "guests": rows,
        "backup_jobs": {"nightly": {"schedule": "21:00", "storage": "nas", "all": True}},
    }  # fmt: skip


def _guest(rng: random.Random, vmid: int, node: str, names: list[str]) -> dict[str, Any]:
    is_ct = rng.random() < 0.25
    memory = rng.choice(_MEMORY[:6] if is_ct else _MEMORY)
    disk = rng.choice(_DISK[:5] if is_ct else _DISK)
    local = rng.random() < 0.3
    kind = rng.choice(_NAMES)
    row: dict[str, Any] = {
        "node": node, "name": f"{kind}{vmid}", "memory": f"{memory}G", "memory_gib": memory, "disk_gib": disk,
        "cores": rng.choice((1, 2, 2, 4, 4, 8)), "tags": sorted(rng.sample(_TAGS, rng.randint(0, 2))),
        "running": rng.random() < 0.85,
    }  # fmt: skip
    if not row["tags"]:
        del row["tags"]
    if is_ct:
        row["type"] = "ct"
    else:
        row["agent"] = rng.randint(0, 1)
        row["dirty_rate"] = f"{rng.choice((1, 5, 20, 50, 120))}M"
    if local:
        row["disk"] = {"storage": "tank", "size": f"{disk}G", "write_rate": f"{rng.choice((20, 100, 500, 2000))}K"}
        others = [name for name in names if name != node]
        if others and rng.random() < 0.5:
            targets = rng.sample(others, min(len(others), rng.choice((1, 1, 2))))
            row["replicate"] = {target: {"schedule": rng.choice(("*/15", "*/5", "*/30", "22:30")),
                                         "last_sync": f"{rng.randint(1, 14)}m"} for target in targets}  # fmt: skip
    else:
        row["disk"] = f"ceph:{disk}G"
        if rng.random() < 0.2 and row["running"]:
            row["ha"] = True
    if not is_ct:
        if rng.random() < 0.05:
            row["iso"] = "nas:iso/debian-13.iso"
        if rng.random() < 0.08:
            row["cloudinit"] = "ceph"
        if rng.random() < 0.05:
            row["snapshots"] = ["before-upgrade"]
    return row
