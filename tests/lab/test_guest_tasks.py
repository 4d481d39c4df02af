# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks through the API: who sees which, filters, pages of a log, and how a task is cancelled."""

from __future__ import annotations

import pytest
import simpy

from lab.pve.tasks import Signal, Task
from lab.sim.engine import Sim
from tests.conformance.client import Lab

TASKS = "/nodes/pve1/tasks"


@pytest.fixture
def lab() -> Lab:
    lab = Lab.from_dict({"nodes": ["pve1", "pve2"], "guests": {100: {"node": "pve1", "disk": "1G"}}})
    users = lab.cluster.users
    for name in ("op@pve", "other@pve"):
        users.add_user(name, "secret")
        users.add_token(name, "t1", privsep=False)
        users.add_token(name, "t2", privsep=False)
    return lab


def _run(lab: Lab, user: str, *, seconds: float = 1.0, type: str = "qmstart", id: str = "100", lines: int = 0) -> Task:
    def worker(task: Task) -> Sim:
        task.log(*(f"line {number}" for number in range(1, lines + 1)))
        yield lab.engine.sleep(seconds)

    return lab.cluster.tasks.fork_worker(lab.cluster.nodes["pve1"], type, id, user, worker)


@pytest.mark.parametrize(
    ("auth", "seen"),
    [
        ("ticket:op@pve", {"op@pve", "op@pve!t1", "op@pve!t2"}),
        ("token:op@pve!t1", {"op@pve!t1"}),
        ("ticket:other@pve", {"other@pve"}),
        ("root-token", {"op@pve", "op@pve!t1", "op@pve!t2", "other@pve"}),
    ],
)
def test_a_user_sees_its_tokens_tasks_but_a_token_only_its_own(lab: Lab, auth: str, seen: set[str]) -> None:
    tasks = [_run(lab, user) for user in ("op@pve", "op@pve!t1", "op@pve!t2", "other@pve")]
    lab.advance(5)
    rows = lab.get(TASKS, auth=auth)
    assert {row["upid"].split(":")[7] for row in rows} == seen
    for task in tasks:
        for method, path, privilege in (
            ("GET", f"{TASKS}/{task.upid}/status", "Sys.Audit"),
            ("GET", f"{TASKS}/{task.upid}/log", "Sys.Audit"),
            ("DELETE", f"{TASKS}/{task.upid}", "Sys.Modify"),
        ):
            answer = lab.request(method, path, auth=auth)
            if task.user in seen:
                assert answer.status == 200
            else:
                assert answer.reason == f"Permission check failed (/nodes/pve1, {privilege})"


def test_filters(lab: Lab) -> None:
    start = int(lab.engine.now)
    _run(lab, "root@pam", type="qmigrate", id="100")
    lab.advance(10)
    failed = _run(lab, "op@pve", type="qmigrate", id="101", seconds=1e6)
    lab.cluster.tasks.signal(failed, Signal.TERM)
    warned = _run(lab, "root@pam", type="vzdump", id="")
    warned.warnings = 2
    running = _run(lab, "op@pve!t1", type="qmmove", id="100-scsi0>101-scsi1", seconds=1e6)
    lab.advance(10)

    def types(**params: str | int) -> list[str]:
        return [row["type"] for row in lab.get(TASKS, params)]

    assert types() == ["vzdump", "qmigrate", "qmigrate"]
    assert types(source="all") == ["qmmove", "vzdump", "qmigrate", "qmigrate"]
    assert types(source="active") == ["qmmove"]
    assert types(source="active", vmid=100) == []
    assert types(vmid=100) == ["qmigrate"]
    assert types(typefilter="vzdump") == ["vzdump"]
    assert types(userfilter="OP@") == ["qmigrate"]
    assert types(errors=1) == ["vzdump", "qmigrate"]
    assert types(statusfilter="warning") == ["vzdump"]
    assert types(statusfilter="OK,error") == ["qmigrate", "qmigrate"]
    assert types(since=start + 5) == ["vzdump", "qmigrate"]
    assert types(until=start + 5) == ["qmigrate"]
    assert types(start=1, limit=1) == ["qmigrate"]
    refused = lab.request("GET", TASKS, {"statusfilter": "fine"})
    assert (refused.status, list((refused.body or {})["errors"])) == (400, ["statusfilter"])
    row = lab.get(TASKS, {"source": "active"})[0]
    assert (row["upid"], row["user"], row["status"]) == (running.upid, "op@pve!t1", "RUNNING")
    assert "endtime" not in row and "tokenid" not in row


def test_a_log_is_read_in_pages(lab: Lab) -> None:
    task = _run(lab, "root@pam", lines=120)
    lab.advance(5)
    seen: list[str] = []
    while True:
        answer = lab.request("GET", f"{TASKS}/{task.upid}/log", {"start": len(seen)})
        assert (answer.body or {})["total"] == 121
        if not answer.data:
            break
        assert [row["n"] for row in answer.data] == list(range(len(seen) + 1, len(seen) + 1 + len(answer.data)))
        seen += [row["t"] for row in answer.data]
    assert seen == [f"line {number}" for number in range(1, 121)] + ["TASK OK"]
    assert len(lab.get(f"{TASKS}/{task.upid}/log")) == 50
    assert len(lab.get(f"{TASKS}/{task.upid}/log", {"limit": 0})) == 121


def test_a_task_that_ignores_sigterm_is_killed_after_five_seconds(lab: Lab) -> None:
    def stubborn(_task: Task) -> Sim:
        while True:
            try:
                yield lab.engine.sleep(1e6)
            except simpy.Interrupt as signal:
                if signal.cause is Signal.KILL:
                    raise

    meek = _run(lab, "root@pam", seconds=1e6)
    began = lab.now
    lab.delete(f"{TASKS}/{meek.upid}")
    assert (meek.exitstatus, lab.now - began < 1.5) == ("received interrupt", True)
    task = lab.cluster.tasks.fork_worker(lab.cluster.nodes["pve1"], "qmigrate", "100", "root@pam", stubborn)
    lab.advance(1)
    began = lab.now
    lab.delete(f"{TASKS}/{task.upid}")
    assert lab.now - began == pytest.approx(5, abs=1)
    lab.advance(1)
    status = lab.get(f"{TASKS}/{task.upid}/status")
    assert (status["status"], status["exitstatus"]) == ("stopped", "unexpected status")
    lab.delete(f"{TASKS}/{task.upid}")
