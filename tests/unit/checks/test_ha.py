# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the HA manager would do with a move, and with a guest whose node fails."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import judge_move
from ansible_collections.pve.mobility.plugins.module_utils.checks.scope import Scope
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.foresee import foresee
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import guest_config
from ansible_collections.pve.mobility.plugins.module_utils.model.ha import Service
from ansible_collections.pve.mobility.plugins.module_utils.model.ha_config import HaResource, HaRule, allowed_nodes
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts

from .fixtures import Fixture, ids
from .made import CEPH, STORAGES, VM, VM_DISK, job, managed, move, scope, stopped

SECOND = Guest(105, "qemu", "pve1", "web", "running")
LOCAL = {"scsi0": "tank:vm-104-disk-0,size=8G"}


def in_state(state: str, **more: Any) -> MoveFacts:
    return move(state=managed(service=Service("vm:104", state, "pve1", **more)))


def home(*nodes: str, strict: bool = True, positive: bool = True, **more: Any) -> HaRule:
    priorities = {name: (2 if number == 0 else 1) for number, name in enumerate(nodes)}
    return HaRule("home", "node-affinity", ("vm:104",), positive, priorities, strict, **more)


def ruled(rule: HaRule, guest: Guest = VM, **more: Any) -> MoveFacts:
    return move(guest, state=managed(guest, rule, **more))


def disarmed(mode: str | None) -> MoveFacts:
    facts = move(state=managed())
    return replace(facts, ha=replace(facts.ha, disarm_mode=mode))  # type: ignore[type-var]


def without_quorum(quorate: bool) -> MoveFacts:
    facts = move(state=managed())
    return replace(facts, ha=replace(facts.ha, quorate=quorate))  # type: ignore[type-var]


def target_state(state: str) -> MoveFacts:
    facts = move(state=managed())
    return replace(facts, ha=replace(facts.ha, nodes={"pve1": "online", "pve2": state}))  # type: ignore[type-var]


def beside(node: str, positive: bool, disk: str = "ceph:vm-105-disk-0", **lines: str) -> MoveFacts:
    """A second VM on a node, with a rule about both."""
    configs = (guest_config(104, "qemu", "pve1", VM_DISK), guest_config(105, "qemu", node, {"scsi0": disk, **lines}))
    rule = HaRule("both", "resource-affinity", ("vm:104", "vm:105"), positive)
    return move(
        state={
            **managed(VM, rule),
            "guests": (VM, replace(SECOND, node=node)),
            "guest_configs": configs,
            "ha_resources": (HaResource("vm:104"), HaResource("vm:105")),
        }
    )


def wanted(state: str, guest: Guest = VM) -> MoveFacts:
    """The state that the resource shall have."""
    return move(guest, state={**managed(guest), "ha_resources": (HaResource("vm:104", state=state),)})


def recovered(config: dict[str, Any], *rules: HaRule, **more: Any) -> Scope:
    return scope(VM, config, **managed(VM, *rules), **more)


FIXTURES = [
    Fixture("ha-disarmed", lambda: disarmed("freeze"), lambda: disarmed(None)),
    Fixture("ha-error", lambda: in_state("error"), lambda: in_state("started")),
    Fixture("ha-recovering", lambda: in_state("recovery"), lambda: in_state("started")),
    Fixture("ha-no-quorum", lambda: without_quorum(False), lambda: without_quorum(True)),
    Fixture("ha-node-state", lambda: target_state("unknown"), lambda: target_state("online")),
    Fixture("ha-busy", lambda: in_state("migrate", target="pve3"), lambda: in_state("started")),
    Fixture("ha-busy", lambda: in_state("started", command=("migrate", "pve3")), lambda: in_state("started")),
    Fixture("ha-rule", lambda: beside("pve2", False), lambda: beside("pve3", False)),
    Fixture("ha-node-affinity", lambda: ruled(home("pve1", "pve3")), lambda: ruled(home("pve1", "pve2"))),
    Fixture(
        "ha-node-affinity",
        lambda: ruled(home("pve2", positive=False)),
        lambda: ruled(home("pve3", positive=False)),
    ),
    Fixture(
        "ha-preferred-node",
        lambda: ruled(home("pve1", "pve2", strict=False)),
        lambda: ruled(home("pve2", "pve1", strict=False)),
    ),
    Fixture(
        "ha-preferred-node",
        lambda: ruled(home("pve1", strict=False)),
        lambda: ruled(home("pve1", strict=False), ha_resources=(HaResource("vm:104", failback=False),)),
    ),
    Fixture("ha-partners", lambda: beside("pve1", True), lambda: beside("pve1", False)),
    Fixture(
        "ha-partner-stuck",
        lambda: beside("pve1", True, hostpci0="0000:01:00.0"),
        lambda: beside("pve1", True),
    ),
    Fixture(
        "ha-partner-stuck",
        lambda: beside("pve1", True, ide2="local:iso/a.iso,media=cdrom"),
        lambda: beside("pve2", True, ide2="local:iso/a.iso,media=cdrom"),
    ),
    Fixture(
        "ha-partner-stuck",
        lambda: beside("pve1", True, "tank:base-9-disk-0/vm-105-disk-0"),
        lambda: beside("pve1", True, "ceph:base-9-disk-0/vm-105-disk-0"),
    ),
    Fixture("ha-would-stop", lambda: wanted("stopped"), lambda: wanted("started")),
    Fixture("ha-would-stop", lambda: wanted("disabled"), lambda: wanted("stopped", stopped(VM))),
    Fixture(
        "ha-no-replica",
        lambda: recovered(LOCAL, replication_jobs=(job(),)),
        lambda: recovered(LOCAL, home("pve1", "pve2"), replication_jobs=(job(),)),
    ),
    Fixture(
        "ha-no-replica",
        lambda: recovered(LOCAL, home("pve1", "pve2", strict=False), replication_jobs=(job(),)),
        lambda: recovered(LOCAL, replication_jobs=(job(), job("pve3"))),
    ),
    Fixture("ha-local-disk", lambda: recovered(LOCAL), lambda: recovered(VM_DISK)),
    Fixture(
        "ha-storage-missing",
        lambda: recovered(VM_DISK, storages=(*STORAGES[:2], replace(CEPH, nodes=("pve1", "pve2")))),
        lambda: recovered(
            VM_DISK, home("pve1", "pve2"), storages=(*STORAGES[:2], replace(CEPH, nodes=("pve1", "pve2")))
        ),
    ),
    Fixture(
        "ha-max-relocate",
        lambda: scope(**{**managed(), "ha_resources": (HaResource("vm:104", max_relocate=0),)}),
        lambda: recovered(VM_DISK),
    ),
]


