# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``drain`` on a lab in the same process: what moves, what fails, what comes second, what is taken up again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Blocked, Conflict, Invalid, TaskFailed
from tests.bench.drain import cluster as mixed_cluster
from tests.conformance.client import Lab
from tests.integration.drain_case import CLUSTER, MOVED, drain, moves, running, session, start, where
from tests.integration.inprocess import Killed

GPU = {"node": "pve1", "name": "gpu", "memory": "4G", "disk": "ceph:8G", "hostpci0": "0000:41:00.0", "shutdown": "20s"}
NODES = {**CLUSTER["nodes"], "pve1": {"pci": ["0000:41:00.0"]}}


@pytest.fixture
def lab() -> Lab:
    return start()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "drain.jsonl"


def states(result: dict[str, Any]) -> dict[int, str]:
    return {row["vmid"]: row["state"] for row in result["moves"]}


def with_gpu(**more: Any) -> Lab:
    return start(nodes=NODES, guests={**CLUSTER["guests"], 120: GPU}, **more)


# ---------------------------------------------------------------- a drain


def test_check_mode_shows_the_plan_and_writes_nothing(lab: Lab, journal: Path) -> None:
    lab.gateway.log.clear()
    result = drain(lab, journal, check=True)
    assert result["changed"] is True
    assert {move["guest"] for move in result["plan"]["moves"]} == MOVED
    assert lab.gateway.log.writes == 0
    assert list(journal.parent.iterdir()) == []


def test_everything_leaves_as_planned_and_each_guest_once(lab: Lab, journal: Path) -> None:
    before = running(lab)
    planned = {move["guest"]: move["target"] for move in drain(lab, journal, check=True)["plan"]["moves"]}
    result = drain(lab, journal)
    now = where(lab)
    assert {vmid: now[vmid] for vmid in MOVED} == planned
    assert planned[101] == "pve3", "it has a replica there"
    assert running(lab) == before
    assert (result["empty"], result["running"], result["left"]) == (True, [], [])
    assert set(states(result).values()) == {"moved"}
    assert sorted(row["id"] for row in moves(lab)) == sorted(str(vmid) for vmid in MOVED), "one task each"
    by_guest = {row["vmid"]: row for row in result["moves"]}
    assert by_guest[101]["bytes"] < 12 * 2**30 < 20 * 2**30, "memory and what has changed, but not the disk"
    assert by_guest[100]["ha"] is True
    assert result["summary"]["bytes"] == sum(row["bytes"] or 0 for row in result["moves"])
    again = drain(lab, journal)
    assert (again["changed"], again["moves"]) == (False, [])


def test_the_copy_is_brought_up_to_date_before_the_move(lab: Lab, journal: Path) -> None:
    job = lab.get("/nodes/pve1/replication/101-0/status")
    result = drain(lab, journal)
    moved = next(row for row in result["moves"] if row["vmid"] == 101)
    started = int(moved["task"].split(":")[4], 16)
    log = lab.get("/nodes/pve3/replication/101-0/status")
    assert job["last_sync"] < log["last_sync"] <= started, "its last run was between the beginning and the move"


def test_limits_hold(lab: Lab, journal: Path) -> None:
    most = 0

    def watch(_number: int) -> None:
        nonlocal most
        busy = [task for task in lab.cluster.tasks.running("pve1") if task.type in ("qmigrate", "vzmigrate")]
        most = max(most, len(busy))

    drain(lab, journal, session(lab, after=watch), parallel=2)
    assert most == 2


@pytest.mark.parametrize("seed", [1, 3, 20])
def test_limits_hold_while_the_ha_manager_is_asked_ahead(journal: Path, seed: int) -> None:
    """A third of thirty guests is under HA: requests are made for places that are still taken."""
    lab, most = Lab.from_dict(mixed_cluster(30, seed)), 0
    lab.advance(30.0)

    def watch(_number: int) -> None:
        nonlocal most
        most = max(most, sum(task.type in ("qmigrate", "vzmigrate") for task in lab.cluster.tasks.running("pve1")))

    assert drain(lab, journal, session(lab, after=watch), parallel=4)["empty"] is True
    assert most == 4


def test_without_limits_everything_goes_at_once(lab: Lab, journal: Path) -> None:
    most = 0

    def watch(_number: int) -> None:
        nonlocal most
        most = max(most, sum(task.type in ("qmigrate", "vzmigrate") for task in lab.cluster.tasks.running("pve1")))

    result = drain(lab, journal, session(lab, after=watch), parallel=0, parallel_target=0, sync_first=False)
    assert result["empty"] is True
    assert most >= 5


