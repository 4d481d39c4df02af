# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``replication_job`` in every situation that it must master: on a lab in the same process, in virtual time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    Blocked,
    Conflict,
    Invalid,
    Locked,
    MaybeSent,
    MobilityError,
    NodeUnreachable,
    NoQuorum,
    NotFound,
    PermissionDenied,
    TaskFailed,
    TimedOut,
    Unsupported,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_job import run
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_request import from_options
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
USERS = {
    "users": {"auto@pve": {"password": "x"}, "weak@pve": {"password": "x"}},
    "roles": {
        "New": ["VM.Audit", "VM.Replicate", "Datastore.Audit"],
        "Old": ["VM.Audit", "Datastore.Allocate", "Datastore.Audit"],
        "Weak": ["VM.Audit", "Datastore.Audit"],
    },
}


def start(**more: Any) -> Lab:
    lab = Lab.from_dict({"name": "replicas", "nodes": NODES, "storages": STORAGES, "guests": GUESTS, **more})
    lab.advance(15.0)
    return lab


@pytest.fixture
def lab() -> Lab:
    return start()


def declare(lab: Lab, guest: Any = 100, session: LabSession | None = None, **options: Any) -> dict[str, Any]:
    how = {key: options.pop(key) for key in ("check", "wait", "handle", "for_seconds") if key in options}
    request = from_options({"guest": str(guest), "enabled": True, "timeout": 3600, **options})
    return run(session or LabSession(lab), LabClock(lab), request, **how)


def jobs(lab: Lab, guest: int = 100) -> dict[str, dict[str, Any]]:
    """By target, as an outside observer sees them."""
    return {row["target"]: row for row in lab.get("/cluster/replication") if row["guest"] == guest}


def writes(lab: Lab) -> list[str]:
    return [f"{row.method} {row.path}" for row in lab.gateway.log.rows() if row.method != "GET"]


def migrate(lab: Lab, target: str, guest: int = 104) -> None:
    upid = lab.post(f"/nodes/{home(lab, guest)}/qemu/{guest}/migrate", {"target": target})
    assert lab.wait_task(upid) == "OK"


def home(lab: Lab, guest: int) -> str:
    rows = lab.get("/cluster/resources", {"type": "vm"})
    return str(next(row["node"] for row in rows if row["vmid"] == guest))


def synced(lab: Lab, guest: int = 100) -> dict[str, int]:
    rows = lab.get(f"/nodes/{home(lab, guest)}/replication", {"guest": guest})
    return {row["target"]: row["last_sync"] for row in rows}


# ---------------------------------------------------------------- declared twice


def test_a_set_is_made_once(lab: Lab) -> None:
    would = declare(lab, replicas=["pve1", "pve2", "pve3"], schedule="*/5", rate=80, check=True)
    assert jobs(lab) == {}
    first = declare(lab, replicas=["pve1", "pve2", "pve3"], schedule="*/5", rate=80)
    assert would["created"] == first["created"] == ["100-0", "100-1"]
    assert set(would) <= set(first)
    assert {row["target"] for row in would["jobs"]} == set(jobs(lab)) == {"pve2", "pve3"}
    session = LabSession(lab)
    again = declare(lab, session=session, replicas=["pve1", "pve2", "pve3"], schedule="0/5", rate=80)
    assert not again["changed"]
    assert session.sent == 4


def test_the_first_copies_are_waited_for(lab: Lab) -> None:
    result = declare(lab, replicas=["pve1", "pve2", "pve3"], wait_for_sync=True)
    assert all(row["last_sync"] and row["age_s"] is not None for row in result["jobs"])
    assert all(synced(lab).values())
    again = declare(lab, replicas=["pve1", "pve2", "pve3"], wait_for_sync=True)
    assert not again["changed"]


