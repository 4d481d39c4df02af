# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of ``replication_job`` share: a cluster in the same process, and how to declare and look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_job import run
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_request import from_options
from lab.control import Control
from tests.conformance.client import Lab
from tests.integration.inprocess import LabClock, LabSession

NODES = ["pve1", "pve2", "pve3", "pve4"]
STORAGES: dict[str, Any] = {
    "tank": {"type": "zfspool", "pool": "tank", "content": "images,rootdir", "size": "1T", "sparse": True},
    "only12": {
        "type": "zfspool", "pool": "fast", "content": "images", "size": "1T", "nodes": ["pve1", "pve2"],
    },
    "ceph": {"type": "rbd", "pool": "vms", "content": "images,rootdir", "size": "2T"},
    "lvm": {"type": "lvmthin", "vgname": "vg", "thinpool": "data", "content": "images", "size": "1T"},
}  # fmt: skip
GUESTS: dict[int, dict[str, Any]] = {
    100: {"node": "pve1", "name": "db", "memory": "2G", "disk": {"storage": "tank", "size": "8G", "used": "2G"}},
    101: {"node": "pve1", "name": "shared", "memory": "2G", "disk": "ceph:8G"},
    102: {
        "node": "pve1",
        "name": "mixed",
        "memory": "2G",
        "running": False,
        "disks": {"scsi0": "tank:4G", "scsi1": "lvm:4G"},
    },
    103: {"node": "pve1", "name": "fast", "memory": "2G", "disk": "only12:4G", "running": False},
    104: {"node": "pve1", "name": "off", "disk": {"storage": "tank", "size": "4G", "used": "1G"}, "running": False},
    200: {"node": "pve1", "type": "ct", "name": "dns", "memory": "512M", "disk": "tank:4G"},
}  # fmt: skip


def start(**more: Any) -> Lab:
    lab = Lab.from_dict({"name": "replicas", "nodes": NODES, "storages": STORAGES, "guests": GUESTS, **more})
    lab.advance(15.0)
    return lab


def declare(lab: Lab, guest: Any = 100, session: LabSession | None = None, **options: Any) -> dict[str, Any]:
    how = {key: options.pop(key) for key in ("check", "wait", "handle", "for_seconds") if key in options}
    request = from_options({"guest": str(guest), "enabled": True, "timeout": 3600, **options})
    return run(session or LabSession(lab), LabClock(lab), request, **how)


def jobs(lab: Lab, guest: int = 100) -> dict[str, dict[str, Any]]:
    """By target, as an outside observer sees them."""
    return {row["target"]: row for row in lab.get("/cluster/replication") if row["guest"] == guest}


def migrate(lab: Lab, target: str, guest: int = 104) -> None:
    upid = lab.post(f"/nodes/{home(lab, guest)}/qemu/{guest}/migrate", {"target": target})
    assert lab.wait_task(upid) == "OK"


def home(lab: Lab, guest: int) -> str:
    rows = lab.get("/cluster/resources", {"type": "vm"})
    return str(next(row["node"] for row in rows if row["vmid"] == guest))


def synced(lab: Lab, guest: int = 100) -> dict[str, int]:
    rows = lab.get(f"/nodes/{home(lab, guest)}/replication", {"guest": guest})
    return {row["target"]: row["last_sync"] for row in rows}


def control(lab: Lab, method: str, path: str, **fields: Any) -> None:
    status, body = Control(lab.cluster, lab.gateway).handle(method, path, fields)
    assert status == 200, body


def fault(lab: Lab, phase: str, text: str) -> None:
    lab.cluster.faults.add({"task": "replicate", "vmid": 100, "phase": phase, "effect": {"fail": text}})


def home_from(lab: Lab, node: str) -> str:
    rows: list[Mapping[str, Any]] = lab.get("/cluster/resources", {"type": "vm"}, node=node)
    return str(next(row["node"] for row in rows if row["vmid"] == 100))
