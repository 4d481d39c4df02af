# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving a disk of a VM to another storage: the worker of ``qmmove`` (qemu-server QemuServer.pm:clone_disk).

The lock of the VM's file is held throughout, and nothing else tells that a disk is under way (pve-facts §3.1).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.errors import ApiFault, Die
from lab.guests import bandwidth
from lab.guests.config import add_unused
from lab.guests.create import file_path, formatting
from lab.guests.disks.judge import Move, check_io_uring, judge
from lab.guests.disks.volumes import SLOW_FREE, has_files, path, pipes, room, to_base
from lab.guests.drives import CLOUDINIT_SIZE, EFI_SIZE, TPM_SIZE, UNUSED, Drive
from lab.guests.locks import config_lock, locked
from lab.guests.migrate.mirror import Mirrors
from lab.guests.migrate.worker import Interrupted, Steps
from lab.guests.mishaps import strike
from lab.guests.release import free
from lab.pve.formats import GuestConfig, format_size, render_bytes
from lab.pve.storage import Volume
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.node import Node, Running
    from lab.pve.tasks import Task
    from lab.sim.network import Transfer

ALLOC_SECONDS = 0.2
STEP = 0.0117
"""Share of a disk after which qemu-img reports again."""
LONGEST_LOOK = 5.0
"""Seconds after which a copy is looked at again, in case its rate has changed."""


def move_disk(cluster: Cluster, node: Node, move: Move, task: Task) -> Sim:
    """:raises Die: locked, refused, ``storage migration failed: …``."""
    work = DiskMove(cluster, node, task, move)
    yield from locked(cluster, node.name, config_lock("qemu", move.vmid), task, work.run(), task=task)


