# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What migrations of both kinds share: signals, log lines, phases (pve-guest-common AbstractMigrate.pm)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import simpy

from lab.errors import ApiFault, Die
from lab.guests.locks import PATIENCE, config_lock
from lab.guests.migrate.transport import LOST_AFTER, Way
from lab.guests.mishaps import strike
from lab.pve.tasks import Signal
from lab.sim.engine import Sim
from lab.sim.network import Transfer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.pve.cluster import Cluster
    from lab.pve.node import Node
    from lab.pve.tasks import Task
    from lab.sim.network import Pipe


class Interrupted(Die):
    """SIGTERM inside a phase."""

    def __init__(self) -> None:
        super().__init__("interrupted by signal")


class Lost(Die):
    """The other node is gone."""

    def __init__(self) -> None:
        super().__init__("connection lost")


class Steps:
    """A worker that is told to end ends its phase, not its clean-up (AbstractMigrate.pm:eval_int).

    Every wait goes through :meth:`pause` or :meth:`wait`. SIGKILL passes through as ``simpy.Interrupt``; nothing may
    catch it.
    """

    def __init__(self, cluster: Cluster, node: Node, target: Node, task: Task) -> None:
        self.cluster = cluster
        self.engine = cluster.engine
        self.node = node
        self.target = target
        self.task = task
        self._interruptible = False
        self._delayed = False
        self.told_to_end = False
        """SIGTERM came, to the whole process group: ssh connections of the worker are gone too."""

    def log(self, *texts: str) -> None:
        """Lines with the time before them."""
        stamp = self.cluster.stamp()
        for text in texts:
            self.task.log(*(f"{stamp} {line}" for line in text.rstrip("\n").split("\n")))

    def error(self, text: str) -> None:
        self.log(*(f"ERROR: {line}" for line in text.rstrip("\n").split("\n")))

    # ------------------------------------------------------------ waiting

    def pause(self, seconds: float) -> Sim:
        yield from self.wait(self.engine.sleep(seconds))

    def wait(self, event: simpy.Event) -> Sim:
        while not event.processed:
            try:
                yield event
            except simpy.Interrupt as signal:
                self._signal(signal)

    def _signal(self, signal: simpy.Interrupt) -> None:
        if signal.cause is Signal.KILL:
            raise signal
        self.told_to_end = True
        if self._interruptible:
            raise Interrupted
        self.error("received interrupt - delayed")
        self._delayed = True

    def quietly(self, seconds: float) -> Sim:
        """Wait in a clean-up inside a phase: signals are only noted."""
        self._interruptible, before = False, self._interruptible
        yield from self.pause(seconds)
        self._interruptible = before

    def apart(self, work: Sim) -> Sim:
        """Wait for work that another process does: a signal to this one does not stop it.

        :raises ApiFault: what the work raises.
        """
        outcome: list[Any] = []

        def run() -> Sim:
            try:
                outcome.append((yield from work))
            except ApiFault as fault:
                outcome.append(fault)

        yield from self.wait(self.engine.spawn(run()))
        if isinstance(outcome[0], ApiFault):
            raise outcome[0]
        return outcome[0]

    def interruptible(self, phase: Sim) -> Sim:
        """Run a phase that SIGTERM ends.

        :raises Interrupted: also when the signal came before.
        """
        self._interruptible = True
        try:
            if self._delayed:
                self._delayed = False
                raise Interrupted
            return (yield from phase)
        finally:
            self._interruptible = False

    # ------------------------------------------------------------ moving bytes

    def carry(self, pipes: Iterable[Pipe], size: float, cap: float | None = None) -> Transfer:
        """Start to carry bytes to the target."""
        return self.cluster.network.start(pipes, size, cap)

    def arrival(self, transfer: Transfer, tick: float | None = None) -> Sim:
        """Wait until a transfer ends or ``tick`` seconds pass.

        :raises Lost: the target or the own link is gone.
        """
        event: simpy.Event = transfer.finished
        if tick is not None:
            event = event | self.engine.sleep(tick)
        yield from self.wait(event)
        if not transfer.finished.triggered:
            yield from self.check_link()

    def check_link(self) -> Sim:
        """:raises Lost: after a while, when the target cannot be reached any more."""
        if self.target.up and self.node.up:
            return
        yield from self.pause(LOST_AFTER)
        if not (self.target.up and self.node.up):
            raise Lost


