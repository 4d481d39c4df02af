# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The migration network that is set: addresses, corosync, MTU, encryption."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.scope import Scope
from ansible_collections.pve.mobility.plugins.module_utils.model.ha_config import HaResource
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.network import Interface
from ansible_collections.pve.mobility.plugins.module_utils.model.node_facts import NodeFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.options import ClusterOptions
from ansible_collections.pve.mobility.plugins.module_utils.model.thresholds import Thresholds
from ansible_collections.pve.mobility.plugins.module_utils.model.unknown import Unknown

from .fixtures import Fixture, ids, judged
from .made import job, move, scope

FAST = "10.10.0.0/24"
ON_FAST = ClusterOptions(migration_network=FAST, replication_network=FAST)
PLAIN = ClusterOptions()
OPEN = ClusterOptions("insecure", FAST, "insecure", FAST)


def node(number: int, *addresses: str, mtu: int | None = None, **more: Any) -> NodeFacts:
    """Its own address is corosync's link; the others are on ports of their own."""
    own = f"10.0.0.{number}"
    ports = tuple(Interface(f"eno{index}", "eth", True, (item,), mtu) for index, item in enumerate(addresses, 2))
    lan = Interface("vmbr0", "bridge", True, (f"{own}/24",), ports=("eno1",))
    facts = NodeFacts(f"pve{number}", address=own, interfaces=(lan, *ports), links=(own,))
    return replace(facts, **more)


GOOD = tuple(node(number, f"10.10.0.{number}/24") for number in (1, 2, 3))


def cluster_on(*nodes: NodeFacts, options: ClusterOptions = ON_FAST, **more: Any) -> Scope:
    return scope(node_facts=nodes or GOOD, options=options, **more)


def to(target: NodeFacts, **more: Any) -> MoveFacts:
    return move(state={"node_facts": (GOOD[0], target), "options": ON_FAST, **more})


FIXTURES = [
    Fixture("network-no-address", lambda: to(node(2)), lambda: to(GOOD[1])),
    Fixture("network-no-address", lambda: cluster_on(GOOD[0], node(2)), cluster_on),
    Fixture(
        "network-many-addresses",
        lambda: to(node(2, "10.10.0.2/24", "10.10.0.77/24")),
        lambda: to(node(2, "10.10.0.2/24", "10.10.1.77/24")),
    ),
    Fixture(
        "network-many-addresses",
        lambda: cluster_on(node(1, "10.10.0.1/24", "10.10.0.77/24")),
        lambda: cluster_on(node(1, "10.10.0.1/24", "10.20.0.77/24")),
    ),
    Fixture("network-unproven", lambda: cluster_on(GOOD[0], replace(GOOD[1], online=False)), cluster_on),
    Fixture("network-prefix", lambda: cluster_on(node(1, "10.10.0.1/26")), lambda: cluster_on(node(1, "10.10.0.1/24"))),
    Fixture("network-overlap", lambda: cluster_on(node(1, "10.10.0.1/24", "10.10.9.9/16")), cluster_on),
    Fixture(
        "network-corosync",
        lambda: cluster_on(options=replace(ON_FAST, migration_network="10.0.0.0/24")),
        cluster_on,
    ),
    Fixture(
        "network-mtu",
        lambda: cluster_on(node(1, "10.10.0.1/24", mtu=9000), GOOD[1]),
        lambda: cluster_on(node(1, "10.10.0.1/24", mtu=9000), node(2, "10.10.0.2/24", mtu=9000)),
    ),
    Fixture("network-unset", lambda: cluster_on(options=PLAIN), cluster_on),
    Fixture(
        "network-unset",
        lambda: cluster_on(options=PLAIN),
        lambda: cluster_on(*(replace(item, links=("10.99.0.1",)) for item in GOOD), options=PLAIN),
    ),
    Fixture("network-insecure", lambda: cluster_on(options=OPEN), cluster_on),
    Fixture(
        "network-insecure",
        lambda: cluster_on(options=OPEN),
        lambda: replace(cluster_on(options=OPEN), isolated=True),
    ),
    Fixture(
        "network-insecure",
        lambda: cluster_on(options=replace(ON_FAST, replication_type="insecure"), replication_jobs=(job(),)),
        lambda: cluster_on(options=replace(ON_FAST, replication_type="insecure")),
    ),
    Fixture(
        "network-secure-slow",
        lambda: replace(cluster_on(), thresholds=Thresholds(link_mbit=25_000)),
        lambda: replace(cluster_on(options=OPEN), thresholds=Thresholds(link_mbit=25_000)),
    ),
]


def found(situation: MoveFacts | Scope, kind: str) -> list[Severity]:
    return [item.severity for item in judged(situation) if item.id == kind]


def test_only_the_target_of_a_move_needs_an_address_for_it() -> None:
    facts = move(state={"node_facts": (node(1), GOOD[1]), "options": ON_FAST})
    assert "network-no-address" not in ids(facts)
    (finding,) = (item for item in judged(to(node(2))) if item.id == "network-no-address")
    assert (finding.guest, finding.node, finding.severity) == (104, "pve2", Severity.BLOCK)
    assert finding.message == "pve2 has no address in 10.10.0.0/24"


def test_a_source_without_an_address_is_a_warning_for_the_work_and_a_fault_of_the_cluster() -> None:
    whole = cluster_on(node(1), GOOD[1])
    assert found(whole, "network-no-address") == [Severity.BLOCK]
    assert found(replace(whole, only_nodes=frozenset({"pve1", "pve2"})), "network-no-address") == [Severity.WARN]
    assert found(replace(whole, only_nodes=frozenset({"pve2"})), "network-no-address") == []


def test_addresses_by_dhcp_are_not_in_the_configuration() -> None:
    wild = replace(node(2), interfaces=(Interface("eno2", "eth", True, dynamic=True),))
    assert found(to(wild), "network-no-address") == [Severity.WARN]


@pytest.mark.parametrize(("resources", "severity"), [((), Severity.WARN), ((HaResource("vm:104"),), Severity.BLOCK)])
def test_corosync_is_in_danger_where_ha_would_fence(resources: tuple[HaResource, ...], severity: Severity) -> None:
    situation = cluster_on(GOOD[0], options=replace(PLAIN, migration_network="10.0.0.0/24"), ha_resources=resources)
    assert found(situation, "network-corosync") == [severity]


def test_what_may_be_incomplete_proves_nothing() -> None:
    hidden = (Unknown("node_facts.interfaces", why="It may be incomplete."),)
    assert "network-no-address" not in ids(cluster_on(node(1), unknown=hidden))
    assert "network-no-address" not in ids(to(node(2), unknown=hidden))
    assert "network-unset" not in ids(cluster_on(options=PLAIN, unknown=(Unknown("node_facts.links", why="no"),)))
