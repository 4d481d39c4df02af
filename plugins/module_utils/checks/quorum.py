# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Quorum: without it Proxmox VE writes nothing, so nothing moves."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.scope import Scope

QUORUM_LOST = Kind(
    "quorum-lost",
    Severity.BLOCK,
    "The cluster has no quorum.",
    "Configuration files are read-only without it, so no guest can change its node, and HA fences nodes.",
    "bring back a majority of the nodes",
    "the nodes that are offline",
    enforced=True,
)


def quorum(scope: Scope) -> Iterator[Finding]:
    """Of the node that answered."""
    if scope.state.quorate is False:
        offline = [node.name for node in scope.state.nodes if not node.online]
        yield QUORUM_LOST.found(
            f"the cluster has no quorum; offline: {', '.join(offline) or 'unknown'}",
            offline=offline,
        )
