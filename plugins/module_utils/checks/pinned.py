# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Guests that no other node can take."""

from __future__ import annotations

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest

PINNED = Kind(
    "pinned",
    Severity.WARN,
    "No other node can take the guest as it is now.",
    "It has to be stopped when its node is drained, upgraded or fails.",
    "remove what holds it, or plan to stop it",
    "the ids of the findings that block it, by node",
)
NO_TARGET = Kind(
    "no-target",
    Severity.BLOCK,
    "There is no other node that is online and takes guests.",
    "A drained node's guests have to go somewhere.",
    "bring another node back, or end its maintenance",
    "the other nodes and their state",
)


def pinned(guest: Guest, reasons: dict[str, list[str]], first: Finding) -> Finding:
    """:param reasons: blocking ids by node. :param first: what blocks it on the node that comes closest."""
    return PINNED.found(
        f"{guest.label} cannot leave {guest.node}: {first.message}",
        first.remedy,
        guest=guest.vmid,
        node=guest.node,
        blocked_by=reasons,
    )


def no_target(node: str, others: dict[str, str]) -> Finding:
    """:param others: state of each other node."""
    states = ", ".join(f"{name} is {state}" for name, state in others.items())
    return NO_TARGET.found(
        f"no node can take guests from {node}: {states or 'there is no other'}", node=node, others=others
    )
