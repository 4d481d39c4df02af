# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How replication and migration meet (pve-facts §6.5)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.guests.replication.jobs import Job, of_guest, replicatable_volumes, switch_target, towards
from lab.guests.replication.run import Run
from lab.pve.formats import GuestConfig
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from lab.guests.migrate.worker import Migration
    from lab.pve.cluster import Cluster
    from lab.pve.pmxcfs import VmEntry


@dataclass(frozen=True, slots=True)
class Ties:
    """``job``: the one to the migration's target; ``replicated``: whether the guest has any job."""

    vmid: int
    job: Job | None
    replicated: bool


def ties(cluster: Cluster, vmid: int, target: str) -> Ties:
    return Ties(vmid, towards(cluster, vmid, target), bool(of_guest(cluster, vmid)))


def replicated_volumes(cluster: Cluster, entry: VmEntry, config: GuestConfig) -> frozenset[str]:
    return frozenset(replicatable_volumes(cluster, entry, config, quiet=True))


def replicate_now(migration: Migration, found: Ties) -> Sim:
    """A run inside a migration, which holds the guest's migration lock; the value is the set of volumes."""
    job = found.job
    assert job is not None
    now = int(migration.engine.now)
    run = Run(migration, job, now, now, echo=migration.log)
    migration.cluster.replication.logs[migration.node.name, job.id] = run.keep
    return set((yield from run.run()))


def hand_over_state(migration: Migration, found: Ties) -> Sim:
    """``pvesr set-state`` on the target: it continues where this node stopped."""
    states: dict[str, Any] = {}
    for job in of_guest(migration.cluster, found.vmid):
        state = migration.node.replication_state.get(job.id)
        if state is not None:
            target = migration.node.name if job.target == migration.target.name else job.target
            states[f"local/{target}"] = state
            migration.target.replication_state[job.id] = dict(state)
    quoted = json.dumps(states, separators=(",", ":"))
    migration.log(f"# {migration.way.ssh} pvesr set-state {found.vmid} \\''{quoted}'\\'")
    yield from migration.pause(0.4)


def flip(cluster: Cluster, found: Ties, old: str, new: str) -> None:
    """The guest has moved from ``old`` to ``new``."""
    switch_target(cluster, cluster.nodes[old], found.vmid, new, old)
