# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Replicas as targets of a move, and replication jobs as such."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import judge_move, judge_scope
from ansible_collections.pve.mobility.plugins.module_utils.checks.replication import spell
from ansible_collections.pve.mobility.plugins.module_utils.checks.scope import Scope
from ansible_collections.pve.mobility.plugins.module_utils.model.backup import BackupJob
from ansible_collections.pve.mobility.plugins.module_utils.model.ha_config import HaRule
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.options import ClusterOptions
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import Storage, StorageStatus
from ansible_collections.pve.mobility.plugins.module_utils.model.zfs_facts import ZfsFacts

from .fixtures import Fixture, ids
from .made import CT, DISKS, NOW, STORAGES, TANK, VM, job, managed, move, scope, stopped

ON_ZFS = {"scsi0": "tank:vm-104-disk-0,size=8G"}
THIN = Storage("thin", "lvmthin", DISKS)
HOUR = 3600


def to(target: str, *jobs: ReplicationJob, **more: Any) -> MoveFacts:
    known = {"replication_jobs": jobs, **more.pop("state", {})}
    return move(config=ON_ZFS, target=target, state=known, **more)


def with_jobs(*jobs: ReplicationJob, config: dict[str, Any] | None = None, **more: Any) -> Scope:
    return scope(VM, config or ON_ZFS, replication_jobs=jobs, **more)


def storage_in(place: Storage) -> dict[str, Any]:
    return {"storages": tuple({item.id: item for item in (*STORAGES, place)}.values())}


def rule(*nodes: str) -> HaRule:
    return HaRule("home", "node-affinity", ("vm:104",), True, dict.fromkeys(nodes, 1), True)


def pools(*names: str) -> Scope:
    return replace(with_jobs(job()), zfs={"pve2": ZfsFacts(dict.fromkeys(names, "ONLINE"))})


def with_disk(line: str) -> MoveFacts:
    """To a replica, with another disk."""
    known = {"replication_jobs": (job(),), **storage_in(THIN)}
    return move(config={**ON_ZFS, "scsi1": line}, state=known)


SAVED = {"backup_jobs": (BackupJob("all", everything=True),)}
FIXTURES = [
    Fixture("replica-missing", lambda: to("pve3", job()), lambda: to("pve2", job())),
    Fixture("replica-missing", lambda: to("pve3", job()), lambda: to("pve3", job(), guest=stopped(VM))),
    Fixture(
        "replica-missing",
        lambda: to("pve3", job(), state=managed()),
        lambda: to("pve2", job(), state=managed()),
    ),
    Fixture("replica-full-copy", lambda: to("pve3", job(), guest=stopped(VM)), lambda: to("pve3", guest=stopped(VM))),
    Fixture("replica-removal", lambda: to("pve2", job(removing="full")), lambda: to("pve2", job())),
    Fixture(
        "replica-failing",
        lambda: to("pve2", job(fail_count=3, error="out of space")),
        lambda: to("pve2", job()),
    ),
    Fixture("replica-failing", lambda: with_jobs(job("pve3", fail_count=1)), lambda: with_jobs(job("pve3"))),
    Fixture("replica-never", lambda: to("pve2", job(last_sync=0)), lambda: to("pve2", job())),
    Fixture("replica-stale", lambda: to("pve2", job(last_sync=NOW - 9 * HOUR)), lambda: to("pve2", job())),
    Fixture(
        "replica-stale",
        lambda: with_jobs(job(last_sync=NOW - 9 * HOUR, schedule="hourly")),
        lambda: with_jobs(job(last_sync=NOW - 9 * HOUR, schedule="daily")),
    ),
    Fixture("replica-disabled", lambda: with_jobs(job(disabled=True)), lambda: with_jobs(job())),
    Fixture("replica-duration", lambda: with_jobs(job(duration=1000.0)), lambda: with_jobs(job(duration=800.0))),
    Fixture(
        "replica-queue",
        lambda: with_jobs(job(duration=400.0), job("pve3", duration=400.0)),
        lambda: with_jobs(job(duration=400.0), job("pve3", duration=200.0)),
    ),
    Fixture("replica-schedule", lambda: with_jobs(job(schedule="*")), lambda: with_jobs(job(schedule="*/2"))),
    Fixture(
        "replica-no-rate",
        lambda: with_jobs(job(rate=None), options=ClusterOptions()),
        lambda: with_jobs(job(), options=ClusterOptions()),
    ),
    Fixture(
        "replica-no-rate",
        lambda: with_jobs(
            job(rate=None), options=ClusterOptions(migration_network="10.1.0.0/24", replication_network="10.1.0.0/24")
        ),
        lambda: with_jobs(
            job(rate=None), options=ClusterOptions(migration_network="10.1.0.0/24", replication_network="10.2.0.0/24")
        ),
    ),
    Fixture(
        "replica-storage",
        lambda: with_jobs(job(), **storage_in(replace(TANK, nodes=("pve1",)))),
        lambda: with_jobs(job(), **storage_in(replace(TANK, nodes=("pve1", "pve2")))),
    ),
    Fixture(
        "replica-pool",
        lambda: with_jobs(job(), storage_status=(StorageStatus("tank", "pve2", True, False),)),
        lambda: with_jobs(job("pve3"), storage_status=(StorageStatus("tank", "pve2", True, False),)),
    ),
    Fixture("replica-pool", lambda: pools("rpool"), lambda: pools("rpool", "tank")),
    Fixture(
        "replica-unsupported",
        lambda: with_jobs(job(), config={**ON_ZFS, "scsi1": "thin:vm-104-disk-1"}, **storage_in(THIN)),
        lambda: with_jobs(job(), config={**ON_ZFS, "scsi1": "thin:vm-104-disk-1,replicate=0"}, **storage_in(THIN)),
    ),
    Fixture(
        "replica-unsupported",
        lambda: with_jobs(job(), config={**ON_ZFS, "scsi1": "/dev/sdx,shared=1"}),
        lambda: with_jobs(job(), config={**ON_ZFS, "scsi1": "/dev/sdx,shared=1,replicate=0"}),
    ),
    Fixture("replica-impossible", lambda: with_disk("thin:vm-104-disk-1"), lambda: with_disk("tank:vm-104-disk-1")),
    Fixture(
        "replica-impossible",
        lambda: with_disk("/dev/sdx,shared=1"),
        lambda: with_disk("/dev/sdx,shared=1,replicate=0"),
    ),
    Fixture(
        "replica-unused",
        lambda: with_jobs(job(), **managed(VM, rule("pve1", "pve3"))),
        lambda: with_jobs(job(), **managed(VM, rule("pve1", "pve2"))),
    ),
    Fixture("no-backup", lambda: with_jobs(job()), lambda: with_jobs(job(), **SAVED)),
    Fixture(
        "no-backup",
        lambda: with_jobs(job(), backup_jobs=(BackupJob("off", False, everything=True),)),
        lambda: scope(VM, ON_ZFS),
    ),
]


