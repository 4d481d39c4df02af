# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replication in the lab beyond what was recorded: sizes, rates, order, back-off, snapshots of others (§6)."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import pytest

from lab.pve.storage import Snapshot
from tests.conformance.client import Lab

MIB = 2**20


def start(guests: dict[int, dict[str, Any]], **more: Any) -> Lab:
    lab = Lab.from_dict(
        {
            "nodes": ["pve1", "pve2", "pve3"],
            "storages": {"tank": {"type": "zfspool", "pool": "tank", "content": "images,rootdir", "size": "1T"}},
            "guest_defaults": {"memory": "512M"},
            "guests": guests,
            **more,
        }
    )
    lab.advance(2.0)
    return lab


def guest(used: str = "600M", **more: Any) -> dict[str, Any]:
    return {"node": "pve1", "disk": {"storage": "tank", "size": "8G", "used": used}, "running": False, **more}


def status(lab: Lab, id: str, node: str = "pve1") -> dict[str, Any]:
    row: dict[str, Any] = lab.get(f"/nodes/{node}/replication/{id}/status")
    return row


def log(lab: Lab, id: str, node: str = "pve1") -> list[str]:
    rows = lab.get(f"/nodes/{node}/replication/{id}/log", {"limit": 500})
    return [row["t"].partition(f"{id}: ")[2] for row in rows]


def snapshots(lab: Lab, node: str, vmid: int = 100) -> list[str]:
    volume = lab.cluster.storages.find(f"tank:vm-{vmid}-disk-0", node)
    return [] if volume is None else [snapshot.name for snapshot in volume.snapshots]


def until_minute(lab: Lab, seconds: float = 1.0) -> None:
    """To a moment after the next full minute."""
    lab.advance(60 - lab.engine.now % 60 + seconds)


def test_the_first_run_sends_all_and_the_next_only_what_was_written() -> None:
    disk = {"storage": "tank", "size": "8G", "used": "600M", "write_rate": "1M"}
    lab = start({100: guest(running=True, disk=disk)})
    lab.post("/cluster/replication", {"id": "100-0", "type": "local", "target": "pve2", "schedule": "*/2", "rate": 20})
    until_minute(lab, 45)
    assert status(lab, "100-0")["duration"] == pytest.approx(600 * MIB / 20e6, abs=5)
    assert any(line == "total estimated size is 600M" for line in log(lab, "100-0"))
    lab.advance(120)
    second = log(lab, "100-0")
    assert any(line.startswith("incremental sync 'tank:vm-100-disk-0'") for line in second)
    assert status(lab, "100-0")["duration"] < 15
    assert len([name for name in snapshots(lab, "pve2") if name.startswith("__replicate_")]) == 1


def test_the_jobs_of_a_node_run_one_after_the_other() -> None:
    lab = start({vmid: guest() for vmid in (100, 101, 102)})
    for vmid in (102, 101, 100):
        lab.post("/cluster/replication", {"id": f"{vmid}-0", "type": "local", "target": "pve2", "rate": 20})
    until_minute(lab, 10)
    running = [row["id"] for row in lab.get("/nodes/pve1/replication") if row.get("pid")]
    assert running == ["100-0"]
    lab.advance(110)
    began = {row["id"]: row["last_sync"] for row in lab.get("/nodes/pve1/replication")}
    assert began["100-0"] < began["101-0"] < began["102-0"]
    assert began["101-0"] - began["100-0"] >= 31, "it began when the one before had ended"


def test_a_long_round_delays_what_is_due_meanwhile() -> None:
    lab = start({100: guest("2G"), 101: guest("10M")})
    slow = {"rate": 10, "schedule": "daily"}
    lab.post("/cluster/replication", {"id": "100-0", "type": "local", "target": "pve2", **slow})
    lab.post("/cluster/replication", {"id": "101-0", "type": "local", "target": "pve2", "schedule": "*/1"})
    until_minute(lab, 50)
    first = status(lab, "101-0")["last_sync"]
    assert first > 0
    lab.advance(150)
    assert status(lab, "101-0")["last_sync"] == first
    lab.advance(90)
    assert status(lab, "101-0")["last_sync"] - first > 200


def test_a_failed_job_waits_and_one_whose_target_is_off_is_not_tried() -> None:
    lab = start({100: guest()})
    lab.post("/cluster/replication", {"id": "100-0", "type": "local", "target": "pve2", "schedule": "*/1"})
    until_minute(lab, 50)
    lab.cluster.power_off(lab.cluster.nodes["pve2"])
    until_minute(lab, 50)
    row = status(lab, "100-0")
    assert (row["fail_count"], row["next_sync"]) == (1, 0)
    lab.advance(3600)
    assert status(lab, "100-0")["fail_count"] == 1
    lab.cluster.power_on(lab.cluster.nodes["pve2"], 30.0)
    lab.advance(120)
    row = status(lab, "100-0")
    assert (row["fail_count"], "error" in row) == (0, False)


