# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""pvescheduler: at every full minute each node runs what is due, one job after the other (pve-facts §6.3)."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from lab.errors import ApiFault
from lab.guests.locks import PATIENCE, migration_lock
from lab.guests.migrate.worker import Steps
from lab.guests.replication.jobs import Job, jobs
from lab.guests.replication.run import Run
from lab.guests.replication.status import local_jobs, next_sync, reclaim, state_of
from lab.pve.tasks import Task
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.node import Node

MINUTE = 60
SKIP_AFTER = 2.0
"""Seconds that a run waits for the guest's migration lock."""


class Replication:
    """The schedulers of all nodes, and the logs of the last runs by node and job."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._busy: set[str] = set()
        self.logs: dict[tuple[str, str], list[str]] = {}

    def start(self) -> None:
        engine = self._cluster.engine
        engine.every(MINUTE, self._tick, first_after=MINUTE - engine.now % MINUTE)

    def _tick(self) -> None:
        """One pass over all jobs finds the nodes that have something to do."""
        cluster = self._cluster
        now = round(cluster.engine.now)
        due: dict[str, bool] = defaultdict(bool)
        for job in jobs(cluster).values():
            entry = cluster.guest(job.guest)
            if entry is None or due[entry.node]:
                continue
            node = cluster.nodes[entry.node]
            when = next_sync(cluster, node, job)
            due[entry.node] = job.source != node.name or (bool(when) and when <= now and not job.disabled) or when == 1
        for name, something in due.items():
            node = cluster.nodes[name]
            if something and node.up and name not in self._busy and cluster.quorate(node):
                cluster.engine.spawn(self._round(node, now))

    def _round(self, node: Node, now: int) -> Sim:
        self._busy.add(node.name)
        try:
            yield self._cluster.engine.sleep(0.3)
            skipped: set[str] = set()
            while node.up and (job := self._next(node, now, skipped)) is not None:
                if not (yield from self._run(node, job, now)):
                    skipped.add(job.id)
        finally:
            self._busy.discard(node.name)

    def _next(self, node: Node, iteration: int, skipped: set[str]) -> Job | None:
        """ReplicationState.pm:get_next_job."""
        cluster = self._cluster
        try:
            reclaim(cluster, node)
        except ApiFault:
            return None
        candidates = []
        start = round(cluster.engine.now)
        for job in local_jobs(cluster, node, disabled=False):
            state = state_of(node, job)
            when = next_sync(cluster, node, job)
            if int(state["last_iteration"]) < iteration and when and start >= when and job.id not in skipped:
                candidates.append((int(state["last_iteration"]), when, job.guest, job.id, job))
        return min(candidates)[-1] if candidates else None

    def _run(self, node: Node, job: Job, iteration: int) -> Sim:
        """One job; False when somebody else holds the guest's migration lock."""
        cluster = self._cluster
        nobody = Task("", node.name, 0, 0, int(cluster.engine.now), "", "", "root@pam")
        steps = Steps(cluster, node, cluster.nodes.get(job.target, node), nobody)
        path = migration_lock(job.guest)
        try:
            yield from cluster.locks.acquire(node.name, path, SKIP_AFTER, nobody)
        except ApiFault:
            return False
        run = Run(steps, job, round(cluster.engine.now), iteration)
        self.logs[node.name, job.id] = run.keep
        try:
            yield from run.run()
        except ApiFault:
            return True
        finally:
            cluster.locks.release(node.name, path, nobody)
        return True

    def schedule_now(self, node: Node, job: Job) -> Sim:
        """Make a job due at the next full minute; nothing happens when it never ran.

        :raises Die: the guest's migration lock is busy for ten seconds.
        """
        owner = object()
        path = migration_lock(job.guest)
        yield from self._cluster.locks.acquire(node.name, path, PATIENCE, owner)
        state = node.replication_state.get(job.id)
        if state is not None:
            state["last_try"] = 0
        self._cluster.locks.release(node.name, path, owner)
