# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker of an LRM does with a guest (HA/LRM.pm:exec_resource_agent, HA/Resources/PVE{VM,CT}.pm)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import simpy

from lab.errors import ApiFault
from lab.guests.migrate import ha_migrate
from lab.guests.power import shutdown_ct, shutdown_vm, start_ct, start_vm, stop_ct, stop_vm
from lab.ha.config import KINDS, resources
from lab.ha.state import DIED, ERROR, IGNORED, SUCCESS, UNKNOWN_SERVICE, WRONG_NODE
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from lab.ha.stack import HaStack
    from lab.pve.node import Node
    from lab.pve.pmxcfs import VmEntry
    from lab.pve.tasks import Task

HA_LINE = "task started by HA resource agent"
LRM = "pve-ha-lrm"
SHUTDOWN_TIMEOUT = 60
MOVES = frozenset({"migrate", "relocate", "request_start_balance"})


def end_of(task: Task) -> simpy.Event:
    assert task.ended is not None, "a forked task has an end to wait for"
    return task.ended


class Agent:
    """The resource agent of one node."""

    def __init__(self, stack: HaStack, node: Node) -> None:
        self._stack = stack
        self._cluster = stack.cluster
        self._node = node

    def _log(self, text: str) -> None:
        self._stack.log(self._node.name, LRM, text)

    # ------------------------------------------------------------ which work is to be done

    def at_once(self, sid: str, state: str, target: str | None) -> int | None:
        """The exit code of a command that needs no time; None when there is work to do."""
        if state == "error":
            return SUCCESS
        resource = resources(self._cluster).get(sid)
        if resource is None:
            return UNKNOWN_SERVICE
        entry = self._cluster.guest(resource.vmid)
        if entry is None or entry.node != self._node.name or entry.type != KINDS[resource.kind]:
            self._log(f"service '{sid}' not on this node")
            return WRONG_NODE
        running = self._running(resource.vmid)
        if state == "started":
            return SUCCESS if running else None
        if state in {"request_stop", "stopped"}:
            return None if running else SUCCESS
        if state in MOVES:
            if target is None or self._cluster.faults.ha(sid, "lrm-fails") is not None:
                return DIED
            if state == "request_start_balance" and running:
                self._log(f"ignoring rebalance-on-start for service {sid} - already running")
                return IGNORED
            return None
        return 5

    def _running(self, vmid: int) -> bool:
        process = self._node.running.get(vmid)
        return process is not None and not process.incoming

    def work(self, sid: str, state: str, target: str | None, timeout: int | None) -> Sim:
        """Do it; the value is the exit code."""
        entry = self._cluster.guest(int(sid.partition(":")[2]))
        assert entry is not None
        try:
            if state == "started":
                return (yield from self._start(sid, entry))
            if state in MOVES:
                return (yield from self._move(sid, entry, str(target), online=state == "migrate"))
            return (yield from self._stop(sid, entry, timeout))
        except ApiFault as fault:
            self._log(fault.reason)
            return DIED

    # ------------------------------------------------------------ the work

    def _start(self, sid: str, entry: VmEntry) -> Sim:
        cluster, node = self._cluster, self._node
        self._log(f"starting service {sid}")
        if entry.type == "qemu":
            yield from self._task("qmstart", entry, lambda task: start_vm(cluster, node, entry.vmid, task))
        else:
            yield from self._task("vzstart", entry, lambda task: start_ct(cluster, node, entry.vmid, task))
        if self._running(entry.vmid):
            self._log(f"service status {sid} started")
            return SUCCESS
        self._log(f"unable to start service {sid}")
        return ERROR

    def _stop(self, sid: str, entry: VmEntry, timeout: int | None) -> Sim:
        self._log(f"stopping service {sid}")
        yield from self._shut_down(entry, timeout)
        if not self._running(entry.vmid):
            self._log(f"service status {sid} stopped")
            return SUCCESS
        self._log(f"unable to stop service {sid} (still running)")
        return ERROR

    def _shut_down(self, entry: VmEntry, timeout: int | None = None) -> Sim:
        cluster, node, vmid = self._cluster, self._node, entry.vmid
        patience = SHUTDOWN_TIMEOUT if timeout is None else timeout
        qemu = entry.type == "qemu"
        if not patience:
            stop = stop_vm if qemu else stop_ct
            yield from self._task("qmstop" if qemu else "vzstop", entry, lambda task: stop(cluster, node, vmid, task))
        elif qemu:
            yield from self._task("qmshutdown", entry, lambda task: shutdown_vm(
                cluster, node, vmid, task, timeout=patience, force=True))  # fmt: skip
        else:
            yield from self._task("vzshutdown", entry, lambda task: shutdown_ct(
                cluster, node, vmid, task, timeout=patience, force=False))  # fmt: skip

    def _move(self, sid: str, entry: VmEntry, target: str, online: bool) -> Sim:
        """A relocation shuts the guest down first, whatever comes of the migration (timelines 04h)."""
        if self._running(entry.vmid) and (not online or entry.type == "lxc"):
            yield from self._shut_down(entry)
        task = ha_migrate(self._cluster, self._node, entry, self._cluster.nodes[target], online)
        yield end_of(task)
        now = self._cluster.guest(entry.vmid)
        if now is None or now.node == self._node.name:
            self._log(f"service {sid} not moved (migration error)")
            return ERROR
        return SUCCESS

    def _task(self, type: str, entry: VmEntry, work: Callable[[Task], Sim]) -> Sim:
        """Run a worker as the LRM does, and wait for its end."""

        def worker(task: Task) -> Sim:
            task.log(HA_LINE)
            yield from work(task)

        task = self._cluster.tasks.fork_worker(self._node, type, str(entry.vmid), "root@pam", worker)
        task.parent = LRM
        yield end_of(task)