def test_another_process_can_go_on_waiting_and_sees_how_far_it_is(lab: Lab) -> None:
    answer = declare(lab, replicas=["pve1", "pve2"], rate=10, wait_for_sync=True, wait=False)
    seen = []
    while "follow" in answer:
        seen.append(answer["progress"])
        answer = declare(lab, replicas=["pve1", "pve2"], handle=answer["follow"], for_seconds=20)
    assert answer["created"] == ["100-0"]
    percents = [row["progress"]["percent"] for row in seen if "progress" in row and row["progress"]["percent"]]
    assert len(percents) > 3
    assert percents == sorted(percents)
    assert "full minutes" in seen[0]["doing"]


def test_a_container_is_replicated_likewise(lab: Lab) -> None:
    declare(lab, 200, replicas=["pve1", "pve2"], wait_for_sync=True)
    assert not declare(lab, "dns", replicas=["pve2", "pve1"])["changed"]


def test_the_other_way_to_say_it_is_one_job(lab: Lab) -> None:
    declare(lab, target="pve2")
    assert not declare(lab, target="pve2")["changed"]
    declare(lab, target="pve3", comment="second")
    assert {name: row.get("comment") for name, row in jobs(lab).items()} == {"pve2": None, "pve3": "second"}
    declare(lab, target="pve2", state="absent")
    assert set(jobs(lab)) == {"pve3"}


# ---------------------------------------------------------------- the guest moves


def test_after_a_migration_to_a_replica_nothing_changes() -> None:
    lab = start()
    replicas = ["pve1", "pve2", "pve3"]
    declare(lab, 104, replicas=replicas, wait_for_sync=True)
    migrate(lab, "pve2")
    assert set(jobs(lab, 104)) == {"pve1", "pve3"}
    assert not declare(lab, 104, replicas=replicas, wait_for_sync=True)["changed"]
    migrate(lab, "pve3")
    assert not declare(lab, 104, replicas=replicas)["changed"]


def test_a_single_job_that_was_turned_round_is_the_declared_one(lab: Lab) -> None:
    declare(lab, 104, target="pve2", wait_for_sync=True)
    migrate(lab, "pve2")
    assert not declare(lab, 104, target="pve2")["changed"]
    changed = declare(lab, 104, target="pve2", schedule="*/30")
    assert changed["updated"] == ["104-0"]
    assert jobs(lab, 104)["pve1"]["schedule"] == "*/30"


def test_after_a_migration_elsewhere_exactly_the_missing_and_superfluous_change(lab: Lab) -> None:
    declare(lab, 104, replicas=["pve1", "pve2", "pve3"], wait_for_sync=True)
    migrate(lab, "pve4")
    kept = jobs(lab, 104)["pve2"]["id"]
    result = declare(lab, 104, replicas=["pve4", "pve1", "pve2"])
    assert (len(result["created"]), result["updated"], len(result["removed"])) == (1, [], 1)
    assert set(jobs(lab, 104)) == {"pve1", "pve2"}
    assert jobs(lab, 104)["pve2"]["id"] == kept


def test_a_guest_outside_its_set_gets_copies_on_all_of_it_and_a_warning(lab: Lab) -> None:
    declare(lab, 104, replicas=["pve1", "pve2"], wait_for_sync=True)
    migrate(lab, "pve4")
    result = declare(lab, 104, replicas=["pve1", "pve2"])
    assert set(jobs(lab, 104)) == {"pve1", "pve2"}
    assert "runs on pve4" in result["warnings"][0]


def test_the_only_copy_stays_until_the_new_one_is_complete(lab: Lab) -> None:
    declare(lab, replicas=["pve1", "pve2"], wait_for_sync=True)
    complete: list[set[str]] = []

    class Watching(LabSession):
        def _on_any_host(self, method: str, path: str, params: dict[str, Any]) -> Any:
            complete.append({name for name, when in synced(lab).items() if when} & set(jobs(lab)))
            return super()._on_any_host(method, path, params)

    result = declare(lab, session=Watching(lab), replicas=["pve1", "pve3"])
    assert (result["created"], result["removed"]) == (["100-1"], ["100-0"])
    assert set(jobs(lab)) == {"pve3"}
    assert all(complete), "at each moment there was a complete copy"
    assert lab.get("/nodes/pve2/storage/tank/content", {"vmid": 100}) == []


