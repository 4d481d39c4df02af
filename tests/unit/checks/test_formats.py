# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Volumes between storages of different types, thin disks, and mappings that do not count."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import judge_move
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import Storage

from .fixtures import Fixture, ids
from .made import CT, DISKS, STORAGES, TANK, VM, job, managed, move, status, stopped

KINDS = {
    "dir": Storage("dir", "dir", DISKS, where="/srv"),
    "chain": Storage("chain", "dir", DISKS, where="/chain", chained=True),
    "btrfs": Storage("btrfs", "btrfs", DISKS, where="/b"),
    "zfs": Storage("zfs", "zfspool", DISKS, where="pool2"),
    "sparse": Storage("sparse", "zfspool", DISKS, where="pool3", sparse=True),
    "thin": Storage("thin", "lvmthin", DISKS, where="pve/data"),
    "vg": Storage("vg", "lvm", DISKS, where="vg0"),
    "gluster": Storage("gluster", "other", DISKS),
}
NAMES = {"raw": "104/vm-104-disk-0.raw", "qcow2": "104/vm-104-disk-0.qcow2"}


def to(source: str, target: str, guest: Guest = VM, form: str = "raw", **more: Any) -> MoveFacts:
    """A guest with one volume, mapped from one storage to another."""
    files = source in ("dir", "chain", "btrfs")
    if guest.type == "qemu":
        config = {"scsi0": f"{source}:{NAMES[form] if files else 'vm-104-disk-0'},size=8G"}
    else:
        name = {"raw": "200/vm-200-disk-0.raw", "subvol": "200/subvol-200-disk-0.subvol"}[form]
        config = {"rootfs": f"{source}:{name if files else 'subvol-200-disk-0'},size=8G"}
    config |= more.pop("config", {})
    places = (*STORAGES, *KINDS.values())
    known = {"storages": places, "storage_status": tuple(status(item.id, "pve2") for item in places)}
    return move(guest, config, state={**known, **more.pop("state", {})}, storage_map={source: target}, **more)


OFF = stopped(VM)
FIXTURES = [
    Fixture("format-mismatch", lambda: to("zfs", "thin", OFF), lambda: to("zfs", "thin")),
    Fixture("format-mismatch", lambda: to("dir", "thin", OFF, "qcow2"), lambda: to("dir", "thin", OFF)),
    Fixture("format-mismatch", lambda: to("btrfs", "zfs", CT, "subvol"), lambda: to("btrfs", "dir", CT, "subvol")),
    Fixture(
        "format-mismatch",
        lambda: to("zfs", "dir", config={"tpmstate0": "zfs:vm-104-disk-1,size=4M"}),
        lambda: to("zfs", "sparse", config={"tpmstate0": "zfs:vm-104-disk-1,size=4M"}),
    ),
    Fixture("storage-type", lambda: to("gluster", "thin"), lambda: to("zfs", "thin")),
    Fixture("thin-lost", lambda: to("sparse", "vg"), lambda: to("zfs", "vg")),
    Fixture("thin-lost", lambda: to("thin", "zfs"), lambda: to("thin", "sparse")),
    Fixture("thin-lost", lambda: to("dir", "thin"), lambda: to("dir", "thin", OFF)),
    Fixture("mapping-ignored", lambda: to("tank", "zfs", state=managed()), lambda: to("tank", "zfs")),
    Fixture(
        "mapping-ignored",
        lambda: to("tank", "zfs", state={"replication_jobs": (job(),)}),
        lambda: to("tank", "zfs", state={"replication_jobs": (job("pve3"),)}),
    ),
    Fixture("mapping-ignored", lambda: to("ceph", "zfs"), lambda: move(storage_map={"": "tank"})),
]


@pytest.mark.parametrize(
    ("source", "target", "form", "fits"),
    [
        ("zfs", "sparse", "raw", True),
        ("dir", "vg", "raw", True),
        ("dir", "ceph", "raw", True),
        ("thin", "dir", "raw", True),
        ("thin", "zfs", "raw", False),
        ("dir", "nfs", "qcow2", True),
        ("dir", "btrfs", "qcow2", False),
        ("btrfs", "dir", "raw", True),
        ("btrfs", "dir", "qcow2", True),
        ("btrfs", "btrfs", "qcow2", True),
        ("btrfs", "thin", "qcow2", False),
    ],
)
def test_what_a_stopped_vm_can_be_copied_between(source: str, target: str, form: str, fits: bool) -> None:
    """The table of pve-facts §1.3."""
    assert ("format-mismatch" not in ids(to(source, target, OFF, form))) is fits


def test_a_replica_is_not_copied_again() -> None:
    assert TANK.type == "zfspool"
    assert "thin-lost" not in ids(move(config={"scsi0": "tank:vm-104-disk-0,size=8G"}))


def test_a_storage_that_is_ignored_is_told_once() -> None:
    facts = to("ceph", "zfs", config={"scsi1": "ceph:vm-104-disk-1,size=8G"})
    messages = [item.message for item in judge_move(facts) if item.id == "mapping-ignored"]
    assert messages == ["target_storage maps ceph of 104 billing-db to zfs, but ceph is shared, and is never mapped"]
