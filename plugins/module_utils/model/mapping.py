# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Resource mappings: devices and directories under one name on several nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.names import MappingName, NodeName, Path
from ansible_collections.pve.mobility.plugins.module_utils.model.propstring import properties, truth


@dataclass(frozen=True, slots=True)
class MappedDevice:
    """What the name stands for on one node: a PCI address or USB port, or a directory."""

    node: NodeName
    id: str | None = None
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class ResourceMapping:
    """``kind`` is pci, usb or dir. ``live`` is set for PCI devices whose state can travel."""

    kind: str
    name: MappingName
    devices: tuple[MappedDevice, ...] = ()
    live: bool = False

    def on(self, node: str) -> bool:
        return any(device.node == node for device in self.devices)


def resource_mapping(kind: str, row: Mapping[str, Any]) -> ResourceMapping:
    """From a row of ``GET /cluster/mapping/{pci,usb,dir}``."""
    entries = [properties(str(text)) for text in row.get("map") or ()]
    devices = [MappedDevice(entry.get("node", ""), entry.get("id"), entry.get("path")) for entry in entries]
    devices.sort(key=lambda device: (device.node, device.path or ""))
    return ResourceMapping(kind, str(row["id"]), tuple(devices), truth(row.get("live-migration-capable")))