def test_when_the_new_copy_does_not_come_in_time_the_old_one_stays(lab: Lab) -> None:
    declare(lab, replicas=["pve1", "pve2"], wait_for_sync=True)
    with pytest.raises(TimedOut, match="100-0 to pve2 stays") as caught:
        declare(lab, replicas=["pve1", "pve3"], rate=1, timeout=300)
    assert set(jobs(lab)) == {"pve2", "pve3"}
    assert "remove_job" not in jobs(lab)["pve2"]
    declare(lab, replicas=["pve1", "pve3"], handle=caught.value.details["follow"], timeout=36000)
    assert set(jobs(lab)) == {"pve3"}


def test_a_failed_node_returns_and_all_heals() -> None:
    lab = start(guests={**GUESTS, 100: {**GUESTS[100], "ha": True}}, ha={"settled": True})
    replicas = ["pve1", "pve2", "pve3"]
    declare(lab, replicas=replicas, wait_for_sync=True)
    control(lab, "POST", "/lab/node", node="pve1", action="power-off")
    for _minute in range(10):
        lab.advance(60.0)
        if home_from(lab, "pve4") != "pve1":
            break
    where = home_from(lab, "pve4")
    assert where in ("pve2", "pve3", "pve4")
    down = declare(lab, session=LabSession(lab, node="pve4"), replicas=replicas)
    assert down["created"] == ([] if where != "pve4" else ["100-2"])
    control(lab, "POST", "/lab/node", node="pve1", action="power-on")
    lab.advance(3000.0)
    up = declare(lab, replicas=replicas, wait_for_sync=True)
    assert not up["changed"]
    assert all(row["fail_count"] == 0 and row["last_sync"] for row in up["jobs"])


def test_a_migration_under_way_is_waited_for(lab: Lab) -> None:
    declare(lab, 104, replicas=["pve1", "pve2"], wait_for_sync=True)
    lab.post("/nodes/pve1/qemu/104/migrate", {"target": "pve2"})
    lab.advance(3.0)
    would = declare(lab, 104, replicas=["pve1", "pve2"], schedule="*/30", check=True)
    assert "is migrating" in would["warnings"][0]
    result = declare(lab, 104, replicas=["pve1", "pve2"], schedule="*/30")
    assert (result["node"], set(jobs(lab, 104))) == ("pve2", {"pve1"})
    assert (result["created"], result["removed"]) == ([], [])


def test_a_left_over_migration_lock_is_no_reason_to_wait_for_ever() -> None:
    lab = start(guests={**GUESTS, 104: {**GUESTS[104], "lock": "migrate"}})
    with pytest.raises(Locked, match="qm unlock 104"):
        declare(lab, 104, replicas=["pve1", "pve2"], timeout=60)
    assert jobs(lab, 104) == {}


def test_another_lock_does_not_matter() -> None:
    lab = start(guests={**GUESTS, 104: {**GUESTS[104], "lock": "backup"}})
    assert declare(lab, 104, replicas=["pve1", "pve2"])["created"] == ["104-0"]


# ---------------------------------------------------------------- settings


def test_only_what_is_given_changes(lab: Lab) -> None:
    declare(lab, replicas=["pve1", "pve2"], schedule="mon..fri 22:00", rate=80.5, comment="nightly")
    assert not declare(lab, replicas=["pve1", "pve2"])["changed"]
    same = declare(lab, replicas=["pve1", "pve2"], schedule="Mon,Tue,Wed,Thu,Fri 22:0", rate=80.5, comment="nightly")
    assert not same["changed"]
    assert declare(lab, replicas=["pve1", "pve2"], rate=0, comment="")["updated"] == ["100-0"]
    row = jobs(lab)["pve2"]
    assert ("rate" in row, "comment" in row, row["schedule"]) == (False, False, "mon..fri 22:00")


