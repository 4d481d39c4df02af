# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that are off, in maintenance or late; a cluster without quorum; what could not be read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.scope import Scope
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Node
from ansible_collections.pve.mobility.plugins.module_utils.model.node_facts import NodeFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.unknown import Unknown

from .fixtures import Fixture, ids, judged
from .made import GIB, NODES, cluster, managed, move, scope


def nodes(name: str, **more: Any) -> dict[str, Any]:
    """The cluster's nodes, one of them different."""
    return {"nodes": tuple(replace(node, **more) if node.name == name else node for node in NODES)}


def clock(offset: float | None) -> Scope:
    return scope(node_facts=(NodeFacts("pve1", clock_offset=0.0), NodeFacts("pve2", clock_offset=offset)))


HIDDEN = Unknown("backup", why="It may be incomplete.", privileges=("Sys.Audit",))

FIXTURES = [
    Fixture(
        "node-offline",
        lambda: move(state=nodes("pve2", status="offline")),
        lambda: move(state=nodes("pve3", status="offline")),
    ),
    Fixture(
        "source-offline",
        lambda: move(state=nodes("pve1", status="unknown")),
        lambda: move(state=nodes("pve2", status="unknown")),
    ),
    Fixture(
        "node-maintenance",
        lambda: move(state=nodes("pve2", maintenance=True)),
        lambda: move(state=nodes("pve1", maintenance=True)),
    ),
    Fixture("node-clock", lambda: clock(-90.0), lambda: clock(-9.0)),
    Fixture("quorum-lost", lambda: scope(quorate=False), lambda: scope(quorate=True)),
    Fixture("not-judged", lambda: scope(unknown=(HIDDEN,)), scope),
]


@pytest.mark.parametrize(("managed_by_ha", "severity"), [(True, Severity.BLOCK), (False, Severity.WARN)])
def test_maintenance_stops_only_guests_of_the_ha_manager(managed_by_ha: bool, severity: Severity) -> None:
    state = nodes("pve2", maintenance=True) | (managed() if managed_by_ha else {})
    (finding,) = (item for item in judged(move(state=state)) if item.id == "node-maintenance")
    assert finding.severity is severity
    assert "disable pve2" in finding.remedy


def test_a_clock_is_judged_by_the_threshold_and_only_where_it_is_known() -> None:
    facts = clock(20.0)
    assert "node-clock" not in ids(facts)
    strict = replace(facts, thresholds=replace(facts.thresholds, clock_offset=15.0))
    (finding,) = (item for item in judged(strict) if item.id == "node-clock")
    assert finding.message == "the clock of pve2 is 20 s ahead"
    assert "node-clock" not in ids(clock(None))


def test_no_quorum_names_who_is_missing() -> None:
    gone = (*NODES[:1], *(Node(node.name, "offline", maxmem=64 * GIB) for node in NODES[1:]))
    (finding,) = (item for item in judged(scope(quorate=False, nodes=gone)) if item.id == "quorum-lost")
    assert finding.message == "the cluster has no quorum; offline: pve2, pve3"
    assert "quorum-lost" not in ids(scope(quorate=None))


def test_what_could_not_be_read_is_told_only_where_the_work_is() -> None:
    far = Unknown("node_facts", node="pve3", why="pve3 is offline.")
    state = cluster(unknown=(HIDDEN, far, Unknown("guest_configs", vmid=900, why="no")))
    told = {item.message for item in judged(Scope(state)) if item.id == "not-judged"}
    assert len(told) == 3
    near = Scope(state, only_nodes=frozenset({"pve1", "pve2"}), only_guests=frozenset({104}))
    (finding,) = (item for item in judged(near) if item.id == "not-judged")
    assert finding.message == "backup could not be read: It may be incomplete"
    assert finding.evidence["privileges"] == ["Sys.Audit"]


def test_what_a_node_did_not_tell_is_one_finding() -> None:
    parts = [
        Unknown(part, node="pve3", why="pve3 is offline.", privileges=("Sys.Audit",))
        for part in ("running", "storages")
    ]
    (finding,) = (item for item in judged(scope(unknown=tuple(parts))) if item.id == "not-judged")
    assert finding.message == "running and storages of pve3 could not be read: pve3 is offline"
    assert finding.evidence["parts"] == ["running", "storages"]
