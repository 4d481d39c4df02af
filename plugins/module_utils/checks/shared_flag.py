# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Shared storage: is it shared, or only said to be? Proxmox VE believes it and copies nothing (pve-facts §4)."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.scope import Scope
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import ALWAYS_SHARED, Storage

NOT_SHARED = Kind(
    "shared-flag",
    Severity.BLOCK,
    "A storage is flagged as shared, and the nodes see different ones.",
    "The flag only declares it. Proxmox VE leaves the disks behind, and the guest arrives without them; nothing refuses"
    " the move of a stopped guest.",
    "remove the flag (shared 0), so that disks are copied, or mount the same storage on all nodes",
    "size of the storage on either node",
)
UNSURE = Kind(
    "shared-flag-unsure",
    Severity.WARN,
    "A directory is flagged as shared, and nothing makes sure that anything is mounted there.",
    "When the mount is missing on a node, Proxmox VE uses the directory below it, which that node has for itself.",
    "set is_mountpoint for the storage, so that it is only active while something is mounted",
    "path of the storage",
)
_SAME = 0.001
"""Part by which the sizes that nodes tell of one file system may differ."""


def not_shared(move: MoveFacts) -> Iterator[Finding]:
    """Of storages that the guest has volumes on."""
    told: set[str] = set()
    for volume in move.volumes:
        storage = volume.storage
        if storage is None or storage.id in told or not _only_said(storage):
            continue
        told.add(storage.id)
        sizes = _sizes(move.state, storage.id, move.guest.node, move.target.name)
        if sizes is not None:
            yield NOT_SHARED.found(
                f"storage {storage.id} is flagged as shared, but is another one on {move.target.name}"
                f" ({_gib(sizes[1])}) than on {move.guest.node} ({_gib(sizes[0])}), so {move.guest.label} would arrive"
                f" without {volume.disk.key}",
                guest=move.guest.vmid,
                node=move.target.name,
                storage=storage.id,
                source_size=sizes[0],
                target_size=sizes[1],
            )


def mounts(scope: Scope) -> Iterator[Finding]:
    """Of all storages that are flagged."""
    for storage in scope.state.storages:
        if storage.type == "dir" and storage.shared and not storage.is_mountpoint and not storage.disabled:
            yield UNSURE.found(
                f"storage {storage.id} is flagged as shared, and {storage.where or 'its path'} is used whether anything"
                " is mounted there or not",
                f"pvesm set {storage.id} --is_mountpoint 1",
                storage=storage.id,
                path=storage.where,
            )


def _only_said(storage: Storage) -> bool:
    return storage.shared and storage.type not in ALWAYS_SHARED


def _sizes(state: ClusterState, name: str, source: str, target: str) -> tuple[int, int] | None:
    """Bytes, where they differ."""
    one, other = state.storage_on(name, source), state.storage_on(name, target)
    if one is None or other is None or not (one.active and other.active and one.total and other.total):
        return None
    return (one.total, other.total) if abs(one.total - other.total) > _SAME * one.total else None


def _gib(value: int) -> str:
    return f"{value / 2**30:.1f} GiB".replace(".0 GiB", " GiB")
