# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is checked before a disk of a VM moves (qemu-server API2/Qemu.pm:move_vm_disk)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.errors import BadParameters, Die
from lab.guests.drives import Drive, parse_drive
from lab.guests.locks import check_lock
from lab.guests.release import in_use
from lab.pve.formats import GuestConfig
from lab.pve.pmxcfs import assert_digest

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.formats import Section
    from lab.pve.node import Node
    from lab.pve.users import Identity


@dataclass(frozen=True, slots=True)
class Move:
    """What a request wants. :ivar bwlimit: KiB/s."""

    user: Identity
    vmid: int
    disk: str
    storage: str
    format: str | None = None
    delete: bool = False
    digest: str | None = None
    bwlimit: float | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What the checks have found; the configuration may be changed."""

    config: GuestConfig
    drive: Drive
    origin: str
    format: str
    snapshotted: bool


def judge(cluster: Cluster, node: Node, move: Move) -> Judged:
    """:raises Die: in Proxmox VE's words, in the order of its checks."""
    entry = cluster.entry_on(node, "qemu", move.vmid)
    config = cluster.config(entry).copy()
    check_lock(config, "qemu")
    assert_digest(move.digest, cluster.fs.read(entry.path))
    if not config.current.get(move.disk):
        raise Die(f"disk '{move.disk}' does not exist")
    drive = parse_drive(move.disk, config.current[move.disk])
    if not drive.volid:
        raise Die(f"disk '{move.disk}' has no associated volume")
    if drive.cdrom and not drive.cloudinit:
        raise Die("you can't move a cdrom")
    origin = drive.storage
    if origin is None:
        raise Die(f"unable to parse volume ID '{drive.volid}'")
    cluster.storages.definition(origin)
    volume = cluster.storages.find(drive.volid, node.name)
    format = volume.format if volume is not None else "raw"
    if origin == move.storage and move.format in {None, format}:
        raise Die("you can't move to the same storage with same format")
    cluster.storages.check_available(move.storage, node.name)
    if "images" not in cluster.storages.contents(move.storage):
        raise BadParameters({"storage": f"storage '{move.storage}' does not support vm images"})
    snapshotted = in_use(config, "qemu", move.disk, drive.volid)
    if snapshotted and move.delete:
        raise Die("you can't move a disk with snapshots and delete the source")
    return Judged(config, drive, origin, format, snapshotted)


def check_io_uring(cluster: Cluster, drive: Drive, origin: str, storage: str, blockdev: bool) -> None:
    """QemuServer.pm:clone_disk_check_io_uring.

    :param blockdev: the machine is 10.0 or newer, where a default changes with the storage.
    :raises Die: a running disk uses io_uring, and the target is known to hang with it.
    """
    if origin == storage:
        return
    source, target = cluster.storages.definition(origin), cluster.storages.definition(storage)
    direct = _direct(drive, source)
    aio = drive.options.get("aio")
    uses = aio == "io_uring" if aio else not blockdev and _io_uring_by_default(source, direct)
    if uses and not _io_uring_by_default(target, direct):
        raise Die("target storage is known to cause issues with aio=io_uring (used by current drive)")


def _io_uring_by_default(section: Section, direct: bool) -> bool:
    """QemuServer.pm:storage_allows_io_uring_default."""
    if section.type == "rbd":
        return direct or section.values.get("krbd") != "1"
    return section.type not in {"lvm", "cifs"}


def _direct(drive: Drive, section: Section) -> bool:
    cache = drive.options.get("cache")
    if cache:
        return cache in {"off", "none", "directsync"}
    return section.type != "btrfs" or section.values.get("nocow") == "1"
