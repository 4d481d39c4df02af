# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``/nodes/{node}/network``: interfaces, bridges and VNets (pve-manager API2/Network.pm)."""

from __future__ import annotations

import ipaddress
from typing import Any

import lab.network_shell  # noqa: F401  # pylint: disable=unused-import  # registers the shell's commands
from lab.errors import BadParameters
from lab.http.router import Call, Param, opt, route
from lab.http.router import check as needs
from lab.pve.formats import parse_section_config, split_list
from lab.pve.node import Nic

_NODE = Param("node", format="pve-node")
_TYPES = ("bridge", "bond", "eth", "alias", "vlan", "fabric", "OVSBridge", "OVSBond", "OVSPort", "OVSIntPort", "vnet",
          "any_bridge", "any_local_bridge", "include_sdn")  # fmt: skip
_BRIDGES = frozenset({"bridge", "OVSBridge"})


@route("GET", "/nodes/{node}/network", _NODE, opt("type", enum=_TYPES))
def index(call: Call) -> list[dict[str, Any]]:
    wanted = call.get("type")
    rows = {nic.iface: _row(nic) for nic in call.node.nics if _matches(nic, wanted)}
    if wanted in {"any_bridge", "include_sdn", "vnet"}:
        rows |= _vnets(call)
    return [row for name, row in sorted(rows.items()) if _visible(call, name, row)]


def _matches(nic: Nic, wanted: str | None) -> bool:
    if wanted in {None, "include_sdn"}:
        return True
    return wanted == nic.type or (wanted in {"any_bridge", "any_local_bridge"} and nic.type in _BRIDGES)


def _visible(call: Call, name: str, row: dict[str, Any]) -> bool:
    """Bridges need a privilege in their zone; the nodes' own bridges count as zone ``localnetwork``."""
    if row["type"] not in _BRIDGES:
        return True
    return call.may(f"/sdn/zones/localnetwork/{name}", "SDN.Audit", "SDN.Use", any_of=True)


@route("GET", "/nodes/{node}/network/{iface}", _NODE, Param("iface", format="pve-iface"),
       permission=needs("/nodes/{node}", "Sys.Audit"))  # fmt: skip
def read(call: Call) -> dict[str, Any]:
    for nic in call.node.nics:
        if nic.iface == call["iface"]:
            row = _row(nic)
            del row["iface"]
            return row
    raise BadParameters({"iface": "interface does not exist"})


def _row(nic: Nic) -> dict[str, Any]:
    row: dict[str, Any] = {
        "iface": nic.iface, "type": nic.type, "method": "manual", "method6": "manual", "families": ["inet"],
        "priority": 3,
    }  # fmt: skip
    if nic.active:
        row["active"] = 1
    if nic.autostart:
        row["autostart"] = 1
    if nic.type == "eth":
        row["exists"] = 1
    if nic.cidr:
        address = ipaddress.ip_interface(nic.cidr)
        six = "6" if address.version == 6 else ""
        row |= {f"method{six}": "static", f"cidr{six}": nic.cidr, f"address{six}": str(address.ip),
                f"netmask{six}": str(address.network.prefixlen)}  # fmt: skip
    if nic.type == "bridge":
        row |= {"bridge_ports": "", "bridge_stp": "off", "bridge_fd": "0"}
    if nic.mtu != 1500:
        row["mtu"] = str(nic.mtu)
    return row | nic.options


def _vnets(call: Call) -> dict[str, dict[str, Any]]:
    """VNets of the zones that exist on this node."""
    fs = call.cluster.fs
    zones = fs.parsed("sdn/zones.cfg", parse_section_config)
    rows = {}
    for name, section in fs.parsed("sdn/vnets.cfg", parse_section_config).items():
        zone = section.values["zone"]
        only = split_list(zones[zone].values.get("nodes")) if zone in zones else []
        if only and call.node.name not in only:
            continue
        if call.may(f"/sdn/zones/{zone}/{name}", "SDN.Audit", "SDN.Use", any_of=True):
            rows[name] = {"iface": name, "type": "vnet", "active": 1, "comments": section.values.get("alias", "")}
            if "tag" in section.values:
                rows[name]["vlan"] = int(section.values["tag"])
    return rows
