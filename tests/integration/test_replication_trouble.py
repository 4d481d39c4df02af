# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``replication_job``: removals, runs on demand, nodes that are off, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    Blocked,
    Invalid,
    MobilityError,
    NodeUnreachable,
    NoQuorum,
    NotFound,
    PermissionDenied,
    TaskFailed,
    Unsupported,
)
from tests.conformance.client import Lab
from tests.integration.inprocess import LabSession
from tests.integration.replicas import (
    GUESTS,
    STORAGES,
    control,
    declare,
    fault,
    jobs,
    start,
    synced,
)

USERS = {
    "users": {"auto@pve": {"password": "x"}, "weak@pve": {"password": "x"}},
    "roles": {
        "New": ["VM.Audit", "VM.Replicate", "Datastore.Audit"],
        "Old": ["VM.Audit", "Datastore.Allocate", "Datastore.Audit"],
        "Weak": ["VM.Audit", "Datastore.Audit"],
    },
}


@pytest.fixture
def lab() -> Lab:
    return start()


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


def test_of_several_jobs_of_a_guest_under_ha_none_is_taken_for_the_declared_one() -> None:
    lab = start(guests={**GUESTS, 100: {**GUESTS[100], "ha": True}}, ha={"settled": True})
    declare(lab, replicas=["pve1", "pve2"])
    assert not declare(lab, target="pve1")["changed"], "the HA manager may have brought it here from pve2"
    declare(lab, replicas=["pve1", "pve2", "pve3"])
    with pytest.raises(Invalid, match="100 db is itself on pve1"):
        declare(lab, target="pve1")


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