def test_the_ha_manager_is_waited_for_once(journal: Path) -> None:
    guests = {
        vmid: {"node": "pve1", "name": f"ha{vmid}", "memory": "4G", "disk": "ceph:8G", "ha": True}
        for vmid in range(100, 108)
    }
    guests |= {110: {"node": "pve1", "name": "plain", "memory": "2G", "disk": "ceph:8G"}}
    lab, most = start(guests=guests), 0

    def watch(_number: int) -> None:
        nonlocal most
        most = max(most, sum(task.type == "qmigrate" for task in lab.cluster.tasks.running("pve1")))

    assert drain(lab, journal, session(lab, after=watch))["empty"] is True
    assert most == 4, "as many as may go at once, and no more"
    asked = [row for row in lab.get("/nodes/pve1/tasks", {"source": "all"}) if row["type"] == "hamigrate"]
    ended = min(row["endtime"] for row in moves(lab) if row["id"] != "110")
    assert sum(row["starttime"] <= ended for row in asked) == 8, "those that come next were asked for in time"


# ---------------------------------------------------------------- what goes wrong


def test_the_next_best_target_is_tried(journal: Path) -> None:
    lab = start(faults=[{"task": "qmigrate", "vmid": 104, "effect": {"fail": "no luck"}, "count": 1}])
    result = drain(lab, journal)
    row = next(item for item in result["moves"] if item["vmid"] == 104)
    assert (row["state"], row["attempts"]) == ("moved", 2)
    assert row["target"] != row["planned"]
    assert [(item["vmid"], item["target"]) for item in result["misses"]] == [(104, row["planned"])]
    assert result["empty"] is True


def test_a_guest_that_fails_everywhere_does_not_stop_the_others(journal: Path) -> None:
    lab = start(faults=[{"task": "qmigrate", "vmid": 104, "effect": {"fail": "no luck"}}])
    with pytest.raises(TaskFailed) as error:
        drain(lab, journal)
    details = error.value.details
    assert "pve1 is not empty: The move of 104 app1" in error.value.message
    assert "no luck" in error.value.message
    assert (details["empty"], details["running"]) == (False, [104])
    failed = next(row for row in details["moves"] if row["state"] == "failed")
    assert set(failed["tried"]) == {"pve2", "pve3", "pve4"}
    assert {vmid for vmid, state in states(details).items() if state == "moved"} == MOVED - {104}
    assert where(lab)[104] == "pve1"
    assert 104 in running(lab)


def test_a_lock_that_goes_away_is_waited_for(lab: Lab, journal: Path) -> None:
    entry = lab.cluster.entry_on(lab.cluster.nodes["pve1"], "qemu", 104)
    lab.cluster.set_lock(entry, "backup")
    until = lab.now + 120.0

    def unlock(_number: int) -> None:
        if lab.now >= until and lab.cluster.config(entry).current.get("lock"):
            lab.cluster.set_lock(entry, None)

    result = drain(lab, journal, session(lab, after=unlock), accept=["guest-locked"])
    assert result["empty"] is True


def test_a_pinned_guest_stops_the_plan_before_anything_moves(journal: Path) -> None:
    lab = with_gpu()
    lab.gateway.log.clear()
    with pytest.raises(Blocked) as error:
        drain(lab, journal)
    assert "120 gpu cannot leave pve1" in error.value.message
    assert error.value.message.endswith("Nothing was changed.")
    assert lab.gateway.log.writes == 0
    assert [row["vmid"] for row in error.value.details["left"]] == [120]


def test_a_pinned_guest_is_shut_down_last_and_started_again(journal: Path) -> None:
    lab = with_gpu()
    result = drain(lab, journal, pinned="stop")
    assert result["empty"] is True
    assert [(row["vmid"], row["state"]) for row in result["stopped"]] == [(120, "stopped")]
    assert where(lab)[120] == "pve1"
    stop = next(row for row in lab.get("/nodes/pve1/tasks", {"limit": 100}) if row["type"] == "qmshutdown")
    assert stop["starttime"] >= max(row["endtime"] for row in moves(lab)), "when all others had left"
    foretold = drain(lab, journal, restore=True, check=True)
    assert (foretold["changed"], 120 in running(lab)) == (True, False)
    back = drain(lab, journal, restore=True)
    assert [row["vmid"] for row in back["started"]] == [120]
    assert 120 in running(lab)
    assert drain(lab, journal, restore=True)["changed"] is False


def test_a_pinned_guest_is_left_running(journal: Path) -> None:
    lab = with_gpu()
    result = drain(lab, journal, pinned="skip")
    assert (result["empty"], result["running"]) == (False, [120])
    assert "hostpci0" in result["left"][0]["why"]
    assert 120 in running(lab)


def test_a_guest_that_comes_meanwhile_leaves_too(lab: Lab, journal: Path) -> None:
    sent: list[str] = []

    def bring(_number: int) -> None:
        if not sent and lab.now > 60:
            sent.append(lab.post("/nodes/pve2/qemu/110/migrate", {"target": "pve1", "online": 1}, node="pve2"))

    result = drain(lab, journal, session(lab, after=bring))
    assert sent
    assert "pve1" not in where(lab).values()
    assert result["empty"] is True
    assert 110 in states(result)


def test_guests_that_somebody_has_taken_elsewhere_are_left_there(lab: Lab, journal: Path) -> None:
    plan = drain(lab, journal, check=True)["plan"]
    target = next(node for node in ("pve2", "pve4") if node != plan["moves"][0]["target"])
    lab.wait_task(lab.post("/nodes/pve1/qemu/105/migrate", {"target": target, "online": 1}))
    result = drain(lab, journal, plan=plan)
    assert states(result)[105] == "there"
    assert where(lab)[105] == target


