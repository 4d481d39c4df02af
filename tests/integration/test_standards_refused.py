# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``zfs_storage``, ``cluster_options`` and the audit must not do or believe; on a lab in the same process.

The same refusal comes in check mode, and nothing is written in between.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    Blocked,
    MobilityError,
    NoQuorum,
    PermissionDenied,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution import options, zfs_standard, zfs_storage
from tests.conformance.client import Lab
from tests.integration.inprocess import LabSession, reading
from tests.integration.replicas import control

CLUSTER: dict[str, Any] = {
    "name": "refused",
    "nodes": ["pve1", "pve2", "pve3"],
    "storages": {
        "tank": {"type": "zfspool", "pool": "tank/vm", "content": "images,rootdir", "size": "1T", "sparse": 1},
        "off": {"type": "zfspool", "pool": "off/vm", "content": "images,rootdir", "size": "1T", "disable": 1},
        "other": {"type": "zfspool", "pool": "other", "content": "images,rootdir", "size": "1T"},
    },
    "guests": {
        100: {"node": "pve2", "name": "web", "memory": "512M", "disk": "tank:8G"},
        101: {"node": "pve2", "name": "stray", "memory": "512M", "disk": "other:8G"},
        200: {"node": "pve2", "type": "ct", "name": "dns", "memory": "256M", "disk": "tank:4G"},
    },
    "users": {"weak@pve": {"password": "x"}},
    "roles": {"Weak": ["VM.Audit", "Datastore.Audit", "Sys.Audit"]},
    "acl": [{"path": "/", "who": "weak@pve", "role": "Weak"}],
}
AUTH = {"root": "root-token", "weak": "ticket:weak@pve"}
Change = Callable[[LabSession, bool], dict[str, Any]]


@pytest.fixture
def lab() -> Lab:
    lab = Lab.from_dict(CLUSTER)
    lab.advance(15.0)
    return lab


def storage(**wanted: Any) -> Change:
    request = zfs_storage.from_options({"storage": "tank", **wanted})
    return lambda session, check: zfs_storage.run(session, request, check)


def datacenter(**wanted: Any) -> Change:
    return lambda session, check: options.run(session, options.from_options(wanted), check)


def audit(lab: Lab, who: str = "root", **standard: Any) -> dict[str, Any]:
    with reading(session := LabSession(lab, auth=AUTH[who])):
        return zfs_standard.run(session, zfs_standard.standards(standard))


def refused(
    lab: Lab, change: Change, kind: type[MobilityError], words: str, who: str = "root", node: str | None = None
) -> None:
    before = lab.get("/storage", node=node), lab.get("/cluster/options", node=node)
    said = []
    for check in (True, False):
        with reading(session := LabSession(lab, auth=AUTH[who], node=node)), pytest.raises(kind, match=words) as caught:
            change(session, check)
        said.append(caught.value.message)
    assert said[0] == said[1]
    assert (lab.get("/storage", node=node), lab.get("/cluster/options", node=node)) == before


def power_off(lab: Lab, *nodes: str) -> None:
    for node in nodes:
        control(lab, "POST", "/lab/node", node=node, action="power-off")
    lab.advance(60.0)


def break_path(lab: Lab, path: str) -> None:
    effect = {"status": 500, "reason": "zfs error: cannot open 'tank': I/O error"}
    control(lab, "POST", "/lab/fault", match={"method": "GET", "path": path}, effect=effect)


# ---------------------------------------------------------------- disks stay reachable


def test_a_node_that_is_off_may_have_disks_there(lab: Lab) -> None:
    power_off(lab, "pve3")
    refused(lab, storage(nodes=["pve1", "pve2"]), Blocked, r"disks on tank \(it is offline\) \(storage-unproven\)")
    with reading(session := LabSession(lab)):
        done = storage(nodes=["pve1", "pve2"], accept=["storage-unproven"])(session, False)
    assert done["updated"] == ["nodes"]


