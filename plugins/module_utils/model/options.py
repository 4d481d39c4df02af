# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""datacenter.cfg: what it says about moves (pve-facts §5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.names import Address
from ansible_collections.pve.mobility.plugins.module_utils.model.propstring import properties, truth, whole
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import limits


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """``migration_network`` None: the address by which the cluster knows the node. ``bwlimit`` KiB/s by class.

    Without settings of its own, replication goes as migration does, as a whole.
    """

    migration_type: str = "secure"
    migration_network: Address | None = None
    replication_type: str = "secure"
    replication_network: Address | None = None
    bwlimit: Mapping[str, float] = field(default_factory=dict)
    max_workers: int = 4
    shutdown_policy: str = "conditional"
    crs: str = "basic"
    rebalance_on_start: bool = False
    auto_rebalance: bool = False
    mac_prefix: str | None = None


def cluster_options(answer: Mapping[str, Any]) -> ClusterOptions:
    """From the data of ``GET /cluster/options``, as one reads it who has Sys.Audit on ``/``."""
    migration = _parsed(answer.get("migration"), "type")
    if "type" not in migration and truth(answer.get("migration_unsecure")):
        migration["type"] = "insecure"
    replication = _parsed(answer.get("replication"), "type") or migration
    crs = _parsed(answer.get("crs"), "ha")
    return ClusterOptions(
        migration.get("type", "secure"),
        migration.get("network") or None,
        replication.get("type", "secure"),
        replication.get("network") or None,
        limits(answer.get("bwlimit")),
        whole(answer, "max_workers", 4),
        _parsed(answer.get("ha"), "shutdown_policy").get("shutdown_policy", "conditional"),
        crs.get("ha", "basic"),
        truth(crs.get("ha-rebalance-on-start")),
        truth(crs.get("ha-auto-rebalance")),
        answer.get("mac_prefix") or None,
    )


def _parsed(value: Any, default: str) -> dict[str, str]:
    """Some properties come parsed, others as text (pve-facts §5)."""
    if isinstance(value, Mapping):
        return {str(key): str(item) for key, item in value.items()}
    return properties(str(value or ""), default)
