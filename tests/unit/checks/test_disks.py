# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is found about disks on their way: each kind in a situation that has it, and in the same one mended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.checks import disks
from ansible_collections.pve.mobility.plugins.module_utils.checks.disks import judge_disks
from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Kind
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import ct_disk, vm_disk
from ansible_collections.pve.mobility.plugins.module_utils.model.disk_move import (
    DiskMove,
    Place,
    StoredVolume,
    places,
    stored_volume,
)
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob

GIB = 2**30
VM = Guest(104, "qemu", "pve1", "billing-db")
CT = Guest(200, "lxc", "pve1", "dns")
BOTH = frozenset({"images", "rootdir"})
CEPH = Place("ceph", "rbd", BOTH, True, total=100 * GIB, avail=50 * GIB, formats=("raw",))
TANK = Place("tank", "zfspool", BOTH, total=100 * GIB, avail=50 * GIB, formats=("raw", "subvol"))
NFS = Place("nfs", "nfs", BOTH, True, total=100 * GIB, avail=50 * GIB, formats=("qcow2", "raw", "vmdk"))
VG = Place("vg", "lvm", BOTH, total=100 * GIB, avail=50 * GIB, formats=("raw",), thin=False)
JOB = ReplicationJob("104-0", 104, "pve1", "pve2")


def move(line: str = "scsi0: nfs:104/vm-104-disk-0.raw,size=32G", target: Place = CEPH, **more: Any) -> DiskMove:
    key, _colon, value = line.partition(": ")
    disk = vm_disk(key, value)
    sources = {place.id: place for place in (CEPH, TANK, NFS, VG)}
    return DiskMove(VM, disk, target, "raw", source=sources.get(str(disk.storage)), **more)


STORED = StoredVolume("nfs:104/vm-104-disk-0.raw", 104, 32 * GIB, 3 * GIB)
FULL = replace(CEPH, avail=12 * GIB)
KRBD = replace(CEPH, krbd=True)
TPM = "tpmstate0: tank:vm-104-disk-1,size=4M,version=v2.0"
CLOUDINIT = "ide2: nfs:104/vm-104-cloudinit.qcow2,media=cdrom"
CASES: dict[str, tuple[str, DiskMove, DiskMove]] = {
    "disabled": ("disk-target", move(target=replace(CEPH, enabled=False)), move()),
    "inactive": ("disk-target", move(target=replace(CEPH, active=False)), move()),
    "for containers only": ("disk-target", move(target=replace(CEPH, content=frozenset({"rootdir"}))), move()),
    "too full": (
        "disk-space",
        move(target=replace(FULL, avail=2 * GIB), volume=STORED),
        move(target=FULL, volume=STORED),
    ),
    "allocates everything": ("disk-space", move(target=replace(VG, avail=12 * GIB), volume=STORED), move(target=VG)),
    "perhaps too full": (
        "disk-space-unsure",
        move(target=FULL, volume=replace(STORED, used=None)),
        move(target=FULL, volume=STORED),
    ),
    "a linked clone becomes whole": (
        "disk-space-unsure",
        move("scsi0: tank:base-9-disk-0/vm-104-disk-0,size=32G", FULL, volume=STORED),
        move("scsi0: tank:vm-104-disk-0,size=32G", FULL, volume=STORED),
    ),
    "snapshots": ("disk-snapshots", move(delete=True, snapshots=("before",)), move(snapshots=("before",))),
    "snapshots stay": ("disk-snapshots-stay", move(snapshots=("before",)), move()),
    "to shared storage": (
        "disk-leaves-replication",
        move("scsi0: tank:vm-104-disk-0,size=32G", jobs=(JOB,)),
        move("scsi0: tank:vm-104-disk-0,size=32G,replicate=0", jobs=(JOB,)),
    ),
    "to local storage": (
        "disk-leaves-replication",
        move("scsi0: tank:vm-104-disk-0,size=32G", VG, jobs=(JOB,)),
        move("scsi0: tank:vm-104-disk-0,size=32G", VG, jobs=(replace(JOB, removing="full"),)),
    ),
    "to ZFS that a replica's node has not": (
        "disk-leaves-replication",
        move("scsi0: tank:vm-104-disk-0,size=32G", replace(TANK, id="tank2", nodes=("pve1",)), jobs=(JOB,)),
        move("scsi0: tank:vm-104-disk-0,size=32G", replace(TANK, id="tank2", nodes=("pve1", "pve2")), jobs=(JOB,)),
    ),
    "TPM state of a running VM": ("disk-tpm-running", move(TPM, running=True), move(TPM)),
    "io_uring to LVM": (
        "disk-io-uring",
        move(target=VG, running=True, machine="pc-i440fx-9.2+pve1"),
        move(target=VG, running=True, machine="pc-i440fx-10.0+pve0"),
    ),
    "io_uring set": (
        "disk-io-uring",
        move("scsi0: nfs:104/vm-104-disk-0.raw,aio=io_uring", VG, running=True, machine="pc-q35-10.1"),
        move("scsi0: nfs:104/vm-104-disk-0.raw,aio=native", VG, running=True, machine="pc-q35-9.0"),
    ),
    "io_uring to krbd with a cache": (
        "disk-io-uring",
        move("scsi0: nfs:104/vm-104-disk-0.raw,cache=writeback", KRBD, running=True),
        move("scsi0: nfs:104/vm-104-disk-0.raw", KRBD, running=True),
    ),
    "cloud-init in use": (
        "disk-cloudinit-running",
        move(CLOUDINIT, running=True, delete=True),
        move(CLOUDINIT, running=True),
    ),
    "cloud-init is made anew": ("disk-cloudinit", move(CLOUDINIT), move()),
    "a template with clones": (
        "disk-has-clones",
        move("scsi0: tank:base-104-disk-0", delete=True, clones=("tank:base-104-disk-0/vm-1-disk-0",)),
        move("scsi0: tank:base-104-disk-0", clones=("tank:base-104-disk-0/vm-1-disk-0",)),
    ),
    "a linked clone": ("disk-unlinked", move("scsi0: tank:base-9-disk-0/vm-104-disk-0"), move()),
}


