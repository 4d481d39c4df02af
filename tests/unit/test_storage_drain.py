# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each volume of a storage is, where it would go, and why it stays: from literal clusters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Node
from ansible_collections.pve.mobility.plugins.module_utils.model.disk_move import Place, StoredVolume
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import guest_config
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.planning.ask import Impossible
from ansible_collections.pve.mobility.plugins.module_utils.planning.storage_content import Inventory, classify
from ansible_collections.pve.mobility.plugins.module_utils.planning.storage_drain import (
    DrainOptions,
    DrainPlan,
    plan_drain,
)

GIB = 2**30
BOTH = frozenset({"images", "rootdir"})


def place(name: str, kind: str, avail: int, **more: Any) -> Place:
    return Place(name, kind, BOTH, total=1000 * GIB, avail=avail * GIB, formats=("raw",), **more)


OLD = place("old", "nfs", 500, shared=True)
CEPH = place("ceph", "rbd", 100, shared=True)
TANK = place("tank", "zfspool", 300)
NODES = (Node("pve1", "online"), Node("pve2", "online"))


def volume(volid: str, vmid: int | None, size: int = 8, content: str = "images") -> StoredVolume:
    return StoredVolume(volid, vmid, size * GIB, None, "raw", content)


def stage(
    *guests: tuple[int, dict[str, Any]],
    volumes: dict[str, list[StoredVolume]],
    places: tuple[Place, ...] = (OLD, CEPH, TANK),
    storage: str = "old",
    snapshots: dict[int, dict[str, dict[str, Any]]] | None = None,
    jobs: tuple[ReplicationJob, ...] = (),
    nodes: tuple[Node, ...] = NODES,
) -> tuple[ClusterState, Inventory]:
    known, configs = [], []
    for vmid, row in guests:
        kind, node = row.pop("type", "qemu"), row.pop("node", "pve1")
        status = row.pop("status", "stopped")
        known.append(Guest(vmid, kind, node, f"g{vmid}", status, template=bool(row.get("template"))))
        configs.append(guest_config(vmid, kind, node, row))
    state = ClusterState(
        parts=("nodes", "guests", "guest_configs", "storages", "replication"),
        nodes=nodes,
        guests=tuple(known),
        guest_configs=tuple(configs),
        replication_jobs=jobs,
    )
    held = {
        vmid: {name: guest_config(vmid, "qemu", "pve1", row) for name, row in rows.items()}
        for vmid, rows in (snapshots or {}).items()
    }
    shared = next(item.shared for item in places if item.id == storage)
    seen = {node.name: {item.id: item for item in places} for node in nodes if node.online}
    return state, Inventory(storage, shared, seen, {name: tuple(rows) for name, rows in volumes.items()}, held)


def plan(situation: tuple[ClusterState, Inventory], **options: Any) -> DrainPlan:
    return plan_drain(*situation, DrainOptions(**options))


def whats(situation: tuple[ClusterState, Inventory]) -> dict[str, str]:
    return {f"{found.volid} on {found.node}": found.what.value for found in classify(*situation)}


def test_each_volume_of_shared_storage_is_told_for_what_it_is() -> None:
    situation = stage(
        (100, {"scsi0": "old:100/a.raw,size=8G", "unused0": "old:100/b.raw", "ide2": "old:iso/x.iso,media=cdrom"}),
        (101, {"scsi0": "ceph:vm-101-disk-0,size=8G", "scsi1": "old:101/gone.raw"}),
        volumes={
            "pve1": [
                volume("old:100/a.raw", 100),
                volume("old:100/b.raw", 100),
                volume("old:100/c.raw", 100),
                volume("old:100/d.raw", 100),
                volume("old:9/a.raw", 9),
                volume("old:iso/x.iso", None, content="iso"),
                volume("old:backup/y.vma", 100, content="backup"),
            ]
        },
        snapshots={100: {"before": {"scsi0": "old:100/c.raw"}}},
    )
    assert whats(situation) == {
        "old:100/a.raw on pve1": "disk",
        "old:100/b.raw on pve1": "disk",
        "old:100/c.raw on pve1": "snapshot",
        "old:100/d.raw on pve1": "orphan",
        "old:9/a.raw on pve1": "stranger",
        "old:iso/x.iso on pve1": "file",
        "old:backup/y.vma on pve1": "file",
        "old:101/gone.raw on pve1": "missing",
    }
    found = plan(situation)
    assert [(move.guest.vmid, move.disks, move.target) for move in found.moves] == [(100, ("scsi0", "unused0"), "ceph")]
    assert [item.holders for item in found.files if item.volid == "old:iso/x.iso"] == [("100 g100",)]
    assert not found.empty


