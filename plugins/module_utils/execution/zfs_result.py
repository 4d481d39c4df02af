# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ``zfs_info`` returns."""

from __future__ import annotations

from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.execution.zfs import ZfsFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.codec import plain
from ansible_collections.pve.mobility.plugins.module_utils.model.zfs import Snapshot
from ansible_collections.pve.mobility.plugins.module_utils.model.zfs_owner import Owner

NOTHING: dict[str, Any] = {
    "available": False,
    "pools": [],
    "datasets": [],
    "snapshots": [],
    "tools": [],
    "pve_zsync_jobs": [],
}
"""The result of a node without ZFS."""


def zfs_result(facts: ZfsFacts, which: str) -> dict[str, Any]:
    """:param which: snapshots to list: ``foreign``, ``all`` or ``none``."""
    counts = facts.counts()
    listed = {
        "all": lambda snapshot: True,
        "foreign": _stands_out,
        "none": lambda snapshot: False,
    }[which]
    result = {
        "available": True,
        "pools": [plain(pool) | {"healthy": pool.healthy} for pool in facts.pools],
        "datasets": [plain(item) | {"snapshots": counts.get(item.name, {})} for item in facts.datasets],
        "snapshots": [plain(item) for item in facts.snapshots if listed(item)],
        "tools": plain(facts.markers),
        "pve_zsync_jobs": plain(facts.jobs),
    }
    if which == "none":
        del result["snapshots"]
    return result


def _stands_out(snapshot: Snapshot) -> bool:
    return snapshot.owner.foreign or snapshot.held or snapshot.owner is Owner.MIGRATION
