# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Nodes: are they there, do they take guests, is their clock right?"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.scope import Scope
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts

OFFLINE = Kind(
    "node-offline",
    Severity.BLOCK,
    "The target is not online.",
    "Proxmox VE lists it as allowed and starts the move all the same, which then fails; HA drops it without a word.",
    "choose another target, or bring the node back",
    "status of the node",
    enforced=True,
)
SOURCE_OFFLINE = Kind(
    "source-offline",
    Severity.BLOCK,
    "The guest is on a node that is not online.",
    "Nobody there can read its disks or memory, and nothing says whether it still runs.",
    "bring the node back; HA recovers its services by itself once it has fenced the node",
    "status of the node",
    enforced=True,
)
MAINTENANCE = Kind(
    "node-maintenance",
    Severity.BLOCK,
    "The target is in HA maintenance mode. For guests without HA this is a warning: Proxmox VE moves them there.",
    "The HA manager takes no request to move a guest there and says so only in its journal; and the node is about to"
    " be worked on.",
    "choose another target, or end it: ha-manager crm-command node-maintenance disable NODE",
    enforced=True,
)
CLOCK = Kind(
    "node-clock",
    Severity.WARN,
    "The clock of a node is off.",
    "Replication runs by the clock of the guest's node, HA judges by clocks whether a node is alive, and log-ins"
    " between nodes fail when clocks differ much.",
    "see to chrony on that node (chronyc tracking)",
    "seconds against the middle of the cluster, good to ten seconds; the limit",
)


def target_takes_guests(move: MoveFacts) -> Iterator[Finding]:
    """Proxmox VE starts a move to a node that is off, and HA drops one to a node in maintenance, without a word."""
    node = move.target
    if not node.online:
        yield OFFLINE.found(f"{node.name} is {node.status}", guest=move.guest.vmid, node=node.name, status=node.status)
    elif node.maintenance:
        yield MAINTENANCE.found(
            f"{node.name} is in HA maintenance mode",
            f"choose another target, or end it: ha-manager crm-command node-maintenance disable {node.name}",
            severity=Severity.BLOCK if move.managed else Severity.WARN,
            guest=move.guest.vmid,
            node=node.name,
        )


def source_is_there(move: MoveFacts) -> Iterator[Finding]:
    """Guests of a node that died keep the status that they had, for minutes (pve-facts §16)."""
    node = move.state.node(move.guest.node)
    if node is not None and not node.online:
        yield SOURCE_OFFLINE.found(
            f"{move.guest.label} is on {node.name}, which is {node.status}",
            guest=move.guest.vmid,
            node=node.name,
            status=node.status,
        )


def clocks(scope: Scope) -> Iterator[Finding]:
    """Of nodes that say by their HA agents what time it is."""
    limit = scope.thresholds.clock_offset
    for facts in scope.facts():
        offset = facts.clock_offset
        if facts.online and offset is not None and abs(offset) > limit:
            yield CLOCK.found(
                f"the clock of {facts.name} is {abs(offset):.0f} s {'ahead' if offset > 0 else 'behind'}",
                node=facts.name,
                offset=offset,
                limit=limit,
            )
