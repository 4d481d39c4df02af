# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting, stopping and shutting down guests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.errors import Die
from lab.guests.config import apply_pending
from lab.guests.locks import check_lock, config_lock, locked
from lab.guests.mishaps import strike
from lab.guests.start import StartFailure, check_start, launch, running_machine
from lab.pve.formats import GuestConfig
from lab.pve.node import Node
from lab.pve.pmxcfs import VmEntry
from lab.pve.storage_status import activate
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.tasks import Task

START_SECONDS = {"qemu": 0.6, "lxc": 0.9}
STOP_SECONDS = {"qemu": 0.8, "lxc": 1.0}


def start_vm(
    cluster: Cluster, node: Node, vmid: int, task: Task, *, skiplock: bool = False, machine: str | None = None
) -> Sim:
    """Worker of ``qmstart``.

    :raises Die: no such VM, locked, running already, QEMU does not start.
    """

    def work() -> Sim:
        yield cluster.engine.sleep(0.2)
        entry = cluster.entry_on(node, "qemu", vmid)
        config = cluster.config(entry)
        if not skiplock:
            check_lock(config, "qemu")
        if vmid in node.running:
            raise Die(f"VM {vmid} already running")
        cluster.check_quorum(node)
        config = apply_pending(cluster, node, entry)
        wanted = machine or running_machine(node, config)
        yield from checked_start(cluster, node, vmid, config, wanted, task)
        launch(cluster, node, entry, config, wanted)

    yield from locked(cluster, node.name, config_lock("qemu", vmid), task, work(), task=task)


def checked_start(cluster: Cluster, node: Node, vmid: int, config: GuestConfig, machine: str, task: Task) -> Sim:
    """The time a start takes; what QEMU prints goes to the task's log."""
    yield cluster.engine.sleep(START_SECONDS["qemu"])
    strike(cluster, task, "start")
    try:
        check_start(cluster, node, vmid, config, machine)
    except StartFailure as failure:
        task.log(*failure.lines)
        raise


def stop_vm(
    cluster: Cluster, node: Node, vmid: int, task: Task, *, skiplock: bool = False, migrated_from: str | None = None
) -> Sim:
    """Worker of ``qmstop``.

    :param migrated_from: the configuration is still on that node (an aborted migration cleans up its target).
    """

    def work() -> Sim:
        if migrated_from is not None:
            node.running.pop(vmid, None)
            return
        yield cluster.engine.sleep(0.1)
        entry = _find(cluster, node, vmid)
        if not skiplock:
            check_lock(cluster.config(entry), "qemu")
        if vmid in node.running:
            yield cluster.engine.sleep(STOP_SECONDS["qemu"])
            _gone(cluster, node, entry)

    yield from locked(cluster, node.name, config_lock("qemu", vmid), task, work(), task=task)


def _gone(cluster: Cluster, node: Node, entry: VmEntry) -> None:
    """A VM's process has ended; what waited for that can be changed now, unless /etc/pve cannot be written."""
    node.running.pop(entry.vmid, None)
    if cluster.quorate(node):
        apply_pending(cluster, node, entry)


def _find(cluster: Cluster, node: Node, vmid: int) -> VmEntry:
    entry = cluster.guest(vmid)
    if entry is None or entry.node != node.name or entry.type != "qemu":
        raise Die(f"unable to find configuration file for VM {vmid} on node '{node.name}'")
    return entry


def shutdown_vm(
    cluster: Cluster, node: Node, vmid: int, task: Task, *, timeout: float | None, force: bool, skiplock: bool = False
) -> Sim:
    """Worker of ``qmshutdown``. ``timeout``: seconds, 60 unless given; then an error, or the hard way."""

    def work() -> Sim:
        entry = _find(cluster, node, vmid)
        if not skiplock:
            check_lock(cluster.config(entry), "qemu")
        if vmid not in node.running:
            return
        strike(cluster, task, "shutdown")
        needs = cluster.trait(vmid).shutdown_seconds
        patience = 60.0 if timeout is None else timeout
        if needs is not None and needs <= patience:
            yield cluster.engine.sleep(needs)
            _gone(cluster, node, entry)
            yield cluster.engine.sleep(0.3)
            return
        yield cluster.engine.sleep(patience)
        if not force:
            raise Die("VM quit/powerdown failed - got timeout")
        task.log("VM still running - terminating now with SIGTERM")
        yield cluster.engine.sleep(STOP_SECONDS["qemu"])
        _gone(cluster, node, entry)

    yield from locked(cluster, node.name, config_lock("qemu", vmid), task, work(), task=task)


