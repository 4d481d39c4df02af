# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An orderly shutdown of a node: the LRM first, as its policy says, then the other guests (pve-facts §7.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.guests.power import shutdown_ct, shutdown_vm
from lab.ha.agent import end_of
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.node import Node
    from lab.pve.tasks import Task

GUEST_TIMEOUT = 180.0


def shut_down(cluster: Cluster, node: Node, kind: str) -> None:
    """Begin to shut ``node`` down; ``reboot`` brings it back, ``poweroff`` does not."""

    def run() -> Sim:
        lrm = cluster.ha.lrms.get(node.name)
        if lrm is not None:
            lrm.request_shutdown(kind)
            yield lrm.ended
        if node.running:
            stop_all = cluster.tasks.fork_worker(
                node, "stopall", "", "root@pam", lambda task: _stop_all(cluster, node, task)
            )
            yield end_of(stop_all)
        yield cluster.engine.sleep(5.0)
        if not node.powered:
            return
        cluster.power_off(node)
        if kind == "reboot":
            cluster.power_on(node)

    cluster.engine.spawn(run())


def _stop_all(cluster: Cluster, node: Node, task: Task) -> Sim:
    """Shut every guest down, all at a time."""
    tasks = []
    for process in list(node.running.values()):
        qemu = process.type == "qemu"
        task.log(f"Stopping {'VM' if qemu else 'CT'} {process.vmid} (timeout = {GUEST_TIMEOUT:.0f} seconds)")
        shutdown = shutdown_vm if qemu else shutdown_ct

        def worker(own: Task, vmid: int = process.vmid, shutdown=shutdown) -> Sim:  # type: ignore[no-untyped-def]
            yield from shutdown(cluster, node, vmid, own, timeout=GUEST_TIMEOUT, force=True)

        kind = "qmshutdown" if qemu else "vzshutdown"
        tasks.append(cluster.tasks.fork_worker(node, kind, str(process.vmid), "root@pam", worker))
    for other in tasks:
        yield end_of(other)
