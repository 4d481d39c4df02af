# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backup jobs: which guests they cover."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.names import JobName, NodeName, PoolName, StorageName
from ansible_collections.pve.mobility.plugins.module_utils.model.propstring import truth, words


@dataclass(frozen=True, slots=True)
class BackupJob:
    """``everything``: all guests but those in ``exclude``; otherwise ``vmids``, or the members of ``pool``."""

    id: JobName
    enabled: bool = True
    schedule: str | None = None
    storage: StorageName | None = None
    node: NodeName | None = None
    everything: bool = False
    vmids: frozenset[int] = frozenset()
    exclude: frozenset[int] = frozenset()
    pool: PoolName | None = None

    def covers(self, vmid: int, node: str, pool: str | None) -> bool:
        """Whether an enabled job saves the guest where it is."""
        if not self.enabled or vmid in self.exclude or (self.node is not None and self.node != node):
            return False
        return self.everything or vmid in self.vmids or (self.pool is not None and self.pool == pool)


def backup_job(row: Mapping[str, Any]) -> BackupJob:
    """From a row of ``GET /cluster/backup``."""
    return BackupJob(
        str(row.get("id", "")),
        truth(row.get("enabled"), True),
        row.get("schedule"),
        row.get("storage"),
        row.get("node") or None,
        truth(row.get("all")),
        _numbers(row.get("vmid")),
        _numbers(row.get("exclude")),
        row.get("pool") or None,
    )


def _numbers(value: Any) -> frozenset[int]:
    return frozenset(int(word) for word in words(value) if word.isdigit())
