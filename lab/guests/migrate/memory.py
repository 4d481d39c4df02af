# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving RAM: passes over what was dirtied meanwhile, until the rest fits into the allowed pause (pve-facts §1.2).

QEMU sends all used memory, then again and again what changed. It stops the guest for the last pass as soon as that
pass would take no longer than the downtime limit. A guest that dirties faster than the link carries is slowed down
(auto-converge), and PVE doubles the downtime limit whenever the rest has grown six times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.errors import Die
from lab.guests.migrate.worker import Lost
from lab.pve.formats import render_bytes
from lab.pve.pvestatd import guest_memory, memory_used
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from lab.guests.migrate.qemu import QemuMigration
    from lab.pve.node import Running
    from lab.sim.network import Pipe, Transfer

VIDEO_MEMORY = 16.6 * 2**20
"""What a VM has besides its configured memory."""
DOWNTIME_MAX = 2_000_000
"""Milliseconds; QEMU's limit."""
DEVICE_STATE = 4e-3
"""Seconds for the state of the devices."""
PAGE = 4096


class Ram:
    """The RAM of one VM on its way."""

    def __init__(
        self, migration: QemuMigration, process: Running, pipes: tuple[Pipe, ...], limit: float | None
    ) -> None:
        """:param limit: bytes/s, None for none."""
        cluster, vmid = migration.cluster, migration.vmid
        self.m = migration
        self.process = process
        self.pipes = pipes
        self.limit = limit
        configured = guest_memory(migration.config, "qemu")
        trait = cluster.trait(vmid)
        self.used = float(max(PAGE, memory_used(cluster, vmid, configured)))
        self.total = configured + VIDEO_MEMORY
        self.dirty_rate = 0.0 if process.qmpstatus == "paused" else trait.dirty_rate
        self.hot = float(trait.working_set if trait.working_set is not None else self.used / 10)
        self.downtime_ms = float(migration.config.current.get("migrate_downtime", "0.1")) * 1000
        self._sent = 0.0
        self._left = self.used
        self._transfer: Transfer | None = None
        self.rate = 0.0
        self.throttle = 0.0
        self.passes = 0
        self.downtime = 0
        self.done = migration.engine.event()
        self.failure: str | None = None

    @property
    def transferred(self) -> float:
        """Bytes so far."""
        return self._sent + (self._transfer.done if self._transfer is not None else 0.0)

    @property
    def remaining(self) -> float:
        """Bytes left in this pass."""
        return self._transfer.remaining if self._transfer is not None else self._left

    # ------------------------------------------------------------ QEMU

    def start(self) -> None:
        self._process = self.m.engine.spawn(self._qemu())

    def cancel(self) -> None:
        """``migrate_cancel``."""
        if not self.done.triggered:
            self.failure = "cancelled"
            self.done.succeed()

    def _qemu(self) -> Sim:
        """What the source's QEMU does, apart from the worker that watches it."""
        engine = self.m.engine
        while not self.done.triggered:
            began = engine.env.now
            if not (yield from self._pass(self._left)):
                return
            elapsed = max(1e-6, engine.env.now - began)
            rate = self.rate or 1e12
            dirty = min(self.hot, self._dirtying() * elapsed)
            self.passes += 1
            self._left = dirty
            if dirty <= rate * self.downtime_ms / 1000:
                yield from self._switch_over(dirty, rate)
                return
            if self._dirtying() > rate / 2:
                self.throttle = min(0.99, self.throttle + 0.1 if self.throttle else 0.2)

    def _dirtying(self) -> float:
        return self.dirty_rate * (1 - self.throttle)

    def _pass(self, size: float) -> Sim:
        """One pass; False when the migration was cancelled meanwhile."""
        network, began = self.m.cluster.network, self.m.engine.env.now
        transfer = self._transfer = network.start(self.pipes, size, self.limit)
        yield transfer.finished | self.done
        network.stop(transfer)
        self.rate = transfer.done / max(1e-6, self.m.engine.env.now - began)
        self._sent, self._left = self._sent + transfer.done, transfer.remaining
        self._transfer = None
        return not self.done.triggered

    def _switch_over(self, dirty: float, rate: float) -> Sim:
        self.process.qmpstatus = "finish-migrate"
        pause = dirty / rate + DEVICE_STATE
        yield self.m.engine.sleep(pause) | self.done
        if self.done.triggered:
            return
        self._sent += dirty
        self._left = 0.0
        self.downtime = int(pause * 1000)
        self.process.qmpstatus = "postmigrate"
        self.done.succeed()

    # ------------------------------------------------------------ the worker that watches

    def follow(self) -> Sim:
        """Ask QEMU every second and log what it says.

        :raises Die: ``aborting``, after the reason was logged.
        """
        m = self.m
        began = int(m.engine.now)
        sleep, polls, counter = 1.0, 0, 0
        last, last_remaining = 0.0, None
        while True:
            polls += 1
            average = last / polls
            yield from m.wait(self.done | m.engine.sleep(sleep) if sleep < 1 else m.engine.sleep(sleep))
            if not self.done.triggered:
                yield from self._check_link()
            if self.failure is not None:
                m.log(f"migration status error: {self.failure}")
                raise Die("aborting")
            if self.done.triggered:
                self._completed(int(m.engine.now) - began)
                return
            if self.transferred == last:
                continue
            if average and self.remaining < average:
                sleep = 0.1
            if sleep == 1.0 or polls % 10 == 0:
                self._progress()
            if last_remaining is not None and self.remaining > last_remaining:
                counter += 1
            last, last_remaining = self.transferred, self.remaining
            if counter > 5:
                counter = 0
                self._allow_longer_pause()

    def _check_link(self) -> Sim:
        try:
            yield from self.m.check_link()
        except Lost:
            self.cancel()
            self.failure = "failed - Unable to write to socket: Broken pipe"

    def _completed(self, delay: int) -> None:
        m = self.m
        if delay > 0:
            m.log(f"average migration speed: {render_bytes(self.total / delay)}/s - downtime {self.downtime} ms")
        m.log(
            f"migration completed, transferred {render_bytes(self.transferred)} VM-state", "migration status: completed"
        )

    def _progress(self) -> None:
        rate = self._transfer.rate if self._transfer is not None else self.rate
        line = (
            f"migration active, transferred {render_bytes(self.transferred)} of {render_bytes(self.total)} VM-state, "
            f"{render_bytes(rate)}/s"
        )
        dirtying = self._dirtying()
        if self.passes and dirtying > rate:
            line += f", VM dirties lots of memory: {render_bytes(dirtying)}/s"
        self.m.log(line)
        if self.passes:
            pages = int((self.transferred - self.used) / PAGE / 3)
            if pages > 0:
                encoded = render_bytes(pages * 180)
                self.m.log(f"xbzrle: send updates to {pages} pages in {encoded} encoded memory, cache-miss 62.50%")

    def _allow_longer_pause(self) -> None:
        if self.downtime_ms >= DOWNTIME_MAX:
            return
        self.downtime_ms *= 2
        if self.downtime_ms > DOWNTIME_MAX:
            self.m.log(f"capping downtime limit to maximum possible: {DOWNTIME_MAX} ms")
            self.downtime_ms = DOWNTIME_MAX
        self.m.log(f"auto-increased downtime to continue migration: {self.downtime_ms:.0f} ms")
