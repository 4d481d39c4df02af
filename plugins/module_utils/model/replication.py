# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Replication jobs as their guest's node sees them: ``GET /nodes/{node}/replication`` (pve-facts §6.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ReplicationJob:
    """One job. ``last_sync`` is the Unix time of the last good run's snapshot, 0 for never; ``rate`` in MB/s."""

    id: str
    guest: int
    source: str
    target: str
    last_sync: int = 0
    fail_count: int = 0
    error: str | None = None
    running: bool = False
    removing: str | None = None
    disabled: bool = False
    schedule: str = "*/15"
    rate: float | None = None


def replication_job(row: Mapping[str, Any]) -> ReplicationJob:
    """From a row of ``GET /nodes/{node}/replication``."""
    return ReplicationJob(
        str(row["id"]),
        int(row["guest"]),
        str(row.get("source", "")),
        str(row["target"]),
        int(row.get("last_sync", 0) or 0),
        int(row.get("fail_count", 0) or 0),
        row.get("error") or None,
        bool(row.get("pid")),
        row.get("remove_job") or None,
        bool(int(row.get("disable", 0) or 0)),
        str(row.get("schedule", "*/15")),
        float(row["rate"]) if row.get("rate") else None,
    )
