# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Timelines 10 and 10b: pveproxy and pvedaemon are restarted or reloaded while a worker runs on their node.

The recordings asked for guests and tasks; here stand other paths that differ in the same way: ``/disks/zfs`` is a
protected call, ``/version`` and ``/nodes/N/status`` are not.
"""

from __future__ import annotations

import pytest

from lab.control import Control
from lab.pve.tasks import Task
from lab.sim.engine import Sim
from tests.conformance.client import Lab
from tests.conformance.poll import CONNECTION_ERROR, poll, recorded, span, status, values

RESTART = "10-api-daemons-restart-during-migration"
RELOAD = "10b-api-daemons-reload-during-migration"
CONFIG = "GET /nodes/pve1/qemu/110/config @pve1"
STATUS = "GET /nodes/pve1/qemu/110/status/current @pve1"
PROXIED = "GET /nodes/pve1/qemu/110/status/current proxied by pve3"
VERSION = "GET /version @pve1 (new connection each time)"

GRAIN = 1.5
"""Seconds between two looks in the recording, and a bit for a busy machine."""


@pytest.fixture
def lab() -> Lab:
    return Lab.from_dict({"nodes": {"pve1": {}, "pve2": {}, "pve3": {}}})


def worker(lab: Lab, parent: str = "pvedaemon") -> Task:
    """A worker on pve1 that would be done after a minute."""

    def work(_task: Task) -> Sim:
        yield lab.engine.sleep(60)

    task = lab.cluster.tasks.fork_worker(lab.cluster.nodes["pve1"], "qmigrate", "110", "root@pam", work)
    task.parent = parent
    return task


def act(lab: Lab, action: str) -> None:
    answer = Control(lab.cluster, lab.gateway).handle("POST", "/lab/node", {"node": "pve1", "action": action})
    assert answer[0] == 200, answer


def test_restarting_pveproxy_leaves_a_gap_and_harms_no_worker(lab: Lab) -> None:
    task = worker(lab)
    looks = {VERSION: status(lab, "/version", "pve1"), PROXIED: status(lab, "/nodes/pve1/status", "pve3")}
    lab.get("/nodes/pve1/status", node="pve3")
    act(lab, "proxy-restart")
    seen = poll(lab, looks, 13)
    for endpoint in looks:
        genuine = recorded(RESTART, endpoint, 6.75, 19.0)
        assert values(seen[endpoint]) == values(genuine)
    start, end = span(seen[VERSION], CONNECTION_ERROR)
    genuine_start, genuine_end = span(recorded(RESTART, VERSION, 6.75, 19.0), CONNECTION_ERROR)
    assert abs(start - genuine_start) <= GRAIN and abs(end - genuine_end) <= GRAIN
    assert task.running


def test_restarting_pvedaemon_ends_its_workers_and_stops_protected_calls(lab: Lab) -> None:
    task, of_ha = worker(lab), worker(lab, "pve-ha-lrm")
    looks = {
        STATUS: status(lab, "/nodes/pve1/disks/zfs", "pve1"),
        CONFIG: status(lab, "/nodes/pve1/status", "pve1"),
        VERSION: status(lab, "/version", "pve1"),
        "worker": lambda: task.exitstatus,
    }
    act(lab, "daemon-restart")
    seen = poll(lab, looks, 15)
    genuine = recorded(RESTART, STATUS, 20.52, 36.0)
    assert values(seen[STATUS]) == values(genuine) == [200, 595, 200]
    for mine, theirs in zip(span(seen[STATUS], 595), span(genuine, 595), strict=True):
        assert abs(mine - theirs) <= GRAIN
    assert values(seen[CONFIG]) == values(recorded(RESTART, CONFIG, 20.52, 36.0)) == [200]
    assert values(seen[VERSION]) == values(recorded(RESTART, VERSION, 20.52, 36.0)) == [200]
    # What ends the worker is a signal: a migration's own handler makes "migration problems" of it.
    assert values(seen["worker"]) == [None, "received interrupt"]
    assert of_ha.running


def test_a_stopped_pveproxy_stays_away_until_it_is_started(lab: Lab) -> None:
    looks = {VERSION: status(lab, "/version", "pve1"), PROXIED: status(lab, "/nodes/pve1/status", "pve3")}
    lab.get("/nodes/pve1/status", node="pve3")
    act(lab, "proxy-stop")
    seen = poll(lab, looks, 10)
    act(lab, "proxy-start")
    back = poll(lab, looks, 2)
    for endpoint in looks:
        genuine = values(recorded(RESTART, endpoint, 42.44, 56.0))
        assert [200, *values(seen[endpoint]), *values(back[endpoint])] == genuine


def test_reloading_harms_nothing(lab: Lab) -> None:
    task = worker(lab)
    looks = {
        VERSION: status(lab, "/version", "pve1"),
        STATUS: status(lab, "/nodes/pve1/disks/zfs", "pve1"),
    }
    act(lab, "daemon-reload")
    before = poll(lab, looks, 7)
    act(lab, "proxy-reload")
    after = poll(lab, looks, 7)
    for endpoint in looks:
        assert values(before[endpoint]) == values(after[endpoint]) == [200]
        assert values(recorded(RELOAD, endpoint, 6.09, 40.0)) == [200]
    assert lab.wait_task(task.upid) == "OK"


# ---------------------------------------------------------------- a real migration

LOCAL_DISK = {
    "nodes": {"pve1": {}, "pve2": {}, "pve3": {}},
    "storages": {"dira": {"type": "dir", "path": "/srv/dira", "content": ["images"]}},
    "guests": {"110": {"node": "pve1", "memory": 64, "running": True, "scsi0": {"storage": "dira", "size": "1G"}}},
}


@pytest.fixture
def busy() -> Lab:
    return Lab.from_dict(LOCAL_DISK)


def migrate(lab: Lab, bwlimit: int) -> str:
    params = {"target": "pve2", "online": 1, "with-local-disks": 1, "bwlimit": bwlimit}
    upid: str = lab.post("/nodes/pve1/qemu/110/migrate", params)
    return upid


def test_restarting_pveproxy_does_not_touch_a_migration(busy: Lab) -> None:
    upid = migrate(busy, 12000)
    busy.advance(6.75)
    act(busy, "proxy-restart")
    assert busy.wait_task(upid) == "OK"
    assert busy.get("/nodes/pve2/qemu/110/status/current", node="pve2")["status"] == "running"


def test_restarting_pvedaemon_ends_a_migration_with_problems(busy: Lab) -> None:
    upid = migrate(busy, 12000)
    busy.advance(20.5)
    lock = {"lock": lambda: busy.get("/nodes/pve1/qemu/110/config", node="pve1").get("lock")}
    act(busy, "daemon-restart")
    seen = poll(busy, lock, 10)["lock"]
    assert values(seen) == ["migrate", None]
    assert abs(seen[-1].at - (23.84 - 20.52)) <= 2 * GRAIN
    status = busy.get(f"/nodes/pve1/tasks/{upid}/status")
    assert (status["status"], status["exitstatus"]) == ("stopped", "migration problems")
    guest = busy.get("/nodes/pve1/qemu/110/status/current")
    assert (guest["status"], guest["qmpstatus"]) == ("running", "running")
    assert not busy.get("/nodes/pve2/storage/dira/content")


def test_reloading_the_daemons_does_not_touch_a_migration(busy: Lab) -> None:
    upid = migrate(busy, 30000)
    busy.advance(6)
    act(busy, "daemon-reload")
    busy.advance(7)
    act(busy, "proxy-reload")
    assert busy.wait_task(upid) == "OK"
