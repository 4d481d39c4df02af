# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``replication_job``: sets declared twice, moved guests, changed settings; on a lab in the same process."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    Conflict,
    Invalid,
    Locked,
    MaybeSent,
    NodeUnreachable,
    TimedOut,
)
from tests.conformance.client import Lab
from tests.integration.inprocess import LabSession
from tests.integration.replicas import (
    GUESTS,
    control,
    declare,
    home_from,
    jobs,
    migrate,
    start,
    synced,
)


@pytest.fixture
def lab() -> Lab:
    return start()


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


def test_a_copy_on_a_node_that_is_off_is_no_reason_to_give_up_another(lab: Lab) -> None:
    declare(lab, replicas=["pve1", "pve2", "pve3"], wait_for_sync=True)
    control(lab, "POST", "/lab/node", node="pve3", action="power-off")
    lab.advance(60.0)
    usable: list[set[str]] = []

    class Watching(LabSession):
        def _on_any_host(self, method: str, path: str, params: dict[str, Any]) -> Any:
            held = {name for name, row in jobs(lab).items() if "remove_job" not in row}
            usable.append({name for name, when in synced(lab).items() if when} & held - {"pve3"})
            return super()._on_any_host(method, path, params)

    result = declare(lab, session=Watching(lab), replicas=["pve1", "pve3", "pve4"])
    assert (result["created"], result["removed"]) == (["100-2"], ["100-0"])
    assert set(jobs(lab)) == {"pve3", "pve4"}
    assert all(usable), "at each moment there was a copy on a node that is up"


def test_a_copy_that_fails_is_brought_up_to_date_before_another_one_goes(lab: Lab) -> None:
    declare(lab, replicas=["pve1", "pve2", "pve3"], wait_for_sync=True)
    # Of the two jobs, which run one after the other, the second one.
    lab.cluster.faults.add({"task": "replicate", "vmid": 100, "nth": 2, "effect": {"fail": "out of space"}})
    while not any(row["fail_count"] for row in lab.get("/nodes/pve1/replication", {"guest": 100})):
        lab.advance(60.0)
    result = declare(lab, replicas=["pve1", "pve3"])
    assert result["removed"] == ["100-0"]
    assert [(row["target"], row["fail_count"]) for row in result["jobs"]] == [("pve3", 0)]


@pytest.mark.parametrize("check", [True, False])
def test_the_only_copy_is_not_given_up_for_one_that_nobody_can_make(lab: Lab, check: bool) -> None:
    declare(lab, replicas=["pve1", "pve2"], wait_for_sync=True)
    with pytest.raises(Invalid, match="with enabled: false no other one is made"):
        declare(lab, replicas=["pve1", "pve3"], enabled=False, check=check)
    control(lab, "POST", "/lab/node", node="pve3", action="power-off")
    lab.advance(60.0)
    with pytest.raises(NodeUnreachable, match=r"is on pve2, which is not declared .* because pve3 is offline"):
        declare(lab, replicas=["pve1", "pve3"], check=check)
    assert set(jobs(lab)) == {"pve2"}


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
