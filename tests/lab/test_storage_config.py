# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing storages and datacenter.cfg beyond the recordings: releases, datasets, what a definition finds on a node."""

from __future__ import annotations

from typing import Any

import pytest

from lab.control import Control
from tests.conformance.client import Lab

CLUSTER: dict[str, Any] = {
    "nodes": {"pve1": {}, "pve2": {}, "old": {"release": "8.4"}},
    "storages": {
        "tank": {"type": "zfspool", "pool": "tank/data", "nodes": ["pve1"], "per_node": {"pve2": {"size": "1T"}}},
        "vg": {"type": "lvm", "vgname": "vg", "snapshot-as-volume-chain": 1, "size": "1T"},
    },
    "zfs_pools": {"tank": {"nodes": ["old"], "size": "500G"}},
    "guests": {100: {"node": "pve1", "disk": "tank:8G"}},
    "datacenter": {"replication": "secure,network=10.0.0.0/24", "crs": "ha=dynamic", "keyboard": "de"},
}


@pytest.fixture
def lab() -> Lab:
    return Lab.from_dict(CLUSTER)


def shell(lab: Lab, node: str, *words: str) -> dict[str, Any]:
    _status, body = Control(lab.cluster, lab.gateway).handle("POST", "/lab/shell", {"node": node, "argv": list(words)})
    return body


def test_a_fixed_parameter_is_refused_even_when_it_does_not_change(lab: Lab) -> None:
    answer = lab.request("PUT", "/storage/tank", {"pool": "tank/data", "sparse": "1"})
    assert answer.status == 500
    assert answer.reason == "update storage failed: can't change value of fixed parameter 'pool'"
    assert "sparse" not in lab.get("/storage/tank")


def test_a_storage_that_exists_is_not_created_again(lab: Lab) -> None:
    answer = lab.request("POST", "/storage", {"storage": "tank", "type": "zfspool", "pool": "tank"})
    assert answer.reason == "create storage failed: storage ID 'tank' already defined"


def test_nodes_can_be_lifted_and_the_storage_works_where_the_dataset_is(lab: Lab) -> None:
    assert lab.get("/nodes/pve2/storage/tank/status")["enabled"] == 0
    assert lab.request("PUT", "/storage/tank", {"delete": "nodes"}).status == 200
    active = {node: lab.get(f"/nodes/{node}/storage/tank/status")["active"] for node in ("pve1", "pve2", "old")}
    assert active == {"pve1": 1, "pve2": 1, "old": 0}


def test_a_dataset_that_is_created_makes_a_storage_work(lab: Lab) -> None:
    lab.request("PUT", "/storage/tank", {"delete": "nodes"})
    assert shell(lab, "old", "zfs", "create", "tank/data") == {"exit": 0, "output": ""}
    assert lab.get("/nodes/old/storage/tank/status")["active"] == 1
    assert {row["pool"] for row in lab.get("/nodes/old/scan/zfs")} == {"tank", "tank/data"}
    assert "already exists" in shell(lab, "old", "zfs", "create", "tank/data")["output"]
    assert "no such pool" in shell(lab, "old", "zfs", "create", "other/data")["output"]
    assert "parent does not exist" in shell(lab, "old", "zfs", "create", "tank/a/b")["output"]
    assert shell(lab, "old", "zfs", "create", "-p", "tank/a/b")["exit"] == 0


def test_zfs_lists_volumes_of_guests(lab: Lab) -> None:
    listed = shell(lab, "pve1", "zfs", "list", "-Hp", "-r", "-t", "volume", "-o", "name,volsize", "tank")["output"]
    assert listed == f"tank/data/vm-100-disk-0\t{8 * 2**30}\n"


def test_a_second_definition_of_a_dataset_shares_its_space(lab: Lab) -> None:
    made = lab.request("POST", "/storage", {"storage": "again", "type": "zfspool", "pool": "tank/data"})
    assert made.status == 200
    rows = {row["storage"]: row for row in lab.get("/nodes/pve1/storage")}
    assert rows["again"]["avail"] == rows["tank"]["avail"]
    assert lab.get("/storage/again")["mountpoint"] == "/tank/data"


def test_removing_a_definition_leaves_the_data(lab: Lab) -> None:
    assert lab.request("DELETE", "/storage/tank").status == 200
    lab.request("POST", "/storage", {"storage": "tank", "type": "zfspool", "pool": "tank/data"})
    assert [row["volid"] for row in lab.get("/nodes/pve1/storage/tank/content")] == ["tank:vm-100-disk-0"]


def test_an_older_node_loses_options_of_storages_that_it_does_not_know(lab: Lab) -> None:
    lab.request("PUT", "/storage/tank", {"sparse": "1"}, node="pve2")
    assert lab.get("/storage/vg")["snapshot-as-volume-chain"] == 1
    assert "snapshot-as-volume-chain" not in lab.get("/storage/vg", node="old")
    lab.request("PUT", "/storage/tank", {"sparse": "0"}, node="old")
    assert "snapshot-as-volume-chain" not in lab.get("/storage/vg")


def test_an_older_node_loses_keys_of_datacenter_cfg_that_it_does_not_know(lab: Lab) -> None:
    lab.request("PUT", "/cluster/options", {"max_workers": 5})
    assert {"replication", "crs", "keyboard"} <= set(lab.get("/cluster/options"))
    lab.request("PUT", "/cluster/options", {"max_workers": 6}, node="old")
    left = lab.get("/cluster/options")
    assert left["max_workers"] == "6"
    assert left["keyboard"] == "de"
    assert not {"replication", "crs"} & set(left)


def test_the_order_of_lists_varies(lab: Lab) -> None:
    lab.request("PUT", "/storage/tank", {"nodes": "pve1,pve2,old"})
    seen = set()
    for _attempt in range(12):
        seen.add(lab.get("/storage/tank")["nodes"])
        lab.advance(1)
    assert {frozenset(text.split(",")) for text in seen} == {frozenset({"pve1", "pve2", "old"})}
    assert len(seen) > 1
