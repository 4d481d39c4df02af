# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The migration network: each node needs one address in it, and corosync needs peace (pve-facts §5.1).

Proxmox VE looks at none of this when the network is set: the next migration fails, or, on corosync's own link, the
nodes lose sight of each other while one runs and are fenced.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.scope import Scope
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.network import DEFAULT_MTU, Interface
from ansible_collections.pve.mobility.plugins.module_utils.model.node_facts import NodeFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.options import ClusterOptions

UNPROVEN = Kind(
    "network-unproven",
    Severity.BLOCK,
    "Whether a node has its address in the network cannot be told. Once the network is in use, this is only a note.",
    "A node without one takes no guest, and its own may not get away.",
    "bring the node back, or remove it from the cluster if it is gone for good",
    "the network",
)
NO_ADDRESS = Kind(
    "network-no-address",
    Severity.BLOCK,
    "A node has no address in the migration network. For nodes that no guest is to go to this is a warning.",
    "A migration to it fails before anything is moved.",
    "give one interface of the node an address there, or choose another network",
    "the network, the addresses that the node has",
    enforced=True,
)
MANY = Kind(
    "network-many-addresses",
    Severity.BLOCK,
    "A node has several addresses in the migration network. For nodes that no guest is to go to this is a warning.",
    "Proxmox VE refuses to choose one, so a migration to it fails before anything is moved.",
    "choose a smaller network that holds only one address of each node",
    "the network, the addresses and their interfaces",
    enforced=True,
)
PREFIX = Kind(
    "network-prefix",
    Severity.WARN,
    "An interface is in a smaller network than the one that is set.",
    "Nodes beyond it are reached over a router, or not at all.",
    "set the same prefix length on every node, or name the network as the interfaces have it",
    "the network, the interface and its own network",
)
OVERLAP = Kind(
    "network-overlap",
    Severity.WARN,
    "Another interface of a node is in a network that overlaps with that of its migration address.",
    "Which way packets take then depends on routes: migrations may go over the slow interface.",
    "give the two interfaces networks that do not overlap",
    "the interfaces",
)
COROSYNC = Kind(
    "network-corosync",
    Severity.BLOCK,
    "The migration network is one of corosync's links. Where HA manages nothing, and for other links than the first,"
    " this is a warning.",
    "A migration that fills the link delays corosync; nodes with HA services that lose sight of the others are fenced.",
    "use a network of its own for migrations, or give corosync another link 0",
    "the network, number and address of the link",
)
MTU = Kind(
    "network-mtu",
    Severity.WARN,
    "The MTU in the migration network is not the same on every node.",
    "Large packets between such nodes are lost, and migrations stall.",
    "set the same MTU on the interfaces and on the switch",
    "nodes by MTU",
)
UNSET = Kind(
    "network-unset",
    Severity.INFO,
    "No migration network is set, and the nodes know each other by the addresses of corosync's first link.",
    "Migrations and replication share that link with corosync, which does not stand delays.",
    "set a migration network (role migration_network), or limit migrations with bwlimit",
    "the addresses",
)
INSECURE = Kind(
    "network-insecure",
    Severity.WARN,
    "Migrations or replication go unencrypted.",
    "Whoever can listen to that network reads the memory and disks of guests, passwords included.",
    "use secure, or say that the network is isolated if nobody else can listen to it",
    "the option, the network",
)
SLOW = Kind(
    "network-secure-slow",
    Severity.INFO,
    "Migrations are encrypted, over a link that is faster than one core encrypts.",
    "A migration goes through one SSH connection, which carries some 5 to 10 Gbit/s, whatever the link could.",
    "move several guests at the same time; or, in a network that nobody else can listen to, set the type insecure",
    "the network, the speed of the link as it was given",
)

FAST = 20_000
"""Mbit/s from which on encryption is what limits a migration."""


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
    return UNPROVEN.found(
        f"nobody can tell whether {node.node} has an address in {network} ({node.why})",
        f"bring {node.node} back, or remove it from the cluster if it is gone for good",
        node=node.node,
        network=network,
    )


def _none(node: NodeNetwork, network: str) -> Finding:
    down = [
        f"{item.name} has {address} but is not active"
        for item in node.interfaces or ()
        if not item.active
        for address in item.within(network)
    ]
    why = f" ({down[0]})" if down else ""
    dynamic = [item.name for item in node.interfaces or () if item.active and item.dynamic]
    if dynamic and not down:
        why = f" in its configuration; what {', '.join(dynamic)} got by DHCP is not shown there"
    if node.hidden and not down:
        why = " that this user can see; bridges are shown only with SDN.Audit on /sdn/zones/localnetwork"
    return NO_ADDRESS.found(
        f"{node.node} has no address in {network}{why}",
        f"give one interface of {node.node} an address there, or choose another network",
        severity=Severity.WARN if dynamic else None,
        node=node.node,
        network=network,
        addresses=sorted(address for item in node.interfaces or () for address in item.addresses),
    )


def _several(node: NodeNetwork, network: str, found: list[tuple[Interface, str]]) -> Finding:
    listed = sorted(f"{address} on {item.name}" for item, address in found)
    return MANY.found(
        f"{node.node} has several addresses in {network}: {', '.join(listed)}",
        node=node.node,
        network=network,
        addresses=listed,
    )


