# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges, VNets, VLANs and MTUs of the target."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.network import Interface, VNet, Zone
from ansible_collections.pve.mobility.plugins.module_utils.model.node_facts import NodeFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.unknown import Unknown

from .fixtures import Fixture, ids, judged
from .made import CT, CT_DISK, VM, VM_DISK, move, stopped

PLAIN = Interface("vmbr0", "bridge", True, ports=("eno1",))
AWARE = Interface("vmbr0", "bridge", True, ports=("eno1",), vlan_aware=True, vids=((2, 4094),))
INNER = Interface("vmbr0", "bridge", True)
JUMBO = Interface("vmbr0", "bridge", True, mtu=9000, ports=("eno1",))
OFFICE = (VNet("office", "lan", 20),)


def on(device: str, target: Interface | None, source: Interface = AWARE, guest: Guest = VM, **state: Any) -> MoveFacts:
    """A guest with one network device, from a node with ``source`` to one with ``target``."""
    there = (target,) if target is not None else ()
    facts = (NodeFacts("pve1", interfaces=(source,)), NodeFacts("pve2", interfaces=there))
    if guest.type == "qemu":
        config = {**VM_DISK, "net0": f"virtio=BC:24:11:00:00:01,{device}"}
    else:
        config = {**CT_DISK, "net0": f"name=eth0,hwaddr=BC:24:11:00:00:02,{device},type=veth"}
    return move(guest, config, state={"node_facts": facts, **state})


def office(*nodes: str) -> MoveFacts:
    return on("bridge=office", PLAIN, vnets=OFFICE, zones=(Zone("lan", "vlan", nodes),))


FIXTURES = [
    Fixture("bridge-missing", lambda: on("bridge=vmbr0", None), lambda: on("bridge=vmbr0", PLAIN)),
    Fixture("bridge-missing", lambda: on("bridge=vmbr0", None, guest=CT), lambda: on("bridge=vmbr0", PLAIN, guest=CT)),
    Fixture(
        "bridge-missing",
        lambda: on("bridge=vmbr0", Interface("vmbr0", "bridge", False)),
        lambda: on("bridge=vmbr0", Interface("vmbr0", "OVSBridge", True)),
    ),
    Fixture("bridge-missing", lambda: office("pve1"), lambda: office("pve1", "pve2")),
    Fixture("vlan-refused", lambda: on("bridge=vmbr0,tag=20", INNER), lambda: on("bridge=vmbr0,tag=20", PLAIN)),
    Fixture("vlan-refused", lambda: on("bridge=vmbr0,trunks=2;3", PLAIN), lambda: on("bridge=vmbr0,trunks=2;3", AWARE)),
    Fixture(
        "vlan-missing",
        lambda: on("bridge=vmbr0,tag=20", Interface("vmbr0", "bridge", True, vlan_aware=True, vids=((30, 40),))),
        lambda: on("bridge=vmbr0,tag=20", Interface("vmbr0", "bridge", True, vlan_aware=True)),
    ),
    Fixture(
        "vlan-missing",
        lambda: on("bridge=vmbr0,trunks=5;10-20", Interface("vmbr0", "bridge", True, vlan_aware=True, vids=((5, 15),))),
        lambda: on("bridge=vmbr0,trunks=5;10-20", Interface("vmbr0", "bridge", True, vlan_aware=True, vids=((5, 20),))),
    ),
    Fixture("nic-mtu", lambda: on("bridge=vmbr0,mtu=9000", PLAIN), lambda: on("bridge=vmbr0,mtu=9000", JUMBO)),
    Fixture("nic-mtu", lambda: on("bridge=vmbr0,mtu=9000", PLAIN), lambda: on("bridge=vmbr0,mtu=1", PLAIN)),
    Fixture("bridge-mtu", lambda: on("bridge=vmbr0", PLAIN, JUMBO), lambda: on("bridge=vmbr0", JUMBO, PLAIN)),
    Fixture("bridge-mtu", lambda: on("bridge=vmbr0", PLAIN, JUMBO), lambda: on("bridge=vmbr0,mtu=1400", PLAIN, JUMBO)),
]


def test_a_stopped_guest_moves_but_is_said_not_to_start() -> None:
    facts = on("bridge=vmbr0,trunks=2,mtu=9000", PLAIN, guest=stopped(VM))
    absent = on("bridge=vmbr0", None, guest=stopped(VM))
    found = [item for facts in (facts, absent) for item in judged(facts)]
    assert {item.id: item.severity for item in found} == {
        "vlan-refused": Severity.WARN, "nic-mtu": Severity.WARN, "bridge-missing": Severity.WARN
    }  # fmt: skip


def test_where_a_device_is_that_cannot_be_attached() -> None:
    (finding,) = (item for item in judged(on("bridge=vmbr0", None)) if item.id == "bridge-missing")
    assert finding.message == "net0 of 104 billing-db is on vmbr0, which pve2 does not have"
    down = on("bridge=vmbr0", Interface("vmbr0", "bridge", False))
    (finding,) = (item for item in judged(down) if item.id == "bridge-missing")
    assert (finding.message[-26:], finding.remedy) == ("which pve2 has not started", "start vmbr0 on pve2 (ifup vmbr0)")


def test_a_bridge_without_an_mtu_has_that_of_its_port() -> None:
    port = Interface("eno1", "eth", True, mtu=9000)
    facts = on("bridge=vmbr0,mtu=9000", PLAIN)
    nodes = (facts.state.node_facts[0], NodeFacts("pve2", interfaces=(PLAIN, port)))
    assert "nic-mtu" not in ids(move(config={**VM_DISK, "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0,mtu=9000"},
                                     state={"node_facts": nodes}))  # fmt: skip


@pytest.mark.parametrize(
    "facts",
    [
        on("bridge=vmbr0", None, unknown=(Unknown("node_facts.interfaces", why="It may be incomplete."),)),
        on("bridge=office", PLAIN, unknown=(Unknown("network", why="no"),)),
        on("link_down=1", None),
        move(config={**VM_DISK, "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0"}),
    ],
    ids=["shortened list", "unknown VNets", "user network", "unknown node"],
)
def test_what_is_not_known_is_not_missing(facts: MoveFacts) -> None:
    assert "bridge-missing" not in ids(facts)
