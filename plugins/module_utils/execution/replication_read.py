# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Replication jobs of a guest as the cluster's configuration and the guest's node see them.

The configuration is cluster-wide, how a job is doing is known on the guest's node alone (pve-facts §6.2). To ask that
node first matters: it turns round the jobs of a guest that the HA manager has recovered there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import ApiError, NodeUnreachable
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob, replication_job
from ansible_collections.pve.mobility.plugins.module_utils.planning.replica_set import effective

ANALYZE = "/cluster/jobs/schedule-analyze"


@dataclass(frozen=True, slots=True)
class JobsSeen:
    """``jobs`` by ID, those that are being removed included. ``told``: the guest's node said how they are doing."""

    jobs: Mapping[str, ReplicationJob]
    told: bool = True

    def to(self, target: str) -> ReplicationJob | None:
        return next((job for job in self.jobs.values() if job.target == target), None)


def read_jobs(session: Session, vmid: int, node: str | None) -> JobsSeen:
    """Two requests; one when the node is not to be asked (None).

    :raises NoQuorum: the node cannot look at its jobs without.
    """
    told: dict[str, ReplicationJob] = {}
    answered = False
    if node is not None:
        with contextlib.suppress(NodeUnreachable):
            rows = session.get(f"/nodes/{node}/replication", {"guest": vmid})
            told = {job.id: job for job in map(replication_job, rows or ())}
            answered = True
    jobs = [replication_job(row) for row in session.get("/cluster/replication") or () if int(row["guest"]) == vmid]
    return JobsSeen({job.id: job for job in merged(jobs, told, node)}, answered)


def merged(
    jobs: Iterable[ReplicationJob], told: Mapping[str, ReplicationJob], node: str | None
) -> tuple[ReplicationJob, ...]:
    """Settings of the configuration, state as the node tells it."""
    found = []
    for job in jobs:
        seen = told.get(job.id)
        if seen is None:
            found.append(replace(job, seen=False))
        else:
            found.append(replace(seen, source=job.source, target=job.target, removing=job.removing, seen=True))
    return effective(found, node) if node is not None else tuple(found)


def cluster_time(session: Session, node: str | None) -> int | None:
    """Unix time in the cluster, None when it cannot be found out.

    The clock of a node needs Sys.Audit; that of the API host everybody learns from the next second of a calendar.
    """
    if node is not None:
        with contextlib.suppress(ApiError):
            return int(session.get(f"/nodes/{node}/time")["time"])
    with contextlib.suppress(ApiError):
        rows = session.get(ANALYZE, {"schedule": "*:*:*", "iterations": 1})
        return int(rows[0]["timestamp"]) - 1 if rows else None
    return None


def job_row(job: ReplicationJob, now: int | None) -> dict[str, Any]:
    """A job in results."""
    return {
        "id": job.id,
        "source": job.source,
        "target": job.target,
        "schedule": job.schedule,
        "rate": job.rate,
        "comment": job.comment,
        "enabled": not job.disabled,
        "removing": job.removing,
        "running": job.running,
        "last_sync": job.last_sync,
        "age_s": max(0, now - job.last_sync) if now and job.last_sync else None,
        "duration_s": job.duration or None,
        "fail_count": job.fail_count,
        "error": " ".join(job.error.split()) if job.error else None,
    }