def test_a_replica_is_no_orphan() -> None:
    job = ReplicationJob("100-0", 100, "pve1", "pve2")
    row = [volume("tank:vm-100-disk-0", 100)]
    guest = {"scsi0": "tank:vm-100-disk-0,size=8G"}
    local = {"storage": "tank", "volumes": {"pve1": row, "pve2": row}}
    assert whats(stage((100, dict(guest)), jobs=(job,), **local)) == {
        "tank:vm-100-disk-0 on pve1": "disk",
        "tank:vm-100-disk-0 on pve2": "replica",
    }
    # Without a job to that node the same volume is what a failed move has left.
    assert whats(stage((100, dict(guest)), **local))["tank:vm-100-disk-0 on pve2"] == "orphan"


def test_what_is_shared_stays_shared_unless_there_is_no_room() -> None:
    guest = {"scsi0": "old:100/a.raw,size=80G", "scsi1": "old:100/b.raw,size=40G"}
    volumes = {"pve1": [volume("old:100/a.raw", 100, 80), volume("old:100/b.raw", 100, 40)]}
    # 120 GiB do not fit on Ceph's 100, of which 50 stay free: together they go to ZFS.
    assert [move.target for move in plan(stage((100, dict(guest)), volumes=volumes)).moves] == ["tank"]
    small = replace(TANK, avail=135 * GIB)
    situation = stage((100, dict(guest)), volumes=volumes, places=(OLD, CEPH, small))
    apart = [(move.disks, move.target) for move in plan(situation).moves]
    # 85 GiB of ZFS are for the big one alone; the small one fits on Ceph.
    assert apart == [(("scsi0",), "tank"), (("scsi1",), "ceph")]


def test_room_is_counted_down() -> None:
    guests = [(vmid, {"scsi0": f"old:{vmid}/a.raw,size=30G"}) for vmid in (100, 101)]
    volumes = {"pve1": [volume(f"old:{vmid}/a.raw", vmid, 30) for vmid in (100, 101)]}
    found = plan(stage(*guests, volumes=volumes, places=(OLD, CEPH)), reserve=5)
    assert [move.guest.vmid for move in found.moves] == [100]
    (stays,) = found.stays
    assert (
        stays.why == "scsi0 of 101 g101 fits nowhere: ceph: 30.0 GiB needed, 20.0 GiB free beside what comes before it"
    )
    assert len(plan(stage(*guests, volumes=volumes, places=(OLD, CEPH)), reserve=0).moves) == 2


def test_the_targets_given_are_taken_in_their_order() -> None:
    situation = stage((100, {"scsi0": "old:100/a.raw,size=8G"}), volumes={"pve1": [volume("old:100/a.raw", 100)]})
    assert plan(situation, targets=("tank", "ceph")).moves[0].target == "tank"
    with pytest.raises(Impossible, match="cannot be a target"):
        plan(situation, targets=("old",))
    with pytest.raises(Impossible, match="there are: ceph, tank"):
        plan(situation, targets=("nope",))


def test_a_replicated_disk_finds_no_place_beside_zfs_unless_it_is_accepted() -> None:
    situation = stage(
        (100, {"scsi0": "tank:vm-100-disk-0,size=8G"}),
        storage="tank",
        volumes={"pve1": [volume("tank:vm-100-disk-0", 100)]},
        jobs=(ReplicationJob("100-0", 100, "pve1", "pve2"),),
    )
    (stays,) = plan(situation).stays
    assert "disk-leaves-replication" in stays.why
    assert plan(situation, accept=frozenset({"disk-leaves-replication"})).moves[0].target in ("ceph", "old")


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"tpmstate0": "old:100/a.raw,size=4M", "status": "running"}, "TPM state of a VM that runs"),
        ({"ide2": "old:100/a.raw,media=cdrom"}, "is a CD drive"),
        ({"type": "lxc", "rootfs": "old:100/a.raw,size=8G", "status": "running"}, "container that runs"),
        ({"type": "lxc", "unused0": "old:100/a.raw"}, "not part of the container"),
        ({"vmstate": "old:100/a.raw"}, "memory of a VM that hibernates"),
    ],
)
def test_what_cannot_move_says_why(row: dict[str, Any], why: str) -> None:
    found = plan(stage((100, row), volumes={"pve1": [volume("old:100/a.raw", 100)]}))
    assert [why in item.why for item in found.stays] == [True]
    assert found.moves == ()


