# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``drain_storage``: everything is found, the disks move, the rest is said, and an interruption does no harm."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid, TaskFailed, TimedOut
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_storage import (
    DrainRequest,
    from_options,
    run,
)
from ansible_collections.pve.mobility.plugins.module_utils.planning.storage_drain import DrainOptions
from tests.conformance.client import Lab
from tests.integration.inprocess import Killed, LabClock, LabSession, reading

CLUSTER: dict[str, Any] = {
    "name": "drain",
    "nodes": ["pve1", "pve2"],
    "storages": {
        "old": {"type": "nfs", "server": "10.0.0.9", "export": "/old", "content": "images,rootdir,iso", "size": "4T"},
        "ceph": {"type": "rbd", "pool": "vms", "content": "images,rootdir", "size": "2T"},
        "tank": {"type": "zfspool", "pool": "tank", "content": "images,rootdir", "size": "1T", "sparse": True},
    },
    "guests": {
        100: {
            "node": "pve1",
            "name": "web",
            "disks": {
                "scsi0": {"storage": "old", "size": "8G", "used": "2G"},
                "scsi1": {"storage": "old", "size": "4G", "used": "1G"},
            },
        },
        101: {
            "node": "pve2",
            "name": "rests",
            "disk": {"storage": "old", "size": "6G", "used": "2G"},
            "running": False,
        },
        102: {
            "node": "pve2",
            "name": "small",
            "disk": {"storage": "old", "size": "2G", "used": "1G"},
            "running": False,
        },
        103: {"node": "pve1", "name": "elsewhere", "disk": "ceph:8G", "running": False},
        200: {"node": "pve2", "type": "ct", "name": "dns", "disk": {"storage": "old", "size": "2G", "used": "1G"}},
    },
}


def start(**more: Any) -> Lab:
    lab = Lab.from_dict({**CLUSTER, **more})
    lab.advance(15.0)
    return lab


def drain(lab: Lab, session: LabSession | None = None, storage: str = "old", **more: Any) -> dict[str, Any]:
    how = {key: more.pop(key) for key in ("check", "wait", "handle", "for_seconds") if key in more}
    outer = {key: more.pop(key) for key in ("parallel", "start_for", "timeout", "bwlimit") if key in more}
    request = DrainRequest(storage, DrainOptions(**{"allow_stop": True, "targets": ("ceph",), **more}), **outer)
    session = session or LabSession(lab)
    with reading(session):
        return run(session, LabClock(lab), request, **how)


def content(lab: Lab, storage: str = "old") -> set[int]:
    rows = lab.get(f"/nodes/pve1/storage/{storage}/content")
    return {row["vmid"] for row in rows if row["content"] in ("images", "rootdir")}


def most_at_once(lab: Lab) -> int:
    """How many moves ran at the same time, at most."""
    rows = [row for node in ("pve1", "pve2") for row in lab.get(f"/nodes/{node}/tasks", {"limit": 100})]
    moves = [row for row in rows if row["type"] in ("qmmove", "move_volume")]
    return max(sum(1 for other in moves if other["starttime"] <= row["starttime"] < other["endtime"]) for row in moves)


def test_the_storage_is_empty_afterwards_and_a_second_run_does_nothing() -> None:
    lab = start()
    plan = drain(lab, check=True)
    assert [(row["vmid"], row["disks"]) for row in plan["planned"]] == [
        (100, ["scsi0", "scsi1"]),
        (101, ["scsi0"]),
        (102, ["scsi0"]),
        (200, ["rootfs"]),
    ]
    assert content(lab) == {100, 101, 102, 200}, "check mode moves nothing"
    result = drain(lab, parallel=2)
    assert (result["changed"], result["empty"], result["stays"], result["waiting"]) == (True, True, [], [])
    assert sorted(row["vmid"] for row in result["done"]) == [100, 101, 102, 200]
    assert content(lab) == set()
    assert most_at_once(lab) == 2
    assert lab.get("/nodes/pve2/lxc/200/status/current")["status"] == "running"
    again = drain(lab)
    assert (again["changed"], again["empty"], again["planned"]) == (False, True, [])


def test_a_guest_that_fails_does_not_stop_the_others() -> None:
    lab = start(faults=[{"task": "qmmove", "vmid": 101, "phase": "disks", "effect": {"fail": "no luck"}}])
    with pytest.raises(TaskFailed) as error:
        drain(lab)
    assert error.value.message.startswith("old could not be emptied: The move of scsi0 of 101 rests to ceph failed:")
    assert "storage migration failed: no luck" in error.value.message
    assert "4 disks moved all the same" in error.value.message
    assert content(lab) == {101}
    assert [row["vmid"] for row in error.value.details["done"] if row["state"] == "failed"] == [101]


def test_after_the_window_nothing_begins_and_the_next_run_goes_on() -> None:
    lab = start()
    result = drain(lab, parallel=1, start_for=1.0)
    assert [row["vmid"] for row in result["done"]] == [100], "what had begun came to its end, both disks"
    assert len(result["done"][0]["moves"]) == 2
    assert [row["vmid"] for row in result["waiting"]] == [101, 102, 200]
    assert not result["empty"]
    assert drain(lab)["empty"]


def test_the_work_goes_from_one_process_to_the_next() -> None:
    lab = start()
    answer = drain(lab, wait=False)
    calls = 1
    while "follow" in answer:
        answer = drain(lab, handle=answer["follow"], for_seconds=3.0)
        calls += 1
    assert calls > 3
    assert answer["empty"]
    assert len({move["task"] for row in answer["done"] for move in row["moves"]}) == 5


def test_killed_at_any_request_the_next_run_empties_it() -> None:
    for limit in range(20, 400, 19):
        lab = start()

        def stop(number: int, wanted: int = limit) -> None:
            if number == wanted:
                raise Killed

        try:
            drain(lab, LabSession(lab, after=stop))
        except Killed:
            lab.advance(1.0)
        result = drain(lab)
        assert result["empty"], limit
        lab.advance(30.0)
        assert lab.get("/nodes/pve2/lxc/200/status/current")["status"] == "running", limit
        rows = [row for node in ("pve1", "pve2") for row in lab.get(f"/nodes/{node}/tasks", {"limit": 200})]
        good = [row for row in rows if row["type"] in ("qmmove", "move_volume") and row["status"] == "OK"]
        assert len(good) == 5, "each disk was copied once"


def test_the_time_is_up() -> None:
    lab = start()
    with pytest.raises(TimedOut) as error:
        drain(lab, timeout=2.0, parallel=1)
    assert "3 moves did not begin" in error.value.message
    assert drain(lab)["empty"]


def test_what_stays_says_why() -> None:
    guests = {vmid: dict(row) for vmid, row in CLUSTER["guests"].items()}
    guests[101] = {**guests[101], "snapshots": ["before"]}
    lab = start(guests=guests)
    result = drain(lab, allow_stop=False)
    assert {row["guest"]: row["why"] for row in result["stays"]} == {
        101: "scsi0 of 101 rests is held by snapshots (before)",
        200: "200 dns is a container that runs",
    }
    assert content(lab) == {101, 200}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"storage": ""}, "storage is empty"),
        ({"storage": "old", "parallel": 0}, "parallel must be 1 or more"),
        ({"storage": "old", "reserve": 100}, "reserve must be"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid) as error:
        from_options(options)
    assert words in error.value.message


def test_a_target_that_is_not_there() -> None:
    with pytest.raises(Invalid) as error:
        drain(start(), targets=("nope",))
    assert "There is no storage nope on any node; there are: ceph, tank." in error.value.message
