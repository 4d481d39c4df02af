# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The target node: does it take guests at all?"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts


def target_takes_guests(move: MoveFacts) -> Iterator[Finding]:
    """Proxmox VE starts a move to a node that is off, and HA drops one to a node in maintenance, without a word."""
    node = move.target
    if not node.online:
        yield Finding(
            "node-offline",
            Severity.BLOCK,
            f"{node.name} is {node.status}",
            "choose another target, or bring the node back",
            guest=move.guest.vmid,
            node=node.name,
            evidence={"status": node.status},
        )
    elif node.maintenance:
        yield Finding(
            "node-maintenance",
            Severity.BLOCK if move.ha is not None else Severity.WARN,
            f"{node.name} is in HA maintenance mode",
            f"choose another target, or end it: ha-manager crm-command node-maintenance disable {node.name}",
            guest=move.guest.vmid,
            node=node.name,
        )
