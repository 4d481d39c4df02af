# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Network interfaces of nodes, VNets and their zones."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.names import Address, BridgeName, NodeName, ZoneName
from ansible_collections.pve.mobility.plugins.module_utils.model.propstring import truth, whole, words

BRIDGES = frozenset({"bridge", "OVSBridge"})


@dataclass(frozen=True, slots=True)
class Interface:
    """``addresses`` with prefix length; ``mtu`` None when the configuration says none (then 1500).

    :ivar ports: of a bridge, or the links of a bond. Speed is not known to the API.
    """

    name: BridgeName
    type: str
    active: bool = False
    addresses: tuple[Address, ...] = ()
    mtu: int | None = None
    ports: tuple[BridgeName, ...] = ()
    vlan: int | None = None
    raw_device: BridgeName | None = None
    vlan_aware: bool = False

    @property
    def bridge(self) -> bool:
        """Guests can be on it."""
        return self.type in BRIDGES

    def within(self, network: str) -> tuple[str, ...]:
        """Its addresses that lie in a network (CIDR); an address that makes no sense lies in none."""
        try:
            wanted = ipaddress.ip_network(network, strict=False)
            return tuple(item for item in self.addresses if ipaddress.ip_interface(item).ip in wanted)
        except ValueError:
            return ()


@dataclass(frozen=True, slots=True)
class VNet:
    """A virtual network, which guests name like a bridge."""

    name: BridgeName
    zone: ZoneName
    tag: int | None = None


@dataclass(frozen=True, slots=True)
class Zone:
    """``nodes`` None: on every node."""

    name: ZoneName
    type: str
    nodes: tuple[NodeName, ...] | None = None
    bridge: BridgeName | None = None
    mtu: int | None = None


def interfaces(rows: Iterable[Mapping[str, Any]]) -> tuple[Interface, ...]:
    """From ``GET /nodes/{node}/network``."""
    return tuple(sorted((_interface(row) for row in rows), key=lambda item: item.name))


def _interface(row: Mapping[str, Any]) -> Interface:
    addresses = [str(row[key]) for key in ("cidr", "cidr6") if row.get(key)]
    return Interface(
        str(row["iface"]),
        str(row.get("type", "unknown")),
        truth(row.get("active")),
        tuple(addresses),
        whole(row, "mtu") or None,
        words(row.get("bridge_ports") or row.get("ovs_ports") or row.get("slaves")),
        whole(row, "vlan-id") or whole(row, "ovs_tag") or None,
        row.get("vlan-raw-device") or None,
        truth(row.get("bridge_vlan_aware")),
    )


def vnet(row: Mapping[str, Any]) -> VNet:
    """From a row of ``GET /cluster/sdn/vnets``."""
    return VNet(str(row["vnet"]), str(row.get("zone", "")), whole(row, "tag") or None)


def zone(row: Mapping[str, Any]) -> Zone:
    """From a row of ``GET /cluster/sdn/zones``."""
    return Zone(
        str(row["zone"]),
        str(row.get("type", "")),
        words(row["nodes"]) if row.get("nodes") else None,
        row.get("bridge") or None,
        whole(row, "mtu") or None,
    )
