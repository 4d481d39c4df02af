# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Snapshots and linked clones: on local storage they keep a guest where it is (pve-facts §1.3, §1.5)."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import DiskKind
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import Storage
from ansible_collections.pve.mobility.plugins.module_utils.model.travel import Travel

SNAPSHOT_LIVE = Kind(
    "snapshot-live",
    Severity.BLOCK,
    "The running VM has snapshots of disks on local storage, and no replication job sends them to the target.",
    "A mirror carries the present state alone, so Proxmox VE refuses to leave snapshots behind.",
    "delete the snapshots, replicate the VM to the target, or stop it and move it offline (on ZFS)",
    "keys of the disks",
    enforced=True,
)
SNAPSHOT_TYPE = Kind(
    "snapshot-type",
    Severity.BLOCK,
    "The guest has snapshots of a local volume, and its storage cannot send them along.",
    "Only ZFS does so for all guests; besides, qcow2 files of VMs and btrfs do. Proxmox VE refuses the others.",
    "delete the snapshots, or move the volume to ZFS or shared storage first",
    "keys of the disks, type of the storage",
    enforced=True,
)
LINKED_CLONE = Kind(
    "linked-clone",
    Severity.BLOCK,
    "A local volume of the guest is a linked clone of a template.",
    "It is only the difference to the template's volume, and Proxmox VE refuses to take it away from there.",
    "make it independent first: move the disk to another storage",
    "volume of the template",
    enforced=True,
)
HAS_CLONES = Kind(
    "has-clones",
    Severity.BLOCK,
    "The template lies on local storage, and linked clones need its volumes.",
    "Proxmox VE refuses to take a base away from its clones.",
    "make the clones independent first, or leave the template where it is",
    "numbers of the clones",
    enforced=True,
)


def snapshots(move: MoveFacts) -> Iterator[Finding]:
    """Of local volumes. Which volumes a snapshot holds only the precondition of Proxmox VE itself says exactly."""
    held = _held(move)
    live = sorted(key for key, volume in held.items() if move.live and not (volume is not None and volume.replicated))
    if live:
        yield SNAPSHOT_LIVE.found(
            f"{move.guest.label} runs and has snapshots of {', '.join(live)} on local storage of {move.guest.node}",
            guest=move.guest.vmid,
            node=move.target.name,
            keys=live,
        )
    by_storage: dict[str, list[str]] = {}
    for key, volume in held.items():
        if volume is not None and volume.storage is not None and not _travels(move, volume, volume.storage):
            by_storage.setdefault(volume.storage.id, []).append(key)
    for name, keys in by_storage.items():
        storage = move.state.storage(name)
        kind = storage.type if storage is not None else ""
        yield SNAPSHOT_TYPE.found(
            f"{move.guest.label} has snapshots of {', '.join(sorted(keys))} on {name}, and storage of type {kind}"
            " cannot send them along",
            guest=move.guest.vmid,
            storage=name,
            keys=sorted(keys),
            type=kind,
        )


def _held(move: MoveFacts) -> dict[str, Travel | None]:
    """Keys of local volumes that snapshots hold; None where nothing else is known of the volume."""
    volumes = {volume.disk.volid: volume for volume in move.volumes}
    told = {disk.volid: disk for disk in move.precondition.local_disks if disk.snapshots}
    found: dict[str, Travel | None] = {}
    for volid, disk in told.items():
        volume = volumes.get(volid)
        if not disk.cdrom and not (volume is not None and volume.disk.kind is DiskKind.VMSTATE):
            found[disk.drive or volid] = volume
    config = move.config
    if config is not None and config.snapshot is not None and move.guest.type == "lxc":
        # A precondition of containers tells no volumes.
        found |= {volume.disk.key: volume for volume in volumes.values() if volume.copied}
    return found


def _travels(move: MoveFacts, volume: Travel, storage: Storage) -> bool:
    if storage.type == "zfspool":
        return True
    if move.guest.type == "lxc":
        return storage.type == "btrfs"
    inside = volume.disk.format == "qcow2" and not storage.chained
    return inside or (storage.type == "btrfs" and volume.disk.format == "raw")


def clones(move: MoveFacts) -> Iterator[Finding]:
    """Of templates and from them; on shared storage they go on as they are."""
    for volume in move.volumes:
        if volume.copied and volume.disk.base is not None:
            yield LINKED_CLONE.found(
                f"{volume.disk.key} of {move.guest.label} is a linked clone of {volume.disk.base} on local storage"
                f" {volume.disk.storage}",
                guest=move.guest.vmid,
                node=move.guest.node,
                storage=volume.disk.storage,
                base=volume.disk.base,
            )
    users = move.state.clones_of(move.guest.vmid)
    if users and move.guest.type == "qemu" and any(volume.copied for volume in move.volumes):
        names = ", ".join(str(vmid) for vmid in users[:5])
        more = f" and {len(users) - 5} more" if len(users) > 5 else ""
        yield HAS_CLONES.found(
            f"template {move.guest.label} lies on local storage, and {names}{more} {_are(users)} of it",
            guest=move.guest.vmid,
            node=move.guest.node,
            clones=list(users),
        )


def _are(users: tuple[int, ...]) -> str:
    return "is a linked clone" if len(users) == 1 else "are linked clones"