def test_a_disk_that_snapshots_hold_names_them() -> None:
    situation = stage(
        (100, {"scsi0": "old:100/a.raw,size=8G"}),
        volumes={"pve1": [volume("old:100/a.raw", 100)]},
        snapshots={100: {"monday": {"scsi0": "old:100/a.raw"}, "sunday": {"scsi0": "old:100/a.raw"}}},
    )
    (stays,) = plan(situation).stays
    assert stays.remedy == "delete these snapshots: monday, sunday"


def test_a_container_that_may_be_stopped_moves() -> None:
    row = {"type": "lxc", "rootfs": "old:100/a.raw,size=8G", "status": "running"}
    (move,) = plan(stage((100, row), volumes={"pve1": [volume("old:100/a.raw", 100)]}), allow_stop=True).moves
    assert move.stop


def test_clones_go_before_their_template_and_without_them_it_stays() -> None:
    base, clone = "tank:base-100-disk-0", "tank:base-100-disk-0/vm-101-disk-0"
    volumes = {"pve1": [volume(base, 100, 8), volume(clone, 101, 8)]}
    both = stage(
        (100, {"template": 1, "scsi0": f"{base},size=8G"}),
        (101, {"scsi0": f"{clone},size=8G"}),
        storage="tank",
        volumes=volumes,
    )
    assert [move.guest.vmid for move in plan(both).moves] == [101, 100]
    held = stage(
        (100, {"template": 1, "scsi0": f"{base},size=8G"}),
        (101, {"scsi0": f"{clone},size=8G"}),
        storage="tank",
        volumes=volumes,
        snapshots={101: {"before": {"scsi0": clone}}},
    )
    assert plan(held).moves == ()
    assert {item.found.volid: item.why for item in plan(held).stays}[base] == (
        f"scsi0 of 100 g100 is the base of linked clones that stay ({clone})"
    )


def test_the_biggest_begin() -> None:
    guests = [(100 + number, {"scsi0": f"old:{100 + number}/a.raw,size=8G"}) for number in range(3)]
    volumes = {"pve1": [volume(f"old:{100 + n}/a.raw", 100 + n, size) for n, size in enumerate((4, 16, 8))]}
    assert [move.guest.vmid for move in plan(stage(*guests, volumes=volumes)).moves] == [101, 102, 100]


def test_guests_of_a_node_that_is_off_stay() -> None:
    situation = stage(
        (100, {"node": "pve2", "scsi0": "old:100/a.raw,size=8G"}),
        volumes={"pve1": [volume("old:100/a.raw", 100)]},
        nodes=(NODES[0], Node("pve2", "offline")),
    )
    (stays,) = plan(situation).stays
    assert "is on pve2, which is offline" in stays.why


def test_what_is_left_out_by_its_node_still_keeps_the_storage_from_being_empty() -> None:
    situation = stage(
        (100, {"scsi0": "old:100/a.raw,size=8G"}),
        (101, {"scsi0": "old:101/a.raw,size=8G", "node": "pve2"}),
        volumes={"pve1": [volume("old:100/a.raw", 100), volume("old:101/a.raw", 101)]},
    )
    found = plan(situation, only_nodes=frozenset({"pve1"}))
    assert [move.guest.vmid for move in found.moves] == [100]
    assert [item.why for item in found.stays] == ["scsi0 of 101 g101 is on pve2, and only disks on pve1 are to move"]
    moved = stage(
        (101, {"scsi0": "old:101/a.raw,size=8G", "node": "pve2"}), volumes={"pve1": [volume("old:101/a.raw", 101)]}
    )
    assert not plan(moved, only_nodes=frozenset({"pve1"})).empty


def test_an_empty_storage() -> None:
    assert plan(stage(volumes={"pve1": [volume("old:iso/x.iso", None, content="iso")]})).empty
