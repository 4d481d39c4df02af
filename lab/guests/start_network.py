# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a guest's network devices from being attached on a node (pve-common Network.pm:tap_plug)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.pve.formats import GuestConfig, parse_property_string, parse_section_config

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.node import Nic, Node

_PORT = re.compile(r"(?:(?:eth|bond)\d+|en[^.]+)(?:\.\d+)?")
"""What Proxmox VE takes for a physical port of a bridge."""


def bridges(cluster: Cluster, node: Node) -> set[str]:
    """Names that a network device may be attached to on a node."""
    found = {nic.iface for nic in node.nics if nic.type in {"bridge", "OVSBridge", "vnet"} and nic.active}
    zones = cluster.fs.parsed("sdn/zones.cfg", parse_section_config)
    for section in cluster.fs.parsed("sdn/vnets.cfg", parse_section_config).values():
        zone = zones.get(section.values.get("zone", ""))
        nodes = zone.values.get("nodes", "") if zone is not None else ""
        if not nodes or node.name in re.split(r"[,; ]+", nodes):
            found.add(section.id)
    return found


def not_attached(cluster: Cluster, node: Node, config: GuestConfig) -> tuple[str, str] | None:
    """The first device that the network scripts cannot attach, and why."""
    for key, device in sorted(_devices(config).items()):
        bridge = device.get("bridge")
        if not bridge:
            continue
        if bridge not in bridges(cluster, node):
            return key, f"bridge '{bridge}' does not exist"
        nic = _bridge(node, bridge)
        if nic is None or nic.options.get("bridge_vlan_aware"):
            continue
        if device.get("trunks"):
            return key, "vlan aware feature need to be enabled to use trunks"
        ports = str(nic.options.get("bridge_ports", "")).split()
        if device.get("tag") and not any(_PORT.fullmatch(port) for port in ports):
            return key, f"no physical interface on bridge '{bridge}'"
    return None


def mtu_too_big(node: Node, config: GuestConfig) -> str | None:
    """Of a VirtIO device that asks for more than its bridge has (QemuServer.pm:print_netdevice_full)."""
    for key, device in sorted(_devices(config).items()):
        mtu, nic = int(device.get("mtu", "0")), _bridge(node, device.get("bridge", ""))
        if "virtio" in device and mtu > 1 and nic is not None and mtu > nic.mtu:
            return f"netdev {key}: MTU '{mtu}' is bigger than the bridge MTU '{nic.mtu}'"
    return None


def _devices(config: GuestConfig) -> dict[str, dict[str, str]]:
    return {
        key: parse_property_string(value, "model")
        for key, value in config.current.items()
        if re.fullmatch(r"net\d+", key)
    }


def _bridge(node: Node, name: str) -> Nic | None:
    """None for VNets and bridges of Open vSwitch, which are attached otherwise."""
    return next((nic for nic in node.nics if nic.iface == name and nic.type == "bridge"), None)
