# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Worker processes, their UPIDs and log files (pve-facts §9).

A worker is a generator that gets its :class:`Task`, logs lines, yields simpy events and raises
:class:`lab.errors.Die` to fail. Cancelling interrupts it with :attr:`Signal.TERM` and, when it is still there five
seconds later, with :attr:`Signal.KILL`. Workers may catch ``simpy.Interrupt`` to clean up, but must re-raise at once
when ``cause is Signal.KILL``: a killed process cleans nothing up, only the kernel drops its file locks.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import simpy

from lab.errors import ApiFault, Die
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.node import Node

KILL_AFTER = 5.0
"""Seconds between SIGTERM and SIGKILL of a cancelled task."""


PVEDAEMON = "pvedaemon"


class Signal(enum.Enum):
    TERM = "TERM"
    KILL = "KILL"


@dataclass(slots=True, eq=False)
class Task:
    """One worker.

    :ivar user: ``root@pam`` or ``root@pam!token``.
    :ivar exitstatus: None while running.
    :ivar saved: whether ``/cluster/tasks`` has it on disk.
    :ivar parent: the service that started it; what the HA manager or an ssh session starts survives pvedaemon.
    """

    upid: str
    node: str
    pid: int
    pstart: int
    starttime: int
    type: str
    id: str
    user: str
    lines: list[str] = field(default_factory=list)
    exitstatus: str | None = None
    endtime: float | None = None
    warnings: int = 0
    process: simpy.Process | None = None
    ended: simpy.Event | None = None
    parent: str = PVEDAEMON

    @property
    def userid(self) -> str:
        """The user without the token name."""
        return self.user.partition("!")[0]

    @property
    def tokenid(self) -> str | None:
        return self.user.partition("!")[2] or None

    @property
    def running(self) -> bool:
        return self.exitstatus is None

    def log(self, *lines: str) -> None:
        for line in lines:
            self.lines.extend(line.split("\n"))

    def warn(self, text: str) -> None:
        """Perl's ``log_warn``: the task will end with ``WARNINGS: n``."""
        self.warnings += 1
        self.log(f"WARN: {text}")


Worker = Callable[[Task], Sim]


class Tasks:
    """All tasks of the cluster, per node, newest last."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._by_upid: dict[str, Task] = {}
        self._by_node: dict[str, list[Task]] = {}
        self.on_start: list[Callable[[Task], None]] = []
        """Called for every new task before it runs; faults hook in here."""

    def find(self, upid: str) -> Task | None:
        return self._by_upid.get(upid)

    def of_node(self, node: str) -> list[Task]:
        """Tasks of a node in order of their start."""
        return self._by_node.get(node, [])

    def running(self, node: str | None = None) -> Iterator[Task]:
        nodes = self._by_node if node is None else (node,)
        return (task for name in nodes for task in self._by_node.get(name, ()) if task.running)

    def restore(self, task: Task) -> None:
        """Put back a task that was saved to a folder or described in a cluster file."""
        self._by_upid[task.upid] = task
        self._by_node.setdefault(task.node, []).append(task)

    def create(self, node: Node, type: str, id: str, user: str) -> Task:
        """Register a task without a process (tests, restored state)."""
        engine = self._cluster.engine
        pid = node.new_pid()
        pstart = int(max(0.0, engine.now - node.boot_time) * 100)
        start = int(engine.now)
        upid = f"UPID:{node.name}:{pid:08X}:{pstart:08X}:{start:08X}:{type}:{id}:{user}:"
        task = Task(upid, node.name, pid, pstart, start, type, id, user, ended=engine.event())
        self.restore(task)
        return task

    def fork_worker(self, node: Node, type: str, id: str, user: str, worker: Worker) -> Task:
        """Start ``worker`` on ``node`` and return its task at once, as PVE::RPCEnvironment::fork_worker does."""
        task = self.create(node, type, id, user)
        for hook in self.on_start:
            hook(task)
        task.process = self._cluster.engine.spawn(self._run(task, worker))
        return task

    def _run(self, task: Task, worker: Worker) -> Sim:
        try:
            yield from worker(task)
        except Die as fault:
            self._end(task, " ".join(fault.reason.split("\n")), f"TASK ERROR: {fault.reason}")
        except ApiFault as fault:
            self._end(task, fault.reason, f"TASK ERROR: {fault.reason}")
        except simpy.Interrupt as signal:
            if signal.cause is Signal.KILL:
                self._end(task, "unexpected status", None)
            else:
                self._end(task, "received interrupt", "TASK ERROR: received interrupt")
        else:
            status = f"WARNINGS: {task.warnings}" if task.warnings else "OK"
            self._end(task, status, f"TASK {status}")

    def _end(self, task: Task, exitstatus: str, last_line: str | None) -> None:
        if last_line is not None:
            task.log(last_line)
        task.exitstatus = exitstatus
        task.endtime = self._cluster.engine.now
        self._cluster.locks.release_all(task)
        if task.ended is not None and not task.ended.triggered:
            task.ended.succeed()

    def terminate(self, task: Task) -> None:
        """DELETE of a task: SIGTERM now, SIGKILL if it is still there after five seconds."""
        self.signal(task, Signal.TERM)

        def reaper() -> Sim:
            yield self._cluster.engine.sleep(KILL_AFTER)
            self.signal(task, Signal.KILL)

        self._cluster.engine.spawn(reaper())

    def signal(self, task: Task, signal: Signal) -> None:
        if task.process is not None and task.process.is_alive:
            task.process.interrupt(signal)
