# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The local resource manager of one node (HA/LRM.pm)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import simpy

from lab.ha.agent import Agent
from lab.ha.state import ERROR, SUCCESS, TRY_AGAIN, LrmStatus, Result
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from lab.ha.config import Resource
    from lab.ha.stack import HaStack
    from lab.pve.node import Node

ROUND = 10.0
IDLE_ROUND = 5.0
WORK_SECONDS = 8.0
"""An LRM looks after its workers that long in a round, once a second."""
IDLE_ROUNDS = 60
"""Rounds without a service after which an LRM gives its lock back."""
WATCHDOG = 60.0
"""Seconds without an update after which the watchdog resets the node."""


@dataclass(slots=True)
class Worker:
    """A command that waits for a worker, or is being carried out."""

    sid: str
    uid: str | None
    state: str
    target: str | None
    timeout: int | None
    tries: int = 0
    process: simpy.Process | None = None
    exit_code: int | None = None

    @property
    def begun(self) -> bool:
        return self.process is not None or self.exit_code is not None


class Lrm:
    """One LRM from its start to its end; a node that boots gets a new one.

    :ivar watchdog: when the watchdog was last updated; None while it is not open.
    """

    def __init__(self, stack: HaStack, node: Node, phase: float) -> None:
        self.stack = stack
        self.node = node
        self.state = "wait_for_agent_lock"
        self.mode = "active"
        self.results: dict[str, Result] = {}
        self.workers: dict[str, Worker] = {}
        self.watchdog: float | None = None
        self.shutdown: str | None = None
        """``reboot`` or ``poweroff`` once the node is being shut down."""
        self.ended = stack.cluster.engine.event()
        self._agent = Agent(stack, node)
        self._owner = f"lrm {node.boot_time}"
        self._engine = stack.cluster.engine
        self._phase = phase
        self._idle_rounds = 0
        self._restarts: dict[str, int] = {}
        self._stopping: set[str] = set()
        self._finished = False
        self._busy: list[Worker] = []
        self.process = self._engine.spawn(self._run())

    def adopt(self, status: LrmStatus) -> None:
        """Go on from what the status file of a running node says."""
        self.state, self.mode, self.results = status.state, status.mode, dict(status.results)
        if self.state in {"active", "maintenance"} and self._lock():
            self.watchdog = self._engine.now

    def die(self) -> None:
        """The node lost its power."""
        self.state = "ended"
        for process in (self.process, *(worker.process for worker in self.workers.values())):
            if process is not None and process.is_alive and process is not self._engine.env.active_process:
                process.interrupt()

    def _log(self, text: str) -> None:
        self.stack.log(self.node.name, "pve-ha-lrm", text)

    # ------------------------------------------------------------ the loop

    def _run(self) -> Sim:
        try:
            yield self._engine.sleep(self._phase)
            while self.state != "ended":
                begun = self._engine.env.now
                seconds = yield from self._round()
                yield self._engine.sleep(begun + seconds - self._engine.env.now)
        except simpy.Interrupt:
            return

    def _round(self) -> Sim:
        """The value is how long a round takes at least, counted from its begin."""
        self._read_mode()
        before = self.state
        self._change_state()
        if self.state != before:
            self._log(f"status change {before} => {self.state}")
        if self._must_reset():
            return 0.0
        match self.state:
            case "active" if self.shutdown is not None:
                yield from self._shut_down()
                return ROUND
            case "active":
                yield from self._manage()
                return ROUND
            case "maintenance":
                status = self.stack.status
                if not status.active_on(self.node.name) and not self.workers:
                    self._give_up_watchdog()
                    self.stack.locks.release(self.node.name)
                    if self.shutdown is not None:
                        self._end()
                        return 0.0
                yield from self._manage()
                return IDLE_ROUND
        if self.state == "wait_for_agent_lock" and self.shutdown is not None:
            self._end()
        self._publish()
        return IDLE_ROUND

    def _quorate(self) -> bool:
        return self.stack.cluster.quorate(self.node)

    def _read_mode(self) -> None:
        if self.shutdown is not None:
            return
        status = self.stack.status
        if status.node_request.get(self.node.name, {}).get("maintenance"):
            self.mode = "maintenance"
        elif status.disarm is not None:
            self.mode = "disarm"
        else:
            self.mode = "active"

    def _lock(self) -> bool:
        """Take or renew the agent lock, and with it the watchdog."""
        if not self._quorate() or not self.stack.locks.acquire(self.node.name, self._owner):
            return False
        self.watchdog = self._engine.now
        return True

    def _give_up_watchdog(self) -> None:
        if self.watchdog is not None:
            self.watchdog = None
            self._log("watchdog closed (disabled)")

    def _let_go(self) -> None:
        self.stack.locks.release(self.node.name)
        self._give_up_watchdog()
        self.state = "wait_for_agent_lock"

    def _change_state(self) -> None:
        status, name = self.stack.status, self.node.name
        fence = status.fenced_on(name) or status.node_status.get(name) == "fence"
        match self.state:
            case "wait_for_agent_lock":
                if self.mode != "disarm" and not fence and status.active_on(name) and self._lock():
                    self._log(f"successfully acquired lock 'ha_agent_{name}_lock'")
                    self.state = "active"
            case "lost_agent_lock":
                if not fence and self._lock():
                    self.state = "active"
            case "active":
                if fence or not self._lock():
                    self.state = "lost_agent_lock"
                elif self.mode == "maintenance":
                    self.state = "maintenance"
                elif self.mode == "disarm" and not self.workers:
                    self._log("HA disarm requested, releasing agent lock and watchdog")
                    self._let_go()
                else:
                    self._count_idle_rounds()
            case "maintenance":
                if fence:
                    self.state = "lost_agent_lock"
                elif status.active_on(name) or self.workers:
                    if not self._lock():
                        self.state = "lost_agent_lock"
                elif self.mode == "disarm":
                    self._let_go()
                elif self.mode != "maintenance":
                    self.state = "active" if self._lock() else "lost_agent_lock"

    def _count_idle_rounds(self) -> None:
        if self.stack.status.has_configured(self.node.name) or self.workers:
            self._idle_rounds = 0
            return
        self._idle_rounds += 1
        if self._idle_rounds > IDLE_ROUNDS:
            self._log(f"node had no service configured for {IDLE_ROUNDS} rounds, going idle.")
            self._let_go()
            self._idle_rounds = 0

    def _must_reset(self) -> bool:
        """Without the lock nobody updates the watchdog; after a minute it resets the node."""
        if self.state != "lost_agent_lock" or self.watchdog is None or self._engine.now - self.watchdog < WATCHDOG:
            return False
        self.stack.reset_node(self.node)
        return True

    def _publish(self) -> None:
        """Write the status file, which needs quorum."""
        if self._quorate():
            self.stack.lrm_status[self.node.name] = LrmStatus(self.state, self.mode, self.results, self._engine.now)

    # ------------------------------------------------------------ work

    def _manage(self) -> Sim:
        status, name = self.stack.status, self.node.name
        for sid in status.of_node.get(name, ()):
            service = status.services.get(sid)
            if service is None or service.node != name or service.state in {"recovery", "freeze", "request_start"}:
                continue
            self._queue(sid, service.uid, service.state, service.target, service.timeout)
        yield from self._run_workers()
        self._publish()

    def _queue(self, sid: str, uid: str | None, state: str, target: str | None = None,
               timeout: int | None = None) -> None:  # fmt: skip
        """A command is carried out once; only ``stopped`` again in each round (nobody looks at its result).

        What had to wait keeps its turn, so that no service starves on a node with many.
        """
        if state != "stopped" and uid is not None and uid in self.results:
            return
        worker = self.workers.get(sid)
        if worker is None or not worker.begun:
            tries = worker.tries if worker is not None and state != "stopped" else 0
            self.workers[sid] = Worker(sid, uid, state, target, timeout, tries)

    def _run_workers(self) -> Sim:
        """Start what waits, those that waited longest first, never more than ``max_workers`` at a time."""
        begun = self._engine.now
        most = int(self.stack.cluster.options().get("max_workers") or 4)
        config = self.stack.resources()
        waiting = sorted((worker for worker in self.workers.values() if not worker.begun),
                         key=lambda worker: (-worker.tries, worker.sid))  # fmt: skip
        waiting.reverse()
        while self._engine.now - begun <= WORK_SECONDS:
            count = self._reap(config)
            while waiting and count < most:
                self._begin(waiting.pop())
                count += 1
            for worker in waiting:
                worker.tries += 1
            if not count:
                break
            yield self._engine.sleep(1.0)
        if self._finished:
            services = self.stack.status.services
            self.results = {
                uid: result for uid, result in self.results.items()
                if result.sid in services and services[result.sid].uid == uid
            }  # fmt: skip
            self._finished = False

    def _begin(self, worker: Worker) -> None:
        self._busy.append(worker)
        worker.exit_code = self._agent.at_once(worker.sid, worker.state, worker.target)
        if worker.exit_code is None:
            worker.process = self._engine.spawn(self._work(worker))

    def _work(self, worker: Worker) -> Sim:
        try:
            worker.exit_code = yield from self._agent.work(worker.sid, worker.state, worker.target, worker.timeout)
        except simpy.Interrupt:
            return

    def _reap(self, config: dict[str, Resource]) -> int:
        """Take the results of workers that have ended; the value is how many are still at work."""
        ended = [worker for worker in self._busy if worker.exit_code is not None]
        self._busy = [worker for worker in self._busy if worker.exit_code is None]
        for worker in ended:
            del self.workers[worker.sid]
            code = self._judge(worker, config.get(worker.sid))
            if worker.uid is not None and code != TRY_AGAIN:
                if not self._finished:
                    # What the status file says must not change before it is written again.
                    self.results = dict(self.results)
                    self._finished = True
                self.results[worker.uid] = Result(worker.sid, worker.state, code)
        return len(self._busy)

    def _judge(self, worker: Worker, resource: Resource | None) -> int:
        """Try to start again, as often as the resource's ``max_restart`` says, before telling the CRM."""
        code = worker.exit_code if worker.exit_code is not None else ERROR
        if worker.state != "started":
            return code
        if code == SUCCESS:
            self._restarts.pop(worker.sid, None)
        elif code == ERROR:
            tries = self._restarts.get(worker.sid, 0)
            if tries >= (resource.max_restart if resource is not None else 0):
                self._log(f"unable to start service {worker.sid} on local node after {tries} retries")
                self._restarts.pop(worker.sid, None)
                return ERROR
            self._restarts[worker.sid] = tries + 1
            self._log(f"restart policy: retry number {tries + 1} for service '{worker.sid}'")
            return TRY_AGAIN
        return code

    # ------------------------------------------------------------ shutting down

    def request_shutdown(self, kind: str) -> None:
        """The node is being shut down (``reboot`` or ``poweroff``): follow the policy of datacenter.cfg."""
        if self.shutdown is not None:
            return
        policy = self.stack.shutdown_policy()
        self.shutdown = kind
        self._log(f"got shutdown request with shutdown policy '{policy}'")
        if self.mode == "maintenance":
            return
        if policy == "migrate":
            self._log(f"{kind} LRM, doing maintenance, removing this node from active list")
            self.mode = "maintenance"
        else:
            freeze = policy == "freeze" or (policy != "failover" and kind == "reboot")
            self.mode = "restart" if freeze else "shutdown"
            for sid in self.stack.status.of_node.get(self.node.name, ()):
                if self.stack.status.services[sid].node == self.node.name:
                    self._queue(sid, None, "request_stop")
        self._publish()

    def _shut_down(self) -> Sim:
        yield from self._run_workers()
        self._publish()
        frozen = self.mode != "restart" or not self.stack.status.active_on(self.node.name)
        if not self.workers and frozen:
            self._give_up_watchdog()
            self.stack.locks.release(self.node.name)
            self._end()

    def _end(self) -> None:
        self.state = "ended"
        if not self.ended.triggered:
            self.ended.succeed()
