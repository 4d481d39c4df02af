# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backup: replication is none, for what is deleted here is deleted there a few minutes later."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.scope import Scope

NO_BACKUP = Kind(
    "no-backup",
    Severity.WARN,
    "A replicated guest is in no backup job.",
    "A replica follows its original, mistakes and encrypted files included. Backups that are made outside of the"
    " cluster's own jobs cannot be seen.",
    "add it to a backup job (Datacenter, Backup), or accept this if it is saved in another way",
    "nodes with a replica",
)


def replicated_without_backup(scope: Scope) -> Iterator[Finding]:
    """Of guests that have replication jobs."""
    state = scope.state
    if not state.knows("backup"):
        return
    for guest in scope.guests():
        targets = sorted(job.target for job in state.jobs_of(guest.vmid) if job.removing is None)
        if targets and not any(job.covers(guest.vmid, guest.node, guest.pool) for job in state.backup_jobs):
            yield NO_BACKUP.found(
                f"{guest.label} is replicated to {', '.join(targets)}, and no backup job saves it",
                guest=guest.vmid,
                replicas=targets,
            )