def found(situation: MoveFacts | Scope, kind: str) -> list[str]:
    judged = judge_move(situation) if isinstance(situation, MoveFacts) else judge_scope(situation)
    return [item.message for item in judged if item.id == kind]


def test_the_only_job_is_being_removed_and_still_counts() -> None:
    """Proxmox VE looks at all jobs when it refuses a live move (pve-facts §1.2)."""
    assert found(to("pve3", job(removing="full")), "replica-missing") == [
        "104 billing-db is replicated by a job that is being removed, and pve3 holds no replica"
    ]


@pytest.mark.parametrize(("guest", "severity"), [(VM, Severity.BLOCK), (CT, Severity.WARN)])
def test_only_vms_are_refused_while_a_job_is_removed(guest: Any, severity: Severity) -> None:
    removed = replace(job(removing="full"), guest=guest.vmid)
    facts = move(guest, state={"replication_jobs": (removed,)})
    assert [item.severity for item in judge_move(facts) if item.id == "replica-removal"] == [severity]


def test_a_schedule_that_rests_at_night_is_not_stale_in_the_morning() -> None:
    evening = job(schedule="mon..fri 08..18:00", last_sync=NOW - 14 * HOUR)
    assert found(with_jobs(evening), "replica-stale") == []


def test_what_the_node_did_not_tell_is_not_judged() -> None:
    silent = ReplicationJob("104-0", 104, "pve1", "pve2", seen=False, rate=10.0)
    assert not ids(with_jobs(silent)) & {"replica-never", "replica-stale", "replica-failing"}


def test_a_move_and_the_cluster_say_the_same_of_a_job() -> None:
    old = job(last_sync=NOW - 9 * HOUR)
    said = found(to("pve2", old), "replica-stale")
    assert (
        said
        == found(with_jobs(old), "replica-stale")
        == ["the replica of 104 billing-db on pve2 is 9 h old, and schedule */15 asks for runs every 15 min at most"]
    )


def test_rates_are_told_once_for_all_jobs() -> None:
    many = tuple(replace(job(rate=None), id=f"104-{number}") for number in range(7))
    (message,) = found(with_jobs(*many, options=ClusterOptions()), "replica-no-rate")
    assert message == (
        "replication uses the network of the cluster itself, and 104-0, 104-1, 104-2, 104-3, 104-4 and 2 more have no"
        " rate limit"
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(59, "59 s"), (60, "1 min"), (90, "90 s"), (900, "15 min"), (5400, "90 min"),
                          (3600, "1 h"), (32400, "9 h"), (86400, "1 day"), (200_000, "2.3 days")]
)  # fmt: skip
def test_times_as_people_say_them(seconds: int, text: str) -> None:
    assert spell(seconds) == text