def test_snapshots_of_others_travel_with_the_source_and_vanish_on_the_replica() -> None:
    lab = start({100: guest()})
    lab.post("/cluster/replication", {"id": "100-0", "type": "local", "target": "pve2", "schedule": "*/1"})
    until_minute(lab, 50)
    for node, name in (("pve1", "autosnap_source"), ("pve2", "autosnap_replica")):
        volume = lab.cluster.storages.find("tank:vm-100-disk-0", node)
        assert volume is not None
        volume.snapshots.append(Snapshot(name, lab.cluster.storages.new_guid(), lab.engine.now, 0))
    until_minute(lab, 50)
    assert status(lab, "100-0")["fail_count"] == 0
    assert "autosnap_source" in snapshots(lab, "pve2")
    assert "autosnap_replica" not in snapshots(lab, "pve2")
    assert not any("autosnap" in line and line.startswith("incremental sync") for line in log(lab, "100-0"))


def test_without_its_own_snapshot_there_is_no_common_base() -> None:
    lab = start({100: guest()})
    lab.post("/cluster/replication", {"id": "100-0", "type": "local", "target": "pve2", "schedule": "*/1"})
    until_minute(lab, 50)
    volume = lab.cluster.storages.find("tank:vm-100-disk-0", "pve1")
    assert volume is not None
    volume.snapshots.clear()
    until_minute(lab, 50)
    row = status(lab, "100-0")
    assert row["fail_count"] == 1
    assert row["error"].startswith("No common base snapshot on volume(s) tank:vm-100-disk-0")


def test_a_guest_with_an_agent_is_frozen_around_the_snapshot() -> None:
    lab = start({100: guest(running=True, agent=1), 101: guest(running=True)})
    for vmid in (100, 101):
        lab.post("/cluster/replication", {"id": f"{vmid}-0", "type": "local", "target": "pve2"})
    until_minute(lab, 50)
    lines = log(lab, "100-0")
    taken = next(number for number, line in enumerate(lines) if line.startswith("create snapshot"))
    assert lines.index("freeze guest filesystem") < taken < lines.index("thaw guest filesystem")
    assert "freeze guest filesystem" not in log(lab, "101-0")


def test_removal_cleans_both_sides_or_one() -> None:
    lab = start({vmid: guest(replicate={"pve2": {"last_sync": "1m"}}) for vmid in (100, 101)})
    lab.delete("/cluster/replication/100-0")
    lab.delete("/cluster/replication/101-0", {"keep": 1})
    until_minute(lab, 30)
    assert lab.get("/cluster/replication") == []
    assert [row["vmid"] for row in lab.get("/nodes/pve2/storage/tank/content")] == [101]
    assert snapshots(lab, "pve1", 100) == snapshots(lab, "pve1", 101) == []


def test_removal_waits_for_a_target_that_is_off() -> None:
    lab = start({100: guest(replicate={"pve2": {"last_sync": "1m"}})})
    lab.cluster.power_off(lab.cluster.nodes["pve2"])
    lab.delete("/cluster/replication/100-0")
    lab.advance(200)
    row = status(lab, "100-0")
    assert (row["remove_job"], row["next_sync"]) == ("full", 1)
    assert row["fail_count"] >= 2, "it is tried each minute"
    lab.cluster.power_on(lab.cluster.nodes["pve2"], 30.0)
    lab.advance(150)
    assert lab.get("/cluster/replication") == []


def test_a_guest_goes_only_after_its_jobs() -> None:
    lab = start({100: guest(replicate=["pve2"])})
    refused = lab.request("DELETE", "/nodes/pve1/qemu/100")
    assert "There is a replication job '100-0'" in str(refused.reason)
    lab.wait_task(lab.delete("/nodes/pve1/qemu/100", {"purge": 1}))
    assert lab.get("/cluster/replication") == []


@pytest.mark.parametrize(
    ("schedule", "first", "gaps"),
    [
        ("*/15", "00:15", {900}),
        ("mon..fri 22:00", "22:00", {86400, 3 * 86400}),
        ("8..9:0/30", "08:00", {1800, 81000}),
        ("daily", "00:00", {86400}),
    ],
)
def test_a_schedule_is_analyzed_as_the_scheduler_understands_it(schedule: str, first: str, gaps: set[int]) -> None:
    lab = start({100: guest()})
    monday = int(dt.datetime(2026, 11, 23, tzinfo=dt.UTC).timestamp())
    asked = {"schedule": schedule, "starttime": monday, "iterations": 30}
    rows = lab.get("/cluster/jobs/schedule-analyze", asked)
    times = [row["timestamp"] for row in rows]
    assert f" {first}:00 " in rows[0]["utc"]
    assert {later - earlier for earlier, later in itertools.pairwise(times)} == gaps
    assert len(lab.get("/cluster/jobs/schedule-analyze", {"schedule": schedule})) == 10


def test_a_schedule_that_ends_has_fewer_times_and_nonsense_none() -> None:
    lab = start({100: guest()})
    assert lab.get("/cluster/jobs/schedule-analyze", {"schedule": "2015-10-21 3:00"}) == []
    refused = lab.request("GET", "/cluster/jobs/schedule-analyze", {"schedule": "foobar"})
    assert refused.status == 400
    assert "invalid calendar event 'foobar'" in refused.body["errors"]["schedule"]
    assert lab.request("GET", "/cluster/jobs/schedule-analyze", {"schedule": "*", "iterations": 101}).status == 400
