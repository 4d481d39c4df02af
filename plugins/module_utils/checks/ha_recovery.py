# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HA when a node fails: where may a guest be started, and can it run there? (pve-facts §7.3, §7.9)"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.scope import Scope
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import DiskKind
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig
from ansible_collections.pve.mobility.plugins.module_utils.model.ha_config import allowed_nodes

NO_REPLICA = Kind(
    "ha-no-replica",
    Severity.WARN,
    "The HA manager may start a replicated guest on a node that holds no replica of it.",
    "It neither knows nor prefers the targets of replication; there the volumes are missing and the start fails.",
    "keep the resource on the source and its replicas by a strict node affinity rule, or replicate to the others",
    "nodes without a replica, nodes with one",
)
LOCAL_DISK = Kind(
    "ha-local-disk",
    Severity.WARN,
    "A guest under HA has volumes on local storage that are not replicated.",
    "When its node fails, the HA manager starts it elsewhere, without those volumes, and it ends in error.",
    "move the volumes to shared storage, replicate the guest, or take it out of HA",
    "keys of the volumes",
)
STORAGE_MISSING = Kind(
    "ha-storage-missing",
    Severity.WARN,
    "The HA manager may start a guest on a node that a storage of the guest is not meant for.",
    "There the start fails.",
    "add the node to the storage, or keep the resource off it with a node affinity rule",
    "the storage, the nodes without it",
)
MAX_RELOCATE = Kind(
    "ha-max-relocate",
    Severity.INFO,
    "The resource has max_relocate 0.",
    "When it does not start on a node, as after a move, the HA manager tries no other and puts it in state error.",
    "set max_relocate to 1 or more, unless it can run nowhere else",
    "max_relocate, max_restart",
)


def recovery(scope: Scope) -> Iterator[Finding]:
    """Of guests that the HA manager keeps running."""
    state = scope.state
    names = [node.name for node in state.nodes]
    for guest in scope.guests():
        resource = state.ha_resource(guest.sid)
        if resource is None or resource.state != "started":
            continue
        if resource.max_relocate == 0:
            yield MAX_RELOCATE.found(
                f"{guest.label} has max_relocate 0, so after a failed start it is tried on no other node",
                f"ha-manager set {guest.sid} --max_relocate 1, unless it can run nowhere else",
                guest=guest.vmid,
                max_relocate=0,
                max_restart=resource.max_restart,
            )
        config = state.config(guest.vmid)
        if config is None or not state.knows("storages"):
            continue
        others = allowed_nodes(state.rules_of(guest.sid), names) - {guest.node}
        yield from _local(scope, guest, config, others)
        yield from _storages(scope, guest, config, others)


def _local(scope: Scope, guest: Guest, config: GuestConfig, others: frozenset[str]) -> Iterator[Finding]:
    keys = _local_keys(scope, config)
    if not keys or not scope.state.knows("replication"):
        return
    replicas = {job.target for job in scope.state.jobs_of(guest.vmid) if job.removing is None}
    without = sorted(others - replicas)
    if not replicas:
        yield LOCAL_DISK.found(
            f"{guest.label} is under HA, and {', '.join(keys)} {_lie(keys)} on local storage of {guest.node} without a"
            " replica",
            guest=guest.vmid,
            node=guest.node,
            keys=keys,
        )
    elif without:
        yield NO_REPLICA.found(
            f"the HA manager may start {guest.label} on {', '.join(without)}, where no replica is (they are on"
            f" {', '.join(sorted(replicas))})",
            guest=guest.vmid,
            without=without,
            replicas=sorted(replicas),
        )


def _lie(keys: list[str]) -> str:
    return "lies" if len(keys) == 1 else "lie"


def _local_keys(scope: Scope, config: GuestConfig) -> list[str]:
    """Volumes that the guest needs to start."""
    apart = (DiskKind.UNUSED, DiskKind.VMSTATE, DiskKind.CDROM)
    found = []
    for disk in config.disks:
        storage = scope.state.storage(disk.storage) if disk.storage else None
        if storage is not None and not storage.shared and disk.kind not in apart:
            found.append(disk.key)
    return found


def _storages(scope: Scope, guest: Guest, config: GuestConfig, others: frozenset[str]) -> Iterator[Finding]:
    for name in sorted(config.storages):
        storage = scope.state.storage(name)
        if storage is None or storage.disabled or storage.nodes is None:
            continue
        without = sorted(others - frozenset(storage.nodes))
        if without:
            yield STORAGE_MISSING.found(
                f"the HA manager may start {guest.label} on {', '.join(without)}, which {name} is not meant for",
                guest=guest.vmid,
                storage=name,
                nodes=without,
            )
