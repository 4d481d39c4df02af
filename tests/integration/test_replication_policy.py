# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy over many guests: made true, kept true, repaired; on a lab in the same process."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    ApiError,
    Invalid,
    MobilityError,
    NoQuorum,
    NotFound,
    PermissionDenied,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.policy_request import from_options
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_policy import PartlyFailed, run
from tests.conformance.client import Lab
from tests.integration.inprocess import LabClock, LabSession, reading
from tests.integration.replicas import control

NODES = ["pve1", "pve2", "pve3", "pve4"]
DB = {
    "name": "databases",
    "guests": {"tags": ["db"]},
    "replicas": ["pve1", "pve2", "pve3"],
    "schedule": "*/5",
    "rate": 80,
}
REST = {"name": "the rest", "sets": [["pve1", "pve2"], ["pve3", "pve4"]], "schedule": "hourly"}


def start(count: int = 24, **more: Any) -> Lab:
    guests: dict[int, dict[str, Any]] = {
        100 + number: {
            "node": NODES[number % 4],
            "name": f"g{number}",
            "memory": "512M",
            "disk": {"storage": "tank", "size": "2G", "used": "100M"},
            "running": False,
            "tags": ["db"] if number % 4 == 0 else [],
        }
        for number in range(count)
    }
    guests[900] = {"node": "pve1", "name": "shared", "disk": "ceph:4G", "running": False}
    guests[901] = {"node": "pve1", "name": "mixed", "disks": {"scsi0": "tank:2G", "scsi1": "lvm:2G"}, "running": False}
    guests[902] = {"node": "pve3", "name": "nopool", "disk": "odd:2G", "running": False}
    for vmid, values in more.pop("change", {}).items():
        guests[vmid] = {**guests.get(vmid, {}), **values}
    lab = Lab.from_dict(
        {
            "name": "policy",
            "nodes": NODES,
            "node_defaults": {"memory": "256G"},
            "storages": {
                "tank": {"type": "zfspool", "pool": "tank", "content": "images,rootdir", "size": "1T", "sparse": True},
                "odd": {
                    "type": "zfspool",
                    "pool": "odd",
                    "content": "images",
                    "size": "1T",
                    "per_node": {"pve4": {"missing": True}},
                },
                "ceph": {"type": "rbd", "pool": "vms", "content": "images,rootdir", "size": "2T"},
                "lvm": {"type": "lvmthin", "vgname": "vg", "thinpool": "data", "content": "images", "size": "1T"},
            },
            "guests": guests,
            **more,
        }
    )
    lab.advance(15.0)
    return lab


def enforce(lab: Lab, *rules: dict[str, Any], check: bool = False, ha: str = "propose") -> dict[str, Any]:
    session = LabSession(lab)
    with reading(session):
        result = run(session, LabClock(lab), from_options({"rules": list(rules or (DB, REST)), "ha": ha}), check)
    # All threads share this session, which the module itself would count once for each.
    return result | {"requests": session.sent}


def jobs(lab: Lab) -> dict[tuple[int, str], dict[str, Any]]:
    return {(row["guest"], row["target"]): row for row in lab.get("/cluster/replication")}


