# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Devices of the node in a guest's configuration: PCI, USB, ports, shared directories (pve-facts §1.3)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.pve.mobility.plugins.module_utils.model.names import MappingName, Sentence
from ansible_collections.pve.mobility.plugins.module_utils.model.propstring import properties

KEYS = re.compile(r"^(?:(hostpci|usb|serial|parallel|virtiofs|dev)\d+|(ivshmem|hostusb|hostpci))$")


@dataclass(frozen=True, slots=True)
class Device:
    """``kind`` is the key without its number. ``mapping`` is None when the node's device is named itself.

    :ivar bound: it really is a part of the node; ``spice`` USB ports and ``socket`` serial ports are not.
    """

    key: str
    kind: str
    value: Sentence
    mapping: MappingName | None = None
    bound: bool = True


def device(key: str, value: str) -> Device | None:
    """From a line of a configuration; None when the key is not one of a device."""
    match = KEYS.match(key)
    if match is None:
        return None
    kind = match[1] or match[2]
    props = properties(value, "host")
    mapping = props.get("mapping")
    bound = True
    match kind:
        case "usb":
            bound = props.get("host") != "spice"
        case "serial":
            bound = value.strip() != "socket"
        case "virtiofs":
            mapping = props.get("dirid") or props.get("host")
    return Device(key, kind, value, mapping, bound)
