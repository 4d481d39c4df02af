# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Room on the target for what would really be copied."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import judge_move
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import guest_config
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import Storage

from .fixtures import Fixture, ids
from .made import CEPH, DISKS, GIB, STORAGES, VM, job, move, status, stopped

THICK = Storage("vg", "lvm", DISKS, where="vg0")
THIN = Storage("thin", "lvmthin", DISKS, where="pve/data")
PLACES = (*STORAGES, THICK, THIN)
SECOND = Guest(105, "qemu", "pve1", "web", "stopped", maxmem=GIB)


def disk(storage: str, free: int, guest: Guest = VM, size: str = "32G", **more: Any) -> MoveFacts:
    """A VM with one disk, and some GiB free for it on the target."""
    known = {"storages": PLACES, "storage_status": (status(storage, "pve2", free * GIB, 100 * GIB),)}
    known |= more.pop("state", {})
    return move(guest, {"scsi0": f"{storage}:vm-104-disk-0,size={size}"}, state=known, **more)


def together(storage: str, free: int) -> MoveFacts:
    """Another VM of 20 GiB comes first."""
    line = f"{storage}:vm-{{}}-disk-0,size=20G"
    configs = tuple(guest_config(vmid, "qemu", "pve1", {"scsi0": line.format(vmid)}) for vmid in (104, 105))
    known = {"guests": (stopped(VM), SECOND), "guest_configs": configs}
    return disk(storage, free, stopped(VM), state=known, arriving=frozenset({105}))


FIXTURES = [
    Fixture("space", lambda: disk("vg", 20), lambda: disk("vg", 90)),
    Fixture("space", lambda: disk("vg", 20, stopped(VM)), lambda: disk("vg", 90, stopped(VM))),
    Fixture("space", lambda: disk("thin", 20), lambda: disk("thin", 20, stopped(VM))),
    Fixture("space", lambda: together("vg", 30), lambda: together("vg", 50)),
    Fixture("space-unsure", lambda: disk("tank", 20), lambda: disk("tank", 90)),
    Fixture(
        "space-unsure",
        lambda: disk("tank", 20),
        lambda: disk("tank", 20, state={"replication_jobs": (job(),)}),
    ),
    Fixture("space-unsure", lambda: disk("tank", 20), lambda: disk("tank", 20, storage_map={"tank": "ceph"})),
    Fixture(
        "space",
        lambda: disk("tank", 0, state={"replication_jobs": (job(),)}),
        lambda: disk("tank", 1, state={"replication_jobs": (job(),)}),
    ),
    Fixture("space-headroom", lambda: disk("tank", 36), lambda: disk("tank", 40)),
]


def test_shared_storage_may_be_as_full_as_it_likes() -> None:
    assert not ids(disk(CEPH.id, 1)) & {"space", "space-unsure", "space-headroom"}


def test_what_a_job_sends_stays_on_its_storage_whatever_the_mapping() -> None:
    """Also when the job has never run: then all of it is sent there."""
    for last_sync in (0, 1):
        known = {"replication_jobs": (job(last_sync=last_sync),)}
        (volume,) = disk("tank", 90, storage_map={"tank": "vg"}, state=known).volumes
        assert (volume.to, volume.replicated, volume.full_copy) == ("tank", True, 0 if last_sync else 32 * GIB)


def test_what_is_said() -> None:
    (finding,) = (item for item in judge_move(disk("vg", 20)) if item.id == "space")
    assert finding.message == "storage vg on pve2 has 20 GiB free, 32 GiB needed for scsi0 of 104 billing-db"
    assert finding.evidence == {"needed": 32 * GIB, "free": 20 * GIB, "keys": ["scsi0"]}


@pytest.mark.parametrize(("free", "severity"), [(10, Severity.BLOCK), (30, Severity.WARN)])
def test_thin_guests_on_their_way_together_only_warn(free: int, severity: Severity) -> None:
    found = [item for item in judge_move(together("tank", free)) if item.id == "space-unsure"]
    assert [item.severity for item in found] == [severity]


def test_a_mapping_to_shared_storage_needs_room_there() -> None:
    facts = disk("tank", 90, storage_map={"tank": "ceph"}, state={
        "storage_status": (status("ceph", "pve2", 10 * GIB), status("tank", "pve2"))})  # fmt: skip
    (finding,) = (item for item in judge_move(facts) if item.id == "space")
    assert finding.storage == "ceph"


def test_space_on_a_node_that_did_not_say_is_not_guessed() -> None:
    assert not ids(disk("vg", 20, state={"storage_status": ()})) & {"space", "space-unsure"}
