# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Replication: a running VM may only move to a node that holds a replica (pve-facts §1.2, §6.5)."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts


def target_is_replica(move: MoveFacts) -> Iterator[Finding]:
    """Live, to a node without a replica: Proxmox VE refuses, HA forces it and breaks the jobs."""
    jobs = [job for job in move.replication if job.removing is None]
    if not jobs:
        return
    to_target = [job for job in move.replication if job.target == move.target.name]
    replicas = ", ".join(sorted(job.target for job in jobs))
    if not to_target and move.live:
        yield Finding(
            "replica-missing",
            Severity.BLOCK,
            f"{move.guest.label} is replicated to {replicas}, and {move.target.name} holds no replica",
            f"move it to {replicas}, add a replication job to {move.target.name} first, or move it offline",
            guest=move.guest.vmid,
            node=move.target.name,
            evidence={"replicas": sorted(job.target for job in jobs)},
        )
    elif not to_target:
        yield Finding(
            "replica-full-copy",
            Severity.WARN,
            f"{move.target.name} holds no replica of {move.guest.label}, so all of its disks are copied",
            f"move it to {replicas}, where only the difference is sent",
            guest=move.guest.vmid,
            node=move.target.name,
        )
    for job in to_target:
        if job.removing is not None:
            yield Finding(
                "replica-removal",
                Severity.BLOCK,
                f"replication job {job.id} to {move.target.name} is marked for removal",
                "wait until it is gone",
                guest=move.guest.vmid,
                node=move.target.name,
                evidence={"job": job.id},
            )
        elif job.fail_count:
            yield Finding(
                "replica-failing",
                Severity.WARN,
                f"replication job {job.id} to {move.target.name} has failed {job.fail_count} times in a row",
                "look at the log of the job; more than the last difference has to be copied",
                guest=move.guest.vmid,
                node=move.target.name,
                evidence={"job": job.id, "error": job.error},
            )
