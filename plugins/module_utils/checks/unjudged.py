# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What could not be read could not be judged, and is said rather than passed over."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.scope import Scope

NOT_JUDGED = Kind(
    "not-judged",
    Severity.WARN,
    "A part of the snapshot could not be read, so the checks that need it said nothing.",
    "No finding is only good news when somebody looked.",
    "give the token the privileges, or bring the node back, and run it again",
    "the part, why it is unknown, and the privileges that would tell",
)


def not_judged(scope: Scope) -> Iterator[Finding]:
    """One finding for each unknown part; for guests only those that the work concerns."""
    for item in scope.state.unknown:
        if item.vmid is not None and scope.only_guests is not None and item.vmid not in scope.only_guests:
            continue
        if item.node is not None and scope.only_nodes is not None and item.node not in scope.only_nodes:
            continue
        where = f" of guest {item.vmid}" if item.vmid else f" of {item.node}" if item.node else ""
        yield NOT_JUDGED.found(
            f"{item.part}{where} could not be read: {item.why.rstrip('.')}",
            guest=item.vmid,
            node=item.node,
            part=item.part,
            privileges=list(item.privileges),
        )
