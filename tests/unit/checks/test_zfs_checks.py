# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What zfs_info tells of guests and their replicas."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import judge_scope
from ansible_collections.pve.mobility.plugins.module_utils.checks.scope import Scope
from ansible_collections.pve.mobility.plugins.module_utils.model.zfs_facts import ForeignSnapshot, ZfsFacts, zfs_facts

from .fixtures import Fixture, ids
from .made import VM, job, scope

DATASET = "tank/data/vm-104-disk-0"
DAILY = ForeignSnapshot(DATASET, "autosnap_2026-11-23_00:00:01_daily", "sanoid", vmid=104)
REPLICATED = {"replication_jobs": (job(),)}
ON_ZFS = {"scsi0": "tank:vm-104-disk-0,size=8G"}


def told(node: str, *snapshots: ForeignSnapshot, tools: tuple[str, ...] = (), health: str = "ONLINE",
         **state: Any) -> Scope:  # fmt: skip
    """What zfs_info says of one node."""
    known = scope(VM, ON_ZFS, **state)
    return replace(known, zfs={node: ZfsFacts({"tank": health}, frozenset({DATASET}), snapshots, tools)})


FIXTURES = [
    Fixture("zfs-foreign-snapshots", lambda: told("pve1", DAILY), lambda: told("pve1")),
    Fixture("zfs-foreign-snapshots", lambda: told("pve1", DAILY), lambda: told("pve2", DAILY)),
    Fixture(
        "zfs-replica-snapshots", lambda: told("pve2", DAILY, **REPLICATED), lambda: told("pve1", DAILY, **REPLICATED)
    ),
    Fixture(
        "zfs-hold",
        lambda: told("pve2", replace(DAILY, owner="replication", held=True), **REPLICATED),
        lambda: told("pve2", replace(DAILY, owner="replication"), **REPLICATED),
    ),
    Fixture(
        "zfs-leftover",
        lambda: told("pve1", ForeignSnapshot(DATASET, "__migration__", "migration", vmid=104)),
        lambda: told(
            "pve1",
            ForeignSnapshot(DATASET, "__migration__", "migration", vmid=104),
            guests=(replace(VM, lock="migrate"),),
        ),
    ),
    Fixture(
        "zfs-tools", lambda: told("pve2", tools=("sanoid",), **REPLICATED), lambda: told("pve2", tools=("sanoid",))
    ),
    Fixture("zfs-tools", lambda: told("pve1", tools=("zrepl",), **REPLICATED), lambda: told("pve1", **REPLICATED)),
    Fixture("zfs-pool-health", lambda: told("pve2", health="DEGRADED"), lambda: told("pve2")),
]


def test_snapshots_of_one_guest_are_counted_not_listed() -> None:
    many = [replace(DAILY, name=f"autosnap_2026-11-{day:02}_00:00:01_daily") for day in range(1, 21)]
    many.append(replace(DAILY, name="by-hand", owner="unknown"))
    (finding,) = (item for item in judge_scope(told("pve2", *many, **REPLICATED)) if item.guest == 104
                  and item.id.startswith("zfs"))  # fmt: skip
    assert finding.message == "the replica of 104 billing-db on pve2 has 21 snapshots of sanoid, unknown"


def test_snapshots_of_proxmox_ve_itself_are_not_foreign() -> None:
    own = [replace(DAILY, owner=owner) for owner in ("replication", "guest", "vzdump", "template", "cv4pve-autosnap")]
    assert not [found for found in ids(told("pve1", *own)) if found.startswith("zfs")]


def test_guests_that_the_work_does_not_concern_are_left_out() -> None:
    assert "zfs-foreign-snapshots" not in ids(replace(told("pve1", DAILY), only_guests=frozenset({999})))


def test_from_a_result_of_zfs_info() -> None:
    facts = zfs_facts(
        {
            "pools": [{"name": "tank", "health": "DEGRADED"}],
            "datasets": [{"name": DATASET, "vmid": 104}],
            "snapshots": [{"dataset": DATASET, "name": DAILY.name, "owner": "sanoid"}],
            "tools": [{"tool": "sanoid"}, {"tool": "sanoid"}],
        }
    )
    assert ids(replace(told("pve1"), zfs={"pve1": facts})) >= {"zfs-foreign-snapshots", "zfs-pool-health"}
    assert facts.tools == ("sanoid",)
