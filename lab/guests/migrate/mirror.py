# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mirroring the disks of a running VM to the target, all at once, before its RAM (qemu-server BlockJob.pm).

Each job copies the whole virtual disk, then what the guest wrote meanwhile, until it is ready; from then on every
write of the guest waits for the target too ("actively synced").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.errors import Die
from lab.guests.bandwidth import kib
from lab.guests.migrate.worker import Interrupted, Lost
from lab.pve.formats import render_bytes, render_duration
from lab.pve.storage import Volume
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from lab.guests.migrate.worker import Steps
    from lab.sim.network import Pipe, Transfer

CLOSE_ENOUGH = 0.5
"""Seconds of writing that may be left when a job counts as ready."""


@dataclass(slots=True, eq=False)
class Job:
    """One block job.

    :ivar size: virtual size; :ivar total, done: bytes, growing with what the guest writes.
    """

    id: str
    drive: str
    source: Volume
    target: Volume
    size: float
    limit: float | None
    total: float = 0.0
    base: float = 0.0
    room: float | None = None
    failed: bool = False
    ready: bool = False
    reported: bool = False
    transfer: Transfer | None = None

    @property
    def done(self) -> float:
        return self.base + (self.transfer.done if self.transfer is not None else 0.0)

    def line(self, seconds: int) -> str:
        share = 100 * self.done / self.total if self.total else 100.0
        text = (
            f"{self.id}: transferred {render_bytes(self.done)} of {render_bytes(self.total)} ({share:.2f}%) "
            f"in {render_duration(seconds)}"
        )
        return f"{text}, ready" if self.ready else text


class Mirrors:
    """All block jobs of one worker.

    :param blockdev: QEMU block devices as of machine 10.0. :param complaint: what a job says that is cancelled.
    """

    def __init__(
        self,
        worker: Steps,
        pipes: tuple[Pipe, ...],
        blockdev: bool,
        complaint: str = "Input/output error (io-status: ok)",
    ) -> None:
        self.m = worker
        self.pipes = pipes
        self.blockdev = blockdev
        self.complaint = complaint
        self.jobs: list[Job] = []
        self.cancelled = worker.engine.event()

    def add(
        self,
        drive: str,
        source: Volume,
        target: Volume,
        size: int,
        limit: float | None,
        bitmap: bool = False,
        skip: int = 0,
        room: int | None = None,
    ) -> Job:
        """Start a job.

        :param size: bytes that it counts: the whole disk, or what a dirty bitmap has. :param limit: KiB/s.
        :param skip: bytes of them that need not be carried, because they are zero there too.
        :param room: bytes that fit on the target, None when it has been looked at before.
        """
        m = self.m
        name = f"{'mirror' if self.blockdev else 'drive'}-{drive}"
        if bitmap:
            m.task.log(f"drive mirror re-using dirty bitmap 'repl_{drive}'")
        more = f" with bandwidth limit: {kib(limit)} KiB/s" if limit else ""
        m.task.log(f"drive mirror is starting for drive-{drive}{more}")
        job = Job(
            name, drive, source, target, float(size), limit * 1024 if limit else None, float(size), float(skip), room
        )
        self.jobs.append(job)
        m.engine.spawn(self._run(job))
        return job

    def _run(self, job: Job) -> Sim:
        """QEMU's side: the disk, then what was written meanwhile, until little is left."""
        network, engine = self.m.cluster.network, self.m.engine
        left = job.size - job.base
        while True:
            began = engine.env.now
            fits = left if job.room is None else min(left, job.room)
            job.transfer = network.start(self.pipes, fits, job.limit)
            yield job.transfer.finished | self.cancelled
            network.stop(job.transfer)
            job.failed = fits < left
            if self.cancelled.triggered or job.failed:
                return
            job.base += left
            job.transfer = None
            left = job.source.write_rate * (engine.env.now - began)
            rate = max(1.0, job.size / max(1e-6, engine.env.now - began))
            if left <= rate * CLOSE_ENOUGH or left < 65536:
                job.ready = True
                return
            job.total += left

    def cancel(self) -> None:
        if not self.cancelled.triggered:
            self.cancelled.succeed()

    # ------------------------------------------------------------ the worker that watches

    def wait_ready(self) -> Sim:
        """BlockJob.pm:monitor with completion ``skip``.

        :raises Die: ``block job (mirror) error: …``; the jobs are cancelled then.
        """
        m = self.m
        began = int(m.engine.now)
        try:
            while True:
                seconds = int(m.engine.now) - began
                for job in self.jobs:
                    if not job.reported:
                        if seconds or job.ready:
                            m.task.log(job.line(seconds))
                        job.reported = job.ready
                if any(job.failed for job in self.jobs):
                    raise Lost
                if all(job.ready for job in self.jobs):
                    m.task.log("all 'mirror' jobs are ready")
                    return
                yield from m.pause(1.0)
                yield from m.check_link()
        except Interrupted as fault:
            yield from self._give_up(self.complaint)
            raise Die("block job (mirror) error: interrupted by signal") from fault
        except Lost as fault:
            first = self.jobs[0].id
            yield from self._give_up(self.complaint)
            raise Die(f"block job (mirror) error: {first}: 'mirror' has been cancelled") from fault

    def _give_up(self, complaint: str) -> Sim:
        m = self.m
        self.cancel()
        for job in self.jobs:
            m.task.log(f"{job.id}: Cancelling block job", f"WARN: {job.id}: {complaint}")
        yield from m.quietly(1.1)
        for job in self.jobs:
            m.task.log(f"{job.id}: Done.")
        self.jobs = []

    def switch_to_active(self) -> Sim:
        """Since QEMU 8.2."""
        m = self.m
        m.log("switching mirror jobs to actively synced mode")
        for job in self.jobs:
            m.task.log(f"{job.id}: switching to actively synced mode")
        yield from m.pause(1.0)
        for job in self.jobs:
            m.task.log(f"{job.id}: successfully switched to actively synced mode")

    def complete(self) -> Sim:
        """block-job-cancel of ready jobs: the target keeps what it has."""
        m = self.m
        for job in self.jobs:
            m.task.log(f"{job.id}: Completing block job...", f"{job.id}: Completed successfully.")
        yield from m.pause(1.0)
        for job in self.jobs:
            m.task.log(f"{job.id}: mirror-job finished")
        self.cancel()
