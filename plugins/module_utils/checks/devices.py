# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Devices of the source node that a guest uses (pve-facts §1.3)."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts


def passthrough(move: MoveFacts) -> Iterator[Finding]:
    """Unmapped devices block every move, mapped ones a live move unless they are capable of it."""
    mapped = move.precondition.mapped
    for key in move.precondition.local_resources:
        if key in mapped and not move.live:
            continue
        name, capable = mapped.get(key, ("", False))
        if capable:
            continue
        what = f"{key} is mapped to {name}" if name else f"{key} is a device of {move.guest.node}"
        yield Finding(
            "passthrough",
            Severity.BLOCK,
            f"{what}, which a {'running' if move.live else 'stopped'} guest cannot take along",
            "stop the guest and move it offline" if name else f"remove {key}, or map the device on both nodes",
            guest=move.guest.vmid,
            node=move.guest.node,
            evidence={"key": key, "mapping": name or None},
        )


def mappings(move: MoveFacts) -> Iterator[Finding]:
    """A mapped device needs an entry for the target."""
    for key in move.precondition.hindrance(move.target.name).resources:
        yield Finding(
            "mapping-missing",
            Severity.BLOCK,
            f"{key} is mapped, but the mapping has no device on {move.target.name}",
            f"add {move.target.name} to the resource mapping (Datacenter, Resource Mappings)",
            guest=move.guest.vmid,
            node=move.target.name,
            evidence={"key": key},
        )
