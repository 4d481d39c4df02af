# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``move_disk`` broken off at a random point, and run again: is any volume lost, or copied twice?

The lab runs in the same process, so that hundreds of runs take seconds. What is looked at is the lab's own state: a
copy counts as whole when as much of it is written as of the original.
"""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import MobilityError
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_request import DiskRequest
from ansible_collections.pve.mobility.plugins.module_utils.execution.move_disk import run
from tests.conformance.client import Lab
from tests.integration.inprocess import Killed, LabClock, LabSession

MIB = 2**20
SCENARIO: dict[str, Any] = {
    "name": "kill",
    "nodes": ["pve1"],
    "storages": {
        "tank": {"type": "zfspool", "pool": "tank", "content": "images,rootdir", "size": "1T"},
        "ceph": {"type": "rbd", "pool": "vms", "content": "images,rootdir", "size": "1T"},
        "dir": {"type": "dir", "path": "/srv/dir", "content": "images,rootdir", "size": "1T"},
    },
    "guests": {
        100: {
            "node": "pve1",
            "name": "runs",
            "disks": {
                "scsi0": {"storage": "dir", "size": "3G", "used": "1G"},
                "scsi1": {"storage": "dir", "size": "2G", "used": "600M"},
            },
        },
        101: {
            "node": "pve1",
            "name": "rests",
            "running": False,
            "disks": {
                "scsi0": {"storage": "dir", "size": "3G", "used": "1G"},
                "virtio0": {"storage": "tank", "size": "2G", "used": "600M"},
            },
        },
        200: {
            "node": "pve1",
            "type": "ct",
            "name": "ct",
            "disks": {
                "rootfs": {"storage": "dir", "size": "2G", "used": "1G"},
                "mp0": {"storage": "dir", "size": "1G", "used": "500M", "mp": "/srv"},
            },
        },
    },
}
TARGETS = {100: "ceph", 101: "ceph", 200: "tank"}


@dataclass(slots=True)
class Outcome:
    """:ivar lost: volumes that are gone or not whole. :ivar twice: disks that were copied to the end more than once.

    :ivar broken: what else is not as it should be. :ivar killed: it was really broken off.
    :ivar worker_killed: tasks that were killed on the node.
    """

    lost: int = 0
    twice: int = 0
    broken: str = ""
    killed: bool = False
    worker_killed: int = 0


def broken_off(seed: int, kill_worker: bool = False) -> Outcome:
    """A run that is killed at a random request, before it is sent or after its answer; then again to its good end."""
    dice = random.Random(seed)
    lab = Lab.from_dict(SCENARIO)
    lab.advance(15.0)
    if kill_worker:
        task = {"task": dice.choice(("qmmove", "move_volume")), "phase": "disks", "effect": "kill", "count": 1}
        lab.cluster.faults.add(task)
    vmid = dice.choice(sorted(TARGETS))
    request = _request(vmid, dice.random() < 0.5)
    before = _disks(lab, vmid)
    running = _running(lab, vmid)
    outcome = Outcome()
    limit = dice.randint(1, _requests(vmid, request.delete))
    early = dice.random() < 0.5
    for attempt in range(6):

        def stop(number: int, wanted: int = limit if attempt == 0 else 10**9) -> None:
            if number == wanted:
                raise Killed

        session = LabSession(lab, stop if early else None, None if early else stop)
        try:
            run(session, LabClock(lab), request)
            break
        except Killed:
            outcome.killed = True
            outcome.lost += _lost(lab, vmid, before)
            lab.advance(dice.choice((0.0, 1.0, 5.0, 60.0)))
        except MobilityError as error:
            outcome.broken = error.message
            if error.kind == "locked" or "CT is locked" in error.message:
                # As the sentence says: a worker that was killed leaves its lock, and only a person may take it away.
                lab.cluster.set_lock(lab.cluster.entry_on(lab.cluster.node("pve1"), "lxc", vmid), None)
            lab.advance(5.0)
    else:
        return outcome
    outcome.broken = ""
    # A start that was asked for just before takes a moment.
    lab.advance(20.0)
    outcome.lost += _lost(lab, vmid, before)
    after = _disks(lab, vmid)
    for key, (volid, _used) in after.items():
        if not volid.startswith(f"{TARGETS[vmid]}:"):
            outcome.broken = f"{key} is {volid}"
    if running != _running(lab, vmid):
        outcome.broken = "it was running before, and is not now"
    kind = "move_volume" if vmid == 200 else "qmmove"
    rows = lab.get("/nodes/pve1/tasks", {"vmid": vmid, "limit": 100})
    good = [row for row in rows if row["type"] == kind and row.get("status") == "OK"]
    outcome.worker_killed = sum(1 for row in rows if row.get("status") == "unexpected status")
    outcome.twice = max(0, len(good) - len(before))
    return outcome


@functools.cache
def _requests(vmid: int, delete: bool) -> int:
    """How many requests a run needs that nobody breaks off."""
    lab = Lab.from_dict(SCENARIO)
    lab.advance(15.0)
    session = LabSession(lab)
    run(session, LabClock(lab), _request(vmid, delete))
    return session.sent


def _request(vmid: int, delete: bool) -> DiskRequest:
    return DiskRequest(str(vmid), TARGETS[vmid], delete=delete, allow_stop=True, timeout=0.0)


def _config(lab: Lab, vmid: int) -> dict[str, Any]:
    kind = "lxc" if vmid == 200 else "qemu"
    found: dict[str, Any] = lab.get(f"/nodes/pve1/{kind}/{vmid}/config")
    return found


def _disks(lab: Lab, vmid: int) -> dict[str, tuple[str, int]]:
    """Volid and written bytes of each disk in use."""
    found = {}
    for key, value in _config(lab, vmid).items():
        if key.startswith(("scsi", "virtio", "rootfs", "mp")) and key != "scsihw":
            volid = str(value).partition(",")[0]
            volume = lab.cluster.storages.find(volid, "pve1")
            found[key] = (volid, volume.used if volume is not None else 0)
    return found


def _running(lab: Lab, vmid: int) -> bool:
    kind = "lxc" if vmid == 200 else "qemu"
    return bool(lab.get(f"/nodes/pve1/{kind}/{vmid}/status/current")["status"] == "running")


def _lost(lab: Lab, vmid: int, before: dict[str, tuple[str, int]]) -> int:
    """Disks whose configuration names a volume that is not there, or that holds less than the original did."""
    now = _disks(lab, vmid)
    whole = sum(1 for key in before if key in now and now[key][1] >= before[key][1])
    return len(before) - whole