@pytest.mark.parametrize("case", CASES)
def test_found_and_mended(case: str) -> None:
    kind, fails, passes = CASES[case]
    assert kind in {finding.id for finding in judge_disks([fails])}
    assert kind not in {finding.id for finding in judge_disks([passes])}


def test_every_kind_has_a_case() -> None:
    kinds = {value.id for value in vars(disks).values() if isinstance(value, Kind)}
    assert kinds == {kind for kind, _fails, _passes in CASES.values()}


def test_a_stopped_vm_is_no_matter_to_io_uring() -> None:
    assert list(judge_disks([move(target=VG)])) == []


def test_space_counts_all_disks_of_one_run() -> None:
    line = "scsi{}: nfs:104/vm-104-disk-{}.raw,size=32G"
    both = [move(line.format(number, number), FULL, volume=replace(STORED, used=8 * GIB)) for number in (0, 1)]
    assert list(judge_disks(both[:1])) == []
    (finding,) = judge_disks(both)
    assert finding.message == "storage ceph has 12 GiB free, 16 GiB needed for scsi0, scsi1 of 104 billing-db"
    assert finding.evidence == {"needed": 16 * GIB, "free": 12 * GIB}


def test_a_subvolume_takes_what_it_uses_even_where_volumes_are_thick() -> None:
    thick = replace(TANK, thin=False, avail=4 * GIB)
    volume = StoredVolume("nfs:200/vm-200-disk-0.raw", 200, 8 * GIB, 2 * GIB)
    disk = ct_disk("rootfs", "nfs:200/vm-200-disk-0.raw,size=8G")
    assert list(judge_disks([DiskMove(CT, disk, thick, "", source=NFS, volume=volume)])) == []
    as_vm = DiskMove(VM, vm_disk("scsi0", "nfs:200/vm-200-disk-0.raw,size=8G"), thick, "raw", volume=volume)
    assert [finding.id for finding in judge_disks([as_vm])] == ["disk-space"]


# ---------------------------------------------------------------- what storages say of themselves


def test_formats_as_releases_say_them() -> None:
    new = {"storage": "a", "type": "dir", "active": 1, "formats": {"supported": ["qcow2", "raw"], "default": "qcow2"}}
    old = {"storage": "b", "type": "dir", "active": 1, "format": [{"raw": 1, "qcow2": 1, "subvol": 0}, "raw"]}
    none = {"storage": "c", "type": "rbd", "active": 1}
    found = places([new, old, none], [])
    assert (found["a"].formats, found["a"].default) == (("qcow2", "raw"), "qcow2")
    assert (found["b"].formats, found["b"].default) == (("qcow2", "raw"), "raw")
    assert [found["c"].holds(form) for form in ("raw", "qcow2")] == [True, False]


def test_the_format_that_a_disk_will_have() -> None:
    # As recorded: without a format qcow2 stays qcow2 on a directory and becomes raw on ZFS.
    assert NFS.becomes("qcow2", None) == "qcow2"
    assert TANK.becomes("qcow2", None) == "raw"
    assert NFS.becomes("raw", "qcow2") == "qcow2"


@pytest.mark.parametrize(
    ("kind", "definition", "thin"),
    [
        ("zfspool", {"sparse": 1}, True),
        ("zfspool", {}, False),
        ("lvmthin", {}, True),
        ("lvm", {}, False),
        ("rbd", {}, True),
        ("dir", {}, True),
        ("nfs", {"preallocation": "metadata"}, True),
        ("nfs", {"preallocation": "full"}, False),
    ],
)
def test_what_allocates_as_needed(kind: str, definition: dict[str, Any], thin: bool) -> None:
    status = [{"storage": "x", "type": kind, "active": 1}]
    assert places(status, [{"storage": "x", "type": kind, **definition}])["x"].thin is thin


def test_a_volume_whose_size_is_only_about_right() -> None:
    assert stored_volume({"volid": "x:vm-1-disk-0", "approximate-size": 7, "format": "raw"}).size == 7