def test_a_disabled_job_is_enabled_unless_it_shall_be_off(lab: Lab) -> None:
    declare(lab, replicas=["pve1", "pve2"], enabled=False)
    assert jobs(lab)["pve2"]["disable"] == 1
    assert not declare(lab, replicas=["pve1", "pve2"], enabled=False)["changed"]
    assert declare(lab, replicas=["pve1", "pve2"])["updated"] == ["100-0"]
    assert "disable" not in jobs(lab)["pve2"]


def test_a_job_of_somebody_else_is_taken_over(lab: Lab) -> None:
    lab.post(
        "/cluster/replication",
        {"id": "100-7", "type": "local", "target": "pve2", "schedule": "*/2", "comment": "by hand"},
    )
    result = declare(lab, replicas=["pve1", "pve2"], schedule="*/5")
    assert (result["created"], result["updated"]) == ([], ["100-7"])
    assert (jobs(lab)["pve2"]["schedule"], jobs(lab)["pve2"]["comment"]) == ("*/5", "by hand")


def test_somebody_else_makes_the_same_job_at_the_same_moment(lab: Lab) -> None:
    class Second(LabSession):
        def _on_any_host(self, method: str, path: str, params: dict[str, Any]) -> Any:
            if method == "POST" and not jobs(lab):
                lab.post("/cluster/replication", {"id": "100-0", "type": "local", "target": "pve2"})
            return super()._on_any_host(method, path, params)

    result = declare(lab, session=Second(lab), replicas=["pve1", "pve2"], schedule="*/5")
    assert set(jobs(lab)) == {"pve2"}
    assert jobs(lab)["pve2"]["schedule"] == "*/5"
    assert result["updated"] == ["100-0"]


def test_an_answer_that_is_lost_is_no_second_job(lab: Lab) -> None:
    class Lossy(LabSession):
        def _on_any_host(self, method: str, path: str, params: dict[str, Any]) -> Any:
            answer = super()._on_any_host(method, path, params)
            if method == "POST" and len(jobs(lab)) == 1:
                raise MaybeSent("no answer")
            return answer

    result = declare(lab, session=Lossy(lab), replicas=["pve1", "pve2", "pve3"])
    assert result["created"] == ["100-0", "100-1"]
    assert {row["id"] for row in jobs(lab).values()} == {"100-0", "100-1"}


def test_it_gives_up_when_somebody_else_always_comes_first(lab: Lab) -> None:
    class Rival(LabSession):
        def _on_any_host(self, method: str, path: str, params: dict[str, Any]) -> Any:
            if method == "PUT":
                lab.delete(path, {"force": 1})
                lab.post("/cluster/replication", {"id": f"100-{self.sent}", "type": "local", "target": "pve2"})
            return super()._on_any_host(method, path, params)

    declare(lab, replicas=["pve1", "pve2"])
    with pytest.raises(Conflict, match="somebody else"):
        declare(lab, session=Rival(lab), replicas=["pve1", "pve2"], schedule="*/5")


# ---------------------------------------------------------------- removal


def test_removal_is_awaited_and_cleans_up(lab: Lab) -> None:
    declare(lab, replicas=["pve1", "pve2", "pve3"], wait_for_sync=True)
    result = declare(lab, state="absent")
    assert (sorted(result["removed"]), result["jobs"]) == (["100-0", "100-1"], [])
    assert jobs(lab) == {}
    for node in ("pve2", "pve3"):
        assert lab.get(f"/nodes/{node}/storage/tank/content", {"vmid": 100}) == []
    assert not declare(lab, state="absent")["changed"]


