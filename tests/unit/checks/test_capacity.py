# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Room for a guest in the memory and on the processors of the target."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import guest_config
from ansible_collections.pve.mobility.plugins.module_utils.model.ha_config import HaResource, HaRule
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.model.thresholds import Thresholds

from .fixtures import Fixture, ids, judged
from .made import CT, GIB, NODES, VM, VM_DISK, managed, move, stopped

BIG = Guest(300, "qemu", "pve2", "search", "running", maxmem=60 * GIB, maxcpu=8, mem=20 * GIB)


def beside(*others: Guest, guest: Guest = VM, balloon: int = 0, used: int = 0, **more: Any) -> MoveFacts:
    """The VM, with 4 GiB, to a node of 64 GiB on which others run."""
    configs = [guest_config(guest.vmid, guest.type, guest.node, VM_DISK)]
    if balloon:
        row = {"memory": other.maxmem // 2**20, "balloon": balloon // 2**20} if (other := others[0]) else {}
        configs.append(guest_config(others[0].vmid, "qemu", "pve2", row))
    nodes = tuple(replace(node, mem=used if node.name == "pve2" else 0) for node in NODES)
    state = {"guests": (guest, *others), "guest_configs": tuple(configs), "nodes": nodes}
    return move(guest, state=state, **more)


def cores(number: int, guest: Guest = VM) -> MoveFacts:
    return move(replace(guest, maxcpu=number), {**VM_DISK, "cores": number // 2, "sockets": 2})


def away(number: int, node: str = "pve1", memory: int = 4, cpus: float = 2) -> Guest:
    return Guest(number, "qemu", node, "", "running", maxmem=memory * GIB, maxcpu=cpus, mem=memory * GIB)


TOGETHER = HaRule("together", "resource-affinity", ("vm:104", "vm:301"))
PARTNERS = managed(
    VM, TOGETHER, guests=(VM, away(301, memory=10), away(302, "pve2", 52)),
    ha_resources=(HaResource("vm:104"), HaResource("vm:301")),
)  # fmt: skip

FIXTURES = [
    Fixture(
        "memory",
        lambda: beside(replace(BIG, maxmem=61 * GIB)),
        lambda: beside(replace(BIG, maxmem=61 * GIB), balloon=20 * GIB),
    ),
    Fixture(
        "memory",
        lambda: beside(replace(BIG, maxmem=62 * GIB, mem=61 * GIB), balloon=GIB),
        lambda: beside(replace(BIG, maxmem=62 * GIB, mem=60 * GIB), balloon=GIB),
    ),
    Fixture("memory-headroom", lambda: beside(used=54 * GIB), lambda: beside(used=53 * GIB)),
    Fixture("memory", lambda: beside(replace(BIG, maxmem=61 * GIB)), lambda: beside(BIG, guest=stopped(VM))),
    Fixture(
        "memory",
        lambda: beside(away(301), away(302), replace(BIG, maxmem=56 * GIB), arriving=frozenset({301, 302})),
        lambda: beside(
            away(301), away(302), replace(BIG, maxmem=56 * GIB), away(303, "pve2"), arriving=frozenset({301}),
            leaving=frozenset({303}),
        ),
    ),
    Fixture("memory", lambda: move(state=PARTNERS), lambda: move(state={**PARTNERS, "ha_rules": ()})),
    Fixture(
        "memory-headroom",
        lambda: beside(replace(BIG, maxmem=55 * GIB)),
        lambda: beside(replace(BIG, maxmem=55 * GIB), thresholds=Thresholds(memory_headroom=5)),
    ),
    Fixture(
        "memory-too-big",
        lambda: move(replace(VM, maxmem=65 * GIB)),
        lambda: move(replace(VM, maxmem=64 * GIB)),
    ),
    Fixture("cpu-too-many", lambda: cores(18), lambda: cores(16)),
    Fixture(
        "cpu-headroom",
        lambda: beside(replace(away(302, "pve2"), maxcpu=64), guest=replace(VM, maxcpu=1)),
        lambda: beside(replace(away(302, "pve2"), maxcpu=63), guest=replace(VM, maxcpu=1)),
    ),
]  # fmt: skip


def test_a_vm_that_does_not_run_moves_but_is_said_not_to_start() -> None:
    facts = (move(stopped(replace(VM, maxmem=65 * GIB))), cores(18, stopped(VM)))
    found = [item for facts in facts for item in judged(facts) if item.id in ("memory-too-big", "cpu-too-many")]
    assert [item.severity for item in found] == [Severity.WARN, Severity.WARN]
    assert found[0].message == "104 billing-db has 65 GiB of memory, and pve2 only 64 GiB, so it would not start there"


def test_ballooning_lets_a_guest_in_but_is_told() -> None:
    (finding,) = (
        item for item in judged(beside(replace(BIG, maxmem=61 * GIB), balloon=20 * GIB)) if item.id == "memory-headroom"
    )
    assert finding.message == (
        "with 104 billing-db, 102 % of the memory of pve2 are promised, and 10 % are to stay free"
    )


def test_what_the_node_itself_uses_counts_beside_its_guests() -> None:
    """Of the 56 GiB, 20 are those of a guest, which takes them along when it leaves; a cache is no reason to block."""
    facts = beside(BIG, used=56 * GIB, balloon=GIB, thresholds=Thresholds(memory_headroom=6))
    (finding,) = (item for item in judged(facts) if item.id in ("memory", "memory-headroom"))
    assert finding.message == "with 104 billing-db, 100 % of the memory of pve2 are promised, and 6 % are to stay free"
    (finding,) = (item for item in judged(beside(used=59 * GIB)) if item.id in ("memory", "memory-headroom"))
    assert finding.message == "with 104 billing-db, 98 % of the memory of pve2 are in use, and 10 % are to stay free"
    assert "memory-headroom" not in ids(replace(facts, leaving=frozenset({300})))


def test_migrate_judges_by_the_list_of_guests_alone() -> None:
    """It has read no configurations; a container counts with its limit."""
    state = ClusterState(parts=("nodes", "guests"), nodes=NODES, guests=(CT, replace(BIG, maxmem=64 * GIB)))
    facts = replace(move(CT), state=state)
    assert "memory" in ids(facts)


def test_containers_have_no_count_of_cpus_that_must_fit() -> None:
    assert "cpu-too-many" not in ids(move(replace(CT, maxcpu=40)))
