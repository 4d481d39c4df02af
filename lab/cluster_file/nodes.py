# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``nodes:``: release, hardware and network of each node."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from lab.cluster_file.cpus import read_cpu
from lab.cluster_file.reader import Map, as_names, as_rate, fail, suggestion
from lab.pve.cluster import Cluster
from lab.pve.node import Nic, Node
from lab.pve.releases import OLDEST, profile
from lab.pve.upgrade import pending_for

_NAME = re.compile(r"^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$")
STATES = ("online", "offline", "cut-off")


def read_nodes(top: Map, cluster: Cluster) -> dict[str, str]:
    """Add the nodes to the cluster; returns the state of those that are not online."""
    shared = top.take("node_defaults") or {}
    Map("node_defaults", shared)
    section = top.take("nodes")
    if isinstance(section, list):
        section = {name: {} for name in as_names("nodes", section)}
    if not section:
        fail("nodes", "at least one node is needed (example: nodes: {pve1: {}, pve2: {}, pve3: {}})")
    states: dict[str, str] = {}
    addresses: dict[str, str] = {}
    for number, (name, value) in enumerate(Map("nodes", section).rest(), start=1):
        if not _NAME.match(name):
            fail(f"nodes.{name}", "a node name has letters, digits and hyphens only")
        own = Map(f"nodes.{name}", value)
        spec = Map(own.where, {**_numbered(shared, number), **dict(own.rest())})
        node = _read_node(spec, name, number, top.at("nodes"))
        if node.address in addresses:
            fail(spec.at("address"), f"{node.address} is already the address of node '{addresses[node.address]}'")
        addresses[node.address] = name
        states[name] = spec.choice("state", STATES, "online")
        node.powered = states[name] != "offline"
        node.boot_time = cluster.engine.epoch - spec.age("uptime", 12 * 86400)
        spec.done()
        cluster.add_node(node)
    return states


def _read_node(spec: Map, name: str, number: int, where: str) -> Node:
    links = [_address(spec.at("links"), item) for item in spec.names("links")]
    address = _address(spec.at("address"), spec.text("address", links[0] if links else f"10.0.0.{10 + number}"))
    release, version = _release(spec)
    base = profile(release)
    node = Node(
        name=name,
        nodeid=spec.integer("nodeid", number, minimum=1),
        address=address,
        release=release,
        version=version,
        repoid=base.repoid,
        qemu=spec.text("qemu", base.qemu),
        kernel=spec.text("kernel", base.kernel),
        cpu=read_cpu(spec.at("cpu"), spec.take("cpu")),
        memory=spec.size("memory", 64 * 2**30),
        links=links or [address],
        swap=spec.size("swap", 8 * 2**30),
        load=spec.number("load", 0.05),
        zfs_installed=spec.flag("zfs_installed", True),
        efi=spec.flag("efi", True),
    )
    node.kernels = spec.names("kernels")
    node.pinned_kernel = spec.text("pinned_kernel", "")
    node.boot_seconds = spec.age("boot", 45.0)
    if spec.has("rootfs"):
        node.rootfs = (spec.size("rootfs"), 12 * 10**9)
    node.packages = dict(base.packages) | {"pve-manager": version}
    node.packages |= {key: str(value) for key, value in spec.map("packages").rest()}
    node.packages_pending = _updates(spec, node)
    node.nics = _read_network(spec, address)
    node.disks = [dict(Map(f"{spec.at('disks')}[{i}]", row).rest()) for i, row in enumerate(spec.rows("disks"))]
    node.pci = [_device(f"{spec.at('pci')}[{i}]", row, "id") for i, row in enumerate(spec.rows("pci"))]
    node.usb = [_device(f"{spec.at('usb')}[{i}]", row, "vendid") for i, row in enumerate(spec.rows("usb"))]
    return node


def _updates(spec: Map, node: Node) -> dict[str, str]:
    """``upgrade:`` to a release and kernel, and single packages under ``updates:``."""
    found: dict[str, str] = {}
    if spec.has("upgrade"):
        value = spec.take("upgrade")
        to = Map(spec.at("upgrade"), value if isinstance(value, dict) else {"release": value})
        kernel = to.text("kernel") if to.has("kernel") else None
        _release_to, version = _release(to)
        to.done()
        if _parts(version) < _parts(node.version):
            fail(spec.at("upgrade"), f"{version} is older than the {node.version} that the node has")
        found = pending_for(node, version, kernel)
    return found | {key: str(value) for key, value in spec.map("updates").rest()}