def test_keep_leaves_the_copy_and_force_leaves_everything(lab: Lab) -> None:
    declare(lab, replicas=["pve1", "pve2", "pve3"], wait_for_sync=True)
    declare(lab, replicas=["pve2"], state="absent", cleanup="keep")
    assert len(lab.get("/nodes/pve2/storage/tank/content", {"vmid": 100})) == 1
    began = lab.now
    declare(lab, target="pve3", state="absent", cleanup="force")
    assert jobs(lab) == {}
    assert lab.now - began < 5
    assert len(lab.get("/nodes/pve3/storage/tank/content", {"vmid": 100})) == 1


def test_a_pending_removal_is_waited_for_and_is_no_change(lab: Lab) -> None:
    declare(lab, replicas=["pve1", "pve2"], wait_for_sync=True)
    lab.delete("/cluster/replication/100-0")
    result = declare(lab, state="absent")
    assert not result["changed"]
    assert jobs(lab) == {}


def test_a_pending_removal_is_called_back_when_the_copy_is_wanted(lab: Lab) -> None:
    declare(lab, replicas=["pve1", "pve2"], wait_for_sync=True)
    before = synced(lab)
    lab.delete("/cluster/replication/100-0")
    result = declare(lab, replicas=["pve1", "pve2"], check=True)
    assert (result["updated"], result["jobs"][0]["removing"]) == (["100-0"], None)
    declare(lab, replicas=["pve1", "pve2"])
    assert "remove_job" not in jobs(lab)["pve2"]
    assert synced(lab) == before, "the copy was kept"


def test_a_running_job_is_removed_when_its_run_has_ended(lab: Lab) -> None:
    declare(lab, replicas=["pve1", "pve2"], rate=20)
    lab.advance(70.0)
    assert lab.get("/nodes/pve1/replication", {"guest": 100})[0].get("pid")
    declare(lab, state="absent")
    assert jobs(lab) == {}
    assert lab.get("/nodes/pve2/storage/tank/content", {"vmid": 100}) == []


def test_settings_of_a_running_job_change_at_once(lab: Lab) -> None:
    declare(lab, replicas=["pve1", "pve2"], rate=20)
    lab.advance(70.0)
    began = lab.now
    assert declare(lab, replicas=["pve1", "pve2"], rate=40)["updated"] == ["100-0"]
    assert lab.now - began < 10


def test_removal_to_a_node_that_is_off_is_marked_and_said(lab: Lab) -> None:
    declare(lab, replicas=["pve1", "pve2", "pve3"], wait_for_sync=True)
    control(lab, "POST", "/lab/node", node="pve3", action="power-off")
    lab.advance(60.0)
    began = lab.now
    result = declare(lab, replicas=["pve1", "pve2"])
    assert result["removed"] == ["100-1"]
    assert "when pve3 is back" in result["warnings"][0]
    assert lab.now - began < 60
    again = declare(lab, replicas=["pve1", "pve2"])
    assert not again["changed"]
    assert "when pve3 is back" in again["warnings"][0]
    control(lab, "POST", "/lab/node", node="pve3", action="power-on")
    lab.advance(600.0)
    assert set(jobs(lab)) == {"pve2"}


def test_a_removal_that_fails_says_why(lab: Lab) -> None:
    declare(lab, replicas=["pve1", "pve2"], wait_for_sync=True)
    fault(lab, "prepare", "dataset is busy")
    with pytest.raises(TaskFailed, match="dataset is busy") as caught:
        declare(lab, state="absent")
    assert "keep" in caught.value.message


