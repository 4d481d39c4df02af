# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``ethtool`` on a node: the speed of its ports, which the API does not know."""

from __future__ import annotations

from lab.control import shell_command
from lab.errors import Die
from lab.pve.cluster import Cluster
from lab.pve.node import Node


@shell_command("ethtool")
def ethtool(_cluster: Cluster, node: Node, words: list[str]) -> str:
    """``ethtool eno1``; a bridge has no speed of its own."""
    name = words[0] if words else ""
    nic = next((item for item in node.nics if item.iface == name), None)
    if nic is None:
        raise Die(f"netlink error: no device matches name ({name})")
    speed = "Unknown!" if nic.type != "eth" or not nic.active else f"{round(nic.speed * 8 / 1e6)}Mb/s"
    return f"Settings for {name}:\n\tSpeed: {speed}\n\tLink detected: {'yes' if nic.active else 'no'}\n"
