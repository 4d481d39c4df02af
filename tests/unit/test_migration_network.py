# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether migrations can go over a network, from literal interfaces."""

from __future__ import annotations

from ansible_collections.pve.mobility.plugins.module_utils.checks.migration_network import NodeNetwork, Proof, prove
from ansible_collections.pve.mobility.plugins.module_utils.model.network import Interface

NETWORK = "10.10.0.0/24"


def lan(number: int) -> Interface:
    return Interface("vmbr0", "bridge", True, (f"10.0.0.{number}/24",), ports=("eno1",))


def fast(number: int, active: bool = True, mtu: int | None = 9000, address: str = "") -> Interface:
    return Interface("bond0", "bond", active, (address or f"10.10.0.{number}/24",), mtu, ports=("eno2", "eno3"))


def node(number: int, *interfaces: Interface, links: tuple[str, ...] | None = None) -> NodeNetwork:
    return NodeNetwork(f"pve{number}", (lan(number), *interfaces), links or (f"10.0.0.{number}",))


def ids(proof: Proof) -> list[tuple[str, str, str | None]]:
    return [(item.id, item.severity.value, item.node) for item in proof.findings]


def test_every_node_has_its_one_address() -> None:
    proof = prove(NETWORK, [node(1, fast(1)), node(2, fast(2))])
    assert ids(proof) == []
    assert [(item.node, item.interface, item.address, item.mtu) for item in proof.places] == [
        ("pve1", "bond0", "10.10.0.1", 9000),
        ("pve2", "bond0", "10.10.0.2", 9000),
    ]
    assert proof.places[0].physical == ("eno2", "eno3")


def test_a_node_without_an_address() -> None:
    proof = prove(NETWORK, [node(1, fast(1)), node(2)])
    assert ids(proof) == [("network-no-address", "block", "pve2")]
    assert proof.findings[0].evidence["addresses"] == ["10.0.0.2/24"]


def test_an_address_that_is_not_up_does_not_count() -> None:
    proof = prove(NETWORK, [node(1, fast(1, active=False))])
    assert ids(proof) == [("network-no-address", "block", "pve1")]
    assert "bond0 has 10.10.0.1/24 but is not active" in proof.findings[0].message


def test_two_addresses_in_one_network() -> None:
    second = Interface("eno9", "eth", True, ("10.10.0.77/24",))
    proof = prove(NETWORK, [node(1, fast(1), second)])
    assert ids(proof) == [("network-many-addresses", "block", "pve1")]
    assert "10.10.0.1/24 on bond0, 10.10.0.77/24 on eno9" in proof.findings[0].message


def test_corosync_must_be_left_alone() -> None:
    proof = prove("10.0.0.0/24", [node(1), node(2)])
    assert ids(proof) == [("network-corosync", "block", "pve1"), ("network-corosync", "block", "pve2")]


def test_a_second_link_is_a_warning() -> None:
    proof = prove(NETWORK, [node(1, fast(1), links=("10.0.0.1", "10.10.0.1"))])
    assert ids(proof) == [("network-corosync", "warn", "pve1")]


def test_a_node_that_cannot_be_read_is_not_taken_for_good() -> None:
    proof = prove(NETWORK, [node(1, fast(1)), NodeNetwork("pve2", None, ("10.0.0.2",), "it is offline")])
    assert ids(proof) == [("network-unproven", "block", "pve2")]
    assert "it is offline" in proof.findings[0].message


def test_bridges_that_one_may_not_see_are_named_as_the_reason() -> None:
    hidden = NodeNetwork("pve1", (), ("10.0.0.1",), hidden=True)
    assert "SDN.Audit on /sdn/zones/localnetwork" in prove(NETWORK, [hidden]).findings[0].message


def test_the_mtu_must_be_the_same() -> None:
    proof = prove(NETWORK, [node(1, fast(1)), node(2, fast(2, mtu=None)), node(3, fast(3))])
    assert ids(proof) == [("network-mtu", "warn", None)]
    assert "1500 on pve2; 9000 on pve1, pve3" in proof.findings[0].message


def test_an_interface_in_a_part_of_the_network() -> None:
    proof = prove("10.10.0.0/16", [node(1, fast(1))])
    assert ids(proof) == [("network-prefix", "warn", "pve1")]


def test_interfaces_whose_networks_overlap() -> None:
    wide = Interface("eno9", "eth", True, ("10.99.0.1/8",))
    proof = prove(NETWORK, [NodeNetwork("pve1", (fast(1), wide), ("192.0.2.1",))])
    assert ids(proof) == [("network-overlap", "warn", "pve1")]


def test_ports_below_a_vlan_on_a_bond() -> None:
    vlan = Interface("bond0.20", "vlan", True, ("10.10.0.1/24",), raw_device="bond0")
    bond = Interface("bond0", "bond", True, (), ports=("eno2", "eno3"))
    assert prove(NETWORK, [NodeNetwork("pve1", (vlan, bond))]).places[0].physical == ("eno2", "eno3")


def test_version_six() -> None:
    six = Interface("eno2", "eth", True, ("fd00:10::1/64",))
    proof = prove("fd00:10::/64", [node(1, six)])
    assert ids(proof) == []
    assert proof.places[0].address == "fd00:10::1"
