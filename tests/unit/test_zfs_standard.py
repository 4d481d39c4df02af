# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The standard of ZFS storages against literal clusters: what is found, repaired, and planned."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid
from ansible_collections.pve.mobility.plugins.module_utils.execution.zfs_standard import standards
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import Storage
from ansible_collections.pve.mobility.plugins.module_utils.planning.zfs_standard import (
    Audit,
    DiskOn,
    Standard,
    Stray,
    audit,
)
from ansible_collections.pve.mobility.plugins.module_utils.planning.zfs_storage import OnNode

GIB = 2**30
NAMES = ("pve1", "pve2", "pve3")


def on(node: str, enabled: bool = True, dataset: bool | None = True, **more: Any) -> OnNode:
    base: dict[str, Any] = {
        "health": "ONLINE",
        "avail": 100 * GIB,
        "pool_size": 200 * GIB,
        "pool_alloc": 50 * GIB,
        "active": enabled and bool(dataset),
    }
    return OnNode(node, enabled, dataset=dataset, **{**base, **more})


def row(**more: Any) -> dict[str, Any]:
    return {"storage": "tank", "type": "zfspool", "pool": "tank/vm", "content": "rootdir,images", **more}


def standard(found: dict[str, Any] | None, *nodes: OnNode, **wanted: Any) -> Standard:
    (item,) = standards({"tank": {"pool": "tank/vm", **wanted}})
    return Standard(item, found, nodes or tuple(on(name) for name in NAMES))


def stray(name: str, pool: str, *nodes: str) -> Stray:
    states = tuple(on(node, node in nodes) for node in NAMES)
    return Stray(Storage(name, "zfspool", frozenset({"images"}), tuple(nodes), where=pool), states)


def ids(result: Audit) -> list[tuple[str, str, str | None]]:
    return [(item.id, item.severity.value, item.node) for item in result.findings]


def test_a_cluster_that_is_as_it_should_be() -> None:
    result = audit([standard(row())], [], [])
    assert result == Audit()
    assert result.ok


def test_drift_is_named_and_repaired_without_the_fixed() -> None:
    wrong = row(content="images", nodes="pve1,pve2", sparse=0)
    nodes = (on("pve1"), on("pve2"), on("pve3", enabled=False))
    result = audit([standard(wrong, *nodes, sparse=True)], [], [])
    assert [(item.evidence["key"], item.evidence["found"], item.evidence["wanted"]) for item in result.findings] == [
        ("content", "images", "images,rootdir"),
        ("nodes", "pve1,pve2", "all"),
        ("sparse", "0", "1"),
    ]
    assert result.repairs == (
        {"storage": "tank", "pool": "tank/vm", "content": ["images", "rootdir"], "sparse": True, "nodes": []},
    )


def test_a_storage_that_somebody_disabled_is_brought_back() -> None:
    nodes = [on(name, enabled=False) for name in NAMES]
    result = audit([standard(row(disable=1), *nodes)], [], [])
    assert [(item.id, item.message) for item in result.findings] == [("storage-drift", "tank is disabled, not in use")]
    assert result.repairs[0]["disable"] is False
    assert audit([standard(row(disable=1), *nodes, disable=True)], [], []).ok
    nodes[2] = on("pve3", enabled=False, dataset=False)
    assert audit([standard(row(disable=1), *nodes)], [], []).repairs == (), "pve3 would have it without the dataset"


def test_a_node_without_the_dataset_is_not_added_but_the_dataset_can_be_created() -> None:
    nodes = (on("pve1"), on("pve2", enabled=False), on("pve3", enabled=False, dataset=False))
    result = audit([standard(row(nodes="pve1"), *nodes)], [], [])
    assert ("dataset-missing", "block", "pve3") in ids(result)
    assert result.repairs[0]["nodes"] == ["pve1", "pve2"]
    assert result.create == ({"node": "pve3", "dataset": "tank/vm", "storage": "tank"},)
    assert [item.remedy for item in result.findings if item.id == "storage-drift"] == [
        "the role adds pve3 when the dataset is there"
    ]
    there = audit([standard(row(nodes="pve1,pve2"), *nodes)], [], [])
    assert there.repairs == (), "nothing is left that could be repaired now"


def test_a_node_without_the_pool_cannot_be_helped() -> None:
    nodes = (on("pve1"), on("pve2"), on("pve3", dataset=False, health=None, pool_size=0, active=False))
    result = audit([standard(row(), *nodes)], [], [])
    assert ids(result) == [("pool-missing", "block", "pve3")]
    assert (result.create, result.repairs) == ((), ())


def test_a_repair_never_takes_a_storage_from_a_node() -> None:
    """pve3 has the storage but nobody can tell of its dataset."""
    nodes = (on("pve1"), on("pve2"), on("pve3", dataset=None, why="it is offline"))
    result = audit([standard(row(content="images"), *nodes)], [], [])
    assert "nodes" not in result.repairs[0]
    limited = audit([standard(row(nodes="pve1,pve3"), *nodes)], [], [])
    assert limited.repairs[0]["nodes"] == ["pve1", "pve2", "pve3"]


def test_a_storage_that_is_not_there_is_defined_where_its_dataset_is() -> None:
    nodes = (on("pve1", False), on("pve2", False), on("pve3", False, dataset=False, health=None))
    result = audit([standard(None, *nodes)], [], [])
    assert [item.id for item in result.findings] == ["pool-missing", "storage-undefined"]
    assert result.repairs[0]["nodes"] == ["pve1", "pve2"]


