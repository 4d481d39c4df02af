# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Disks on their way to another storage: will it be refused, fail half-way, or break something else? (pve-facts §3)"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import DiskKind
from ansible_collections.pve.mobility.plugins.module_utils.model.disk_move import DiskMove

TARGET = Kind(
    "disk-target",
    Severity.BLOCK,
    "The target storage cannot take the disk on the guest's node: it is disabled, not meant for the node, not active"
    " there, or not made for disks.",
    "Proxmox VE refuses the move, or the task fails when it allocates the volume.",
    "enable the storage for the node and for the content type, or choose another one",
    "the state of the storage on the node",
    enforced=True,
)
SPACE = Kind(
    "disk-space",
    Severity.BLOCK,
    "The target storage has less free space than the copies take.",
    "The copy fails when the storage is full, and every other guest on it suffers with it.",
    "free space on the target, or choose another one",
    "bytes needed, bytes free",
)
SPACE_UNSURE = Kind(
    "disk-space-unsure",
    Severity.WARN,
    "The target storage has less free space than the sizes of the disks, and nothing says how much of them is used.",
    "The copy of a disk that is mostly empty fits, that of a full one does not.",
    "look at what is used inside the guest, or choose a larger target",
    "bytes at most, bytes free",
)
SNAPSHOTS_DELETE = Kind(
    "disk-snapshots",
    Severity.BLOCK,
    "Snapshots of the guest hold the disk, and the source is to be deleted.",
    "Snapshots do not move with a disk; Proxmox VE refuses to delete a volume that they need.",
    "delete the snapshots first, or leave the source (delete: false)",
    "names of the snapshots",
    enforced=True,
)
SNAPSHOTS_STAY = Kind(
    "disk-snapshots-stay",
    Severity.WARN,
    "Snapshots of the guest hold the disk; they stay behind with the source.",
    "A rollback after the move brings the old volume back.",
    "delete the snapshots when they are no longer needed",
    "names of the snapshots",
)
REPLICATION = Kind(
    "disk-leaves-replication",
    Severity.BLOCK,
    "The guest is replicated, and the disk would leave the storage that replication needs.",
    "Proxmox VE moves it all the same. From a local storage that cannot be replicated the next run then fails as a"
    " whole, and on shared storage the disk is no longer part of the copies.",
    "choose a ZFS storage that the replication targets have too, set replicate=0 for the disk, or remove the job",
    "replication jobs, type of the target storage",
)
TPM = Kind(
    "disk-tpm-running",
    Severity.BLOCK,
    "The disk is the TPM state of a VM that runs.",
    "Proxmox VE cannot move it then, and the task fails.",
    "shut the VM down first, or name the other disks only",
    enforced=True,
)
IO_URING = Kind(
    "disk-io-uring",
    Severity.BLOCK,
    "The running VM uses io_uring for the disk, and the target storage is of a type that is known to hang with it.",
    "Proxmox VE refuses it in the task: LVM, CIFS, and RBD through the kernel with a cache.",
    "set aio=native (or aio=threads with a cache) for the disk and restart the VM, or move it while the VM is off",
    "aio and cache of the disk, type of the target storage, machine version",
    enforced=True,
)
CLOUDINIT = Kind(
    "disk-cloudinit-running",
    Severity.BLOCK,
    "The disk is the cloud-init drive of a VM that runs, and the source is to be deleted.",
    "The running VM keeps the old volume open until it is restarted, so that deleting it fails or pulls it away.",
    "leave the source (delete: false), or shut the VM down first",
)
CLOUDINIT_LATER = Kind(
    "disk-cloudinit",
    Severity.INFO,
    "The disk is a cloud-init drive: it is not copied but made anew when the VM starts the next time.",
    "Until then a running VM goes on with the old volume.",
    "nothing has to be done",
)
BASE = Kind(
    "disk-has-clones",
    Severity.BLOCK,
    "Linked clones need the disk, and the source is to be deleted.",
    "Proxmox VE copies it, then fails to delete the source, and leaves it without a name in any configuration.",
    "leave the source (delete: false), or make the clones independent first by moving their disks",
    "volumes of the linked clones",
)
UNLINKED = Kind(
    "disk-unlinked",
    Severity.INFO,
    "The disk is a linked clone; the copy is a whole disk of its own.",
    "It takes its full size from then on.",
    "nothing has to be done",
    "volume of the template",
)

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\+pve\d+)?(?:\.pxe)?$")


