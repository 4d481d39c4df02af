# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ties a VM to its node: devices, mappings, memory that cannot travel (qemu-server QemuMigrate/Helpers.pm)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.pve.formats import GuestConfig, parse_property_string
from lab.pve.mapping import Mapping, parse_mappings

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.node import Running

_DEVICE = re.compile(r"^(usb|hostpci|serial|parallel|virtiofs)\d+$")
_MACHINE = re.compile(r"-(\d+)\.(\d+)")


@dataclass(slots=True)
class LocalResources:
    """``local``: keys and pseudo names; ``mapped``: key → name of the mapping and perhaps ``live-migration``;
    ``missing``: by node, the keys whose mapping has no entry there."""

    local: list[str] = field(default_factory=list)
    mapped: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing: dict[str, list[str]] = field(default_factory=dict)

    @property
    def unmapped(self) -> list[str]:
        return [key for key in self.local if key not in self.mapped]


def local_resources(cluster: Cluster, config: GuestConfig, running: bool) -> LocalResources:
    current = config.current
    found = LocalResources(missing={node: [] for node in cluster.nodes})
    if running:
        found.local += [key for key in ("amd-sev", "intel-tdx") if current.get(key)]
        if any(re.fullmatch(r"virtiofs\d", key) for key in current):
            found.local.append("virtiofs")
    found.local += [key for key in ("hostusb", "hostpci", "ivshmem") if current.get(key)]
    for key in sorted(current):
        if _DEVICE.match(key):
            _device(cluster, found, key, current[key], running)
    return found


def _device(cluster: Cluster, found: LocalResources, key: str, value: str, running: bool) -> None:
    kind = re.sub(r"\d+$", "", key)
    options = parse_property_string(value, {"virtiofs": "dirid"}.get(kind, "host"))
    if kind == "serial" and value == "socket":
        return
    if kind == "usb" and options.get("host", "").lower() == "spice":
        return
    name = options.get("dirid" if kind == "virtiofs" else "mapping")
    if name:
        file = {"usb": "usb", "hostpci": "pci", "virtiofs": "dir"}[kind]
        mapping = cluster.fs.parsed(f"mapping/{file}.cfg", parse_mappings).get(name)
        nodes = mapping_nodes(mapping)
        for node, missing in found.missing.items():
            if node not in nodes:
                missing.append(key)
        found.mapped[key] = {"name": name}
        if kind == "hostpci":
            if mapping is not None and mapping.values.get("live-migration-capable") == "1":
                found.mapped[key]["live-migration"] = 1
                return
            if not running:
                return
    found.local.append(key)


def mapping_nodes(mapping: Mapping | None) -> set[str]:
    """The nodes that a mapping has a device on."""
    if mapping is None:
        return set()
    return {parse_property_string(entry).get("node", "") for entry in mapping.entries}


def clipboard_blocks(config: GuestConfig, running: Running | None) -> bool:
    """A VNC clipboard can travel since machine 10.1 only (pve-facts §1.1)."""
    if running is None or parse_property_string(config.current.get("vga", ""), "type").get("clipboard") != "vnc":
        return False
    match = _MACHINE.search(running.machine)
    return match is not None and (int(match[1]), int(match[2])) < (10, 1)
