# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A move, a drain and a cluster, judged as a whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Node
from ansible_collections.pve.mobility.plugins.module_utils.model.device import Device
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import Disk, DiskKind
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig
from ansible_collections.pve.mobility.plugins.module_utils.model.history import ObservedMove
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import Storage
from ansible_collections.pve.mobility.plugins.module_utils.model.thresholds import Thresholds
from ansible_collections.pve.mobility.plugins.module_utils.planning.ask import (
    ClusterAsk,
    DrainAsk,
    Impossible,
    MoveAsk,
    Options,
)
from ansible_collections.pve.mobility.plugins.module_utils.planning.preflight import judge

from .fixtures import Fixture

GIB = 2**30

NODES = tuple(Node(name, "online", maxmem=64 * GIB, maxcpu=16) for name in ("pve1", "pve2", "pve3"))
GUEST = Guest(104, "qemu", "pve1", "billing-db", "running", maxmem=8 * GIB)
TANK = Storage("tank", "zfspool", frozenset({"images", "rootdir"}), where="tank/data")


def config(guest: Guest, *disks: Disk, **more: object) -> GuestConfig:
    found = GuestConfig(guest.vmid, guest.type, guest.node, guest.name, memory=guest.maxmem, disks=disks)
    return replace(found, **more)  # type: ignore[arg-type]


def local_disk(vmid: int, size: int = 100 * GIB) -> Disk:
    return Disk("scsi0", DiskKind.DISK, f"tank:vm-{vmid}-disk-0", "tank", size, "raw")


def cluster(*guests: Guest, configs: tuple[GuestConfig, ...] = (), **more: object) -> ClusterState:
    made = ClusterState(
        parts=("nodes", "guests", "cluster", "guest_configs", "storages", "replication", "ha", "options"),
        quorate=True,
        nodes=NODES,
        guests=guests,
        guest_configs=configs,
        storages=(TANK,),
    )
    return replace(made, **more)  # type: ignore[arg-type]


def pinned_cluster(key: str) -> ClusterState:
    return cluster(GUEST, configs=(config(GUEST, devices=(Device(key, "hostpci", "0000:01:00.0"),)),))


def with_nodes(status: str) -> ClusterState:
    others = (replace(NODES[1], status=status), replace(NODES[2], maintenance=status != "online"))
    return cluster(GUEST, configs=(config(GUEST),), nodes=(NODES[0], *others))


FIXTURES = [
    Fixture(
        "pinned",
        lambda: judge(pinned_cluster("hostpci0"), ClusterAsk()),
        lambda: judge(cluster(GUEST, configs=(config(GUEST),)), ClusterAsk()),
    ),
    Fixture(
        "no-target",
        lambda: judge(with_nodes("offline"), DrainAsk("pve1")),
        lambda: judge(with_nodes("online"), DrainAsk("pve1")),
    ),
]


def test_a_move_that_nothing_hinders_is_ok() -> None:
    verdict = judge(cluster(GUEST, configs=(config(GUEST),)), MoveAsk("billing-db", "pve2"))
    assert verdict.ok
    assert verdict.title == "Moving 104 billing-db from pve1 to pve2"
    assert [item.target for item in verdict.proposals] == ["pve2"]


def test_a_guest_that_is_there_already_needs_no_judgement() -> None:
    verdict = judge(cluster(GUEST), MoveAsk(104, "pve1"))
    assert (verdict.ok, verdict.findings, verdict.title) == (True, (), "104 billing-db is on pve1 already")


def test_an_accepted_finding_does_not_block_and_is_still_told() -> None:
    state = pinned_cluster("hostpci0")
    refused = judge(state, MoveAsk(104, "pve2"))
    accepted = judge(state, MoveAsk(104, "pve2"), Options(accept=frozenset({"passthrough"})))
    assert not refused.ok
    assert accepted.ok
    assert [item.id for item in accepted.accepted] == ["passthrough"]


def test_the_estimate_counts_memory_and_local_disks_but_not_what_the_replica_has() -> None:
    configs = (config(GUEST, local_disk(104)),)
    job = ReplicationJob("104-0", 104, "pve1", "pve2", last_sync=1_795_000_000)
    state = cluster(GUEST, configs=configs, replication_jobs=(job,))
    to_replica = judge(state, MoveAsk(104, "pve2")).estimate
    elsewhere = judge(replace(state, replication_jobs=()), MoveAsk(104, "pve3")).estimate
    assert (to_replica.bytes, to_replica.full_copy) == (8 * GIB, False)
    assert (elsewhere.bytes, elsewhere.full_copy) == (108 * GIB, True)


def test_time_is_told_from_observed_rates() -> None:
    seen = ObservedMove("UPID:a", 104, "qmigrate", "pve1", "pve2", 0, 10, 10 * GIB, 80)
    state = cluster(GUEST, configs=(config(GUEST),), history=(seen,))
    estimate = judge(state, MoveAsk(104, "pve2")).estimate
    assert (estimate.seconds, estimate.downtime_ms, estimate.observed) == (14.0, 80.0, True)


