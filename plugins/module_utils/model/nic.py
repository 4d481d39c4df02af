# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Network devices of guests."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.pve.mobility.plugins.module_utils.model.names import Address, BridgeName
from ansible_collections.pve.mobility.plugins.module_utils.model.propstring import properties, truth, whole

_KEYS = {"bridge", "tag", "trunks", "mtu", "rate", "firewall", "link_down", "queues", "model", "macaddr"}
_MAC = re.compile(r"^(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$")


@dataclass(frozen=True, slots=True)
class Nic:
    """``bridge`` is a bridge or a VNet, None for user-mode networking; ``mtu`` 1 means that of the bridge."""

    key: str
    model: str
    bridge: BridgeName | None = None
    mac: Address | None = None
    tag: int | None = None
    trunks: str | None = None
    mtu: int | None = None
    firewall: bool = False
    link_down: bool = False


def nic(key: str, value: str) -> Nic:
    """From ``net0: virtio=BC:24:11:00:00:01,bridge=vmbr0,tag=20`` of a VM, or a container's form of it."""
    props = properties(value, "model")
    model, mac = props.get("model", ""), props.get("macaddr") or props.get("hwaddr")
    for name, text in props.items():
        # A VM's model stands where other properties have their name: virtio=<address>.
        if name not in _KEYS and _MAC.match(text) and name != "hwaddr":
            model, mac = name, text
    return Nic(
        key,
        model or props.get("type", "veth"),
        props.get("bridge"),
        mac,
        whole(props, "tag") or None,
        props.get("trunks"),
        whole(props, "mtu") or None,
        truth(props.get("firewall")),
        truth(props.get("link_down")),
    )
