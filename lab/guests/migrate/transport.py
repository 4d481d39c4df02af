# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way from one node to another: which addresses, which links, and what ssh says (pve-facts §5.1).

Every node has one pipe per port and direction; a migration network or the cluster network decides which port carries
the bytes. What goes through ssh is limited by one core that encrypts.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.errors import Die
from lab.sim.engine import Sim
from lab.sim.network import Pipe

if TYPE_CHECKING:
    from lab.guests.migrate.worker import Steps
    from lab.pve.cluster import Cluster
    from lab.pve.node import Nic, Node

SSH_STREAM = 700e6
"""Bytes/s of one ssh connection: aes128-gcm on one core of a usual server."""
NO_ROUTE = 3.0
"""Seconds until a connection to a host that is gone fails."""
LOST_AFTER = 15.0
"""Seconds until a running transfer notices that the other node is gone (ServerAliveInterval, TCP timeouts)."""


@dataclass(frozen=True, slots=True)
class Way:
    """How data travels from one node to another.

    :ivar ssh: the command line before the remote command, as run_command prints it.
    """

    source: Node
    target: Node
    address: str
    network: str | None
    secure: bool
    pipes: tuple[Pipe, ...]
    ssh: str

    def stream(self) -> tuple[Pipe, ...]:
        """The pipes of one new connection."""
        if not self.secure:
            return self.pipes
        return (*self.pipes, Pipe(f"ssh {self.source.name}-{self.target.name}", SSH_STREAM))


def ssh_command(node: str, address: str) -> str:
    """SSHInfo.pm:ssh_info_to_command."""
    return (
        f"/usr/bin/ssh -e none -o 'BatchMode=yes' -o 'HostKeyAlias={node}' "
        f"-o 'UserKnownHostsFile=/etc/pve/nodes/{node}/ssh_known_hosts' -o 'GlobalKnownHostsFile=none' root@{address}"
    )


def find_way(work: Steps, source: Node, target: Node, network: str | None, secure: bool) -> Sim:
    """SSHInfo.pm:get_ssh_info; the value is a :class:`Way`.

    :raises Die: the migration network does not lead to the target.
    """
    cluster = work.cluster
    if network is None:
        return make_way(cluster, source, target, target.address, None, secure)
    yield from work.pause(0.4)
    command = f"{ssh_command(target.name, target.address)} pvecm mtunnel -migration_network {network} -get_migration_ip"
    failed = Die(f"command '{command}' failed: exit code 255")
    if not target.up:
        yield from work.pause(NO_ROUTE)
        work.task.log(f"ssh: connect to host {target.address} port 22: No route to host")
        raise failed
    if not cluster.quorate(target):
        work.task.log("no quorum")
        raise Die(f"failed to get ip for node '{target.name}' in network '{network}'")
    found = list(addresses_in(target, network))
    if not found:
        work.task.log(f"could not get migration ip: no IP address configured on local node for network '{network}'")
        raise failed
    if len(set(found)) > 1:
        work.task.log(f"could not get migration ip: multiple, different, IP address configured for network '{network}'")
        raise failed
    return make_way(cluster, source, target, found[0], network, secure)


def make_way(cluster: Cluster, source: Node, target: Node, address: str, network: str | None, secure: bool) -> Way:
    out = _pipe(source, _nic_towards(source, address), "out")
    into = _pipe(target, _nic_with(target, address), "in")
    return Way(source, target, address, network, secure, (out, into), ssh_command(target.name, address))


def addresses_in(node: Node, network: str) -> Iterator[str]:
    """The node's addresses inside a network."""
    wanted = ipaddress.ip_network(network, strict=False)
    for nic in node.nics:
        if nic.cidr and nic.active:
            address = nic.cidr.partition("/")[0]
            if ipaddress.ip_address(address) in wanted:
                yield address


def _nic_with(node: Node, address: str) -> Nic | None:
    return next((nic for nic in node.nics if nic.cidr.partition("/")[0] == address), None)


def _nic_towards(node: Node, address: str) -> Nic | None:
    """The interface in the same subnet, else the one with the node's own address."""
    wanted = ipaddress.ip_address(address)
    for nic in node.nics:
        if nic.cidr and nic.active and wanted in ipaddress.ip_interface(nic.cidr).network:
            return nic
    return _nic_with(node, node.address)


def _pipe(node: Node, nic: Nic | None, direction: str) -> Pipe:
    port = _port(node, nic) if nic is not None else None
    name = f"{direction}:{port.iface if port is not None else 'none'}"
    if name not in node.pipes:
        node.pipes[name] = Pipe(f"{node.name} {name}", port.speed if port is not None else 125e6)
    return node.pipes[name]


def _port(node: Node, nic: Nic) -> Nic:
    """The physical port or bond below a bridge or VLAN: what shares it shares its speed."""
    by_name = {item.iface: item for item in node.nics}
    seen = set()
    while nic.iface not in seen:
        seen.add(nic.iface)
        below = str(nic.options.get("vlan-raw-device") or nic.options.get("bridge_ports") or "").split()
        parent = next((by_name[name] for name in below if name in by_name), None)
        if parent is None and below and "." in below[0]:
            parent = by_name.get(below[0].partition(".")[0])
        if parent is None:
            break
        nic = parent
    return nic


def check_ssh(work: Steps, way: Way) -> Sim:
    """``ssh … /bin/true``.

    :raises Die: Can't connect to destination address using public key.
    """
    yield from work.pause(0.05)
    if way.target.up:
        return
    yield from work.pause(NO_ROUTE)
    work.log(f"# {way.ssh} /bin/true", f"ssh: connect to host {way.address} port 22: No route to host")
    raise Die("Can't connect to destination address using public key")
