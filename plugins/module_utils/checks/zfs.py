# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ZFS: snapshots and holds that Proxmox VE did not make, other tools, pools that are not well.

Facts come from ``zfs_info``; without them nothing is said (pve-facts §6.7, §13).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.scope import Scope
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.zfs_facts import ForeignSnapshot, ZfsFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.zfs_owner import Owner

SOURCE_SNAPSHOTS = Kind(
    "zfs-foreign-snapshots",
    Severity.INFO,
    "Volumes of a guest have snapshots that Proxmox VE did not make.",
    "Replication and copies while the guest is off send them along, and they take room on both nodes; a mirror of a"
    " running VM leaves them behind. One that is newer than a snapshot of the guest keeps it from being rolled back.",
    "let one tool take care of a dataset; delete those that nobody needs",
    "number of snapshots, who made them, datasets",
)
REPLICA_SNAPSHOTS = Kind(
    "zfs-replica-snapshots",
    Severity.WARN,
    "A replica has snapshots that Proxmox VE did not make.",
    "The next run of the replication job destroys them: a replica becomes exactly what its original is.",
    "make snapshots on the original, or keep the tool away from replicas",
    "number of snapshots, who made them, datasets",
)
HOLDS = Kind(
    "zfs-hold",
    Severity.WARN,
    "A snapshot on a replica is held.",
    "Replication cannot remove it, and its runs fail.",
    "release the hold (zfs release), and see which tool has set it",
    "snapshots",
)
LEFTOVER = Kind(
    "zfs-leftover",
    Severity.WARN,
    "A volume has a snapshot of a copy that broke off (__migration__).",
    "It keeps room, and the next copy of the volume fails because the name is taken.",
    "see that no move is under way, and destroy the snapshot",
    "snapshots",
)
TOOLS = Kind(
    "zfs-tools",
    Severity.WARN,
    "A node with replicated guests has another tool that makes or removes ZFS snapshots.",
    "A tool that prunes snapshots by age may take the one that replication builds on, and then everything is sent"
    " again, or nothing any more.",
    "leave the datasets of replicated guests out of the tool's configuration",
    "the tools",
)
POOL = Kind(
    "zfs-pool-health",
    Severity.WARN,
    "A ZFS pool is not healthy.",
    "Copying puts load on it when it can bear least, and what is moved there has less redundancy than it should.",
    "look at zpool status, and replace what is broken first",
    "health of the pool",
)


@dataclass(slots=True)
class _Found:
    """Snapshots of one guest on one node."""

    foreign: list[ForeignSnapshot] = field(default_factory=list)
    held: list[ForeignSnapshot] = field(default_factory=list)
    leftover: list[ForeignSnapshot] = field(default_factory=list)


def zfs(scope: Scope) -> Iterator[Finding]:
    """Of the nodes that the work concerns."""
    if not scope.zfs:
        return
    guests = {guest.vmid: guest for guest in scope.guests()}
    for node in scope.nodes():
        facts = scope.zfs.get(node.name)
        if facts is None:
            continue
        yield from _pools(node.name, facts)
        yield from _tools(scope, node.name, facts)
        by_guest: dict[int, _Found] = {}
        for snapshot in facts.snapshots:
            if snapshot.vmid is not None and snapshot.vmid in guests:
                _sort(by_guest.setdefault(snapshot.vmid, _Found()), snapshot)
        for vmid, found in sorted(by_guest.items()):
            yield from _guest(scope, guests[vmid], node.name, found)


def _sort(found: _Found, snapshot: ForeignSnapshot) -> None:
    if snapshot.owner == Owner.MIGRATION.value:
        found.leftover.append(snapshot)
    elif snapshot.owner in _FOREIGN:
        found.foreign.append(snapshot)
    if snapshot.held:
        found.held.append(snapshot)


_FOREIGN = frozenset(owner.value for owner in Owner if owner.foreign)


def _pools(node: str, facts: ZfsFacts) -> Iterator[Finding]:
    for pool, health in sorted(facts.pools.items()):
        if health != "ONLINE":
            yield POOL.found(f"ZFS pool {pool} on {node} is {health}", node=node, pool=pool, health=health)


def _tools(scope: Scope, node: str, facts: ZfsFacts) -> Iterator[Finding]:
    if not facts.tools:
        return
    concerned = sum(node in (job.source, job.target) for job in scope.state.replication_jobs)
    if concerned:
        tools = ", ".join(facts.tools)
        yield TOOLS.found(
            f"{node} has {tools}, and {concerned} replication job{'' if concerned == 1 else 's'} from or to it",
            node=node,
            tools=list(facts.tools),
            jobs=concerned,
        )


def _guest(scope: Scope, guest: Guest, node: str, found: _Found) -> Iterator[Finding]:
    replica = any(job.target == node and job.removing is None for job in scope.state.jobs_of(guest.vmid))
    if found.foreign and (replica or node == guest.node):
        kind = REPLICA_SNAPSHOTS if replica else SOURCE_SNAPSHOTS
        number = len(found.foreign)
        owners = sorted({item.owner for item in found.foreign})
        yield kind.found(
            f"{'the replica' if replica else 'volumes'} of {guest.label} on {node} {'has' if replica else 'have'}"
            f" {number} snapshot{'' if number == 1 else 's'} of {', '.join(owners)}",
            guest=guest.vmid,
            node=node,
            number=number,
            owners=owners,
            datasets=sorted({item.dataset for item in found.foreign}),
        )
    if found.held and replica:
        names = [f"{item.dataset}@{item.name}" for item in found.held]
        yield HOLDS.found(
            f"{names[0]} on {node}, of the replica of {guest.label}, is held"
            f"{f', and {len(names) - 1} more' if names[1:] else ''}",
            guest=guest.vmid,
            node=node,
            snapshots=names,
        )
    busy = guest.lock == "migrate"
    if found.leftover and not busy:
        names = [f"{item.dataset}@{item.name}" for item in found.leftover]
        yield LEFTOVER.found(
            f"{names[0]} on {node} is left of a copy of {guest.label} that broke off",
            guest=guest.vmid,
            node=node,
            snapshots=names,
        )
