# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Network interfaces of nodes, VNets and their zones."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.names import Address, BridgeName, NodeName, ZoneName
from ansible_collections.pve.mobility.plugins.module_utils.model.propstring import truth, whole, words

BRIDGES = frozenset({"bridge", "OVSBridge"})
DEFAULT_MTU = 1500
_LINKS = 8
"""Corosync's limit."""
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


@dataclass(frozen=True, slots=True)
class Interface:
    """``addresses`` with prefix length; ``mtu`` None when the configuration says none (then 1500).

    :ivar ports: of a bridge, or the links of a bond. Speed is not known to the API. :ivar vids: VLANs that a VLAN-aware
        bridge carries, as ranges; empty when the node does not say. :ivar dynamic: it gets addresses that the
        configuration does not show (DHCP).
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
    vids: tuple[tuple[int, int], ...] = ()
    dynamic: bool = False

    def carries(self, first: int, last: int) -> bool:
        """Whether a range of VLANs gets through; where the node does not say, it does."""
        return not self.vids or last == 1 or any(low <= first and last <= high for low, high in self.vids)

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
        ranges(row.get("bridge_vids")),
        bool({row.get("method"), row.get("method6")} & {"dhcp", "auto"}),
    )


def ranges(value: Any) -> tuple[tuple[int, int], ...]:
    """``2-100,200`` or ``2-100 200`` → ((2, 100), (200, 200)); what makes no sense is left out."""
    found = (_RANGE.fullmatch(word) for word in words(value))
    return tuple((int(match[1]), int(match[2] or match[1])) for match in found if match is not None)


def corosync_links(row: Mapping[str, Any], address: str) -> tuple[str, ...]:
    """A node's addresses by link, from a row of ``GET /cluster/config/nodes``.

    A link that is given by name counts as ``address``, which is the one that the name has in the cluster.
    """
    given = [str(row[f"ring{number}_addr"]) for number in range(_LINKS) if row.get(f"ring{number}_addr")]
    return tuple(text if _numeric(text) else address for text in given) or ((address,) if row and address else ())


def _numeric(text: str) -> bool:
    return text.replace(".", "").isdigit() or ":" in text


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
