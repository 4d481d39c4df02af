# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Guests that no other node can take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest

_SHOWN = 3
"""Reasons in a message; the evidence has all."""

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


def pinned(guest: Guest, blocking: Mapping[str, Sequence[Finding]]) -> Finding:
    """:param blocking: what blocks it by node, for each node one finding at least, the closest node first."""
    everywhere = set.intersection(*({item.id for item in found} for found in blocking.values()))
    nearest = next(iter(blocking.values()))
    # What holds it on every node has to be mended wherever it shall go.
    reasons = [item for item in nearest if item.id in everywhere][:1]
    if not reasons:
        firsts = {found[0].id: found[0] for found in reversed(list(blocking.values()))}
        reasons = [firsts[name] for name in dict.fromkeys(found[0].id for found in blocking.values())]
    more = f"; and {len(reasons) - _SHOWN} reasons more" if len(reasons) > _SHOWN else ""
    return PINNED.found(
        f"{guest.label} cannot leave {guest.node}: {'; '.join(item.message for item in reasons[:_SHOWN])}{more}",
        reasons[0].remedy,
        guest=guest.vmid,
        node=guest.node,
        blocked_by={node: sorted({item.id for item in found}) for node, found in blocking.items()},
    )


def no_target(node: str, others: dict[str, str]) -> Finding:
    """:param others: state of each other node."""
    states = ", ".join(f"{name} is {state}" for name, state in others.items())
    return NO_TARGET.found(
        f"no node can take guests from {node}: {states or 'there is no other'}", node=node, others=others
    )