def judge_disks(moves: Sequence[DiskMove]) -> Iterator[Finding]:
    """Every finding about disks of one guest that go to one storage."""
    if not moves:
        return
    yield from target(moves[0])
    for move in moves:
        for check in (running, snapshots, replication, clones):
            yield from check(move)
    yield from space(moves)


def target(move: DiskMove) -> Iterator[Finding]:
    """The storage must take disks of this kind of guest, here and now."""
    place, node = move.target, move.guest.node
    wanted = "images" if move.guest.type == "qemu" else "rootdir"
    remedy: str | None = None
    if not place.enabled:
        why = f"is disabled or not meant for {node}"
        remedy = f"enable {place.id}, and add {node} to its nodes"
    elif wanted not in place.content:
        why = f"is not meant for disks of {'VMs' if wanted == 'images' else 'containers'} (content {wanted})"
        remedy = f"add {wanted} to the content of {place.id}, or choose another storage"
    elif not place.active:
        why = f"is not active on {node}"
        remedy = f"see on {node} why {place.id} is not available (pvesm status), or choose another storage"
    else:
        return
    yield TARGET.found(
        f"storage {place.id} {why}",
        remedy,
        guest=move.guest.vmid,
        node=node,
        storage=place.id,
        enabled=place.enabled,
        active=place.active,
        content=sorted(place.content),
    )


def running(move: DiskMove) -> Iterator[Finding]:
    """What a VM that runs does not let go of."""
    disk, guest = move.disk, move.guest
    if disk.kind is DiskKind.CLOUDINIT:
        kind = CLOUDINIT if move.running and move.delete else CLOUDINIT_LATER
        state = f"is the cloud-init drive of {guest.label}" + (", which runs" if move.running else "")
        yield kind.found(f"{disk.key} {state}", guest=guest.vmid, storage=disk.storage, volid=disk.volid)
    if not move.running or guest.type != "qemu" or disk.kind is DiskKind.UNUSED:
        return
    if disk.kind is DiskKind.TPMSTATE:
        yield TPM.found(f"{disk.key} is the TPM state of {guest.label}, which runs", guest=guest.vmid)
    if disk.kind is DiskKind.DISK and _stalls(move):
        how = f"aio={disk.options['aio']}" if disk.options.get("aio") else "io_uring by default"
        yield IO_URING.found(
            f"{disk.key} of {guest.label} uses {how}, and {move.target.id} is of type {_type(move)}",
            guest=guest.vmid,
            storage=move.target.id,
            aio=disk.options.get("aio"),
            cache=disk.options.get("cache"),
            type=move.target.type,
            machine=move.machine,
        )


def _type(move: DiskMove) -> str:
    return f"{move.target.type} (krbd)" if move.target.krbd else move.target.type


def _stalls(move: DiskMove) -> bool:
    """As Proxmox VE decides it; from machine version 10.0 on a default of aio changes with the storage."""
    place, source = move.target, move.source
    if move.disk.storage == place.id or not place.troubled_by_io_uring:
        return False
    aio, cache = move.disk.options.get("aio"), move.disk.options.get("cache")
    direct = cache in (None, "none", "off", "directsync") and not (
        cache is None and source is not None and source.type == "btrfs"
    )
    if place.krbd and direct:
        return False
    if aio is not None:
        return aio == "io_uring"
    if _at_least_10(move.machine):
        return False
    return source is None or not source.troubled_by_io_uring or (source.krbd and direct)