@pytest.mark.parametrize("path", ["/nodes/pve2/storage/tank/content", "/nodes/pve2/storage"])
def test_disks_that_cannot_be_listed_are_not_taken_for_none(lab: Lab, path: str) -> None:
    break_path(lab, path)
    refused(lab, storage(nodes=["pve1", "pve3"]), Blocked, "nobody can tell whether guests of pve2 have disks on tank")


def test_a_node_without_the_dataset_has_nothing_to_lose() -> None:
    tank = {**CLUSTER["storages"]["tank"], "per_node": {"pve3": {"missing": True}}}
    lab = Lab.from_dict({**CLUSTER, "storages": {**CLUSTER["storages"], "tank": tank}})
    lab.advance(15.0)
    with reading(session := LabSession(lab)):
        assert storage(nodes=["pve1", "pve2"])(session, False)["changed"]


def test_containers_are_below_the_mount_point(lab: Lab) -> None:
    refused(lab, storage(mountpoint="/elsewhere"), Blocked, "200 dns on pve2 runs and has tank:subvol-200-disk-0")
    with reading(session := LabSession(lab)):
        assert not storage(mountpoint="/tank/vm")(session, False)["changed"]


# ---------------------------------------------------------------- nobody may, nobody can


def test_without_quorum_check_mode_says_so_too(lab: Lab) -> None:
    power_off(lab, "pve2", "pve3")
    refused(lab, storage(sparse=False), NoQuorum, "The cluster has no quorum")
    refused(lab, datacenter(max_workers=9), NoQuorum, "The cluster has no quorum")


def test_missing_privileges_are_named_in_check_mode_too(lab: Lab) -> None:
    words = r"Datastore.Allocate on /storage is needed to prove tank on its nodes and to write it\. Give a role"
    refused(lab, storage(sparse=False), PermissionDenied, words, who="weak")
    words = r"Sys.Modify on / is needed to write datacenter.cfg\. Give a role"
    refused(lab, datacenter(max_workers=9), PermissionDenied, words, who="weak")


def test_a_node_that_is_off_may_be_a_newer_one() -> None:
    lab = Lab.from_dict(
        {
            "name": "mixed",
            "nodes": {"old": {"release": "8.4"}, "new": {"release": "9.2"}, "mid": {"release": "8.4"}},
            "storages": {"tank": {"type": "zfspool", "pool": "tank/vm", "size": "1T"}},
            "datacenter": {"replication": {"type": "secure"}, "crs": {"ha": "dynamic"}, "max_workers": 2},
        }
    )
    lab.advance(15.0)
    control(lab, "POST", "/lab/node", node="new", action="power-off")
    lab.advance(60.0)
    words = r"new cannot be asked for its release, and the API host lab runs 8.4: it would drop"
    refused(lab, datacenter(max_workers=9), Blocked, words, node="old")
    refused(lab, storage(sparse=True), Blocked, words, node="old")
    with reading(session := LabSession(lab, node="old")):
        assert datacenter(max_workers=9, accept=["release-unproven"])(session, False)["changed"]


# ---------------------------------------------------------------- the audit


def test_a_storage_that_is_disabled_is_not_as_it_should_be(lab: Lab) -> None:
    found = audit(lab, tank={"pool": "tank/vm"}, off={"pool": "off/vm"}, other={"pool": "other"})
    assert [item["message"] for item in found["findings"]] == ["off is disabled, not in use"]
    assert [(item["storage"], item["disable"]) for item in found["repairs"]] == [("off", False)]


def test_disks_that_nobody_could_list_are_not_taken_for_none(lab: Lab) -> None:
    standard = {"tank": {"pool": "tank/vm"}}
    assert [move["guest"] for move in audit(lab, **standard)["plan"]["moves"]] == [101]
    hidden = audit(lab, who="weak", **standard)["findings"]
    assert any("Datastore.Allocate on /storage or VM.Config.Disk" in item["message"] for item in hidden)
    break_path(lab, "/nodes/pve2/storage/other/content")
    unread = audit(lab, **standard)
    assert unread["plan"]["moves"] == []
    assert [(item["id"], item["node"]) for item in unread["findings"]] == [("standard-unproven", "pve2")]