def test_jobs_of_a_deleted_guest_are_dropped_at_once(lab: Lab) -> None:
    declare(lab, 104, replicas=["pve1", "pve2"])
    lab.cluster.fs.delete("nodes/pve1/qemu-server/104.conf")
    lab.advance(20.0)
    would = declare(lab, 104, state="absent", check=True)
    result = declare(lab, 104, state="absent")
    assert would["removed"] == result["removed"] == ["104-0"]
    assert "does not exist any more" in result["warnings"][0]
    assert jobs(lab, 104) == {}
    assert not declare(lab, 104, state="absent")["changed"]
    with pytest.raises(NotFound, match="There is no guest 104"):
        declare(lab, 104, replicas=["pve1", "pve2"])


# ---------------------------------------------------------------- runs


def test_a_run_on_demand_is_one_that_began_afterwards(lab: Lab) -> None:
    declare(lab, replicas=["pve1", "pve2"], schedule="daily", wait_for_sync=True)
    before = synced(lab)["pve2"]
    result = declare(lab, replicas=["pve1", "pve2"], sync_now=True)
    assert result["changed"]
    assert synced(lab)["pve2"] > before
    assert result["jobs"][0]["age_s"] < 130


def test_a_run_that_fails_says_why_in_the_words_of_its_log(lab: Lab) -> None:
    fault(lab, "disks", "cannot receive incremental stream: out of space")
    with pytest.raises(TaskFailed, match="out of space") as caught:
        declare(lab, replicas=["pve1", "pve2"], wait_for_sync=True)
    assert caught.value.details["job"] == "100-0"


def test_the_copy_on_a_node_that_is_off_is_made_later(lab: Lab) -> None:
    control(lab, "POST", "/lab/node", node="pve3", action="power-off")
    lab.advance(60.0)
    result = declare(lab, replicas=["pve1", "pve3"])
    assert result["created"] == ["100-0"]
    assert "pve3 is offline" in result["warnings"][0]
    for check in (True, False):
        with pytest.raises(NodeUnreachable, match="pve3 is offline"):
            declare(lab, replicas=["pve1", "pve3"], wait_for_sync=True, check=check)


def test_what_is_on_a_node_that_is_off_can_be_declared_all_the_same(lab: Lab) -> None:
    declare(lab, 104, replicas=["pve1", "pve2"], wait_for_sync=True)
    control(lab, "POST", "/lab/node", node="pve1", action="power-off")
    lab.advance(60.0)
    away = LabSession(lab, node="pve2")
    result = declare(lab, 104, session=away, replicas=["pve1", "pve2"])
    assert not result["changed"]
    with pytest.raises(NodeUnreachable, match="pve1 is offline"):
        declare(lab, 104, session=away, replicas=["pve1", "pve2"], sync_now=True)


# ---------------------------------------------------------------- refused