# ---------------------------------------------------------------- containers


def start_ct(cluster: Cluster, node: Node, vmid: int, task: Task, *, skiplock: bool = False) -> Sim:
    """Worker of ``vzstart``."""

    def work() -> Sim:
        yield cluster.engine.sleep(0.2)
        entry = cluster.entry_on(node, "lxc", vmid)
        config = cluster.config(entry)
        if not skiplock:
            check_lock(config, "lxc")
        if vmid in node.running:
            raise Die(f"CT {vmid} already running")
        strike(cluster, task, "start")
        yield from boot_ct(cluster, node, entry, config, task)

    yield from locked(cluster, node.name, config_lock("lxc", vmid), task, work(), task=task)


def boot_ct(cluster: Cluster, node: Node, entry: VmEntry, config: GuestConfig, task: Task) -> Sim:
    """The time a container takes to start, and what keeps it from starting.

    :raises Die: a bridge, a volume or the hook script is missing on the node.
    """
    from lab.guests.drives import drives
    from lab.guests.start import check_hookscript
    from lab.guests.start_network import not_attached

    yield cluster.engine.sleep(START_SECONDS["lxc"])
    try:
        check_hookscript(cluster, node, entry.vmid, config)
    except StartFailure as failure:
        task.log(failure.reason)
        raise Die(f"startup for container '{entry.vmid}' failed") from failure
    for drive in drives(config.current, "lxc"):
        if drive.storage is not None:
            activate(cluster, drive.storage, node.name)
            if cluster.storages.find(drive.volid, node.name) is None:
                raise Die(f"volume '{drive.volid}' does not exist")
    unattached = not_attached(cluster, node, config)
    if unattached is not None:
        task.log(unattached[1])
        raise Die(f"startup for container '{entry.vmid}' failed")
    launch(cluster, node, entry, config)


def stop_ct(cluster: Cluster, node: Node, vmid: int, task: Task, *, skiplock: bool = False) -> Sim:
    """Worker of ``vzstop``."""

    def work() -> Sim:
        entry = cluster.entry_on(node, "lxc", vmid)
        if not skiplock:
            check_lock(cluster.config(entry), "lxc")
        yield cluster.engine.sleep(STOP_SECONDS["lxc"])
        node.running.pop(vmid, None)

    yield from locked(cluster, node.name, config_lock("lxc", vmid), task, work(), task=task)


def shutdown_ct(
    cluster: Cluster, node: Node, vmid: int, task: Task, *, timeout: float, force: bool, skiplock: bool = False
) -> Sim:
    """Worker of ``vzshutdown``."""

    def work() -> Sim:
        entry = cluster.entry_on(node, "lxc", vmid)
        if not skiplock:
            check_lock(cluster.config(entry), "lxc")
        strike(cluster, task, "shutdown")
        yield from halt_ct(cluster, node, vmid, timeout, force)

    yield from locked(cluster, node.name, config_lock("lxc", vmid), task, work(), task=task)


def halt_ct(cluster: Cluster, node: Node, vmid: int, timeout: float, force: bool) -> Sim:
    """LXC.pm:vm_stop: ask the container to stop; near its end it has no init any more.

    :raises Die: it does not stop in time.
    """
    process = node.running.get(vmid)
    if process is None:
        return
    needs = cluster.trait(vmid).shutdown_seconds
    if needs is None or needs > timeout:
        yield cluster.engine.sleep(timeout)
        if not force:
            raise Die(f"command 'lxc-stop -n {vmid} --nokill --timeout {timeout:g}' failed: exit code 1")
        yield cluster.engine.sleep(STOP_SECONDS["lxc"])
    else:
        yield cluster.engine.sleep(max(0.0, needs - 0.4))
        process.pid = 0
        yield cluster.engine.sleep(min(0.4, needs))
    node.running.pop(vmid, None)
