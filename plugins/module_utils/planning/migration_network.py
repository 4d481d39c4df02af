# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Can migrations go over a network? Each node needs one address in it, and corosync needs peace (pve-facts §5.1).

Proxmox VE looks at none of this when the network is set: the next migration fails, or, on corosync's own link, the
nodes lose sight of each other while one runs and are fenced.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.network import Interface

DEFAULT_MTU = 1500


@dataclass(frozen=True, slots=True)
class NodeNetwork:
    """``interfaces`` None: they could not be read, ``why`` says what stood in the way.

    :ivar links: corosync's addresses of the node, link 0 first. :ivar hidden: bridges may be missing for want of a
        privilege.
    """

    node: str
    interfaces: tuple[Interface, ...] | None
    links: tuple[str, ...] = ()
    why: str = ""
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node is in the network."""

    node: str
    interface: str
    address: str
    mtu: int
    physical: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """``places``: of the nodes with exactly one address in ``network``."""

    network: str
    places: tuple[Place, ...]
    findings: tuple[Finding, ...]


def prove(network: str, nodes: Iterable[NodeNetwork]) -> Proof:
    """:param network: a CIDR without host bits."""
    wanted = ipaddress.ip_network(network, strict=False)
    places: list[Place] = []
    findings: list[Finding] = []
    for node in sorted(nodes, key=lambda item: item.node):
        if node.interfaces is None:
            findings.append(_unproven(node, network))
            continue
        found = [(item, address) for item in node.interfaces if item.active for address in item.within(network)]
        if len(found) == 1:
            interface, address = found[0]
            place = Place(
                node.node,
                interface.name,
                address.partition("/")[0],
                interface.mtu or DEFAULT_MTU,
                _physical(interface, node.interfaces),
            )
            places.append(place)
            findings += _beside(wanted, interface, address, node)
        else:
            findings.append(_several(node, network, found) if found else _none(node, network))
        findings += _corosync(wanted, node)
    findings += _mtus(network, places)
    return Proof(network, tuple(places), tuple(findings))


def _unproven(node: NodeNetwork, network: str) -> Finding:
    return Finding(
        "network-unproven",
        Severity.BLOCK,
        f"nobody can tell whether {node.node} has an address in {network} ({node.why})",
        f"bring {node.node} back, or remove it from the cluster if it is gone for good",
        node=node.node,
        evidence={"network": network},
    )


def _none(node: NodeNetwork, network: str) -> Finding:
    down = [
        f"{item.name} has {address} but is not active"
        for item in node.interfaces or ()
        if not item.active
        for address in item.within(network)
    ]
    why = f" ({down[0]})" if down else ""
    if node.hidden and not down:
        why = " that this user can see; bridges are shown only with SDN.Audit on /sdn/zones/localnetwork"
    return Finding(
        "network-no-address",
        Severity.BLOCK,
        f"{node.node} has no address in {network}{why}",
        f"give one interface of {node.node} an address there, or choose another network",
        node=node.node,
        evidence={
            "network": network,
            "addresses": sorted(address for item in node.interfaces or () for address in item.addresses),
        },
    )


def _several(node: NodeNetwork, network: str, found: list[tuple[Interface, str]]) -> Finding:
    listed = sorted(f"{address} on {item.name}" for item, address in found)
    return Finding(
        "network-many-addresses",
        Severity.BLOCK,
        f"{node.node} has several addresses in {network}: {', '.join(listed)}",
        "choose a smaller network that holds only one address of each node",
        node=node.node,
        evidence={"network": network, "addresses": listed},
    )


def _beside(
    wanted: ipaddress.IPv4Network | ipaddress.IPv6Network, chosen: Interface, address: str, node: NodeNetwork
) -> Iterable[Finding]:
    """What is odd about a node that has its one address."""
    own = ipaddress.ip_interface(address).network
    if own.prefixlen > wanted.prefixlen:
        yield Finding(
            "network-prefix",
            Severity.WARN,
            f"{chosen.name} of {node.node} is in {own}, which is only a part of {wanted}: other nodes may be out of"
            " its reach",
            "set the same prefix length on every node, or name the network as the interfaces have it",
            node=node.node,
            evidence={"network": str(wanted), "interface": chosen.name, "own": str(own)},
        )
    for item in node.interfaces or ():
        for other in item.addresses:
            network = ipaddress.ip_interface(other).network
            if item is chosen or not item.active or network.version != wanted.version or network == own:
                continue
            if network.overlaps(own):
                yield Finding(
                    "network-overlap",
                    Severity.WARN,
                    f"{item.name} of {node.node} ({other}) overlaps with {chosen.name} ({address}): which way packets"
                    " take depends on routes",
                    "give the two interfaces networks that do not overlap",
                    node=node.node,
                    evidence={"interfaces": sorted([item.name, chosen.name])},
                )


def _corosync(wanted: ipaddress.IPv4Network | ipaddress.IPv6Network, node: NodeNetwork) -> Iterable[Finding]:
    for number, link in enumerate(node.links):
        try:
            inside = ipaddress.ip_address(link) in wanted
        except ValueError:
            continue
        if inside:
            yield Finding(
                "network-corosync",
                Severity.BLOCK if number == 0 else Severity.WARN,
                f"{wanted} is corosync's link {number} of {node.node} ({link}): a migration that fills it delays"
                " corosync, and nodes with HA services are fenced",
                "use a network of its own for migrations, or give corosync another link 0",
                node=node.node,
                evidence={"network": str(wanted), "link": number, "address": link},
            )


def _mtus(network: str, places: list[Place]) -> Iterable[Finding]:
    by_mtu: dict[int, list[str]] = {}
    for place in places:
        by_mtu.setdefault(place.mtu, []).append(place.node)
    if len(by_mtu) > 1:
        listed = "; ".join(f"{mtu} on {', '.join(names)}" for mtu, names in sorted(by_mtu.items()))
        yield Finding(
            "network-mtu",
            Severity.WARN,
            f"the MTU in {network} is not the same on every node: {listed}",
            "set the same MTU on the interfaces and on the switch: large packets are lost otherwise",
            evidence={"mtu": {str(mtu): names for mtu, names in sorted(by_mtu.items())}},
        )


def _physical(interface: Interface, everything: tuple[Interface, ...]) -> tuple[str, ...]:
    """The ports below an interface, whose speed is what counts."""
    known = {item.name: item for item in everything}
    below = interface.ports or ((interface.raw_device,) if interface.raw_device else ())
    if not below and "." in interface.name:
        below = (interface.name.partition(".")[0],)
    found: set[str] = set()
    for name in below:
        # A VLAN on a port of a bridge is named after it.
        item = known.get(name) or known.get(name.partition(".")[0])
        found |= set(_physical(item, everything)) if item is not None and item is not interface else {name}
    return tuple(sorted(found)) if below else (interface.name,)
