# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving a volume of a stopped container: rsync into a new one (pve-container API2/LXC.pm:move_volume).

Unlike a VM's it shows: the container has ``lock: disk`` while it is copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import simpy

from lab.errors import ApiFault, Die
from lab.guests import bandwidth
from lab.guests.config import add_unused
from lab.guests.create import file_path, formatting
from lab.guests.disks.volumes import SLOW_FREE, has_files, pipes, room, to_base
from lab.guests.drives import UNUSED, Drive, parse_drive
from lab.guests.locks import PATIENCE, check_lock, config_lock, locked
from lab.guests.mishaps import strike
from lab.guests.release import free, in_snapshots
from lab.pve.pmxcfs import assert_digest
from lab.pve.storage import Volume
from lab.pve.tasks import Signal
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from collections.abc import Hashable

    from lab.pve.cluster import Cluster
    from lab.pve.node import Node
    from lab.pve.tasks import Task
    from lab.pve.users import Identity

MOUNT_SECONDS = 0.4
"""Mounting both volumes."""
_RSYNC = "rsync --stats -X -A --numeric-ids -aH --whole-file --sparse --one-file-system --inplace"


@dataclass(frozen=True, slots=True)
class VolumeMove:
    """What a request wants. :ivar bwlimit: KiB/s."""

    user: Identity
    vmid: int
    volume: str
    storage: str
    delete: bool = False
    digest: str | None = None
    bwlimit: float | None = None


def reserve(cluster: Cluster, node: Node, move: VolumeMove, owner: Hashable) -> Sim:
    """The checks of the request, and the lock that shows.

    :raises ApiFault: in Proxmox VE's words.
    """

    def work() -> Sim:
        yield cluster.engine.sleep(0.01)
        entry = cluster.entry_on(node, "lxc", move.vmid)
        config = cluster.config(entry)
        check_lock(config, "lxc")
        if move.vmid in node.running:
            raise Die("cannot move volumes of a running container")
        if UNUSED.match(move.volume):
            raise Die(f"cannot move volume '{move.volume}', only configured volumes can be moved to another storage")
        value = config.current.get(move.volume)
        if value is None:
            missing = "property is missing and it is not optional"
            raise ApiFault(500, "format error", {"mp": missing, "volume": missing})
        volid = parse_drive(move.volume, value).volid
        if move.delete and in_snapshots(config, "lxc", volid):
            raise Die("you can't move a volume with snapshots and delete the source")
        assert_digest(move.digest, cluster.fs.read(entry.path))
        cluster.set_lock(entry, "disk")

    cluster.entry_on(node, "lxc", move.vmid)
    yield from locked(cluster, node.name, config_lock("lxc", move.vmid), owner, work(), PATIENCE)


def move_volume(cluster: Cluster, node: Node, move: VolumeMove, task: Task) -> Sim:
    """Worker of ``move_volume``; the lock goes whatever happens, unless the worker is killed.

    :raises Die: what rsync or the storage says.
    """
    killed = False
    try:
        yield from _move(cluster, node, move, task)
    except simpy.Interrupt as signal:
        killed = signal.cause is Signal.KILL
        raise
    finally:
        if not killed:
            cluster.set_lock(cluster.entry_on(node, "lxc", move.vmid), None)


