# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``move_disk`` when it is broken off, comes second, or comes to nothing: on a lab in the same process."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    Conflict,
    MobilityError,
    NodeUnreachable,
    TaskFailed,
    TimedOut,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.attach import attach
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_request import DiskRequest
from ansible_collections.pve.mobility.plugins.module_utils.execution.move_disk import run
from tests.conformance.client import Lab
from tests.integration.disk_kill import SCENARIO, broken_off
from tests.integration.inprocess import LabClock, LabSession

KILLS = 200


@pytest.fixture
def lab() -> Lab:
    return start()


def start(**more: Any) -> Lab:
    lab = Lab.from_dict({**SCENARIO, **more})
    lab.advance(15.0)
    return lab


def move(lab: Lab, vmid: int = 101, *disks: str, storage: str = "ceph", **more: Any) -> dict[str, Any]:
    options = {key: more.pop(key) for key in ("check", "wait", "handle", "for_seconds") if key in more}
    request = DiskRequest(str(vmid), storage, disks, **{"timeout": 0.0, **more})
    return run(LabSession(lab), LabClock(lab), request, **options)


def tasks(lab: Lab, vmid: int = 101, kind: str = "qmmove") -> list[dict[str, Any]]:
    rows = lab.get("/nodes/pve1/tasks", {"vmid": vmid, "source": "all"})
    return [row for row in rows if row["type"] == kind]


def disk(lab: Lab, key: str, vmid: int = 101) -> str:
    kind = "lxc" if vmid == 200 else "qemu"
    return str(lab.get(f"/nodes/pve1/{kind}/{vmid}/config")[key]).partition(",")[0]


def content(lab: Lab, storage: str, vmid: int = 101) -> set[str]:
    return {row["volid"] for row in lab.get(f"/nodes/pve1/storage/{storage}/content", {"vmid": vmid})}


def test_killed_at_random_points_nothing_is_lost_or_copied_twice() -> None:
    outcomes = {seed: broken_off(seed) for seed in range(KILLS)}
    assert {seed: outcome for seed, outcome in outcomes.items() if outcome.lost} == {}
    assert {seed: outcome for seed, outcome in outcomes.items() if outcome.twice} == {}
    assert {seed: outcome for seed, outcome in outcomes.items() if outcome.broken} == {}
    assert sum(outcome.killed for outcome in outcomes.values()) == KILLS, "every run was really broken off"


def test_killed_workers_are_no_loss_either() -> None:
    lost, failed = 0, 0
    for seed in range(40):
        outcome = broken_off(seed, kill_worker=True)
        lost += outcome.lost
        failed += outcome.worker_killed
        assert outcome.broken == "", seed
    assert lost == 0
    assert failed > 0, "some workers were really killed"


def test_a_second_run_adopts_the_disk_and_goes_on_with_the_other(lab: Lab) -> None:
    first = move(lab, delete=True, wait=False)
    assert [row["to"] for row in first["moves"]] == [None, None]
    second = move(lab, delete=True)
    assert [(row["disk"], row["adopted"]) for row in second["moves"]] == [("scsi0", True), ("virtio0", False)]
    assert len(tasks(lab)) == 2
    # The first run goes on with its handle, and finds that everything has been done.
    rest = move(lab, delete=True, handle=first["follow"])
    assert [(row["disk"], row["to"]) for row in rest["moves"]] == [(row["disk"], row["to"]) for row in second["moves"]]
    assert len(tasks(lab)) == 2


def test_two_runs_at_once_copy_once(lab: Lab) -> None:
    # The second one has judged before the first one began, and its write comes second.
    late = move(lab, 101, "scsi0", check=True)
    assert late["moves"][0]["from"].startswith("dir:")
    begun: list[dict[str, Any]] = []

    def first(number: int) -> None:
        if number == 8 and not begun:
            begun.append(move(lab, 101, "scsi0", wait=False))

    session = LabSession(lab, before=lambda number: None)
    request = DiskRequest("101", "ceph", ("scsi0",), timeout=0.0)
    session._before = first
    result = run(session, LabClock(lab), request)
    assert disk(lab, "scsi0").startswith("ceph:")
    assert [row["adopted"] for row in result["moves"]] == [True]
    good = [row for row in tasks(lab) if row["status"] == "OK"]
    assert len(good) == 1


