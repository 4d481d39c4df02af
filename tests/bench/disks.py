# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What moving a disk costs, whether interruptions lose anything, and how near emptying a storage comes to its floor.

The lab runs in the same process: what counts is its virtual time, and what it holds at the end.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.execution import drain_storage
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_request import DiskRequest
from ansible_collections.pve.mobility.plugins.module_utils.execution.move_disk import run
from ansible_collections.pve.mobility.plugins.module_utils.planning.storage_drain import DrainOptions
from tests.conformance.client import Lab
from tests.integration.disk_kill import broken_off
from tests.integration.inprocess import LabClock, LabSession, reading

KILLS = 200
DISKS = 300
NODES = 6
PARALLEL = 8
LIMIT = 51_200
"""KiB/s of each move: below what the lab's storages can do, so that it is the floor."""


def measure() -> dict[str, float]:
    return _requests() | _lost() | _drain()


def _cluster(guests: dict[int, dict[str, Any]], nodes: int = 1) -> dict[str, Any]:
    return {
        "name": "disks",
        "nodes": [f"pve{number + 1}" for number in range(nodes)],
        "storages": {
            "old": {"type": "rbd", "pool": "old", "content": "images,rootdir", "size": "40T"},
            "new": {"type": "rbd", "pool": "new", "content": "images,rootdir", "size": "40T"},
        },
        "guests": guests,
    }


def _requests() -> dict[str, float]:
    """Requests of a no-op and of a move of one disk, without those that only follow it."""
    lab = Lab.from_dict(_cluster({100: {"node": "pve1", "disk": "old:8G", "running": False}}))
    lab.advance(15.0)
    request = DiskRequest("100", "new", ("scsi0",), delete=True, timeout=0.0)
    polls = 0

    class Counting(LabSession):
        def _on_any_host(self, method: str, path: str, params: dict[str, Any]) -> Any:
            nonlocal polls
            polls += "/tasks/" in path
            return super()._on_any_host(method, path, params)

    session = Counting(lab)
    run(session, LabClock(lab), request)
    moved = session.sent - polls
    again = LabSession(lab)
    run(again, LabClock(lab), request)
    return {"move_disk_requests": moved, "move_disk_polls": polls, "move_disk_noop_requests": again.sent}


def _lost() -> dict[str, float]:
    """Volumes lost when the process is killed at random points, 200 times."""
    outcomes = [broken_off(seed) for seed in range(KILLS)]
    return {
        "move_disk_lost_volumes": sum(outcome.lost for outcome in outcomes),
        "move_disk_copied_twice": sum(outcome.twice for outcome in outcomes),
        "move_disk_kills": sum(outcome.killed for outcome in outcomes),
    }


def _drain() -> dict[str, float]:
    """Time for 300 disks of 4 to 36 GiB on one storage, against all bytes at the bandwidth that is allowed."""
    guests = {
        1000 + number: {
            "node": f"pve{number % NODES + 1}",
            "name": f"g{number}",
            "memory": "1G",
            "disk": {"storage": "old", "size": f"{4 + number * 7 % 33}G", "used": f"{4 + number * 7 % 33}G"},
            "running": number % 3 == 0,
        }
        for number in range(DISKS)
    }
    lab = Lab.from_dict(_cluster(guests, NODES))
    lab.advance(15.0)
    session, clock = LabSession(lab), LabClock(lab)
    request = drain_storage.DrainRequest("old", DrainOptions(("new",)), PARALLEL, LIMIT)
    began = lab.now
    with reading(session):
        result = drain_storage.run(session, clock, request)
    took = lab.now - began
    assert result["empty"], result["stays"]
    floor = sum(4 + number * 7 % 33 for number in range(DISKS)) * 2**30 / (LIMIT * 1024 * PARALLEL)
    return {
        "drain_storage_ratio": round(took / floor, 3),
        "drain_storage_disks": sum(len(row["moves"]) for row in result["done"]),
        "drain_storage_requests": session.sent,
    }