def _at_least_10(machine: str | None) -> bool:
    """A machine version that nothing says counts as old."""
    match = _VERSION.search(machine or "")
    return match is not None and int(match[1]) >= 10


def snapshots(move: DiskMove) -> Iterator[Finding]:
    """They never move with a disk."""
    if not move.snapshots:
        return
    kind = SNAPSHOTS_DELETE if move.delete else SNAPSHOTS_STAY
    names = ", ".join(move.snapshots)
    yield kind.found(
        f"{move.disk.key} of {move.guest.label} is held by {_count(move.snapshots, 'snapshot')} ({names})",
        guest=move.guest.vmid,
        storage=move.disk.storage,
        snapshots=list(move.snapshots),
    )


def replication(move: DiskMove) -> Iterator[Finding]:
    """A disk that is replicated must stay on ZFS, and on one that the targets of the jobs have."""
    jobs = [job for job in move.jobs if job.removing is None]
    disk, place = move.disk, move.target
    inside = move.source is not None and move.source.type == "zfspool"
    if not jobs or not inside or not disk.replicate or disk.kind in (DiskKind.CLOUDINIT, DiskKind.CDROM):
        return
    missing = sorted({job.target for job in jobs if not place.on(job.target)})
    if place.type == "zfspool" and not missing:
        return
    listed = ", ".join(job.id for job in jobs)
    if place.type == "zfspool":
        why = f"{place.id} is not there on {', '.join(missing)}, where its replicas are"
    elif place.shared:
        why = f"on {place.id} ({place.type}, shared) it is no longer part of the copies"
    else:
        why = f"{place.id} is of type {place.type}, so that the next run of {listed} fails"
    yield REPLICATION.found(
        f"{disk.key} of {move.guest.label} is replicated ({listed}), and {why}",
        guest=move.guest.vmid,
        storage=place.id,
        jobs=[job.id for job in jobs],
        type=place.type,
    )


def clones(move: DiskMove) -> Iterator[Finding]:
    """Templates and what hangs on them."""
    if move.clones and move.delete:
        yield BASE.found(
            f"{move.disk.volid} of {move.guest.label} is the base of {_count(move.clones, 'linked clone')}"
            f" ({', '.join(move.clones)})",
            guest=move.guest.vmid,
            storage=move.disk.storage,
            clones=list(move.clones),
        )
    if move.disk.base is not None:
        yield UNLINKED.found(
            f"{move.disk.key} of {move.guest.label} is a linked clone of {move.disk.base}",
            guest=move.guest.vmid,
            storage=move.disk.storage,
            base=move.disk.base,
        )


def space(moves: Sequence[DiskMove]) -> Iterator[Finding]:
    """What is really copied must fit; each source is freed only after its copy, and may be on the same storage."""
    place, guest = moves[0].target, moves[0].guest
    if not place.active:
        return
    needs = [move.needs for move in moves]
    most = sum(amount for amount, _certain in needs)
    least = sum(amount for amount, certain in needs if certain)
    if least <= place.avail and most <= place.avail:
        return
    kind = SPACE if least > place.avail else SPACE_UNSURE
    need = least if kind is SPACE else most
    at_most = "" if kind is SPACE else "up to "
    yield kind.found(
        f"storage {place.id} has {_gib(place.avail)} free, {at_most}{_gib(need)} needed for"
        f" {', '.join(move.disk.key for move in moves)} of {guest.label}",
        guest=guest.vmid,
        node=guest.node,
        storage=place.id,
        needed=need,
        free=place.avail,
    )


def _count(things: Iterable[str], word: str) -> str:
    number = len(list(things))
    return f"{number} {word}{'' if number == 1 else 's'}"


def _gib(value: int) -> str:
    """``12 GiB``, small amounts in MiB."""
    if value < 2**30:
        return f"{value / 2**20:.0f} MiB"
    return f"{value / 2**30:.1f} GiB".replace(".0 GiB", " GiB")