def test_another_dataset_is_never_repaired() -> None:
    result = audit([standard(row(pool="tank/old"))], [], [])
    assert ids(result) == [("storage-wrong-pool", "block", None)]
    assert result.repairs == ()
    assert "define another ID on tank/vm" in result.findings[0].remedy


def test_health_and_space_of_pools() -> None:
    nodes = (on("pve1", health="DEGRADED"), on("pve2", pool_alloc=180 * GIB), on("pve3"))
    assert ids(audit([standard(row(), *nodes)], [], [])) == [
        ("pool-unhealthy", "block", "pve1"),
        ("pool-full", "warn", "pve2"),
    ]
    assert ids(audit([standard(row(), *nodes)], [], [], capacity=91))[-1][0] == "pool-unhealthy"


def test_two_names_for_one_dataset() -> None:
    result = audit([standard(row())], [stray("old", "tank/vm", "pve1", "pve2")], [])
    assert ids(result) == [("storage-twice", "warn", None)]
    assert result.findings[0].evidence["nodes"] == ["pve1", "pve2"]


def test_a_name_for_each_node() -> None:
    same = [stray("tank-pve1", "ssd/vm", "pve1"), stray("tank-pve2", "ssd/vm", "pve2")]
    assert ids(audit([standard(row())], same, [])) == [("storage-per-node", "warn", None)]
    different = [stray("ssd-pve1", "ssd1/vm", "pve1"), stray("ssd-pve2", "ssd2/vm", "pve2")]
    found = audit([standard(row())], different, []).findings
    assert [item.id for item in found] == ["storage-per-node"]
    assert found[0].evidence["stem"] == "ssd"
    assert audit([standard(row())], [stray("ssd-pve1", "ssd1/vm", "pve1"), stray("hdd", "hdd", "pve2")], []).ok


WEB = Guest(100, "qemu", "pve1", "web", "running")
DNS = Guest(200, "lxc", "pve2", "dns", "running")


def test_disks_on_other_storages_are_planned() -> None:
    disks = [
        DiskOn(DNS, "rootfs", "old", 8 * GIB, 2 * GIB, "rootdir"),
        DiskOn(WEB, "scsi0", "old", 32 * GIB, 10 * GIB, "images"),
    ]
    result = audit([standard(row())], [stray("old", "other/vm", "pve1", "pve2")], disks)
    assert [
        (move.guest, move.disk, move.from_storage, move.storage, move.bytes, move.stop) for move in result.moves
    ] == [
        (100, "scsi0", "old", "tank", 10 * GIB, False),
        (200, "rootfs", "old", "tank", 2 * GIB, True),
    ]
    assert ids(result) == [("disks-not-standard", "warn", None)]
    assert result.findings[0].evidence["bytes"] == 12 * GIB


def test_the_standard_storage_on_the_same_dataset_is_preferred() -> None:
    fast, tank = standards({"fast": {"pool": "tank/fast"}, "tank": {"pool": "tank/vm"}})
    everywhere = tuple(on(name) for name in NAMES)
    both = [Standard(fast, row(storage="fast", pool="tank/fast"), everywhere), Standard(tank, row(), everywhere)]
    disk = DiskOn(WEB, "scsi0", "old", GIB, GIB, "images")
    assert audit(both, [stray("old", "tank/vm", "pve1")], [disk]).moves[0].storage == "tank"
    assert audit(both, [stray("old", "tank/fast", "pve1")], [disk]).moves[0].storage == "fast"


def test_a_source_that_is_still_in_use_is_kept() -> None:
    drive = DiskOn(WEB, "ide2", "old", 4 * 2**20, 4 * 2**20, "images", keeps_source=True)
    (move,) = audit([standard(row())], [stray("old", "other", "pve1")], [drive]).moves
    assert move.delete is False


def test_the_plan_proves_that_all_of_it_fits() -> None:
    disks = [DiskOn(WEB, f"scsi{number}", "old", 60 * GIB, 60 * GIB, "images") for number in range(2)]
    result = audit([standard(row())], [stray("old", "other", "pve1")], disks)
    assert [move.disk for move in result.moves] == ["scsi0"]
    lack = next(item for item in result.findings if item.id == "disk-no-space")
    assert lack.evidence == {"missing": 20 * GIB}


@pytest.mark.parametrize(
    ("disk", "says"),
    [
        (DiskOn(WEB, "ide2", "old", 0, 0, "images", stays="it is a medium: eject it"), "it is a medium"),
        (DiskOn(Guest(101, "qemu", "pve9"), "scsi0", "old", GIB, GIB, "images"), "no standard storage works on pve9"),
    ],
)
def test_what_cannot_be_moved_is_said(disk: DiskOn, says: str) -> None:
    result = audit([standard(row())], [stray("old", "other", "pve1")], [disk])
    assert result.moves == ()
    assert [item.id for item in result.findings] == ["disk-not-standard"]
    assert says in result.findings[0].message


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "at least one storage"),
        ({"tank": "tank/vm"}, "give its options"),
        ({"tank": {}}, "say which dataset it is on"),
        ({"False": {"pool": "tank/off"}}, "put the ID in quotes"),
        ({"tank": {"pool": "tank/vm", "size": 1}}, "there is no option size"),
        ({"tank": {"pool": "/tank"}}, "without a leading slash"),
        ({"a1": {"pool": "tank"}, "b1": {"pool": "tank"}}, "a1 and b1 are both on tank: a dataset has one ID"),
    ],
)
def test_a_standard_that_makes_no_sense(given: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        standards(given)


def test_lists_may_be_written_with_commas() -> None:
    (item,) = standards({"tank": {"pool": "tank", "nodes": "pve2, pve1", "content": "images"}})
    assert (item.nodes, item.content) == (("pve1", "pve2"), ("images",))