def _parts(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def _numbered(value: Any, number: int) -> Any:
    """``<n>`` in texts of ``node_defaults`` stands for the number of the node: 1, 2, 3, …"""
    match value:
        case str():
            return value.replace("<n>", str(number))
        case list():
            return [_numbered(item, number) for item in value]
        case dict():
            return {key: _numbered(item, number) for key, item in value.items()}
    return value


def _device(where: str, row: Any, key: str) -> dict[str, Any]:
    if isinstance(row, str):
        return {"vendid": row.partition(":")[0], "prodid": row.partition(":")[2]} if key == "vendid" else {"id": row}
    device = dict(Map(where, row).rest())
    if key not in device:
        fail(where, f"'{key}' is missing")
    return device


def _release(spec: Map) -> tuple[tuple[int, int], str]:
    text = spec.text("release", "9.2")
    match = re.fullmatch(r"(\d+)\.(\d+)", text)
    if not match:
        fail(spec.at("release"), f"'{text}' is not a release such as 8.4 or 9.2")
    release = int(match[1]), int(match[2])
    if release < OLDEST:
        fail(spec.at("release"), f"release {text} is too old for the lab (oldest: {OLDEST[0]}.{OLDEST[1]})")
    base = profile(release)
    version = spec.text("version", base.version if base.release == release else f"{text}.1")
    if not re.fullmatch(rf"{match[1]}\.{match[2]}\.\d+(~\d+)?", version):
        fail(spec.at("version"), f"version '{version}' does not belong to release {text}")
    return release, version


def _address(where: str, text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        fail(where, f"'{text}' is not an IP address")


def _read_network(spec: Map, address: str) -> list[Nic]:
    """``network:``, or a bridge ``vmbr0`` on a 10 Gbit port with the node's address."""
    where = spec.at("network")
    speed = spec.rate("link_speed", 1.25e9)
    if not spec.has("network"):
        spec.take("network")
        prefix = 24 if "." in address else 64
        return [
            Nic("eno1", "eth", speed=speed),
            Nic("vmbr0", "bridge", f"{address}/{prefix}", speed=speed, options={"bridge_ports": "eno1"}),
        ]
    nics = [_read_nic(f"{where}.{name}", name, value, speed) for name, value in spec.map("network").rest()]
    by_name = {nic.iface: nic for nic in nics}
    for nic in nics:
        for key in ("bridge_ports", "slaves", "vlan-raw-device"):
            for port in str(nic.options.get(key, "")).split():
                parent = by_name.get(port) or by_name.get(port.partition(".")[0])
                if parent is None:
                    fail(f"{where}.{nic.iface}", f"port '{port}' is not an interface{suggestion(port, by_name)}")
    if not any(nic.cidr.partition("/")[0] == address for nic in nics):
        fail(where, f"no interface has the node's address {address} (add it, or set address:)")
    return nics


_TYPES = ("bridge", "bond", "eth", "vlan", "OVSBridge", "OVSBond", "OVSPort", "OVSIntPort", "alias", "vnet")


def _read_nic(where: str, name: str, value: Any, speed: float) -> Nic:
    if isinstance(value, str):
        value = {"address": value}
    spec = Map(where, value)
    guessed = "eth"
    for start, kind in (("vmbr", "bridge"), ("bond", "bond")):
        if name.startswith(start):
            guessed = kind
    if "." in name:
        guessed = "vlan"
    nic = Nic(name, spec.choice("type", _TYPES, guessed))
    cidr = spec.text("address", "")
    if cidr:
        try:
            ipaddress.ip_interface(cidr)
        except ValueError:
            fail(spec.at("address"), f"'{cidr}' is not an address such as 10.0.0.11/24")
        if "/" not in cidr:
            fail(spec.at("address"), f"'{cidr}' lacks the prefix length (example: {cidr}/24)")
    nic.cidr = cidr
    nic.mtu = spec.integer("mtu", 1500, minimum=68)
    nic.speed = as_rate(spec.at("speed"), spec.take("speed", speed))
    nic.active = spec.flag("active", True)
    nic.autostart = spec.flag("autostart", True)
    for key, option in (("ports", "bridge_ports"), ("slaves", "slaves"), ("raw_device", "vlan-raw-device")):
        if spec.has(key):
            nic.options[option] = " ".join(spec.names(key))
    if spec.has("gateway"):
        nic.options["gateway"] = _address(spec.at("gateway"), spec.text("gateway"))
    if spec.flag("vlan_aware"):
        nic.options["bridge_vlan_aware"] = 1
        nic.options["bridge_vids"] = spec.text("vids", "2-4094")
    if spec.has("vlan"):
        nic.options["vlan-id"] = spec.integer("vlan", minimum=1)
    elif nic.type == "vlan" and "." in name:
        nic.options["vlan-id"] = int(name.rpartition(".")[2])
        nic.options.setdefault("vlan-raw-device", name.rpartition(".")[0])
    if spec.has("comments"):
        nic.options["comments"] = spec.text("comments") + "\n"
    spec.done()
    return nic