class DiskMove(Steps):
    """One move of one disk."""

    def __init__(self, cluster: Cluster, node: Node, task: Task, move: Move) -> None:
        super().__init__(cluster, node, node, task)
        self.move = move
        self.made: list[str] = []
        """New volumes, which go again when the move fails."""

    @property
    def process(self) -> Running | None:
        process = self.node.running.get(self.move.vmid)
        return None if process is None or process.incoming else process

    def run(self) -> Sim:
        found = judge(self.cluster, self.node, self.move)
        old = found.drive.volid
        self.task.log(
            f"copying volume '{old}' from current storage '{found.origin}' to target storage '{self.move.storage}'"
        )
        yield self.engine.sleep(0.05)
        strike(self.cluster, self.task, "prepare")
        if found.snapshotted:
            self.task.log("moving disk with snapshots, snapshots will not be moved!")
        try:
            yield from self.interruptible(self._copy(found.config, found.drive, found.origin, found.format))
        except ApiFault as fault:
            for volid in self.made:
                try:
                    free(self.cluster, volid, self.node.name)
                except Die as complaint:
                    self.task.log(complaint.reason)
            raise Die(f"storage migration failed: {fault.reason}") from fault
        if not self.move.delete:
            strike(self.cluster, self.task, "cleanup")
        else:
            self.task.log(f"removing source volume '{old}' after successful copy")
            yield self.engine.sleep(SLOW_FREE)
            try:
                strike(self.cluster, self.task, "cleanup")
                free(self.cluster, old, self.node.name)
            except Die as complaint:
                # Only a warning of Perl's: the task ends as OK, and the volume belongs to nobody.
                self.task.log(complaint.reason)

    # ------------------------------------------------------------ the copy

    def _copy(self, config: GuestConfig, drive: Drive, origin: str, format: str) -> Sim:
        cluster, move, node = self.cluster, self.move, self.node.name
        source = cluster.storages.find(drive.volid, node)
        process = None if UNUSED.match(move.disk) else self.process
        if process is not None and move.disk == "tpmstate0":
            raise Die("cannot move TPM state while VM is running")
        self.task.log(f"create full clone of drive {move.disk} ({drive.volid})")
        if source is None or not cluster.storages.active(origin, node):
            raise Die(f"no such volume '{drive.volid}'")
        if process is not None and move.disk != "efidisk0" and not drive.cloudinit:
            check_io_uring(cluster, drive, origin, move.storage, _blockdev(process))
        target = yield from self._allocate(drive, source, self._format(format))
        new = f"{move.storage}:{target.name}"
        if not drive.cloudinit:
            limit = bandwidth.limit(cluster, "move", [origin, move.storage], move.bwlimit, move.user)
            if process is None:
                yield from self._convert(drive, source, target, limit)
            else:
                yield from self._mirror(process, source, target, limit)
        target.write_rate = source.write_rate
        yield from self.pause(0.1)
        if config.current.get("template") == "1":
            new = to_base(cluster, new, node)
        self._note(drive, new, target)

    def _note(self, drive: Drive, new: str, target: Volume) -> None:
        """The configuration gets the new volume; the old one is kept as unused unless it is to go."""
        move, cluster = self.move, self.cluster
        entry = cluster.entry_on(self.node, "qemu", move.vmid)
        config = cluster.config(entry).copy()
        options = {key: value for key, value in drive.options.items() if key != "format"}
        if not UNUSED.match(move.disk):
            options["size"] = format_size(target.size)
        config.current[move.disk] = Drive(move.disk, new, options).print()
        if not move.delete:
            key = add_unused(config, drive.volid)
            self.task.log(f"adding source volume '{drive.volid}' as '{key}' to config")
        cluster.write_config(self.node, entry, config)
        self.made = []

    def _format(self, source: str) -> str:
        """QemuServer.pm:resolve_dst_disk_format: what the target cannot hold becomes its default, without an error."""
        storages, storage = self.cluster.storages, self.move.storage
        supported = storages.formats(storage)
        default = storages.definition(storage).values.get("format", "raw")
        wanted = self.move.format
        if wanted is None:
            return source if source in supported else default
        if wanted in supported:
            return wanted
        self.task.log(
            f"format '{wanted}' is not supported by the target storage '{storage}' - using '{default}' instead"
        )
        return default

    def _allocate(self, drive: Drive, source: Volume, format: str) -> Sim:
        cluster, storage, node, vmid = self.cluster, self.move.storage, self.node.name, self.move.vmid
        storages = cluster.storages
        files = has_files(cluster, storage)
        size = {"efidisk0": EFI_SIZE, "tpmstate0": TPM_SIZE}.get(drive.key, source.size)
        if drive.key == "tpmstate0":
            format = "raw"
        name = storages.free_name(storage, node, vmid, format)
        if drive.cloudinit:
            size = CLOUDINIT_SIZE
            name = f"{vmid}/vm-{vmid}-cloudinit.{format}" if files else f"vm-{vmid}-cloudinit"
        block = 16384 if storages.definition(storage).type == "zfspool" else None
        yield from self.pause(ALLOC_SECONDS)
        target = storages.alloc(storage, node, Volume(name, "images", format, size, 0, vmid, block_size=block))
        self.made.append(f"{storage}:{name}")
        if files:
            self.task.log(formatting(file_path(cluster, f"{storage}:{name}"), format, size))
        self.task.log(f"allocated target volume '{storage}:{name}'")
        return target

    # ------------------------------------------------------------ a VM that runs

    def _mirror(self, process: Running, source: Volume, target: Volume, limit: float | None) -> Sim:
        move = self.move
        origin = self._origin()
        mirrors = Mirrors(
            self, pipes(self.cluster, origin, move.storage, self.node.name), _blockdev(process),
            "Operation canceled (io-status: ok)",
        )  # fmt: skip
        fits = room(self.cluster, move.storage, self.node.name)
        carried = self._carried(source)
        stuck = move.disk in process.mirrored
        job = mirrors.add(move.disk, source, target, source.size, limit, skip=source.size - carried, room=fits)
        if stuck:
            yield from self._already_mirrored(process, mirrors)
        process.mirrored.append(move.disk)
        try:
            strike(self.cluster, self.task, "disks")
            yield from mirrors.wait_ready()
        except ApiFault:
            mirrors.cancel()
            process.mirrored.remove(move.disk)
            raise
        finally:
            target.used = int(max(0.0, job.done - (source.size - carried)))
        target.used = carried
        yield from mirrors.complete()
        process.mirrored.remove(move.disk)

    def _already_mirrored(self, process: Running, mirrors: Mirrors) -> Sim:
        """The job of a worker that was killed is still there; trying again gets rid of it (timelines 06e)."""
        job = mirrors.jobs[0].id
        mirrors.cancel()
        self.task.log(f"{job}: Cancelling block job", f"WARN: {job}: Operation canceled (io-status: ok)")
        yield from self.pause(1.0)
        process.mirrored.remove(self.move.disk)
        self.task.log(
            f"{job}: Done.", "WARN: unable to cancel block jobs - ",
            f"WARN: unable to delete blockdev 'z{self.engine.random.getrandbits(120):030x}' - ",
        )  # fmt: skip
        raise Die(
            f"error starting blockdev mirrror - VM {self.move.vmid} qmp command 'blockdev-mirror' failed - "
            "Need a root block node"
        )

    def _carried(self, source: Volume) -> int:
        """Bytes to write: only what is allocated, unless the new volume may hold old data (LVM)."""
        kind = self.cluster.storages.definition(self.move.storage).type
        return source.size if kind == "lvm" else source.used

    def _origin(self) -> str:
        config = self.cluster.config_on(self.node, "qemu", self.move.vmid)
        return config.current[self.move.disk].partition(":")[0]

    # ------------------------------------------------------------ a VM that is stopped, and unused disks

    def _convert(self, drive: Drive, source: Volume, target: Volume, limit: float | None) -> Sim:
        """qemu-img convert: only what is allocated is carried."""
        move, node, cluster = self.move, self.node.name, self.cluster
        origin = self._origin()
        self._percent(0.0, source)
        fits = room(cluster, move.storage, node)
        wanted = self._carried(source)
        transfer = cluster.network.start(
            pipes(cluster, origin, move.storage, node), min(wanted, fits), limit * 1024 if limit else None
        )
        failed = f"copy failed: command '{self._command(drive, source, target, limit)}' failed"
        try:
            strike(cluster, self.task, "disks")
            yield from self._report(transfer, source, target, wanted)
        except Interrupted as fault:
            raise Die(f"{failed}: interrupted by signal") from fault
        finally:
            target.used = int(transfer.done)
            cluster.network.stop(transfer)
        if wanted > fits:
            self.task.log(f"qemu-img: error while writing at byte {int(fits)}: No space left on device")
            raise Die(f"{failed}: exit code 1")
        self._percent(1.0, source)
        if source.format != target.format or cluster.storages.definition(origin).type == "zfspool":
            self._percent(1.0, source)

    def _report(self, transfer: Transfer, source: Volume, target: Volume, wanted: int) -> Sim:
        share = STEP
        while not transfer.finished.triggered:
            due = (share * wanted - transfer.done) / transfer.rate if transfer.rate else LONGEST_LOOK
            yield from self.wait(transfer.finished | self.engine.sleep(min(max(due, 1e-3), LONGEST_LOOK)))
            target.used = int(transfer.done)
            done = transfer.done / wanted if wanted else 1.0
            if done >= share and not transfer.finished.triggered:
                self._percent(done, source)
                share = done + STEP

    def _percent(self, share: float, source: Volume) -> None:
        done, total = render_bytes(int(source.size * share)), render_bytes(source.size)
        self.task.log(f"transferred {done} of {total} ({100 * share:.2f}%)")

    def _command(self, drive: Drive, source: Volume, target: Volume, limit: float | None) -> str:
        """As run_command prints it (QemuImage.pm:convert); an EFI disk is only copied as far as it has data."""
        first, second = (path(self.cluster, name) for name in (drive.volid, f"{self.move.storage}:{target.name}"))
        if drive.key == "efidisk0":
            sizes = f"bs=1048576 osize={EFI_SIZE}"
            return f"/usr/bin/qemu-img dd -n -f {source.format} -O {target.format} {sizes} if={first} of={second}"
        rate = f"-r {bandwidth.kib(limit)}K " if limit else ""
        zero = "zeroinit:" if self.cluster.storages.definition(self.move.storage).type != "lvm" else ""
        return f"/usr/bin/qemu-img convert -p -n {rate}-f {source.format} -O {target.format} {first} {zero}{second}"


def _blockdev(process: Running) -> bool:
    """QEMU block devices as of machine 10.0."""
    match = re.search(r"-(\d+)\.(\d+)", process.machine)
    return match is None or (int(match[1]), int(match[2])) >= (10, 0)
