# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A ZFS storage as it should be: what is sent, what is never sent, and what would do harm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import from_answer
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import Storage
from ansible_collections.pve.mobility.plugins.module_utils.model.zfs_storage import (
    BadStorage,
    Change,
    Fixed,
    block_bytes,
    plan,
    wanted,
)
from ansible_collections.pve.mobility.plugins.module_utils.planning.zfs_storage import OnNode, Used, judge, losing

ROW: Mapping[str, Any] = MappingProxyType(
    {
        "storage": "tank",
        "type": "zfspool",
        "pool": "tank/vm",
        "content": "rootdir,images",
        "nodes": "pve2,pve1",
        "sparse": 1,
        "blocksize": "16k",
        "bwlimit": "move=1000,migration=2000",
        "mountpoint": "/tank/vm",
        "digest": "abc",
    }
)


def change(row: Mapping[str, Any] | None = ROW, absent: bool = False, **options: Any) -> Change:
    return plan(row, wanted({"storage": "tank", **options}), absent)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pool": "tank/vm", "content": ["images", "rootdir"], "nodes": ["pve1", "pve2"], "sparse": True},
        {"blocksize": "16K"},
        {"blocksize": "16384"},
        {"bwlimit": {"move": 1000.0}},
        {"disable": False},
    ],
)
def test_what_is_so_already_is_not_sent(options: dict[str, Any]) -> None:
    found = change(**options)
    assert not found.changed
    assert (found.put, found.delete) == ({}, [])


def test_only_differences_are_sent_and_never_the_pool() -> None:
    found = change(pool="tank/vm", content=["images"], sparse=False, blocksize="8k", bwlimit={"move": 5, "clone": 7.5})
    assert found.put == {
        "content": "images",
        "sparse": "0",
        "blocksize": "8k",
        "bwlimit": "clone=7.5,migration=2000,move=5",
    }
    assert found.digest == "abc"


def test_an_empty_list_of_nodes_stands_for_all() -> None:
    found = change(nodes=[])
    assert (found.put, found.delete) == ({}, ["nodes"])
    assert not change({key: value for key, value in ROW.items() if key != "nodes"}, nodes=[]).changed


def test_a_new_storage() -> None:
    found = change(None, pool="tank/vm", sparse=True)
    assert found.creates
    assert found.after == {"pool": "tank/vm", "content": "images,rootdir", "sparse": "1"}
    assert found.lines(found.after) == "zfspool: tank\n\tpool tank/vm\n\tcontent images,rootdir\n\tsparse 1\n"
    assert found.lines(found.before) == ""


def test_what_is_fixed_is_not_changed_but_named() -> None:
    with pytest.raises(Fixed) as pool:
        change(pool="tank/other")
    assert (pool.value.key, pool.value.found, pool.value.wanted) == ("pool", "tank/vm", "tank/other")
    with pytest.raises(Fixed) as kind:
        change({**ROW, "type": "dir"})
    assert (kind.value.key, kind.value.found) == ("type", "dir")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"pool": "/tank/vm"}, "without a leading slash"),
        ({"pool": "tank vm"}, "is not a ZFS dataset"),
        ({"blocksize": "12k"}, "not a power of 2"),
        ({"blocksize": "32M"}, "not a power of 2"),
        ({"content": []}, "use disable"),
    ],
)
def test_nonsense_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(BadStorage, match=says):
        wanted({"storage": "tank", **options})


def test_a_new_storage_needs_its_dataset() -> None:
    with pytest.raises(BadStorage, match="say which dataset it is on"):
        change(None)


def test_block_sizes() -> None:
    assert [block_bytes(text) for text in ("8k", "8K", "8192", "1m", "12k", "x", None)] == [
        8192, 8192, 8192, 2**20, None, None, None,
    ]  # fmt: skip


# ---------------------------------------------------------------- harm

GUESTS = {
    100: Guest(100, "qemu", "pve2", "web", "running"),
    101: Guest(101, "lxc", "pve1", "dns", "stopped"),
    102: Guest(102, "qemu", "pve1", "db", "running"),
}
VOLUMES = [
    Used("pve2", "tank:vm-100-disk-0", "images", 100),
    Used("pve2", "tank:vm-102-disk-0", "images", 102),
    Used("pve1", "tank:subvol-101-disk-0", "rootdir", 101),
    Used("pve1", "tank:vm-102-disk-0", "images", 102),
]