@pytest.mark.parametrize(("guest", "severity"), [(VM, Severity.BLOCK), (stopped(VM), Severity.WARN)])
def test_a_stopped_service_is_left_where_it_is_until_it_is_started(guest: Guest, severity: Severity) -> None:
    found = [item for item in judge_move(ruled(home("pve1"), guest)) if item.id == "ha-node-affinity"]
    assert [item.severity for item in found] == [severity]
    assert found[0].message.endswith("as soon as it is started") is (severity is Severity.WARN)


@pytest.mark.parametrize(
    ("state", "target", "blocks"),
    [("online", None, True), ("maintenance", None, False), ("online", "pve3", False)],
)
def test_a_resource_keeps_others_off_where_it_stays_and_as_long(state: str, target: str | None, blocks: bool) -> None:
    """As the precondition of Proxmox VE tells it: of nodes that are online to HA, and not of what is about to leave."""
    known = beside("pve2", False).state
    services = {
        "vm:104": Service("vm:104", "started", "pve1"),
        "vm:105": Service("vm:105", "migrate" if target else "started", "pve2", target),
    }
    assert known.ha is not None
    ha = replace(known.ha, services=services, nodes={"pve1": "online", "pve2": state, "pve3": "online"})
    hindrances = foresee(replace(known, ha=ha), VM).hindrances
    assert bool(hindrances["pve2"].blocking) is blocks


@pytest.mark.parametrize("positive", [True, False])
def test_rules_do_not_count_while_the_stack_is_disarmed_and_ignores_its_resources(positive: bool) -> None:
    """As Proxmox VE does, which then takes no guest for one of the HA manager's."""
    known = beside("pve2", positive).state
    assert known.ha is not None
    foreseen = foresee(replace(known, ha=replace(known.ha, disarm_mode="ignore")), VM)
    assert (foreseen.dependents, any(foreseen.hindrances.values())) == ((), False)


def test_a_replicated_partner_is_moved_by_force() -> None:
    """Of the guest itself Proxmox VE refuses that; those that a rule takes along the HA manager moves."""
    known = beside("pve1", True)
    replica = replace(job("pve3"), id="105-0", guest=105)
    moved = replace(known, state=replace(known.state, replication_jobs=(replica,)))
    (finding,) = (item for item in judge_move(moved) if item.id == "ha-partner-stuck")
    assert finding.evidence["because"] == "replica-missing"
    assert finding.message.endswith("the HA manager would move it all the same and break its jobs")
    assert "offline" not in finding.remedy


def test_what_blocks_both_is_told_of_the_guest_alone() -> None:
    facts = beside("pve1", True)
    offline = replace(facts, target=replace(facts.target, status="offline"))
    assert "ha-partner-stuck" not in ids(offline)
    assert "node-offline" in ids(offline)


def test_what_holds_a_partner_is_said_with_its_remedy() -> None:
    (finding,) = (
        item for item in judge_move(beside("pve1", True, hostpci0="0000:01:00.0")) if item.id == "ha-partner-stuck"
    )
    assert finding.message == (
        "105 web has to move along with 104 billing-db to pve2, and cannot: 105 web uses hostpci0 of pve1, and the HA"
        " manager would move it all the same"
    )
    assert finding.evidence == {"sid": "vm:105", "because": "passthrough-forced"}


def test_a_guest_without_ha_is_not_judged_by_its_rules() -> None:
    rule = home("pve1")
    facts = replace(move(), rules=(replace(rule, sids=("vm:999",)),))
    assert not ids(facts) & {"ha-node-affinity", "ha-preferred-node"}


@pytest.mark.parametrize(
    ("rules", "allowed"),
    [
        ((), {"a", "b", "c"}),
        ((home("a", "b"),), {"a", "b"}),
        ((home("a", strict=False),), {"a", "b", "c"}),
        ((home("a", positive=False),), {"b", "c"}),
        ((home("a", "b"), home("b", positive=False)), {"a"}),
        ((home("a", disabled=True),), {"a", "b", "c"}),
        ((home("a", errors=("no such node",)),), {"a", "b", "c"}),
    ],
)
def test_nodes_that_rules_allow(rules: tuple[HaRule, ...], allowed: set[str]) -> None:
    assert allowed_nodes(rules, "abc") == allowed


def test_resources_that_are_switched_off_are_not_recovered() -> None:
    off = scope(VM, LOCAL, **{**managed(), "ha_resources": (HaResource("vm:104", state="disabled"),)})
    assert "ha-local-disk" not in ids(off)
