# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The locks of a guest: the ``lock`` property, the lock of its file, the migration lock (pve-facts §10)."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from lab.errors import Die
from lab.pve.formats import GuestConfig
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.tasks import Task

PATIENCE = 10.0
"""Seconds that nearly everybody waits for a guest's locks."""


def config_lock(type: str, vmid: int) -> str:
    """The file that is locked while a guest's configuration or process changes."""
    return f"/var/lock/qemu-server/lock-{vmid}.conf" if type == "qemu" else f"/run/lock/lxc/pve-config-{vmid}.lock"


def migration_lock(vmid: int) -> str:
    """Shared by migration and replication of a guest."""
    return f"/var/lock/pve-manager/pve-migrate-{vmid}"


def check_lock(config: GuestConfig, type: str) -> None:
    """:raises Die: ``VM is locked (backup)``."""
    lock = config.current.get("lock")
    if lock:
        raise Die(f"{'VM' if type == 'qemu' else 'CT'} is locked ({lock})")


def locked(
    cluster: Cluster,
    node: str,
    path: str,
    owner: Hashable,
    work: Sim,
    timeout: float = PATIENCE,
    task: Task | None = None,
) -> Sim:
    """Do ``work`` while holding a lock (pve-common Tools.pm:lock_file_full).

    :param task: whose log says that it waits.
    :raises Die: ``can't lock file '…' - got timeout``.
    """
    waits = cluster.locks.held(node, path)
    if waits and task is not None:
        task.log("trying to acquire lock...")
    yield from cluster.locks.acquire(node, path, timeout, owner)
    if waits and task is not None:
        task.log(" OK")
    try:
        return (yield from work)
    finally:
        cluster.locks.release(node, path, owner)
