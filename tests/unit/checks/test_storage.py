# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Storages of a guest on its way: there, meant for the target, active, made for disks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import judge_move
from ansible_collections.pve.mobility.plugins.module_utils.model.ha_config import HaResource
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.precondition import (
    Hindrance,
    LocalDisk,
    Precondition,
)
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import SeenVolume, Storage, StorageStatus
from ansible_collections.pve.mobility.plugins.module_utils.model.unknown import Unknown

from .fixtures import Fixture, ids
from .made import CEPH, CT, CT_DISK, DISKS, LOCAL, NFS, NODES, STORAGES, TANK, VM, VM_DISK, managed, move, stopped

LOCAL_DISK = {"scsi0": "tank:vm-104-disk-0,size=32G"}
OTHER = Storage("other", "zfspool", DISKS, where="pool2")


def with_storages(*changed: Storage, **more: Any) -> MoveFacts:
    """The VM, among storages of which some are changed or new."""
    names = {item.id: item for item in (*STORAGES, *changed)}
    known = {"storages": tuple(names.values()), **more.pop("state", {})}
    return move(state=known, **more)


def inactive(name: str) -> dict[str, Any]:
    return {"storage_status": (StorageStatus(name, "pve2", True, False),)}


def recovered(node: str) -> MoveFacts:
    """A guest that the HA manager keeps stopped, and the node that has its disk."""
    known = {
        **managed(stopped(VM)),
        "ha_resources": (HaResource("vm:104", state="stopped"),),
        "volumes": (SeenVolume(node, "tank:vm-104-disk-0"),),
    }
    return move(stopped(VM), LOCAL_DISK, state=known)


FIXTURES = [
    Fixture("storage-missing", lambda: move(config={"scsi0": "gone:vm-104-disk-0"}), move),
    Fixture(
        "storage-missing",
        lambda: move(storage_map={"tank": "nowhere"}),
        lambda: with_storages(OTHER, storage_map={"tank": "other"}),
    ),
    Fixture("storage-not-on-target", lambda: with_storages(replace(CEPH, nodes=("pve1", "pve3"))), move),
    Fixture("storage-not-on-target", lambda: with_storages(replace(CEPH, disabled=True)), move),
    Fixture(
        "storage-not-on-target",
        lambda: with_storages(replace(TANK, nodes=("pve1",)), config=LOCAL_DISK),
        lambda: with_storages(replace(TANK, nodes=("pve1",)), OTHER, config=LOCAL_DISK, storage_map={"tank": "other"}),
    ),
    Fixture("storage-not-on-target", lambda: with_storages(replace(CEPH, nodes=("pve1",)), guest=CT), lambda: move(CT)),
    Fixture(
        "storage-not-on-target",
        lambda: with_storages(replace(OTHER, nodes=("pve1",)), config=LOCAL_DISK, storage_map={"": "other"}),
        lambda: with_storages(OTHER, config=LOCAL_DISK, storage_map={"": "other"}),
    ),
    Fixture(
        "storage-not-on-source",
        lambda: with_storages(replace(TANK, disabled=True), OTHER, config=LOCAL_DISK, storage_map={"tank": "other"}),
        lambda: with_storages(OTHER, config=LOCAL_DISK, storage_map={"tank": "other"}),
    ),
    Fixture("storage-inactive", lambda: move(state=inactive("ceph")), lambda: move(state=inactive("nfs"))),
    Fixture(
        "storage-inactive",
        lambda: move(stopped(VM), LOCAL_DISK, state=inactive("tank")),
        lambda: move(stopped(VM), LOCAL_DISK),
    ),
    Fixture("storage-content", lambda: with_storages(replace(CEPH, content=frozenset({"rootdir"}))), move),
    Fixture(
        "storage-content",
        lambda: with_storages(replace(CEPH, content=frozenset({"images"})), guest=CT),
        lambda: move(CT),
    ),
    Fixture(
        "storage-content",
        lambda: with_storages(replace(NFS, content=DISKS), config={**VM_DISK, "ide2": "nfs:iso/a.iso,media=cdrom"}),
        lambda: move(config={**VM_DISK, "ide2": "nfs:iso/a.iso,media=cdrom"}),
    ),
    Fixture(
        "storage-content",
        lambda: with_storages(replace(LOCAL, content=DISKS), config={**VM_DISK, "ide2": "local:iso/a.iso,media=cdrom"}),
        lambda: move(config={**VM_DISK, "ide2": "local:iso/a.iso,media=cdrom"}),
    ),
    Fixture(
        "local-disk",
        lambda: move(config=LOCAL_DISK, with_local_disks=False),
        lambda: move(stopped(VM), LOCAL_DISK, with_local_disks=False),
    ),
    Fixture("volume-missing", lambda: recovered("pve3"), lambda: recovered("pve1")),
    Fixture(
        "local-path",
        lambda: move(config={**VM_DISK, "scsi1": "/dev/sdx"}),
        lambda: move(config={**VM_DISK, "scsi1": "/dev/sdx,shared=1"}),
    ),
    Fixture(
        "local-path",
        lambda: move(CT, {**CT_DISK, "mp0": "/srv/data,mp=/data"}),
        lambda: move(CT, {**CT_DISK, "mp0": "/srv/data,mp=/data,shared=1"}),
    ),
]


