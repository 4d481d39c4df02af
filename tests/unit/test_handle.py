# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A move followed by many short-lived processes ends as one followed by a single one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid, NodeUnreachable
from ansible_collections.pve.mobility.plugins.module_utils.execution.follow import (
    HA_MASTER_CHANGE,
    HA_SILENCE,
    UNREACHABLE,
    Follower,
    State,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.moving import Moving

TASK = "UPID:pve1:00000BB1:0003C646:6B03ABA2:qmigrate:110:root@pam:"
MANAGER = "/cluster/ha/status/manager_status"
LOG = [
    "2026-11-23 04:10:02 starting migration of VM 110 to node 'pve2' (10.99.0.12)",
    "2026-11-23 04:10:02 found local disk 'dira:110/vm-110-disk-0.qcow2' (attached)",
    *(f"mirror-scsi0: transferred {n}.0 MiB of 1.0 GiB ({n / 10.24:.2f}%) in {n}s" for n in range(100)),
]


class Time(Clock):
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        super().__init__(1.0)
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Api:
    """A cluster's answers, and a count of the log lines that it had to hand out."""

    def __init__(self) -> None:
        self.host = "pve2:8006"
        self.preferred: list[str] = []
        self.log = list(LOG)
        self.handed_out = 0
        self.silent = False
        self.answers: dict[str, Any] = {
            f"/nodes/pve1/tasks/{TASK}/status": {"status": "running"},
            "/nodes/pve1/tasks": [],
        }

    def prefer(self, host: str) -> None:
        self.preferred.append(host)

    def rotate(self) -> None:
        pass

    def get(self, path: str, params: dict[str, Any] | None = None) -> Any:
        if self.silent:
            raise NodeUnreachable("No API host answers.")
        if path.endswith("/log"):
            assert params is not None
            rows = [{"n": n + 1, "t": line} for n, line in enumerate(self.log)][params["start"] :][: params["limit"]]
            self.handed_out += len(rows)
            return rows
        return self.answers[path]


def again(follower: Follower) -> Follower:
    """In a new process: only what survives JSON is known."""
    handle = json.loads(json.dumps(follower.handle()))
    return Follower(follower.session, follower.clock, Moving.from_dict(handle))


def moving(**more: Any) -> Moving:
    return Moving(110, "qemu", "vm110", "pve1", "pve2", "online", True, asked_at=1000.0, **more)


def test_a_log_is_read_once_and_as_a_whole_at_the_end() -> None:
    api, time = Api(), Time()
    follower = Follower(api, time, moving(task=TASK))
    follower.poll()
    first = follower.progress
    assert first.percent == 9
    read = api.handed_out
    for _step in range(20):
        follower = again(follower)
        follower.poll()
    assert api.handed_out == read
    assert follower.progress == first
    assert api.preferred[-1] == "pve2:8006"
    api.log += ["mirror-scsi0: Cancelling block job", "2026-11-23 04:10:30 ERROR: it broke", "TASK ERROR: aborted"]
    api.answers[f"/nodes/pve1/tasks/{TASK}/status"] = {"status": "stopped", "exitstatus": "migration problems"}
    api.answers["/nodes/pve2/qemu/110/status/current"] = {"status": "running", "lock": "migrate"}
    follower = again(follower)
    assert follower.poll().state is State.FAILED
    assert follower.lines == api.log


def ha_answer(timestamp: int) -> dict[str, Any]:
    services = {"vm:110": {"state": "started", "node": "pve1"}}
    return {"manager_status": {"timestamp": timestamp, "service_status": services, "master_node": "pve3"}}


def silence(rounds: bool) -> float:
    """Seconds until an HA manager that does nothing is given up, looked at anew every four seconds."""
    api, time = Api(), Time()
    follower = Follower(api, time, moving(ha=True))
    while True:
        api.answers[MANAGER] = ha_answer(int(time.now) // 10 * 10 if rounds else 1000)
        if follower.poll().state is not State.GOING:
            return time.now - 1000.0
        time.sleep(4.0)
        follower = again(follower)


def test_a_dead_ha_master_is_borne_for_longer_than_one_that_does_nothing() -> None:
    assert HA_SILENCE <= silence(rounds=True) < HA_SILENCE + 5
    assert HA_MASTER_CHANGE <= silence(rounds=False) < HA_MASTER_CHANGE + 5


def test_a_cluster_that_stays_silent_is_given_up_in_the_end() -> None:
    api, time = Api(), Time()
    follower = Follower(api, time, moving(task=TASK))
    follower.poll()
    api.silent = True
    with pytest.raises(NodeUnreachable, match="could not be followed for 300 s"):
        while time.now < 1000 + 2 * UNREACHABLE:
            follower.poll()
            time.sleep(4.0)
            follower = again(follower)


def test_a_short_silence_is_borne() -> None:
    api, time = Api(), Time()
    follower = Follower(api, time, moving(task=TASK))
    for silent in (True, False, True, False):
        api.silent = silent
        assert follower.poll().state is State.GOING
        time.sleep(UNREACHABLE * 0.8)


@pytest.mark.parametrize("handle", [{}, {"vmid": 100}, {**moving(task=TASK).as_dict(), "progress": {"phase": "X"}}])
def test_a_handle_that_is_none_is_told(handle: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="give a vmid, a name, or the follow value"):
        Follower(Api(), Time(), Moving.from_dict(handle))


def test_an_adopted_ha_move_is_not_told_by_the_task_of_an_earlier_one() -> None:
    old, new = TASK, TASK.replace("6B03ABA2", "6B03FFA2")
    api, time = Api(), Time()
    now = 0x6B03FFA0
    api.answers[MANAGER] = ha_answer(now)
    api.answers[MANAGER]["manager_status"]["service_status"]["vm:110"] |= {"state": "migrate", "target": "pve2"}
    api.answers["/nodes/pve1/tasks"] = [{"upid": old, "type": "qmigrate", "endtime": 0x6B03ABF2, "status": "OK"}]
    follower = Follower(api, time, moving(ha=True, adopted=True, seen_moving=True))
    follower.poll()
    assert follower.moving.task is None
    api.answers["/nodes/pve1/tasks"].insert(0, {"upid": new, "type": "qmigrate", "status": "RUNNING"})
    api.answers[f"/nodes/pve1/tasks/{new}/status"] = {"status": "running"}
    follower.poll()
    assert follower.moving.task == new


def test_polls_grow_rarer_but_never_slower_than_a_failure_may_be_late() -> None:
    api, time = Api(), Time()
    follower = Follower(api, time, moving(task=TASK))
    pauses = []
    for number in range(8):
        api.log.append(f"mirror-scsi0: transferred {200 + number}.0 MiB of 1.0 GiB (20.00%) in 3s")
        follower.poll()
        pauses.append(follower.pause())
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (1.0, 2.0)