# ---------------------------------------------------------------- short calls, crashes, others


def test_short_calls_do_the_same_as_a_long_one(journal: Path, tmp_path: Path) -> None:
    alone, lab = start(), start()
    drain(alone, tmp_path / "alone.jsonl")
    answer = drain(lab, journal, wait=False)
    calls = 0
    while "follow" in answer:
        calls += 1
        assert answer["totals"]["guests"] == len(MOVED)
        handle = json.loads(json.dumps(answer["follow"]))
        answer = drain(lab, journal, handle=handle, for_seconds=4.0)
    assert calls > 3
    assert answer["empty"] is True
    assert where(lab) == where(alone)
    assert len(moves(lab)) == len(MOVED)


def test_after_a_crash_the_same_plan_is_gone_on_with(lab: Lab, journal: Path) -> None:
    def kill(number: int) -> None:
        if number == 95:
            raise Killed

    planned = {move["guest"]: move["target"] for move in drain(lab, journal, check=True)["plan"]["moves"]}
    with pytest.raises(Killed):
        drain(lab, journal, session(lab, after=kill))
    under_way = list(lab.cluster.tasks.running("pve1"))
    assert under_way, "it was killed in the middle"
    result = drain(lab, journal)
    assert result["resumed"] is True
    now = where(lab)
    assert {vmid: now[vmid] for vmid in MOVED} == planned
    assert set(states(result)) == MOVED, "the result tells of what the first run did too"
    assert sorted(row["id"] for row in moves(lab)) == sorted(str(vmid) for vmid in MOVED)


def test_a_torn_last_line_of_the_journal_is_no_obstacle(lab: Lab, journal: Path) -> None:
    def kill(number: int) -> None:
        if number == 95:
            raise Killed

    with pytest.raises(Killed):
        drain(lab, journal, session(lab, after=kill))
    with journal.open("ab") as file:
        file.write(b'{"event":"moved","mo')
    assert drain(lab, journal)["empty"] is True
    assert all(isinstance(json.loads(line), dict) for line in journal.read_text().splitlines())
    journal.write_text("nonsense\n")
    with pytest.raises(Invalid, match=r"Line 1 of the journal .* is no JSON"):
        drain(lab, journal)


def test_a_second_run_with_the_same_journal_stops(lab: Lab, journal: Path) -> None:
    first = drain(lab, journal, wait=False)
    second: list[str] = []

    def work(_number: int) -> None:
        nonlocal first
        if "follow" in first:
            first = drain(lab, journal, handle=first["follow"], for_seconds=2.0)

    clocked = session(lab)
    lab.gateway.log.clear()
    with pytest.raises(Conflict) as error:
        run_beside(lab, journal, clocked, work)
    second.append(error.value.message)
    assert "Another run is at work" in second[0]
    assert clocked.sent == 0
    while "follow" in first:
        first = drain(lab, journal, handle=first["follow"], for_seconds=10.0)
    assert first["empty"] is True


def run_beside(lab: Lab, journal: Path, used: Any, work: Any) -> None:
    """A run during whose waiting another one works."""
    from ansible_collections.pve.mobility.plugins.module_utils.execution.drain import run
    from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_request import from_options
    from tests.integration.inprocess import LabClock, reading

    class Beside(LabClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            work(0)

    with reading(used):
        run(used, Beside(lab), from_options({"node": "pve1", "journal": str(journal)}))


def test_a_second_run_on_another_machine_stops(lab: Lab, journal: Path, tmp_path: Path) -> None:
    first = drain(lab, journal, wait=False, parallel=1)
    lab.advance(3.0)

    def work(_number: int) -> None:
        nonlocal first
        if "follow" in first:
            first = drain(lab, journal, handle=first["follow"], for_seconds=1.0, parallel=1)

    begun = [row["type"] for row in lab.get("/nodes/pve1/tasks", {"source": "all"})]
    assert "hamigrate" in begun, "the first one has begun"
    with pytest.raises(Conflict) as error:
        run_beside(lab, tmp_path / "elsewhere.jsonl", session(lab), work)
    assert "Somebody else is moving guests away from pve1" in error.value.message
    while "follow" in first:
        first = drain(lab, journal, handle=first["follow"], for_seconds=10.0, parallel=1)
    assert first["empty"] is True
    assert sorted(row["id"] for row in moves(lab)) == sorted(str(vmid) for vmid in MOVED), "each guest moved once"


def test_what_a_dead_run_has_left_under_way_is_waited_for_without_its_journal(
    lab: Lab, journal: Path, tmp_path: Path
) -> None:
    drain(lab, journal, wait=False)
    lab.advance(2.0)
    result = drain(lab, tmp_path / "elsewhere.jsonl")
    assert result["empty"] is True
    assert sorted(row["id"] for row in moves(lab)) == sorted(str(vmid) for vmid in MOVED)
