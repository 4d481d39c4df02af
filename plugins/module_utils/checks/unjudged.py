# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What could not be read could not be judged, and is said rather than passed over."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.scope import Scope
from ansible_collections.pve.mobility.plugins.module_utils.model.unknown import Unknown

NOT_JUDGED = Kind(
    "not-judged",
    Severity.WARN,
    "A part of the snapshot could not be read, so the checks that need it said nothing.",
    "No finding is only good news when somebody looked.",
    "give the token the privileges, or bring the node back, and run it again",
    "the parts, why they are unknown, and the privileges that would tell",
)


def not_judged(scope: Scope) -> Iterator[Finding]:
    """One finding for all that is unknown of a node, of a guest, or of the cluster, for one reason."""
    groups: dict[tuple[int | None, str | None, str], list[Unknown]] = {}
    for item in scope.state.unknown:
        if item.vmid is not None and scope.only_guests is not None and item.vmid not in scope.only_guests:
            continue
        if item.node is not None and scope.only_nodes is not None and item.node not in scope.only_nodes:
            continue
        groups.setdefault((item.vmid, item.node, item.why), []).append(item)
    for (vmid, node, why), items in groups.items():
        parts = [item.part for item in items]
        named = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
        where = f" of guest {vmid}" if vmid else f" of {node}" if node else ""
        yield NOT_JUDGED.found(
            f"{named}{where} could not be read: {why.rstrip('.')}",
            guest=vmid,
            node=node,
            parts=parts,
            privileges=sorted({name for item in items for name in item.privileges}),
        )