def found(facts: MoveFacts, kind: str) -> list[str]:
    return [item.message for item in judge_move(facts) if item.id == kind]


def test_a_storage_is_told_of_once_though_proxmox_ve_says_it_too() -> None:
    facts = with_storages(replace(CEPH, disabled=True))
    assert found(facts, "storage-not-on-target") == ["storage ceph is disabled, also for pve2"]


def test_the_precondition_alone_is_enough() -> None:
    """As migrate knows it: no storages, no configuration."""
    before = Precondition(
        True,
        {"pve2": Hindrance(storages=("ceph", "tank"))},
        (LocalDisk("tank:vm-104-disk-0", 0, False, True, False, False, "scsi0"),),
    )
    facts = MoveFacts(VM, NODES[1], move().mode, before, storage_map={"tank": "other"}, state=ClusterState())
    assert found(facts, "storage-not-on-target") == ["storage ceph is disabled or not available on pve2"]


def test_shared_storage_is_not_mapped_and_has_to_be_there_itself() -> None:
    facts = with_storages(replace(CEPH, nodes=("pve1",)), OTHER, storage_map={"ceph": "other", "": "other"})
    assert found(facts, "storage-not-on-target") == ["storage ceph is not meant for pve2"]


def test_the_ha_manager_knows_no_mapping() -> None:
    facts = with_storages(
        replace(TANK, nodes=("pve1",)),
        OTHER,
        config=LOCAL_DISK,
        storage_map={"tank": "other"},
        state=managed(),
    )
    assert found(facts, "storage-not-on-target") == ["storage tank is not meant for pve2"]


@pytest.mark.parametrize(("guest", "severity"), [(VM, Severity.BLOCK), (stopped(VM), Severity.WARN)])
def test_shared_storage_that_is_not_active_only_stops_what_is_started(guest: Any, severity: Severity) -> None:
    facts = move(guest, state=inactive("ceph"))
    assert [item.severity for item in judge_move(facts) if item.id == "storage-inactive"] == [severity]


def test_a_token_that_may_not_see_storages_hears_nothing_of_missing_ones() -> None:
    facts = move(config={"scsi0": "gone:vm-104-disk-0"}, state={"parts": ("nodes", "guests", "guest_configs")})
    assert "storage-missing" not in ids(facts)


def test_a_message_names_all_disks_on_the_storage() -> None:
    two = {"scsi0": "ceph:vm-104-disk-0", "efidisk0": "ceph:vm-104-disk-1"}
    assert found(move(config=two, state=inactive("ceph")), "storage-inactive") == [
        "storage ceph is not active on pve2, and 104 billing-db has efidisk0, scsi0 there"
    ]


def test_who_may_not_see_volumes_hears_of_none_that_are_missing() -> None:
    hidden = Unknown("storages.volumes", "One sees all of them only with Datastore.Allocate.")
    facts = recovered("pve3")
    assert "volume-missing" not in ids(replace(facts, state=replace(facts.state, unknown=(hidden,))))
