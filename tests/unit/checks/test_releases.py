# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machine versions, packages and releases: from old to new."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.node_facts import NodeFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.running import RunningVm

from .fixtures import Fixture, ids, judged
from .made import CT, VM, VM_DISK, move, scope, stopped

MACHINES_9_0 = tuple(f"pc-{item}" for item in ("i440fx-9.2", "i440fx-9.2+pve1", "i440fx-10.0", "q35-9.2", "q35-10.0"))
MACHINES_9_1 = (*MACHINES_9_0, "pc-i440fx-10.1", "pc-q35-10.1")
OLD = {"qemu-server": "9.0.19", "pve-qemu-kvm": "10.0.2-4", "pve-container": "6.0.9", "pve-manager": "9.0.11"}
NEW = {"qemu-server": "9.1.2", "pve-qemu-kvm": "10.1.2-4", "pve-container": "6.0.18", "pve-manager": "9.1.4"}


def old(name: str, **more: Any) -> NodeFacts:
    return NodeFacts(name, **({"release": "9.0", "machines": MACHINES_9_0, "packages": OLD} | more))


def new(name: str, **more: Any) -> NodeFacts:
    return NodeFacts(name, **({"release": "9.1", "machines": MACHINES_9_1, "packages": NEW} | more))


def runs_as(machine: str | None, target: NodeFacts | None = None, **more: Any) -> MoveFacts:
    """The VM from a node on 9.1 to one on 9.0."""
    facts = (new("pve1"), target or old("pve2"))
    running = (RunningVm(104, "pve1", machine),) if machine else ()
    return move(state={"node_facts": facts, "running": running}, **more)


def between(source: NodeFacts, target: NodeFacts, guest: Any = VM, nic: str = "virtio") -> MoveFacts:
    config = {**VM_DISK, "net0": f"{nic}=BC:24:11:00:00:01,bridge=vmbr0"} if guest is VM else None
    return move(guest, config, state={"node_facts": (source, target)})


FIXTURES = [
    Fixture("machine-too-new", lambda: runs_as("pc-i440fx-10.1+pve0"), lambda: runs_as("pc-i440fx-10.0+pve0")),
    Fixture("machine-too-new", lambda: runs_as("pc-i440fx-9.2+pve2"), lambda: runs_as("pc-i440fx-9.2+pve1")),
    Fixture(
        "machine-too-new",
        lambda: runs_as(None, config={**VM_DISK, "machine": "pc-q35-10.1"}),
        lambda: runs_as(None, config={**VM_DISK, "machine": "q35"}),
    ),
    Fixture(
        "target-too-old",
        lambda: between(new("pve1"), old("pve2")),
        lambda: between(new("pve1"), old("pve2", packages={**OLD, "qemu-server": "9.0.20"})),
    ),
    Fixture(
        "target-too-old",
        lambda: between(new("pve1"), old("pve2")),
        lambda: between(new("pve1"), old("pve2"), nic="e1000"),
    ),
    Fixture(
        "version-backwards",
        lambda: between(new("pve1"), old("pve2")),
        lambda: between(old("pve1"), new("pve2")),
    ),
    Fixture(
        "version-backwards",
        lambda: between(new("pve1"), new("pve2", packages={**NEW, "pve-qemu-kvm": "10.1.2-3"})),
        lambda: between(new("pve1"), new("pve2", packages={**NEW, "pve-manager": "9.1.1"})),
    ),
    Fixture(
        "mixed-releases",
        lambda: scope(node_facts=(old("pve1"), new("pve2"), new("pve3"))),
        lambda: scope(node_facts=(old("pve1", online=False), new("pve2"), new("pve3"))),
    ),
    Fixture(
        "mixed-packages",
        lambda: scope(node_facts=(new("pve1"), new("pve2", packages={**NEW, "pve-manager": "9.1.1"}))),
        lambda: scope(node_facts=(new("pve1"), old("pve2"))),
    ),
]


def test_a_stopped_vm_moves_but_is_said_not_to_start() -> None:
    facts = runs_as(None, guest=stopped(VM), config={**VM_DISK, "machine": "pc-i440fx-10.1"})
    (finding,) = (item for item in judged(facts) if item.id == "machine-too-new")
    assert finding.severity is Severity.WARN
    assert finding.message == "104 billing-db is set to pc-i440fx-10.1, and the newest that pve2 has is pc-i440fx-10.0"


def test_the_process_counts_not_the_configuration() -> None:
    """It was started before somebody set a newer machine."""
    facts = runs_as("pc-i440fx-9.2+pve1", config={**VM_DISK, "machine": "pc-i440fx-10.1"})
    assert "machine-too-new" not in ids(facts)


def test_nothing_is_said_where_the_target_did_not_tell_its_machines() -> None:
    assert "machine-too-new" not in ids(runs_as("pc-i440fx-10.1", old("pve2", machines=())))


@pytest.mark.parametrize(
    ("guest", "target", "severity"),
    [
        (VM, old("pve2"), Severity.WARN),
        (stopped(VM), old("pve2"), Severity.INFO),
        (CT, old("pve2"), Severity.INFO),
        (CT, new("pve2", packages={**NEW, "pve-container": "6.0.17"}), None),
    ],
)
def test_the_direction_matters_most_to_what_runs_on_the_way(
    guest: Any, target: NodeFacts, severity: Severity | None
) -> None:
    facts = move(guest, state={"node_facts": (new("pve1"), target)})
    found = [item.severity for item in judged(facts) if item.id == "version-backwards"]
    assert found == ([severity] if severity else [])


def test_releases_are_listed_from_old_to_new() -> None:
    facts = (NodeFacts("pve1", release="9.2"), NodeFacts("pve2", release="8.4"), NodeFacts("pve3", release="9.2"))
    (finding,) = (item for item in judged(scope(node_facts=facts)) if item.id == "mixed-releases")
    assert finding.message == "nodes run different releases: 8.4 on pve2; 9.2 on pve1, pve3"