def _beside(
    wanted: ipaddress.IPv4Network | ipaddress.IPv6Network, chosen: Interface, address: str, node: NodeNetwork
) -> Iterable[Finding]:
    """What is odd about a node that has its one address."""
    own = ipaddress.ip_interface(address).network
    if own.prefixlen > wanted.prefixlen:
        yield PREFIX.found(
            f"{chosen.name} of {node.node} is in {own}, which is only a part of {wanted}: other nodes may be out of"
            " its reach",
            node=node.node,
            network=str(wanted),
            interface=chosen.name,
            own=str(own),
        )
    for item in node.interfaces or ():
        for other in item.addresses:
            network = ipaddress.ip_interface(other).network
            if item is chosen or not item.active or network.version != wanted.version or network == own:
                continue
            if network.overlaps(own):
                yield OVERLAP.found(
                    f"{item.name} of {node.node} ({other}) overlaps with {chosen.name} ({address}): which way packets"
                    " take depends on routes",
                    node=node.node,
                    interfaces=sorted([item.name, chosen.name]),
                )


def _corosync(wanted: ipaddress.IPv4Network | ipaddress.IPv6Network, node: NodeNetwork) -> Iterable[Finding]:
    for number, link in enumerate(node.links):
        try:
            inside = ipaddress.ip_address(link) in wanted
        except ValueError:
            continue
        if inside:
            yield COROSYNC.found(
                f"{wanted} is corosync's link {number} of {node.node} ({link}): a migration that fills it delays"
                " corosync, and nodes with HA services are fenced",
                severity=None if number == 0 else Severity.WARN,
                node=node.node,
                network=str(wanted),
                link=number,
                address=link,
            )


def _mtus(network: str, places: list[Place]) -> Iterable[Finding]:
    by_mtu: dict[int, list[str]] = {}
    for place in places:
        by_mtu.setdefault(place.mtu, []).append(place.node)
    if len(by_mtu) > 1:
        listed = "; ".join(f"{mtu} on {', '.join(names)}" for mtu, names in sorted(by_mtu.items()))
        yield MTU.found(
            f"the MTU in {network} is not the same on every node: {listed}",
            mtu={str(mtu): names for mtu, names in sorted(by_mtu.items())},
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


# ---------------------------------------------------------------- in use


def address_of_target(move: MoveFacts) -> Iterator[Finding]:
    """The address that the target would be reached by; the source does not need one."""
    options = move.state.options
    network = options.migration_network if options is not None else None
    if network is None or move.state.migration_addresses(move.target.name) in (None, 1):
        return
    node = _node(move.state.facts(move.target.name))
    if node is None or not move.target.online or not move.state.knows("node_facts.interfaces", node.node):
        return
    yield from (replace(item, guest=move.guest.vmid) for item in prove(network, [node]).findings if item.id in _NEEDED)


_NEEDED = frozenset({NO_ADDRESS.id, MANY.id})


def network(scope: Scope) -> Iterator[Finding]:
    """The networks that are set, and how they are used."""
    options = scope.state.options
    if options is None:
        return
    yield from _types(scope, options)
    for name in sorted({item for item in (options.migration_network, options.replication_network) if item}):
        yield from _in_use(scope, name)
    if options.migration_network is None:
        yield from _unset(scope)


def _types(scope: Scope, options: ClusterOptions) -> Iterator[Finding]:
    ways = {"migration": (options.migration_type, options.migration_network)}
    if scope.state.replication_jobs and (options.replication_type, options.replication_network) != ways["migration"]:
        ways["replication"] = (options.replication_type, options.replication_network)
    for key, (kind, name) in ways.items():
        where = f"over {name}" if name else "over the network of the cluster"
        if kind == "insecure" and not scope.isolated:
            yield INSECURE.found(f"{key} sends memory and disks unencrypted {where}", key=key, network=name)
        elif kind == "secure" and key == "migration" and scope.thresholds.link_mbit >= FAST:
            yield SLOW.found(
                f"{key} is encrypted {where}, a link of {scope.thresholds.link_mbit / 1000:g} Gbit/s",
                network=name,
                link_mbit=scope.thresholds.link_mbit,
            )


def _in_use(scope: Scope, name: str) -> Iterator[Finding]:
    state = scope.state
    nodes = [
        node
        for facts in scope.facts()
        if state.knows("node_facts.interfaces", facts.name) or not facts.online
        if (node := _node(facts)) is not None
    ]
    guarded = bool(state.ha_resources) or not state.knows("ha")
    for finding in prove(name, nodes).findings:
        severity = finding.severity
        if finding.id == UNPROVEN.id:
            severity = Severity.INFO
        elif finding.id in _NEEDED and scope.only_nodes is not None:
            # Those that a guest is to go to are judged with its move.
            severity = Severity.WARN
        elif finding.id == COROSYNC.id and not guarded:
            severity = Severity.WARN
        yield replace(finding, severity=severity)


def _unset(scope: Scope) -> Iterator[Finding]:
    shared = {
        facts.name: facts.address for facts in scope.facts() if facts.address and facts.address in facts.links[:1]
    }
    if shared and scope.state.knows("node_facts.links"):
        yield UNSET.found(
            "no migration network is set, so migrations go over corosync's first link",
            severity=Severity.WARN if scope.state.ha_resources else None,
            addresses=shared,
        )


def _node(facts: NodeFacts | None) -> NodeNetwork | None:
    if facts is None:
        return None
    return NodeNetwork(
        facts.name, facts.interfaces if facts.online else None, facts.links, "it is offline or cannot be read"
    )