class Migration(Steps):
    """One migration of a guest; the subclasses say what the phases do.

    :ivar errors: something went wrong that does not stop the rest; the task ends as ``migration problems``.
    """

    kind = "qemu"

    def __init__(self, cluster: Cluster, node: Node, task: Task, vmid: int, target: Node) -> None:
        super().__init__(cluster, node, target, task)
        self.vmid = vmid
        self.errors = False
        self.running = False
        self.way: Way

    # ------------------------------------------------------------ what the subclasses do

    def find_way(self) -> Sim:
        """Resolve the migration network; the value is a :class:`Way`."""
        raise AssertionError("each kind of guest has its own")

    def prepare(self) -> Sim:
        """Checks; the value says whether memory has to move."""
        raise AssertionError("each kind of guest has its own")

    def phase1(self) -> Sim:
        raise AssertionError("each kind of guest has its own")

    def phase1_cleanup(self) -> Sim:
        raise AssertionError("each kind of guest has its own")

    def phase2(self) -> Sim:
        yield from ()

    def phase2_cleanup(self) -> Sim:
        yield from ()

    def phase3(self) -> Sim:
        yield from ()

    def phase3_cleanup(self) -> Sim:
        yield from ()

    def final_cleanup(self) -> Sim:
        yield from ()

    # ------------------------------------------------------------ the order of things

    def run(self) -> Sim:
        """The whole migration.

        :raises Die: ``migration aborted`` or ``migration problems``.
        """
        self.way = yield from self.find_way()
        started = int(self.engine.now)
        problem: ApiFault | None = None
        try:
            yield from self._lock()
            try:
                yield from self._phases()
            finally:
                self.cluster.locks.release(self.node.name, config_lock(self.kind, self.vmid), self)
        except ApiFault as fault:
            problem = fault
        seconds = int(self.engine.now) - started
        duration = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        if problem is not None:
            self.error(f"migration aborted (duration {duration}): {problem.reason}")
            raise Die("migration aborted")
        if self.errors:
            self.error(f"migration finished with problems (duration {duration})")
            raise Die("migration problems")
        self.log(f"migration finished successfully (duration {duration})")

    def _lock(self) -> Sim:
        """The lock of the guest's file, held throughout; signals are only noted meanwhile."""
        path = config_lock(self.kind, self.vmid)
        end = self.engine.env.now + PATIENCE
        waits = self.cluster.locks.held(self.node.name, path)
        if waits:
            self.task.log("trying to acquire lock...")
        while True:
            try:
                yield from self.cluster.locks.acquire(self.node.name, path, end - self.engine.env.now, self)
                break
            except simpy.Interrupt as signal:
                self._signal(signal)
        if waits:
            self.task.log(" OK")

    def _phases(self) -> Sim:
        self.running = yield from self.interruptible(self.prepare())
        if self.way.network is not None:
            self.log(f"use dedicated network address for sending migration traffic ({self.way.address})")
            if not self.target.up:
                raise Die(f"Can't connect to destination address ({self.way.address}) using public key authentication")
        try:
            yield from self.interruptible(self.phase1())
        except ApiFault as fault:
            self.error(fault.reason)
            yield from self._attempt(self.phase1_cleanup())
            yield from self._attempt(self.final_cleanup())
            raise
        if self.running:
            try:
                yield from self.interruptible(self.phase2())
            except ApiFault as fault:
                self.errors = True
                self.error(f"online migrate failure - {fault.reason}")
            yield from self._attempt(self.phase2_cleanup())
        for step in (self.interruptible(self.phase3()), self.phase3_cleanup(), self.final_cleanup()):
            yield from self._attempt(step)

    def _attempt(self, step: Sim) -> Sim:
        try:
            yield from step
        except ApiFault as fault:
            self.error(fault.reason)
            self.errors = True

    # ------------------------------------------------------------ faults on demand

    def enter(self, phase: str) -> str | None:
        """Ask for a fault at the begin of a phase; the value is the kind of one that acts later.

        :raises Die: the fault says so. A killed worker vanishes as by SIGKILL.
        """
        return strike(self.cluster, self.task, phase)
