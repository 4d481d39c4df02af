# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings of the cluster that interfere with planned work (pve-facts §5, §7.8)."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.scope import Scope

REBALANCE = Kind(
    "ha-auto-rebalance",
    Severity.WARN,
    "The HA manager moves services by itself to balance the load (ha-auto-rebalance, from 9.2 on).",
    "During planned work it undoes placements, fills nodes that were just emptied, and competes for the network.",
    "switch ha-auto-rebalance off in the crs option of the datacenter for the time of the work",
    "the scheduler, number of HA resources",
)
DISARMED = Kind(
    "ha-off",
    Severity.WARN,
    "The HA stack is disarmed.",
    "No guest is recovered while it is: a node that fails takes its guests with it. In mode freeze HA guests do not"
    " move either.",
    "arm it again when the work is done (POST /cluster/ha/status/arm-ha)",
    "the mode: freeze or ignore",
)


def options(scope: Scope) -> Iterator[Finding]:
    """Of the cluster, whatever the work concerns."""
    state = scope.state
    settings = state.options
    if settings is not None and settings.auto_rebalance and (state.ha_resources or not state.knows("ha")):
        count = len(state.ha_resources)
        yield REBALANCE.found(
            f"the HA manager rebalances by itself (scheduler {settings.crs})"
            + (f", and may move any of {count} HA resource{'' if count == 1 else 's'} meanwhile" if count else ""),
            scheduler=settings.crs,
            resources=count,
        )
    if state.ha is not None and state.ha.disarm_mode:
        yield DISARMED.found(
            f"the HA stack is disarmed (mode {state.ha.disarm_mode}), so no guest is recovered when a node fails",
            mode=state.ha.disarm_mode,
        )
