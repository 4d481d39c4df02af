# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Space: is there room on the target for what would really be copied? (pve-facts §1.2, §1.3, §14)"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import DiskKind
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import Storage
from ansible_collections.pve.mobility.plugins.module_utils.model.travel import Travel, travelling

SPACE = Kind(
    "space",
    Severity.BLOCK,
    "A storage on the target has less free space than the copies of the guest's disks take.",
    "Proxmox VE does not look; the copy fails when the storage is full, and every guest on it suffers with it. Shared"
    " disks and replicas cost nothing, all else its full size: on LVM always, elsewhere when a running VM is mirrored,"
    " other than to ZFS with sparse volumes.",
    "free space on the target, map the storage to another one, or choose another target",
    "bytes needed, bytes free, keys of the disks",
    enforced=True,
)
SPACE_UNSURE = Kind(
    "space-unsure",
    Severity.BLOCK,
    "A storage on the target has less free space than the sizes of the disks, and how much of them is used cannot be"
    " read over the API.",
    "Thin volumes take on the target what is used in them: a full one does not fit, one that is mostly empty does. When"
    " only other guests on their way to the target bring it about, this is a warning.",
    "look at what the volumes use (zfs list, lvs), and accept this if it fits",
    "bytes at most, bytes free, keys of the disks",
)
HEADROOM = Kind(
    "space-headroom",
    Severity.WARN,
    "After the move a storage on the target has less free space than the threshold storage_headroom asks for.",
    "Storage that is nearly full is slow, and thin storage that runs full stops every guest on it.",
    "free space on the target, or choose another one",
    "bytes that the copies take at most, bytes free, size of the storage, per cent that must stay free",
)


@dataclass(slots=True)
class _Need:
    """Bytes: ``sure`` are taken in any case, ``most`` when the disks are full. Keys of what is copied, or updated."""

    sure: int = 0
    most: int = 0
    keys: list[str] = field(default_factory=list)
    replicas: list[str] = field(default_factory=list)


def space(move: MoveFacts) -> Iterator[Finding]:
    """On each storage that something is copied to."""
    for name, need in _needs(move.volumes, move.live, move).items():
        status = move.state.storage_on(name, move.target.name)
        if status is None or not status.active:
            continue
        free = status.avail
        if not free and need.replicas:
            yield SPACE.found(
                f"storage {name} on {move.target.name} is full, and what has changed in {', '.join(need.replicas)} of"
                f" {move.guest.label} since the last run of replication has to go there",
                guest=move.guest.vmid,
                node=move.target.name,
                storage=name,
                free=free,
                keys=need.replicas,
            )
        if not need.most:
            continue
        others = _others(move, name, free - need.most)
        if need.sure > free:
            yield _short(move, SPACE, name, need, need.sure, free)
        elif need.most > free:
            yield _short(move, SPACE_UNSURE, name, need, need.most, free)
        elif need.sure + others.sure > free:
            yield _short(move, SPACE, name, need, need.sure + others.sure, free, others)
        elif need.most + others.most > free:
            yield _short(move, SPACE_UNSURE, name, need, need.most + others.most, free, others)
        elif status.total and free - need.most - others.most < status.total * move.thresholds.storage_headroom / 100:
            left = 100 * max(0, free - need.most - others.most) / status.total
            yield HEADROOM.found(
                f"storage {name} on {move.target.name} would have {left:.0f} per cent left after {move.guest.label} has"
                f" come, less than {move.thresholds.storage_headroom:g}",
                guest=move.guest.vmid,
                node=move.target.name,
                storage=name,
                needed=need.most + others.most,
                free=free,
                total=status.total,
                headroom=move.thresholds.storage_headroom,
            )


def _short(
    move: MoveFacts, kind: Kind, name: str, need: _Need, wanted: int, free: int, others: _Need | None = None
) -> Finding:
    at_most = "" if kind is SPACE else "up to "
    with_them = f" and {len(move.arriving)} more guests on their way" if others is not None else ""
    return kind.found(
        f"storage {name} on {move.target.name} has {gib(free)} free, {at_most}{gib(wanted)} needed for"
        f" {', '.join(need.keys)} of {move.guest.label}{with_them}",
        severity=Severity.WARN if others is not None and kind is SPACE_UNSURE else None,
        guest=move.guest.vmid,
        node=move.target.name,
        storage=name,
        needed=wanted,
        free=free,
        keys=need.keys,
    )


def _others(move: MoveFacts, name: str, left: int) -> _Need:
    """What guests that the same work brings to the target copy to the storage, unless it is little enough."""
    found = _Need()
    state = move.state
    if sum(state.local_size(vmid) for vmid in move.arriving) <= left * (1 - move.thresholds.storage_headroom / 100):
        return found
    for vmid in move.arriving:
        guest, config = state.guest(vmid), state.config(vmid)
        if guest is None or config is None:
            continue
        volumes = travelling(state, config, move.target.name, move.storage_map)
        need = _needs(volumes, guest.running and guest.type == "qemu", move).get(name)
        if need is not None:
            found.sure += need.sure
            found.most += need.most
    return found


def _needs(volumes: tuple[Travel, ...], live: bool, move: MoveFacts) -> dict[str, _Need]:
    found: dict[str, _Need] = {}
    for volume in volumes:
        size = volume.full_copy
        storage = move.state.storage(volume.to)
        if storage is None or not (size or volume.replica):
            continue
        need = found.setdefault(volume.to, _Need())
        if volume.replica:
            need.replicas.append(volume.disk.key)
            continue
        need.keys.append(volume.disk.key)
        need.most += size
        if _whole(volume, storage, live):
            need.sure += size
    return found


def _whole(volume: Travel, storage: Storage, live: bool) -> bool:
    """Whether a copy takes its full size whatever is in it.

    A mirror writes every block, and only sparse ZFS keeps holes; a copy of what nobody uses keeps them on thin storage.
    """
    if storage.type == "lvm":
        return True
    apart = (DiskKind.TPMSTATE, DiskKind.CLOUDINIT, DiskKind.VMSTATE, DiskKind.UNUSED)
    mirrored = live and volume.disk.kind not in apart and not volume.replicated
    return mirrored and not (storage.type == "zfspool" and storage.sparse)


def gib(value: int) -> str:
    """``12 GiB``; small amounts in MiB."""
    if value < 2**30:
        return f"{value / 2**20:.0f} MiB"
    return f"{value / 2**30:.1f} GiB".replace(".0 GiB", " GiB")
