# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All checks, in the order in which an operator would want to read them. A new check is a file and a line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import ModuleType

from ansible_collections.pve.mobility.plugins.module_utils.checks import (
    backup,
    blocking,
    capacity,
    cpu,
    devices,
    disks,
    formats,
    ha,
    ha_recovery,
    locks,
    media,
    migration_network,
    network,
    nodes,
    options,
    partners,
    pinned,
    quorum,
    releases,
    replication,
    replication_jobs,
    shared_flag,
    space,
    storage,
    tasks,
    unjudged,
    zfs,
)
from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.scope import Scope
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts

MoveCheck = Callable[[MoveFacts], Iterable[Finding]]
ScopeCheck = Callable[[Scope], Iterable[Finding]]

MOVE_CHECKS: tuple[MoveCheck, ...] = (
    nodes.target_takes_guests,
    nodes.source_is_there,
    locks.guest_lock,
    tasks.guest_tasks,
    releases.machine,
    releases.direction,
    cpu.processor,
    capacity.memory,
    capacity.processors,
    network.devices,
    migration_network.address_of_target,
    ha.manager_will_act,
    ha.rules,
    devices.passthrough,
    devices.mappings,
    devices.unchecked,
    storage.on_target,
    storage.local_disks,
    storage.volumes_are_there,
    media.local_media,
    media.cloudinit_name,
    shared_flag.not_shared,
    space.space,
    formats.formats,
    formats.thin,
    formats.mapping,
    blocking.snapshots,
    blocking.clones,
    replication.target_is_replica,
)
"""Of one guest to one node."""

SCOPE_CHECKS: tuple[ScopeCheck, ...] = (
    quorum.quorum,
    nodes.clocks,
    tasks.backups,
    releases.mixed,
    migration_network.network,
    options.options,
    ha_recovery.recovery,
    replication_jobs.jobs,
    replication_jobs.queues,
    replication_jobs.rates,
    backup.replicated_without_backup,
    shared_flag.mounts,
    zfs.zfs,
    unjudged.not_judged,
)
"""Of the cluster, its nodes, and guests wherever they go."""

MODULES: tuple[ModuleType, ...] = (
    quorum,
    nodes,
    locks,
    tasks,
    releases,
    cpu,
    capacity,
    network,
    migration_network,
    options,
    ha,
    partners,
    ha_recovery,
    devices,
    storage,
    shared_flag,
    space,
    formats,
    media,
    blocking,
    replication,
    replication_jobs,
    backup,
    zfs,
    pinned,
    unjudged,
)


def judge_move(move: MoveFacts) -> Iterator[Finding]:
    """Every finding about one move, and whether those who have to come along can."""
    found = list(_alone(move))
    yield from found
    if move.precondition.dependents:
        yield from partners.partners(move, _alone, {item.id for item in found if item.severity is Severity.BLOCK})


def _alone(move: MoveFacts) -> Iterator[Finding]:
    for check in MOVE_CHECKS:
        yield from check(move)


def judge_scope(scope: Scope) -> Iterator[Finding]:
    """Every finding about the cluster that concerns a piece of work."""
    for check in SCOPE_CHECKS:
        yield from check(scope)


def kinds() -> dict[str, Kind]:
    """Every kind of finding about moves of guests by its id, in the order of the checks."""
    return {kind.id: kind for module in MODULES for kind in _kinds_of(module)}


def disk_kinds() -> dict[str, Kind]:
    """Likewise about disks that go to another storage."""
    return {kind.id: kind for kind in _kinds_of(disks)}


def _kinds_of(module: ModuleType) -> Iterator[Kind]:
    return (value for value in vars(module).values() if isinstance(value, Kind))
