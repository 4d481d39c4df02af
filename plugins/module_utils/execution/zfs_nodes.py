# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every node says of its storages and of the ZFS below them.

Requests: 3 for each node that is online, and 1 for each listing of volumes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.execution.reader import Reader
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Node
from ansible_collections.pve.mobility.plugins.module_utils.model.propstring import truth, whole
from ansible_collections.pve.mobility.plugins.module_utils.planning.zfs_storage import OnNode, Used

VOLUMES = "volumes"
_PARTS = {"storages": "storage", "pools": "disks/zfs", "datasets": "scan/zfs"}


@dataclass(slots=True)
class NodeZfs:
    """One node's answers; None: not readable."""

    storages: dict[str, Mapping[str, Any]] | None = None
    pools: dict[str, Mapping[str, Any]] | None = None
    datasets: dict[str, Mapping[str, Any]] | None = None
    why: dict[str, str] = field(default_factory=dict)


def read_nodes(reader: Reader, nodes: Iterable[Node]) -> dict[str, NodeZfs]:
    """By node; those that are offline are in it too, and say so."""
    found = {node.name: NodeZfs() for node in nodes}

    def one(name: str, part: str, path: str) -> Callable[[], None]:
        def read() -> None:
            rows = reader.get(part, f"/nodes/{name}/{path}", node=name)
            if rows is not None:
                key = {"storages": "storage", "pools": "name", "datasets": "pool"}[part]
                setattr(found[name], part, {str(row[key]): row for row in rows})

        return read

    online = [node.name for node in nodes if node.online]
    reader.each([one(name, part, path) for name in online for part, path in _PARTS.items()])
    for item in reader.unknown:
        if item.node in found and item.part in _PARTS:
            found[item.node].why[item.part] = item.why.rstrip(".")
    for name, answers in found.items():
        if name not in online:
            answers.why = dict.fromkeys(_PARTS, "it is offline")
        elif reader.dead(name):
            answers.why = dict.fromkeys(_PARTS, reader.why_dead(name).rstrip("."))
    return found


def on_node(name: str, answers: NodeZfs, storage: str, dataset: str) -> OnNode:
    """A storage and its dataset as one node sees them."""
    row = (answers.storages or {}).get(storage, {})
    pool = (answers.pools or {}).get(dataset.partition("/")[0], {})
    without_zfs = "zfsutils-linux not installed" in answers.why.get("pools", "")
    there: bool | None = None
    if answers.datasets is not None:
        there = dataset in answers.datasets
    elif without_zfs:
        there = False
    return OnNode(
        name,
        truth(row.get("enabled")),
        truth(row.get("active")),
        whole(row, "total"),
        whole(row, "used"),
        whole(row, "avail"),
        str(pool["health"]) if pool.get("health") else None,
        there,
        whole(pool, "size"),
        whole(pool, "alloc"),
        answers.why.get("datasets", "") if there is None else "",
    )


def read_volumes(reader: Reader, storage: str, nodes: Iterable[str]) -> list[Used]:
    """Volumes of a storage on nodes; which of them could not be listed is in ``reader.unknown``."""
    found: list[Used] = []

    def one(name: str) -> Callable[[], None]:
        def read() -> None:
            rows = reader.get(VOLUMES, f"/nodes/{name}/storage/{storage}/content", node=name) or ()
            for row in rows:
                vmid = whole(row, "vmid") or None
                found.append(Used(name, str(row["volid"]), str(row.get("content")), vmid, whole(row, "size")))

        return read

    reader.each([one(name) for name in nodes])
    return sorted(found, key=lambda item: (item.node, item.volid))
