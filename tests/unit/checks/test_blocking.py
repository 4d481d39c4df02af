# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Snapshots and linked clones on local storage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import judge_move
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import guest_config
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.precondition import precondition
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import Storage

from .fixtures import Fixture, ids
from .made import CT, DISKS, STORAGES, VM, job, move, stopped

ON_ZFS = {"scsi0": "tank:vm-104-disk-0,size=32G", "parent": "before"}
TEMPLATE = Guest(9000, "qemu", "pve1", "golden", "stopped", template=True)


def on(kind: str, line: str, guest: Guest = VM, **more: Any) -> MoveFacts:
    """A guest with a snapshot and a volume on local storage of a type."""
    place = Storage("place", kind, DISKS, chained=bool(more.pop("chained", False)))
    key = "scsi0" if guest.type == "qemu" else "rootfs"
    return move(guest, {key: f"place:{line}", "parent": "before"}, state={"storages": (*STORAGES, place)}, **more)


def golden(storage: str) -> MoveFacts:
    configs = (
        guest_config(9000, "qemu", "pve1", {"scsi0": f"{storage}:base-9000-disk-0,size=8G", "template": 1}),
        guest_config(104, "qemu", "pve1", {"scsi0": f"{storage}:base-9000-disk-0/vm-104-disk-0,size=8G"}),
    )
    return move(TEMPLATE, state={"guests": (VM, TEMPLATE), "guest_configs": configs})


FIXTURES = [
    Fixture("snapshot-live", lambda: move(config=ON_ZFS), lambda: move(stopped(VM), ON_ZFS)),
    Fixture(
        "snapshot-live",
        lambda: move(config=ON_ZFS, target="pve3", state={"replication_jobs": (job("pve2"),)}),
        lambda: move(config=ON_ZFS, target="pve3", state={"replication_jobs": (job("pve3", last_sync=0),)}),
    ),
    Fixture(
        "snapshot-type",
        lambda: on("lvmthin", "vm-104-disk-0", stopped(VM)),
        lambda: move(stopped(VM), ON_ZFS),
    ),
    Fixture(
        "snapshot-type",
        lambda: on("dir", "104/vm-104-disk-0.qcow2", stopped(VM), chained=True),
        lambda: on("dir", "104/vm-104-disk-0.qcow2", stopped(VM)),
    ),
    Fixture(
        "snapshot-type",
        lambda: on("lvmthin", "vm-200-disk-0", CT),
        lambda: on("btrfs", "200/vm-200-disk-0.subvol", CT),
    ),
    Fixture(
        "linked-clone",
        lambda: move(config={"scsi0": "tank:base-9000-disk-0/vm-104-disk-0"}),
        lambda: move(config={"scsi0": "ceph:base-9000-disk-0/vm-104-disk-0"}),
    ),
    Fixture("has-clones", lambda: golden("tank"), lambda: golden("ceph")),
]


def test_migrate_knows_snapshots_from_the_precondition_alone() -> None:
    """Without a configuration and storages; a disk that no snapshot holds may be mirrored."""
    row = {"volid": "lvm:vm-104-disk-0", "is_attached": 1, "drivename": "scsi0"}
    known = {"running": 1, "local_disks": [{**row, "referenced_in_snapshot": {"before": 1}}]}
    facts = replace(move(), state=ClusterState(), precondition=precondition(known))
    (finding,) = (item for item in judge_move(facts) if item.id == "snapshot-live")
    assert finding.message == "104 billing-db runs and has snapshots of scsi0 on local storage of pve1"
    without = replace(facts, precondition=precondition({"running": 1, "local_disks": [row]}))
    assert "snapshot-live" not in ids(without)


@pytest.mark.parametrize("number", [1, 7])
def test_clones_of_a_template_are_named_but_not_all_of_many(number: int) -> None:
    configs = [guest_config(9000, "qemu", "pve1", {"scsi0": "tank:base-9000-disk-0", "template": 1})]
    configs += [
        guest_config(vmid, "qemu", "pve1", {"scsi0": f"tank:base-9000-disk-0/vm-{vmid}-disk-0"})
        for vmid in range(101, 101 + number)
    ]
    facts = move(TEMPLATE, state={"guests": (TEMPLATE,), "guest_configs": tuple(configs)})
    (finding,) = (item for item in judge_move(facts) if item.id == "has-clones")
    assert finding.evidence["clones"] == list(range(101, 101 + number))
    assert finding.message.endswith(
        "101 is a linked clone of it" if number == 1 else "101, 102, 103, 104, 105 and 2 more are linked clones of it"
    )