def _move(cluster: Cluster, node: Node, move: VolumeMove, task: Task) -> Sim:
    entry = cluster.entry_on(node, "lxc", move.vmid)
    config = cluster.config(entry)
    drive = parse_drive(move.volume, config.current[move.volume])
    origin = drive.storage
    yield cluster.engine.sleep(0.05)
    strike(cluster, task, "prepare")
    if origin is None:
        raise Die(f"cannot copy volumes of type {'device' if drive.volid.startswith('/dev/') else 'bind'}")
    source = cluster.storages.find(drive.volid, node.name)
    cluster.storages.check_available(move.storage, node.name)
    if source is None or not cluster.storages.active(origin, node.name):
        raise Die(f"no such volume '{drive.volid}'")
    limit = bandwidth.limit(cluster, "move", [origin, move.storage], move.bwlimit, move.user)
    target = _allocate(cluster, node, move, drive, source, task)
    new = f"{move.storage}:{target.name}"
    try:
        yield cluster.engine.sleep(MOUNT_SECONDS)
        yield from _rsync(cluster, node, origin, move, source, target, limit, task)
        if config.current.get("template") == "1":
            new = to_base(cluster, new, node.name)
        config = cluster.config_on(node, "lxc", move.vmid).copy()
        config.current[move.volume] = Drive(move.volume, new, drive.options).print()
        if not move.delete:
            add_unused(config, drive.volid)
        cluster.write_config(node, entry, config)
    except (ApiFault, simpy.Interrupt) as fault:
        if not (isinstance(fault, simpy.Interrupt) and fault.cause is Signal.KILL):
            cluster.storages.free(new, node.name)
        raise
    if not move.delete:
        strike(cluster, task, "cleanup")
    else:
        yield cluster.engine.sleep(SLOW_FREE)
        try:
            strike(cluster, task, "cleanup")
            free(cluster, drive.volid, node.name)
        except Die as complaint:
            task.log(complaint.reason)
            config = cluster.config_on(node, "lxc", move.vmid).copy()
            add_unused(config, drive.volid)
            cluster.write_config(node, entry, config)


def _allocate(cluster: Cluster, node: Node, move: VolumeMove, drive: Drive, source: Volume, task: Task) -> Volume:
    """LXC.pm:alloc_disk: a dataset or folder where the storage has them, else an image with a file system in it."""
    storages, vmid = cluster.storages, move.vmid
    kind = storages.definition(move.storage).type
    files = has_files(cluster, move.storage)
    size = drive.size if drive.size is not None else source.size
    fmt = "subvol" if kind in {"zfspool", "btrfs"} or (files and not size) else "raw"
    name = storages.free_name(move.storage, node.name, vmid, fmt, "subvol" if fmt == "subvol" else "vm")
    volume = storages.alloc(move.storage, node.name, Volume(name, "rootdir", fmt, size, 0, vmid))
    if fmt == "raw":
        volid = f"{move.storage}:{name}"
        if files:
            task.log(formatting(file_path(cluster, volid), fmt, size))
        task.log(f"Creating filesystem with {size // 4096} 4k blocks and {size // 16384} inodes")
    return volume


def _rsync(
    cluster: Cluster, node: Node, origin: str, move: VolumeMove, source: Volume, target: Volume, limit: float | None,
    task: Task,
) -> Sim:  # fmt: skip
    fits = room(cluster, move.storage, node.name)
    began = cluster.engine.env.now
    transfer = cluster.network.start(
        pipes(cluster, origin, move.storage, node.name), min(source.used, fits), limit * 1024 if limit else None
    )
    try:
        strike(cluster, task, "disks")
        yield transfer.finished
    finally:
        target.used = int(transfer.done)
        cluster.network.stop(transfer)
    if source.used > fits:
        task.log("rsync: [receiver] write failed: No space left on device (28)")
        raise Die(f"command '{_RSYNC}' failed: exit code 11")
    _statistics(task, source.used, max(0.5, cluster.engine.env.now - began))


def _statistics(task: Task, size: int, seconds: float) -> None:
    """What ``rsync --stats`` prints at its end; nothing comes before that."""
    files = max(3, size // 2**16)
    folders = max(9, files // 10)
    task.log(
        "",
        f"Number of files: {files + folders:,} (reg: {files:,}, dir: {folders:,})",
        f"Number of created files: {files + folders - 1:,} (reg: {files:,}, dir: {folders - 1:,})",
        "Number of deleted files: 0",
        f"Number of regular files transferred: {files:,}",
        f"Total file size: {size:,} bytes",
        f"Total transferred file size: {size:,} bytes",
        f"Literal data: {size:,} bytes",
        "Matched data: 0 bytes",
        "File list size: 0",
        "File list generation time: 0.001 seconds",
        "File list transfer time: 0.000 seconds",
        f"Total bytes sent: {size + 430:,}",
        "Total bytes received: 112",
        "",
        f"sent {size + 430:,} bytes  received 112 bytes  {(size + 542) / seconds:,.2f} bytes/sec",
        f"total size is {size:,}  speedup is {size / (size + 542):.2f}",
    )
