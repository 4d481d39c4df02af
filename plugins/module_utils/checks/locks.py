# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Locks: what is being done to the guest, or was broken off (pve-facts §10)."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts

LOCKED = Kind(
    "guest-locked",
    Severity.BLOCK,
    "The configuration of the guest is locked: by a backup, a snapshot, a clone, another move, or by something that"
    " was broken off.",
    "Proxmox VE moves no guest that is locked, not even one that is switched off.",
    "wait until what holds the lock has ended, or remove a lock that was left behind (qm unlock, pct unlock)",
    "the lock",
    enforced=True,
)

_MEANINGS = {
    "backup": "it is being backed up",
    "clone": "it is being cloned",
    "create": "it is being created",
    "destroyed": "it was being destroyed",
    "disk": "a disk of it is being moved or resized",
    "migrate": "it is being moved",
    "mounted": "its file systems are mounted on the node",
    "rollback": "it is being rolled back to a snapshot",
    "snapshot": "a snapshot of it is being made",
    "snapshot-delete": "a snapshot of it is being deleted",
    "suspended": "it hibernates",
    "suspending": "it is being hibernated",
}


def guest_lock(move: MoveFacts) -> Iterator[Finding]:
    """The configuration is newer than the list of guests, where it was read."""
    guest, config = move.guest, move.config
    lock = config.lock if config is not None else guest.lock
    if lock:
        meaning = _MEANINGS.get(lock)
        yield LOCKED.found(
            f"{guest.label} on {guest.node} is locked ({lock}{f': {meaning}' if meaning else ''})",
            _remedy(guest, lock),
            guest=guest.vmid,
            node=guest.node,
            lock=lock,
        )


def _remedy(guest: Guest, lock: str) -> str:
    if lock == "suspended":
        return "resume it, or shut it down properly, before it moves"
    if lock == "mounted":
        return f"pct unmount {guest.vmid} on {guest.node}"
    tool = "qm" if guest.type == "qemu" else "pct"
    return (
        "wait until what holds the lock has ended, or remove a lock that was left behind:"
        f" {tool} unlock {guest.vmid} on {guest.node}"
    )
