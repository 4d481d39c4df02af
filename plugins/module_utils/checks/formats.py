# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Formats: what can be carried from one type of storage to another, and what becomes of it (pve-facts §1)."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import DiskKind
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import MOVABLE, Storage
from ansible_collections.pve.mobility.plugins.module_utils.model.travel import Travel

FORMAT = Kind(
    "format-mismatch",
    Severity.BLOCK,
    "A volume has to be copied while nobody uses it, and there is no way of sending it that both storages know.",
    "ZFS sends to ZFS alone; qcow2 and vmdk files go to storage that keeps files; raw volumes to all but ZFS. All disks"
    " of a stopped guest are copied like that, and of a running VM its TPM state, cloud-init drive and unused disks.",
    "map the storage to one of the same type, move the VM while it runs, or move the disk to another storage first",
    "type of either storage, format of the volume",
    enforced=True,
)
SOURCE_TYPE = Kind(
    "storage-type",
    Severity.BLOCK,
    "A local volume lies on storage of a type that Proxmox VE copies nothing from.",
    "Local volumes travel from dir, btrfs, zfspool, lvmthin and lvm.",
    "move the disk to another storage first",
    "type of the storage",
    enforced=True,
)
THIN_LOST = Kind(
    "thin-lost",
    Severity.WARN,
    "A disk that takes only what is written to it takes its full size after the move.",
    "LVM and ZFS without sparse allocate everything. A mirror of a running VM writes every block, also to thin storage,"
    " where trimming gives it back.",
    "map it to thin storage; after a live move trim inside the guest (discard=on for the disk)",
    "key of the disk, type of the storage on the target, size in bytes",
)
MAPPING_IGNORED = Kind(
    "mapping-ignored",
    Severity.WARN,
    "target_storage names a storage of the guest, and Proxmox VE would ignore that.",
    "Disks on shared storage are never mapped in a move within the cluster, nor those that a replication job sends to"
    " the target, and the HA manager knows no mapping at all; the disks stay on storage of the same ID.",
    "move the disks with move_disk afterwards, or take the guest out of HA for the move",
    "source and target storage",
)

_FILES = frozenset({"dir", "nfs", "cifs", "cephfs", "glusterfs"})
_FORMATS = {
    "dir": frozenset({"raw", "qcow2", "vmdk", "subvol"}),
    "nfs": frozenset({"raw", "qcow2", "vmdk"}),
    "cifs": frozenset({"raw", "qcow2", "vmdk"}),
    "glusterfs": frozenset({"raw", "qcow2", "vmdk"}),
    "btrfs": frozenset({"raw", "subvol"}),
    "zfspool": frozenset({"raw", "subvol"}),
}
_RAW = frozenset({"raw"})
_APART = frozenset({DiskKind.TPMSTATE, DiskKind.CLOUDINIT, DiskKind.VMSTATE, DiskKind.UNUSED})
"""Volumes of a running VM that are copied before the mirror begins."""


def formats(move: MoveFacts) -> Iterator[Finding]:
    """What is copied rather than mirrored has to fit on either end."""
    for volume in move.volumes:
        source, target = volume.storage, move.state.storage(volume.to)
        if not volume.copied or source is None or target is None:
            continue
        where = f"{volume.disk.key} of {move.guest.label} lies on {source.id} ({source.type})"
        if source.type not in MOVABLE:
            yield SOURCE_TYPE.found(
                f"{where}, and Proxmox VE moves nothing from storage of that type",
                guest=move.guest.vmid,
                storage=source.id,
                type=source.type,
            )
        elif not _mirrored(move, volume) and not volume.replicated and not _fits(move, volume, source, target):
            form = volume.disk.format or "raw"
            yield FORMAT.found(
                f"{where} as {form}, and {target.id} ({target.type}) takes no such copy",
                guest=move.guest.vmid,
                node=move.target.name,
                storage=target.id,
                source_type=source.type,
                target_type=target.type,
                format=form,
            )


def _mirrored(move: MoveFacts, volume: Travel) -> bool:
    return move.live and volume.disk.kind not in _APART and not volume.replicated


def _fits(move: MoveFacts, volume: Travel, source: Storage, target: Storage) -> bool:
    form = volume.disk.format or "raw"
    config = move.config
    held = config is not None and config.snapshot is not None and volume.disk.kind is not DiskKind.UNUSED
    if source.type == "zfspool" or target.type == "zfspool":
        return source.type == target.type
    if source.type != target.type and form not in _FORMATS.get(target.type, _RAW):
        return False
    if form in ("qcow2", "vmdk"):
        return target.type in _FILES or source.type == target.type == "btrfs"
    if held:
        return source.type == target.type == "btrfs"
    return form != "subvol" or target.type in _FILES or target.type == "btrfs"


def thin(move: MoveFacts) -> Iterator[Finding]:
    """Disks that grow to their full size on the way."""
    for volume in move.volumes:
        source, target = volume.storage, move.state.storage(volume.to)
        if not volume.full_copy or source is None or target is None or not _thin(move, source):
            continue
        mirrored = _mirrored(move, volume)
        thick = target.type == "lvm" or (target.type == "zfspool" and not target.sparse and mirrored)
        if not thick and not (mirrored and target.type == "lvmthin"):
            continue
        why = "which allocates everything" if thick else "and a mirror of a running VM writes every block"
        yield THIN_LOST.found(
            f"{volume.disk.key} of {move.guest.label} is thin, and goes to {target.id} ({target.type}), {why}",
            None if thick else "trim inside the guest after the move (discard=on for the disk), or move it offline",
            guest=move.guest.vmid,
            node=move.target.name,
            storage=target.id,
            key=volume.disk.key,
            type=target.type,
            size=volume.disk.size,
        )


def _thin(move: MoveFacts, storage: Storage) -> bool:
    if storage.type == "zfspool":
        return storage.sparse or move.guest.type == "lxc"
    return storage.type != "lvm"


def mapping(move: MoveFacts) -> Iterator[Finding]:
    """Of storages that the guest really has volumes on."""
    mapping, told = move.storage_map, set()
    for volume in move.volumes if mapping else ():
        storage = volume.storage
        if storage is None or storage.id in told:
            continue
        wanted = mapping.get(storage.id) if storage.shared else mapping.get(storage.id, mapping.get(""))
        if wanted in (None, storage.id) or not (storage.shared or move.managed or volume.replicated):
            continue
        told.add(storage.id)
        if storage.shared:
            why = "is shared, and is never mapped"
        elif move.managed:
            why = "stays, because the HA manager knows no mapping"
        else:
            why = f"stays, because its disks are replicated to {move.target.name}"
        yield MAPPING_IGNORED.found(
            f"target_storage maps {storage.id} of {move.guest.label} to {wanted}, but {storage.id} {why}",
            guest=move.guest.vmid,
            storage=storage.id,
            source=storage.id,
            target=wanted,
        )
