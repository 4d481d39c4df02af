# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which guests of a policy cannot be replicated, and why: their configurations and storages, read at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import NotFound
from ansible_collections.pve.mobility.plugins.module_utils.execution.reader import Reader
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Resources
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig, guest_config
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import (
    Storage,
    StorageStatus,
    storage,
    storage_status,
)
from ansible_collections.pve.mobility.plugins.module_utils.planning.replicatable import (
    Obstacle,
    obstacles,
    replicated_storages,
    target_obstacles,
)
from ansible_collections.pve.mobility.plugins.module_utils.planning.replication_policy import GuestPlan


@dataclass(slots=True)
class Refused:
    """``guests``: None for any target, otherwise the nodes to which it cannot be. ``rows``: the reasons, for
    results."""

    guests: dict[int, frozenset[str] | None] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)


def find_refused(reader: Reader, resources: Resources, plans: Sequence[GuestPlan]) -> Refused:
    """Look at the guests that would get new jobs.

    Requests: 1 for each guest, 1, and 1 for each target to which something can be replicated.
    """
    if not plans:
        return Refused()
    storages: dict[str, Storage] = {}
    configs: dict[int, GuestConfig] = {}
    unread: dict[int, str] = {}
    status: dict[str, list[StorageStatus]] = {}

    def read_storages() -> None:
        for row in reader.get("storages", "/storage") or ():
            storages[str(row["storage"])] = storage(row)

    def read_status(node: str) -> Callable[[], None]:
        def work() -> None:
            rows = reader.get("storages", f"/nodes/{node}/storage", node=node)
            if rows is not None:
                status[node] = [storage_status(node, row) for row in rows]

        return work

    def read_config(guest: Guest) -> Callable[[], None]:
        def work() -> None:
            try:
                row = reader.get(
                    "guest_configs", f"{guest.path}/config", {"current": 1}, node=guest.node, vmid=guest.vmid
                )
            except NotFound:
                row = None
            if row is None:
                unread[guest.vmid] = f"the configuration of {guest.label} on {guest.node} could not be read"
            else:
                configs[guest.vmid] = guest_config(guest.vmid, guest.type, guest.node, row)

        return work

    reader.each([read_storages, *(read_config(item.guest) for item in plans)])
    online = {node.name for node in resources.nodes if node.online}
    targets = {
        target
        for item in plans
        if (config := configs.get(item.guest.vmid)) is not None and replicated_storages(config, storages)
        for target in item.plan.create
    }
    reader.each([read_status(node) for node in sorted(targets & online)])
    found = Refused()
    for item in plans:
        _judge(item, configs.get(item.guest.vmid), unread, storages, status, found)
    return found


def _judge(
    item: GuestPlan,
    config: GuestConfig | None,
    unread: dict[int, str],
    storages: dict[str, Storage],
    status: dict[str, list[StorageStatus]],
    found: Refused,
) -> None:
    guest = item.guest
    if config is None:
        found.guests[guest.vmid] = None
        why = unread.get(guest.vmid, f"the configuration of {guest.label} could not be read")
        found.rows.append(_row(guest, Obstacle(why, "run this again; it needs VM.Audit on the guest")))
        return
    general = obstacles(guest, config, storages)
    if general:
        found.guests[guest.vmid] = None
        found.rows += [_row(guest, obstacle) for obstacle in general]
        return
    needed = replicated_storages(config, storages)
    special = [
        obstacle
        for target in item.plan.create
        for obstacle in target_obstacles(needed, target, storages, status.get(target))
    ]
    if special:
        found.guests[guest.vmid] = frozenset(_nodes(special))
        found.rows += [_row(guest, obstacle) for obstacle in special]


def _nodes(special: Iterable[Obstacle]) -> Iterable[str]:
    return (item.node for item in special if item.node is not None)


def _row(guest: Guest, obstacle: Obstacle) -> dict[str, Any]:
    return {
        "guest": guest.vmid,
        "label": guest.label,
        "node": guest.node,
        "target": obstacle.node,
        "why": obstacle.why,
        "remedy": obstacle.remedy,
    }