def nodes(*without: str, pools: Iterable[str] = ()) -> list[OnNode]:
    return [
        OnNode(
            name,
            health="ONLINE" if name not in without or name in pools else None,
            dataset=name not in without,
            active=True,
        )
        for name in ("pve1", "pve2", "pve3")
    ]


def ids(found: Change, states: list[OnNode] | None = None, others: Iterable[Storage] = ()) -> list[Any]:
    findings = judge(found, states or nodes(), VOLUMES, GUESTS, others)
    return [(item.id, item.severity.value, item.node, item.guest) for item in findings]


def test_a_node_is_not_taken_away_from_its_guests() -> None:
    assert ids(change(nodes=["pve1"])) == [
        ("storage-in-use", "block", "pve2", 100),
        ("storage-holds-copies", "warn", "pve2", None),
    ]


def test_content_is_not_taken_away_from_guests() -> None:
    assert losing(change(content=["images"]), ["pve1", "pve2", "pve3"]) == {
        "pve1": frozenset({"rootdir"}),
        "pve2": frozenset({"rootdir"}),
    }
    assert ids(change(content=["images"])) == [("storage-in-use", "block", "pve1", 101)]


@pytest.mark.parametrize("found", [change(disable=True), change(absent=True)], ids=["disabled", "removed"])
def test_a_storage_in_use_stays(found: Change) -> None:
    assert {entry[3] for entry in ids(found) if entry[0] == "storage-in-use"} == {100, 101, 102}


def test_a_change_that_takes_nothing_away_blocks_nothing() -> None:
    assert ids(change(sparse=False)) == []


def test_another_mount_point_hides_containers() -> None:
    moved = change(mountpoint="/srv")
    assert losing(moved, ["pve1", "pve2"]) == {"pve1": frozenset({"rootdir"}), "pve2": frozenset({"rootdir"})}
    assert ids(moved) == [("storage-in-use", "block", "pve1", 101)]
    assert losing(change(mountpoint="/tank/vm"), ["pve1", "pve2"]) == {}, "that is where it is without the option"


def test_volumes_that_nobody_could_list_block() -> None:
    found = judge(change(nodes=["pve1"]), nodes(), (), GUESTS, (), {"pve2": "it is offline"})
    assert [(item.id, item.severity.value, item.node) for item in found] == [("storage-unproven", "block", "pve2")]


def test_a_node_needs_the_dataset_before_it_is_added() -> None:
    widened = change(nodes=[])
    assert ids(widened) == []
    assert ids(widened, nodes("pve3")) == [("dataset-missing", "block", "pve3", None)]
    no_pool = judge(widened, nodes("pve3"), (), {}, ())[0]
    assert "pve3 has no pool tank" in no_pool.message
    only_pool = judge(widened, nodes("pve3", pools=["pve3"]), (), {}, ())[0]
    assert "but not the dataset tank/vm" in only_pool.message
    assert "zfs create tank/vm" in only_pool.remedy


def test_what_nobody_can_tell_is_not_taken_for_good() -> None:
    states = [*nodes()[:2], OnNode("pve3", dataset=None, why="it is offline")]
    assert ids(change(nodes=[]), states) == [("dataset-unproven", "block", "pve3", None)]


def test_a_sick_pool_is_mentioned() -> None:
    states = [*nodes()[:2], OnNode("pve3", dataset=True, health="DEGRADED")]
    assert ids(change(nodes=[]), states) == [("pool-unhealthy", "warn", "pve3", None)]


def test_a_dataset_is_not_defined_twice() -> None:
    other = Storage("old", "zfspool", frozenset({"images"}), ("pve1",), where="tank/vm")
    assert ids(change(None, pool="tank/vm"), others=[other]) == [("storage-twice", "block", None, None)]
    elsewhere = change(None, pool="tank/vm", nodes=["pve3"])
    assert ids(elsewhere, others=[other]) == []


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("update storage failed: detected modified configuration - file changed by other user? Try again.", "conflict"),
        ("create storage failed: storage ID 'tank' already defined", "conflict"),
        (
            "could not activate storage 'x', zfs error: cannot import 'p': no such pool available",
            "not_found",
        ),
        ("create storage failed: cfs-lock 'file-storage_cfg' error: no quorum!", "no_quorum"),
    ],
)
def test_answers_to_writes(reason: str, kind: str) -> None:
    assert from_answer(500, reason, None, "PUT", "/storage/tank", "pve1:8006").kind == kind