def test_time_without_observations_rests_on_the_link() -> None:
    state = cluster(GUEST, configs=(config(GUEST),))
    options = Options(thresholds=Thresholds(link_mbit=8 * 2**30 / 1e6))
    assert judge(state, MoveAsk(104, "pve2"), options).estimate.seconds == pytest.approx(8 + 6)


def test_a_drain_spreads_guests_and_prefers_replicas() -> None:
    guests = tuple(Guest(100 + n, "qemu", "pve1", f"vm{n}", "running", maxmem=8 * GIB) for n in range(4))
    configs = tuple(config(guest, local_disk(guest.vmid)) for guest in guests)
    job = ReplicationJob("100-0", 100, "pve1", "pve3", last_sync=1_795_000_000)
    verdict = judge(cluster(*guests, configs=configs, replication_jobs=(job,)), DrainAsk("pve1"))
    targets = {item.guest.vmid: item.target for item in verdict.proposals}
    assert targets[100] == "pve3"
    assert sorted(str(target) for target in targets.values()) == ["pve2", "pve2", "pve3", "pve3"]


def test_a_drain_says_who_stays_behind() -> None:
    verdict = judge(pinned_cluster("hostpci0"), DrainAsk("pve1"))
    assert not verdict.ok
    assert [(item.guest.vmid, item.target) for item in verdict.proposals] == [(104, None)]
    assert verdict.estimate.bytes == 0


def test_guests_that_are_held_by_the_same_thing_are_each_told() -> None:
    """Messages need not name the guest, so two guests may have the same one."""
    near = Storage("near", "dir", frozenset({"images"}), nodes=frozenset({"pve1"}), where="/near")
    guests = (GUEST, replace(GUEST, vmid=105, name="twin"))
    disk = Disk("scsi0", DiskKind.DISK, "near:a", "near", 8 * GIB, "raw")
    state = cluster(*guests, configs=tuple(config(guest, disk) for guest in guests), storages=(near,))
    verdict = judge(state, DrainAsk("pve1"))
    assert [(item.guest, item.id) for item in verdict.findings if item.severity.value == "block"] == [
        (104, "storage-not-on-target"),
        (105, "storage-not-on-target"),
    ]


def test_what_two_checks_say_of_one_guest_is_told_once() -> None:
    job = ReplicationJob("104-0", 104, "pve1", "pve2", last_sync=0)
    state = cluster(GUEST, configs=(config(GUEST, local_disk(104)),), replication_jobs=(job,))
    verdict = judge(state, MoveAsk(104, "pve2"))
    assert [item.id for item in verdict.findings].count("replica-never") == 1


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (MoveAsk(999, "pve2"), "There is no guest 999 in the snapshot"),
        (MoveAsk("nobody", "pve2"), "There is no guest named nobody"),
        (MoveAsk(104, "pve9"), "There is no node pve9 in the snapshot: its nodes are pve1, pve2, pve3."),
        (MoveAsk("twin", "pve2"), "2 guests are named twin (105, 106)"),
        (MoveAsk(104, "pve2", "restart"), "104 billing-db is a VM, and mode restart is for containers"),
        (DrainAsk("pve9"), "There is no node pve9"),
    ],
)
def test_a_question_that_makes_no_sense_is_answered_by_a_sentence(ask: MoveAsk | DrainAsk, sentence: str) -> None:
    twins = (Guest(105, "qemu", "pve1", "twin"), Guest(106, "qemu", "pve1", "twin"))
    with pytest.raises(Impossible) as refused:
        judge(cluster(GUEST, *twins), ask)
    assert sentence in str(refused.value)


def test_a_pinned_guest_is_told_what_holds_it_everywhere_before_what_holds_it_on_one_node() -> None:
    usb = Device("usb0", "usb", "1234:5678")
    disk = Disk("scsi0", DiskKind.DISK, "near:vm-104-disk-0", "near", 8 * GIB, "raw")
    near = Storage("near", "dir", frozenset({"images"}), nodes=frozenset({"pve1", "pve3"}), where="/near")
    state = cluster(GUEST, configs=(config(GUEST, disk, devices=(usb,)),), storages=(near,))
    (finding,) = (item for item in judge(state, ClusterAsk()).findings if item.id == "pinned")
    assert "usb0" in finding.message
    assert "near" not in finding.message
    assert finding.evidence["blocked_by"] == {"pve3": ["passthrough"], "pve2": ["passthrough", "storage-not-on-target"]}


def test_a_pinned_guest_is_told_each_reason_once() -> None:
    disk = Disk("scsi0", DiskKind.DISK, "near:vm-104-disk-0", "near", 8 * GIB, "raw")
    near = Storage("near", "dir", frozenset({"images"}), nodes=frozenset({"pve1", "pve3"}), where="/near")
    full = (NODES[0], NODES[1], replace(NODES[2], maxmem=4 * GIB))
    state = cluster(GUEST, configs=(config(GUEST, disk),), storages=(near,), nodes=full)
    (finding,) = (item for item in judge(state, ClusterAsk()).findings if item.id == "pinned")
    assert finding.evidence["blocked_by"] == {"pve2": ["storage-not-on-target"], "pve3": ["memory-too-big"]}
    assert "storage near is not meant for pve2; " in finding.message