def starts(lab: Lab, node: str) -> Counter[int]:
    """How many jobs of a node fire at each minute of the hour, as the lab itself reads the schedules."""
    found: Counter[int] = Counter()
    for row in jobs(lab).values():
        if row["source"] == node:
            asked = {"schedule": row.get("schedule", "*/15"), "iterations": 60}
            times = lab.get("/cluster/jobs/schedule-analyze", asked)
            first = times[0]["timestamp"]
            found.update((item["timestamp"] // 60) % 60 for item in times if item["timestamp"] < first + 3600)
    return found


def test_it_is_made_true_and_then_rests() -> None:
    lab = start()
    would = enforce(lab, check=True)
    assert jobs(lab) == {}
    first = enforce(lab)
    assert first["created"] == would["created"]
    assert (first["changed"], first["failed_jobs"]) == (True, [])
    wanted = {(vmid, target) for vmid in range(100, 124, 4) for target in ("pve2", "pve3")}
    wanted |= {(vmid, "pve1") for vmid in range(101, 124, 4)}
    wanted |= {(vmid, "pve4") for vmid in range(102, 124, 4)}
    wanted |= {(vmid, "pve3") for vmid in range(103, 124, 4)}
    assert set(jobs(lab)) == wanted
    assert jobs(lab)[100, "pve2"]["rate"] == 80
    again = enforce(lab)
    assert not again["changed"]
    assert again["created"] == again["updated"] == again["removed"] == []
    assert again["requests"] <= len(NODES) + 10


def test_the_jobs_of_a_node_do_not_fire_in_the_same_minute() -> None:
    lab = start()
    enforce(lab)
    # 12 jobs every five minutes on pve1: three in a minute at most; 6 hourly ones on pve2: each alone.
    assert max(starts(lab, "pve1").values()) == 3
    assert max(starts(lab, "pve2").values()) == 1


def test_what_cannot_be_replicated_is_listed_with_the_reason() -> None:
    found = {(row["guest"], row["target"]): row for row in enforce(start())["cannot"]}
    assert set(found) == {(900, None), (901, None), (902, "pve4")}
    assert "none is on a ZFS storage (they are on ceph)" in found[900, None]["why"]
    assert "scsi1 of 901 mixed is on lvm" in found[901, None]["why"]
    assert "replicate=0" in found[901, None]["remedy"]
    assert "pool odd is missing" in found[902, "pve4"]["why"]


def test_drift_is_repaired_and_nothing_else_is_touched() -> None:
    lab = start()
    enforce(lab)
    before = jobs(lab)
    lab.put("/cluster/replication/100-0", {"disable": 1})
    lab.put("/cluster/replication/104-0", {"schedule": "daily"})
    lab.put("/cluster/replication/108-0", {"delete": "rate"})
    lab.delete("/cluster/replication/101-0", {"force": 1})
    lab.post("/cluster/replication", {"id": "105-5", "type": "local", "target": "pve4"})
    result = enforce(lab)
    assert result["created"] == ["101-0"]
    assert result["updated"] == ["100-0", "104-0", "108-0"]
    assert result["removed"] == ["105-5"]
    lab.advance(90.0)
    after = jobs(lab)
    assert after.keys() == before.keys()
    same = {key for key in before if {**before[key], "schedule": ""} == {**after[key], "schedule": ""}}
    assert same == set(before)
    assert not enforce(lab)["changed"]


def test_after_a_migration_only_what_must_changes() -> None:
    lab = start()
    enforce(lab)
    lab.advance(4000.0)
    assert lab.wait_task(lab.post("/nodes/pve1/qemu/100/migrate", {"target": "pve2"})) == "OK"
    assert not enforce(lab)["changed"], "a migration to a replica"
    assert lab.wait_task(lab.post("/nodes/pve2/qemu/101/migrate", {"target": "pve3"})) == "OK"
    result = enforce(lab)
    assert {row["target"] for row in jobs(lab).values() if row["guest"] == 101} == {"pve1", "pve4"}
    assert result["waiting"] == [{"guest": 101, "label": "101 g1", "job": "101-0", "target": "pve1"}]
    assert result["removed"] == []
    lab.advance(4000.0)
    assert enforce(lab)["removed"] == ["101-0"]


def test_jobs_that_all_fire_at_once_are_spread() -> None:
    lab = start()
    for number in range(0, 24, 4):
        lab.post("/cluster/replication", {"id": f"{100 + number}-0", "type": "local", "target": "pve2"})
    rule = {"guests": {"nodes": ["pve1"], "tags": ["db"]}, "replicas": ["pve1", "pve2"], "schedule": "*/15"}
    result = enforce(lab, rule)
    assert len(result["updated"]) == 5
    assert max(starts(lab, "pve1").values()) == 1
    still = {**rule, "spread": False}
    enforce(lab, still)
    assert starts(lab, "pve1") == {0: 6, 15: 6, 30: 6, 45: 6}


def test_the_first_rule_that_matches_counts() -> None:
    lab = start()
    enforce(lab, {"guests": {"vmids": [100]}, "replicas": ["pve1", "pve4"]}, DB)
    assert {target for guest, target in jobs(lab) if guest == 100} == {"pve4"}
    assert {target for guest, target in jobs(lab) if guest == 104} == {"pve2", "pve3"}


def test_a_guest_on_a_node_of_no_set_is_listed_and_left_alone() -> None:
    lab = start(nodes=[*NODES, "pve5"])
    lab.post("/cluster/replication", {"id": "103-0", "type": "local", "target": "pve1"})
    result = enforce(lab, {"guests": {"vmids": [101, 103]}, "sets": [["pve1", "pve2"], ["pve3", "pve5"]]})
    assert set(jobs(lab)) == {(101, "pve1"), (103, "pve1")}
    assert [(row["guest"], row["target"]) for row in result["cannot"]] == [(103, None)]
    assert "none of the sets of rule 1" in result["cannot"][0]["why"]


def test_a_guest_that_is_migrating_is_left_alone_for_now() -> None:
    lab = start(change={100: {"lock": "migrate"}})
    result = enforce(lab)
    assert not [key for key in jobs(lab) if key[0] == 100]
    assert "100 g0 is migrating" in result["warnings"][0]


def test_somebody_else_makes_jobs_at_the_same_time() -> None:
    lab = start()
    made: list[str] = []

    class Rival(LabSession):
        def _on_any_host(self, method: str, path: str, params: dict[str, Any]) -> Any:
            if method == "POST" and not made:
                made.append(params["id"])
                lab.post("/cluster/replication", {"id": params["id"], "type": "local", "target": params["target"]})
            return super()._on_any_host(method, path, params)

    session = Rival(lab)
    with reading(session):
        result = run(session, LabClock(lab), from_options({"rules": [DB]}))
    assert result["failed_jobs"] == []
    assert made[0] in result["updated"], "the rival's job got the settings of the policy"
    assert not enforce(lab, DB)["changed"]


def test_one_job_that_cannot_be_written_does_not_stop_the_others() -> None:
    lab = start()

    class Broken(LabSession):
        def _on_any_host(self, method: str, path: str, params: dict[str, Any]) -> Any:
            if params.get("id") == "104-0":
                raise ApiError("Proxmox VE said: no.", reason="no")
            return super()._on_any_host(method, path, params)

    session = Broken(lab)
    with reading(session), pytest.raises(PartlyFailed, match="1 of the replication jobs") as caught:
        run(session, LabClock(lab), from_options({"rules": [DB]}))
    assert [row["job"] for row in caught.value.details["failed_jobs"]] == ["104-0"]
    assert len(caught.value.details["created"]) == 11


@pytest.mark.parametrize("check", [True, False])
def test_without_quorum_nothing_is_written(check: bool) -> None:
    lab = start(4)
    for node in ("pve3", "pve4"):
        control(lab, "POST", "/lab/node", node=node, action="power-off")
    lab.advance(60.0)
    with pytest.raises(NoQuorum, match="has no quorum"):
        enforce(lab, DB, check=check)
    assert jobs(lab) == {}


def test_a_copy_that_can_be_used_stays_until_another_one_can() -> None:
    lab = start(4)
    enforce(lab, DB)
    lab.advance(700.0)
    control(lab, "POST", "/lab/node", node="pve3", action="power-off")
    lab.advance(60.0)
    moved = {**DB, "replicas": ["pve1", "pve3", "pve4"]}
    first = enforce(lab, moved)
    assert [(row["guest"], row["target"]) for row in first["waiting"]] == [(100, "pve2")]
    assert (first["created"], first["removed"]) == (["100-2"], [])
    lab.advance(700.0)
    second = enforce(lab, moved)
    assert (second["waiting"], second["removed"]) == ([], ["100-0"])


def test_what_has_to_wait_for_a_node_and_what_is_about_nobody_is_said() -> None:
    lab = start(4)
    control(lab, "POST", "/lab/node", node="pve3", action="power-off")
    lab.advance(60.0)
    typo = {"name": "typo", "guests": {"tags": ["bd"]}, "replicas": ["pve1", "pve2"]}
    result = enforce(lab, DB, typo)
    assert result["created"] == ["100-0", "100-1"]
    assert "pve3 is offline: first copies of 1 guests are made when it is back." in result["warnings"]
    assert any("typo of the policy is about no guest" in text for text in result["warnings"])


WRONG: dict[str, tuple[list[dict[str, Any]], type[MobilityError], str]] = {
    "no rule": ([], Invalid, "rules is empty"),
    "no nodes": ([{"guests": {"tags": ["db"]}}], Invalid, "rule 1 of the policy needs either replicas"),
    "one node": ([{"name": "db", "replicas": ["pve1"]}], Invalid, "db of the policy has the set"),
    "twice": ([{"sets": [["pve1", "pve2"], ["pve2", "pve3"]]}], Invalid, "pve2 in two sets"),
    "rate": ([{**DB, "rate": 0.5}], Invalid, "databases of the policy: rate is 0.5 MB/s"),
    "unknown node": ([{"replicas": ["pve1", "pve9"]}], NotFound, "no node pve9"),
    "nobody is not everybody": ([{**DB, "guests": {"tags": [], "vmids": None}}], Invalid, "guests.tags is empty"),
    "nonsense": ([{**DB, "schedule": "now and then"}], Invalid, "no calendar event"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_policy_that_makes_no_sense_is_refused_before_anything_is_written(case: str) -> None:
    rules, kind, words = WRONG[case]
    lab = start(4)
    session = LabSession(lab)
    for check in (True, False):
        with reading(session), pytest.raises(kind, match=words):
            run(session, LabClock(lab), from_options({"rules": rules}), check)
    assert jobs(lab) == {}


# ---------------------------------------------------------------- HA


def managed(**rules: Any) -> Lab:
    return start(
        12,
        change={vmid: {"running": True, "ha": True} for vmid in (100, 101, 102, 104)},
        ha={"settled": True, "rules": rules} if rules else {"settled": True},
    )


def test_rules_that_keep_ha_to_the_copies_are_proposed_and_made_on_request() -> None:
    lab = managed()
    proposed = enforce(lab)["ha"]
    assert [(row["rule"], row["added"]) for row in proposed["proposals"]] == [
        ("replicas-pve1-pve2", ["vm:101"]),
        ("replicas-pve1-pve2-pve3", ["vm:100", "vm:104"]),
        ("replicas-pve3-pve4", ["vm:102"]),
    ]
    assert lab.get("/cluster/ha/rules") == []
    made = enforce(lab, ha="create")
    assert made["changed"]
    rules = {row["rule"]: row for row in lab.get("/cluster/ha/rules")}
    assert set(rules) == set(made["ha"]["made"])
    assert all(int(row["strict"]) == 1 for row in rules.values())
    assert set(rules["replicas-pve1-pve2-pve3"]["nodes"].split(",")) == {"pve1", "pve2", "pve3"}
    again = enforce(lab, ha="create")
    assert (again["changed"], again["ha"]["proposals"]) == (False, [])
    assert set(again["ha"]["fine"]) == {"vm:100", "vm:101", "vm:102", "vm:104"}


def test_a_guest_whose_set_changes_changes_its_rule() -> None:
    lab = managed()
    enforce(lab, ha="create")
    other = {**DB, "replicas": ["pve1", "pve2"]}
    lab.advance(700.0)
    enforce(lab, other, REST, ha="create")
    rules = {row["rule"]: set(row["resources"].split(",")) for row in lab.get("/cluster/ha/rules")}
    assert rules == {"replicas-pve1-pve2": {"vm:100", "vm:101", "vm:104"}, "replicas-pve3-pve4": {"vm:102"}}


def test_rules_of_others_that_contradict_the_copies_are_listed_and_left() -> None:
    lab = managed(
        loose={"type": "node-affinity", "resources": ["vm:100"], "nodes": ["pve1", "pve2"]},
        wide={"type": "node-affinity", "resources": ["vm:101"], "nodes": ["pve2", "pve4"], "strict": True},
        good={"type": "node-affinity", "resources": ["vm:102"], "nodes": ["pve3", "pve4"], "strict": True},
    )
    before = lab.get("/cluster/ha/rules")
    found = enforce(lab, ha="create")["ha"]
    wrong = {(row["rule"], row["resource"]) for row in found["contradictions"]}
    assert wrong == {("loose", "vm:100"), ("wide", "vm:101")}
    assert "pve4, which holds no copy" in next(row["why"] for row in found["contradictions"] if row["rule"] == "wide")
    assert found["fine"] == ["vm:102"]
    after = [row for row in lab.get("/cluster/ha/rules") if row["rule"] in ("loose", "wide", "good")]
    assert [{**row, "digest": ""} for row in after] == [{**row, "digest": ""} for row in before]


def test_before_9_0_restricted_groups_do_it() -> None:
    lab = start(12, change={100: {"running": True, "ha": True}}, ha={"settled": True}, node_defaults={"release": 8.4})
    made = enforce(lab, ha="create")
    assert made["ha"]["kind"] == "group"
    group = lab.get("/cluster/ha/groups/replicas-pve1-pve2-pve3")
    assert int(group["restricted"]) == 1
    assert lab.get("/cluster/ha/resources/vm:100")["group"] == "replicas-pve1-pve2-pve3"
    assert not enforce(lab, ha="create")["changed"]


def test_ha_is_not_sent_where_no_copy_can_be() -> None:
    lab = start(4, change={902: {"running": True, "ha": True}}, ha={"settled": True})
    three = {"name": "odd", "guests": {"vmids": [902]}, "replicas": ["pve2", "pve3", "pve4"]}
    made = enforce(lab, three, ha="create")
    assert [(row["guest"], row["target"]) for row in made["cannot"]] == [(902, "pve4")]
    assert made["guests"][0]["replicas"] == ["pve2", "pve3"]
    assert set(lab.get("/cluster/ha/rules")[0]["nodes"].split(",")) == {"pve2", "pve3"}


def test_the_right_to_make_rules_is_asked_for_before_jobs_are_written() -> None:
    lab = start(4, change={100: {"running": True, "ha": True}}, ha={"settled": True},
                users={"weak@pve": {"password": "x"}},
                roles={"Weak": ["VM.Audit", "VM.Replicate", "Datastore.Audit", "Sys.Audit"]},
                acl=[{"path": "/", "who": "weak@pve", "role": "Weak"}])  # fmt: skip
    session = LabSession(lab, auth="ticket:weak@pve")
    for check in (True, False):
        with reading(session), pytest.raises(PermissionDenied, match=r"Sys\.Console on /"):
            run(session, LabClock(lab), from_options({"rules": [DB], "ha": "create"}), check)
    assert jobs(lab) == {}


def test_the_error_names_the_privilege() -> None:
    lab = start(4, users={"weak@pve": {"password": "x"}}, roles={"Weak": ["VM.Audit", "Datastore.Audit", "Sys.Audit"]},
                acl=[{"path": "/", "who": "weak@pve", "role": "Weak"}])  # fmt: skip
    session = LabSession(lab, auth="ticket:weak@pve")
    with reading(session), pytest.raises(PermissionDenied, match=r"VM.Replicate on /vms/100"):
        run(session, LabClock(lab), from_options({"rules": [DB]}))
    assert jobs(lab) == {}
