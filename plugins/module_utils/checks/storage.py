# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Storages: are they there on the target, and can the disks travel?"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts


def on_target(move: MoveFacts) -> Iterator[Finding]:
    """Every storage of the guest must be enabled for the target, unless it is mapped to another one."""
    mapping = move.storage_map
    shared_too = {disk.storage for disk in move.precondition.local_disks}
    for storage in move.precondition.hindrance(move.target.name).storages:
        # Only storages that are not shared can be mapped (pve-facts §1.2).
        if storage in shared_too and (storage in mapping or "" in mapping):
            continue
        yield Finding(
            "storage-not-on-target",
            Severity.BLOCK,
            f"storage {storage} is disabled or not available on {move.target.name}",
            f"add {move.target.name} to the storage's nodes, or map it: target_storage: {{{storage}: other}}",
            guest=move.guest.vmid,
            node=move.target.name,
            storage=storage,
        )


def local_disks(move: MoveFacts) -> Iterator[Finding]:
    """Media in local storage block every move; attached local disks need ``with_local_disks`` when running."""
    for disk in move.precondition.local_disks:
        drive = disk.drive or disk.volid
        if disk.cdrom and not disk.cloudinit:
            yield Finding(
                "local-media",
                Severity.BLOCK,
                f"{drive} holds {disk.volid}, which lies on storage of {move.guest.node} alone",
                f"eject it ({drive}: none), or use an image on shared storage",
                guest=move.guest.vmid,
                storage=disk.storage,
                evidence={"volid": disk.volid},
            )
        elif move.live and disk.attached and not disk.tpmstate and not disk.cloudinit and not move.with_local_disks:
            yield Finding(
                "local-disk",
                Severity.BLOCK,
                f"{drive} ({disk.volid}) is a local disk and with_local_disks is false",
                "set with_local_disks: true, or move the disk to shared storage first",
                guest=move.guest.vmid,
                storage=disk.storage,
                evidence={"volid": disk.volid},
            )
