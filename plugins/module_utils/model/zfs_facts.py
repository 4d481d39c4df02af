# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ``zfs_info`` said of a node, as checks read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ForeignSnapshot:
    """A snapshot that Proxmox VE did not make. ``vmid`` None: not of a guest's volume."""

    dataset: str
    name: str
    owner: str
    held: bool = False
    vmid: int | None = None


@dataclass(frozen=True, slots=True)
class ZfsFacts:
    """One node's pools (name to health), datasets, foreign snapshots and the tools that make or remove some."""

    pools: Mapping[str, str]
    datasets: frozenset[str] = frozenset()
    snapshots: tuple[ForeignSnapshot, ...] = ()
    tools: tuple[str, ...] = ()


def zfs_facts(result: Mapping[str, Any]) -> ZfsFacts:
    """From a result of ``zfs_info``."""
    datasets = {str(row["name"]): row for row in result.get("datasets") or ()}
    return ZfsFacts(
        {str(row["name"]): str(row.get("health", "UNKNOWN")) for row in result.get("pools") or ()},
        frozenset(datasets),
        tuple(
            ForeignSnapshot(
                str(row["dataset"]),
                str(row["name"]),
                str(row.get("owner", "unknown")),
                bool(row.get("held")),
                (datasets.get(str(row["dataset"])) or {}).get("vmid"),
            )
            for row in result.get("snapshots") or ()
        ),
        tuple(sorted({str(row["tool"]) for row in result.get("tools") or () if row.get("tool")})),
    )