REFUSED: dict[str, tuple[dict[str, Any], type[MobilityError], str]] = {
    "a rate below 1": ({"target": "pve2", "rate": 0.5}, Invalid, "rate is 0.5 MB/s"),
    "the guest's own node": ({"target": "pve1"}, Invalid, "100 db is itself on pve1"),
    "no replicatable disk": ({"guest": 101, "target": "pve2"}, Unsupported, "none is on a ZFS storage"),
    "a local disk elsewhere": ({"guest": 102, "target": "pve2"}, Unsupported, "scsi1 of 102 mixed is on lvm"),
    "unknown node": ({"replicas": ["pve1", "pve9"]}, NotFound, "no node pve9"),
    "unknown guest": ({"guest": 999, "target": "pve2"}, NotFound, "no guest 999"),
    "nonsense": ({"target": "pve2", "schedule": "now and then"}, Invalid, "'now and then' is no calendar event"),
    "a date that is over": ({"target": "pve2", "schedule": "2015-10-21 1:00"}, Invalid, "never comes"),
    "storage not on the target": ({"guest": 103, "target": "pve3"}, Blocked, "only12 is only for pve1, pve2"),
    "both ways at once": ({"target": "pve2", "replicas": ["pve1"]}, Invalid, "not both"),
    "no way at all": ({}, Invalid, "Say where"),
    "an empty set": ({"replicas": []}, Invalid, "replicas is empty"),
    "to wait for a disabled job": ({"target": "pve2", "enabled": False, "sync_now": True}, Invalid, "disabled job"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_in_one_sentence_before_anything_is_written(lab: Lab, case: str) -> None:
    options, kind, words = REFUSED[case]
    said = []
    for check in (True, False):
        with pytest.raises(kind, match=words) as caught:
            declare(lab, **{"guest": 100, **options}, check=check)
        said.append(caught.value.message)
    assert said[0] == said[1]
    assert lab.get("/cluster/replication") == []


def test_a_pool_that_is_missing_on_the_target_is_found_before() -> None:
    tank = {**STORAGES["tank"], "per_node": {"pve3": {"missing": True}}}
    lab = start(storages={**STORAGES, "tank": tank})
    with pytest.raises(Blocked, match="tank is not active on pve3") as caught:
        declare(lab, replicas=["pve1", "pve2", "pve3"])
    assert caught.value.details["findings"][0]["id"] == "replica-storage"
    assert jobs(lab) == {}


@pytest.mark.parametrize(
    ("release", "role", "missing"),
    [
        (9.2, "New", None),
        (9.2, "Old", "VM.Replicate on /vms/100"),
        (9.2, "Weak", "VM.Replicate on /vms/100"),
        (8.4, "Old", None),
        (8.4, "Weak", "Datastore.Allocate on /storage"),
    ],
)
def test_the_error_names_the_privilege_of_the_release(release: float, role: str, missing: str | None) -> None:
    roles = dict(USERS["roles"])
    if release < 9:
        roles["New"] = ["VM.Audit"]
    lab = start(
        node_defaults={"release": release}, users=USERS["users"], roles=roles,
        acl=[{"path": "/", "who": "auto@pve", "role": role}],
    )  # fmt: skip
    session = LabSession(lab, auth="ticket:auto@pve")
    if missing is None:
        declare(lab, session=session, replicas=["pve1", "pve2"], wait_for_sync=True)
        assert not declare(lab, session=session, replicas=["pve1", "pve2"])["changed"]
        return
    for check in (True, False):
        with pytest.raises(PermissionDenied, match=missing):
            declare(lab, session=session, replicas=["pve1", "pve2"], check=check)
    assert jobs(lab) == {}


def test_what_one_may_not_change_one_may_still_declare_when_it_is_so() -> None:
    lab = start(users=USERS["users"], roles=USERS["roles"], acl=[{"path": "/", "who": "weak@pve", "role": "Weak"}])
    declare(lab, replicas=["pve1", "pve2"])
    assert not declare(lab, session=LabSession(lab, auth="ticket:weak@pve"), replicas=["pve1", "pve2"])["changed"]


@pytest.mark.parametrize("check", [True, False])
def test_without_quorum_nothing_is_written(lab: Lab, check: bool) -> None:
    declare(lab, replicas=["pve1", "pve2"])
    for node in ("pve3", "pve4"):
        control(lab, "POST", "/lab/node", node=node, action="power-off")
    lab.advance(30.0)
    with pytest.raises(NoQuorum, match="no quorum"):
        declare(lab, replicas=["pve1", "pve3"], check=check)
    assert set(jobs(lab)) == {"pve2"}


def control(lab: Lab, method: str, path: str, **fields: Any) -> None:
    from lab.control import Control

    status, body = Control(lab.cluster, lab.gateway).handle(method, path, fields)
    assert status == 200, body


def fault(lab: Lab, phase: str, text: str) -> None:
    lab.cluster.faults.add({"task": "replicate", "vmid": 100, "phase": phase, "effect": {"fail": text}})


def home_from(lab: Lab, node: str) -> str:
    rows: list[Mapping[str, Any]] = lab.get("/cluster/resources", {"type": "vm"}, node=node)
    return str(next(row["node"] for row in rows if row["vmid"] == 100))
