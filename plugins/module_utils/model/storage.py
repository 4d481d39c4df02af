# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Storages: their definition, which is one for the whole cluster, and how they are on each node (pve-facts §4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.names import (
    Address,
    NodeName,
    Path,
    StorageName,
    VolumeId,
)
from ansible_collections.pve.mobility.plugins.module_utils.model.propstring import properties, truth, whole, words

ALWAYS_SHARED = frozenset(
    {"iscsi", "nfs", "cifs", "rbd", "cephfs", "iscsidirect", "zfs", "drbd", "pbs", "glusterfs", "esxi"}
)
MOVABLE = frozenset({"dir", "btrfs", "zfspool", "lvmthin", "lvm"})
"""Types whose local volumes Proxmox VE can carry to another node (pve-facts §1.3)."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A definition. ``nodes`` None: on every node. ``bwlimit`` KiB/s by class (``migration``, ``default`` …).

    :ivar where: pool, path, volume group, export or the like: what must be there on the node.
    """

    id: StorageName
    type: str
    content: frozenset[str] = frozenset()
    nodes: tuple[NodeName, ...] | None = None
    disabled: bool = False
    shared: bool = False
    where: Path | None = None
    server: Address | None = None
    sparse: bool = False
    blocksize: str | None = None
    is_mountpoint: bool = False
    chained: bool = False
    bwlimit: Mapping[str, float] = field(default_factory=dict)

    def on(self, node: str) -> bool:
        """Enabled, and meant for the node; whether it is really there is :class:`StorageStatus`."""
        return not self.disabled and (self.nodes is None or node in self.nodes)


@dataclass(frozen=True, slots=True)
class StorageStatus:
    """A storage as one node sees it. Bytes; all 0 when it is not active."""

    storage: StorageName
    node: NodeName
    enabled: bool
    active: bool
    total: int = 0
    used: int = 0
    avail: int = 0


@dataclass(frozen=True, slots=True)
class SeenVolume:
    """A volume that a node has on local storage.

    Only some are looked for: cloud-init drives where their VM is not, hook scripts, and disks of guests that the HA
    manager keeps stopped, on the node where these are.
    """

    node: NodeName
    volid: VolumeId


def storage(row: Mapping[str, Any]) -> Storage:
    """From a row of ``GET /storage``."""
    kind = str(row.get("type", ""))
    where = next((str(row[key]) for key in _WHERE if row.get(key)), None)
    if kind == "lvmthin" and row.get("vgname"):
        where = f"{row['vgname']}/{row.get('thinpool', '')}"
    return Storage(
        str(row["storage"]),
        kind,
        frozenset(words(row.get("content"))) - {"none"},
        words(row["nodes"]) if row.get("nodes") else None,
        truth(row.get("disable")),
        kind in ALWAYS_SHARED or truth(row.get("shared")),
        where,
        row.get("server") or row.get("portal") or row.get("monhost") or None,
        truth(row.get("sparse")),
        row.get("blocksize"),
        bool(row.get("is_mountpoint")) and str(row.get("is_mountpoint")) not in ("0", "no"),
        truth(row.get("snapshot-as-volume-chain")),
        limits(row.get("bwlimit")),
    )


_WHERE = ("pool", "path", "vgname", "export", "share", "target", "datastore", "fs-name", "volume")


def storage_status(node: str, row: Mapping[str, Any]) -> StorageStatus:
    """From a row of ``GET /nodes/{node}/storage``."""
    return StorageStatus(
        str(row["storage"]),
        node,
        truth(row.get("enabled"), True),
        truth(row.get("active")),
        whole(row, "total"),
        whole(row, "used"),
        whole(row, "avail"),
    )


def limits(value: Any) -> dict[str, float]:
    """``migration=512000,move=1000`` → KiB/s by class; also from a mapping, in case a release parses it."""
    parts = value if isinstance(value, Mapping) else properties(str(value or ""), "default")
    found = {}
    for key, text in sorted(parts.items()):
        try:
            found[str(key)] = float(text)
        except (TypeError, ValueError):
            continue
    return found
