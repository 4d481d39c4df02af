# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``POST …/migrate`` checks before it starts a task (qemu-server API2/Qemu.pm, pve-container API2/LXC.pm)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.errors import BadParameters, Die
from lab.guests.locks import PATIENCE, check_lock, locked, migration_lock
from lab.guests.migrate.lxc import LxcMigration
from lab.guests.migrate.options import Options
from lab.guests.migrate.qemu import QemuMigration
from lab.guests.migrate.scan import check_target, used_storages
from lab.guests.mishaps import strike
from lab.guests.replication.jobs import of_guest, towards
from lab.guests.storagemap import StorageMap
from lab.pve.users import Identity
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from lab.guests.migrate.worker import Migration
    from lab.pve.cluster import Cluster
    from lab.pve.node import Node
    from lab.pve.pmxcfs import VmEntry
    from lab.pve.tasks import Task

HA_LINE = "task started by HA resource agent"
LRM = "pve-ha-lrm"
_MIGRATIONS: dict[str, tuple[str, type[QemuMigration] | type[LxcMigration]]] = {
    "qemu": ("qmigrate", QemuMigration),
    "lxc": ("vzmigrate", LxcMigration),
}


def check_qemu(cluster: Cluster, node: Node, vmid: int, target: Node, options: Options, mapped: bool) -> VmEntry:
    """Early checks for a VM, in Proxmox VE's order.

    :param mapped: a target storage was named.
    :raises ApiFault: what the client is told.
    """
    entry = cluster.entry_on(node, "qemu", vmid)
    config = cluster.config(entry)
    check_lock(config, "qemu")
    if vmid in node.running:
        if not options.online:
            raise Die("can't migrate running VM without --online")
        if not options.force and of_guest(cluster, vmid) and towards(cluster, vmid, target.name) is None:
            raise Die(
                f"Cannot live-migrate replicated VM to node '{target.name}' - not a replication target. "
                "Use 'force' to override."
            )
    else:
        options.online = options.with_conntrack_state = False
    users = cluster.users
    if mapped:
        if not options.storages.identity:
            users.require(options.user, f"/vms/{vmid}", "VM.Config.Disk")
        wanted = [*options.storages.entries.values(), *filter(None, [options.storages.default])]
        for storage in wanted:
            cluster.storages.check_available(storage, target.name)
            users.require(options.user, f"/storage/{storage}", "Datastore.AllocateSpace")
            if "images" not in cluster.storages.contents(storage):
                raise Die(f"storage '{storage}' does not support vm images")
    if not mapped or options.storages.identity:
        for volid, storage in used_storages(cluster, config, StorageMap(identity=True)):
            cluster.storages.check_available(storage, node.name)
            check_target(cluster, storage, target.name, volid)
    return entry


def check_lxc(cluster: Cluster, node: Node, vmid: int, target: Node, options: Options, mapped: bool) -> VmEntry:
    """Early checks for a container."""
    entry = cluster.entry_on(node, "lxc", vmid)
    if vmid in node.running and not (options.online or options.restart):
        raise Die("can't migrate running container without --online or --restart")
    if mapped:
        users = cluster.users
        if not options.storages.identity:
            users.require(options.user, f"/vms/{vmid}", "VM.Config.Disk")
        for storage in [*options.storages.entries.values(), *filter(None, [options.storages.default])]:
            cluster.storages.check_available(storage, target.name)
            users.require(options.user, f"/storage/{storage}", "Datastore.AllocateSpace")
            if "rootdir" not in cluster.storages.contents(storage):
                raise Die(f"storage '{storage}' does not support CT rootdirs")
    return entry


def resolve_target(cluster: Cluster, node: Node, name: str) -> Node:
    """:raises ApiFault: the target is this node, does not exist, or there is no quorum."""
    if name == node.name:
        raise BadParameters({"target": "target is local node."})
    cluster.check_quorum(node)
    return cluster.node(name)


def start(cluster: Cluster, node: Node, entry: VmEntry, target: Node, options: Options) -> Task:
    """Fork the worker: the migration itself, or only the request to the HA manager."""
    if cluster.ha.managed(entry) and not options.by_ha:
        return _ask_ha(cluster, node, entry, target, options.user)
    type, migration = _MIGRATIONS[entry.type]

    def worker(task: Task) -> Sim:
        if options.by_ha:
            task.log(HA_LINE)
        work: Migration = migration(cluster, node, task, entry.vmid, target, options)
        path = migration_lock(entry.vmid)
        yield cluster.engine.sleep(0.13)
        yield from locked(cluster, node.name, path, task, work.run(), PATIENCE, task)

    task = cluster.tasks.fork_worker(node, type, str(entry.vmid), options.user.authuser, worker)
    if options.by_ha:
        task.parent = LRM
    return task


def _ask_ha(cluster: Cluster, node: Node, entry: VmEntry, target: Node, user: Identity) -> Task:
    """``hamigrate`` ends as soon as the command is queued (pve-facts §1.4)."""
    sid = f"{'ct' if entry.type == 'lxc' else 'vm'}:{entry.vmid}"
    label = "CT" if entry.type == "lxc" else "VM"

    def worker(task: Task) -> Sim:
        task.log(f"Requesting HA migration for {label} {entry.vmid} to node {target.name}")
        strike(cluster, task, "prepare")
        yield cluster.engine.sleep(0.8)
        cluster.ha.request_migrate(sid, target.name, task.log)

    return cluster.tasks.fork_worker(node, "hamigrate", str(entry.vmid), user.authuser, worker)


def ha_migrate(cluster: Cluster, node: Node, entry: VmEntry, target: Node, online: bool = True) -> Task:
    """What the LRM of ``node`` starts: everything forced, local disks included, storages as they are.

    A container must have been shut down before; the CRM starts it again on the target.

    :raises ApiFault: an early check fails: then there is no task at all (timelines 04h).
    """
    root = Identity("root@pam")
    options = Options(root, online=online, force=True, with_local_disks=True, by_ha=True)
    cluster.check_quorum(node)
    if entry.type == "qemu":
        check_qemu(cluster, node, entry.vmid, target, options, False)
    else:
        options.online = False
        check_lxc(cluster, node, entry.vmid, target, options, False)
    return start(cluster, node, entry, target, options)
