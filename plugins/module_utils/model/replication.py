# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Replication jobs as their guest's node sees them: ``GET /nodes/{node}/replication`` (pve-facts §6.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.names import Comment, NodeName, Sentence


@dataclass(frozen=True, slots=True)
class ReplicationJob:
    """One job. ``last_sync`` is the Unix time of the last good run's snapshot, 0 for never; ``rate`` in MB/s.

    :ivar duration: seconds that the last run took. :ivar next_sync: Unix time; 0 when it will not run, 1 when the job
        is being removed. :ivar seen: the guest's node told how the job is doing; otherwise only its settings are known.
    """

    id: str
    guest: int
    source: NodeName
    target: NodeName
    last_sync: int = 0
    fail_count: int = 0
    error: Sentence | None = None
    running: bool = False
    removing: str | None = None
    disabled: bool = False
    schedule: str = "*/15"
    rate: float | None = None
    duration: float = 0.0
    last_try: int = 0
    next_sync: int = 0
    comment: Comment | None = None
    seen: bool = True

    @property
    def number(self) -> int:
        """The part of the ID after the guest's number; it means nothing."""
        tail = self.id.rpartition("-")[2]
        return int(tail) if tail.isdigit() else 0

    @property
    def waits_for_target(self) -> bool:
        """It has failed and is not tried again before its target is back (pve-facts §6.2)."""
        return self.seen and self.fail_count > 0 and self.next_sync == 0

    def turned(self, node: str) -> ReplicationJob:
        """The job after its guest has come to ``node``, its target: back to where the guest was."""
        return replace(self, source=node, target=self.source)


def replication_job(row: Mapping[str, Any]) -> ReplicationJob:
    """From a row of ``GET /nodes/{node}/replication``, or of ``GET /cluster/replication`` with the settings alone."""
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
        float(row.get("duration") or 0),
        int(row.get("last_try", 0) or 0),
        int(row.get("next_sync", 0) or 0),
        row.get("comment") or None,
        "last_sync" in row,
    )