def test_a_move_to_elsewhere_is_left_alone(lab: Lab) -> None:
    move(lab, 101, "scsi0", storage="tank", wait=False)
    with pytest.raises(Conflict) as error:
        move(lab, 101, "scsi0")
    assert "is being moved to tank, not to ceph" in error.value.message


def test_another_disk_of_the_guest_is_waited_for(lab: Lab) -> None:
    move(lab, 101, "virtio0", wait=False)
    result = move(lab, 101, "scsi0")
    assert [(row["disk"], row["adopted"]) for row in result["moves"]] == [("scsi0", False)]
    assert disk(lab, "virtio0").startswith("ceph:")


def test_the_time_is_up_and_the_move_goes_on(lab: Lab) -> None:
    with pytest.raises(TimedOut) as error:
        move(lab, timeout=1.5)
    assert "what is under way goes on" in error.value.message
    details = error.value.details
    assert (details["not_moved"], details["moves"]) == (["scsi0", "virtio0"], [])
    again = move(lab, handle=details["follow"])
    assert [row["disk"] for row in again["moves"]] == ["scsi0", "virtio0"]
    assert again["moves"][0]["task"] == details["task"]


def test_the_time_is_up_and_the_move_is_cancelled(lab: Lab) -> None:
    with pytest.raises(TimedOut) as error:
        move(lab, timeout=1.5, on_timeout="cancel")
    assert "was cancelled. scsi0 is dir:101/" in error.value.message
    assert [row["status"] == "OK" for row in tasks(lab)] == [False]
    assert content(lab, "ceph") == set()


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_request_without_an_answer_is_never_sent_twice(cut: str) -> None:
    fault = {"match": {"method": "POST", "path": "/move_disk$"}, "effect": {"cut": cut}, "count": 1}
    lab = start(faults=[fault])
    if cut == "after":
        assert [row["disk"] for row in move(lab, 101, "scsi0")["moves"]] == ["scsi0"]
        assert len(tasks(lab)) == 1
    else:
        with pytest.raises(NodeUnreachable) as error:
            move(lab, 101, "scsi0")
        assert "probably not started" in error.value.message
        assert tasks(lab) == []


def test_what_others_have_changed_meanwhile_is_a_conflict_and_not_overwritten(lab: Lab) -> None:
    begun = move(lab, 101, "scsi0", "virtio0", wait=False)
    lab.wait_task(begun["progress"]["task"])
    move(lab, 101, "virtio0", storage="dir")
    with pytest.raises(MobilityError) as error:
        move(lab, handle=begun["follow"])
    assert error.value.kind == "conflict"
    assert disk(lab, "virtio0").startswith("dir:")
    assert [row["disk"] for row in error.value.details["moves"]] == ["scsi0"]


def test_a_container_runs_again_although_its_move_failed() -> None:
    lab = start(
        faults=[{"task": "move_volume", "vmid": 200, "phase": "disks", "effect": {"fail": "rsync: broken pipe"}}]
    )
    with pytest.raises(TaskFailed) as error:
        move(lab, 200, "rootfs", storage="tank", allow_stop=True)
    assert "rsync: broken pipe" in error.value.message
    assert "It is still dir:200/" in error.value.message
    assert lab.get("/nodes/pve1/lxc/200/status/current")["status"] == "running"


def test_follow_looks_and_begins_nothing(lab: Lab) -> None:
    begun = move(lab, 101, "scsi0", "virtio0", wait=False)
    answer = attach(LabSession(lab), LabClock(lab), [begun["follow"]], [], None)
    (row,) = answer["guests"]
    assert (row["state"], row["disk"]) == ("done", "scsi0")
    assert "1 more wait for pve.mobility.move_disk" in row["summary"]
    assert len(tasks(lab)) == 1
    rest = move(lab, handle=row["follow"])
    assert [row["disk"] for row in rest["moves"]] == ["scsi0", "virtio0"]


def test_check_mode_writes_nothing(lab: Lab) -> None:
    result = move(lab, delete=True, check=True)
    assert result["changed"]
    assert [(row["disk"], row["to"]) for row in result["moves"]] == [("scsi0", None), ("virtio0", None)]
    assert tasks(lab) == []
