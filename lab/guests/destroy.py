# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Destroying guests, and resizing their disks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.errors import Die
from lab.guests.drives import CT_DISK, VM_DISK, drives, parse_drive, volume_uses
from lab.guests.locks import check_lock, config_lock, locked
from lab.guests.replication.jobs import check_no_jobs, of_guest, save
from lab.ha.config import RESOURCES, print_resources
from lab.pve.formats import GuestConfig, format_size, parse_size
from lab.pve.node import Node
from lab.pve.pmxcfs import VmEntry
from lab.pve.storage_types import storage_type
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.tasks import Task

DESTROY_SECONDS = 0.5


def check_destroy(cluster: Cluster, entry: VmEntry, purge: bool) -> None:
    """:raises Die: protected, or something else still counts on the guest and ``purge`` is not given."""
    label = "VM" if entry.type == "qemu" else "CT"
    if cluster.config(entry).current.get("protection") == "1":
        raise Die(f"can't remove {label} {entry.vmid} - protection mode enabled")
    if purge:
        return
    if cluster.ha.sid(entry) in cluster.ha.resources():
        raise Die(f"unable to remove {label} {entry.vmid} - used in HA resources and purge parameter not set.")
    check_no_jobs(cluster, entry.vmid)


def destroy(
    cluster: Cluster, node: Node, entry: VmEntry, task: Task, *, purge: bool = False, unreferenced: bool = False,
    force: bool = False, skiplock: bool = False,
) -> Sim:  # fmt: skip
    """Worker of ``qmdestroy`` and ``vzdestroy``.

    :param unreferenced: also volumes of the guest that its configuration does not name. :param force: stop it first.
    :raises Die: locked, running.
    """
    label = "VM" if entry.type == "qemu" else "CT"

    def work() -> Sim:
        config = cluster.config_on(node, entry.type, entry.vmid)
        check_destroy(cluster, entry, purge)
        if not skiplock:
            check_lock(config, entry.type)
        if entry.vmid in node.running:
            if not force:
                raise Die(f"{label} {entry.vmid} is running - destroy failed")
            yield cluster.engine.sleep(1.0)
            node.running.pop(entry.vmid, None)
        yield cluster.engine.sleep(DESTROY_SECONDS)
        _free_volumes(cluster, node, entry, config, unreferenced)
        if purge:
            task.log(f"purging {label} {entry.vmid} from related configurations..")
            _purge(cluster, node, entry, task)
        cluster.fs.delete(entry.path)

    yield from locked(cluster, node.name, config_lock(entry.type, entry.vmid), task, work(), task=task)


def _free_volumes(cluster: Cluster, node: Node, entry: VmEntry, config: GuestConfig, unreferenced: bool) -> None:
    storages = cluster.storages
    if entry.type == "qemu":
        named = {volid for volid, use in volume_uses(config).items() if not use.cdrom or use.is_cloudinit}
    else:
        sections = (config.current, *config.snapshots.values())
        named = {drive.volid for section in sections for drive in drives(section, "lxc", unused=True)}
    for volid in named:
        volume = storages.find(volid, node.name)
        if volume is not None and volume.vmid == entry.vmid:
            storages.free(volid, node.name)
    if not unreferenced:
        return
    for name in storages.definitions():
        if storages.enabled(name, node.name) and storages.contents(name) & {"images", "rootdir"}:
            for volume in storages.volumes(name, node.name):
                if volume.vmid == entry.vmid and volume.content in {"images", "rootdir"}:
                    storages.free(f"{name}:{volume.name}", node.name)


def _purge(cluster: Cluster, node: Node, entry: VmEntry, task: Task) -> None:
    label = "VM" if entry.type == "qemu" else "CT"
    jobs = of_guest(cluster, entry.vmid)
    if jobs:
        save(cluster, node, {job.id: None for job in jobs})
    sid = cluster.ha.sid(entry)
    if sid in cluster.ha.resources():
        left = (resource for other, resource in cluster.ha.resources().items() if other != sid)
        cluster.fs.write(RESOURCES, print_resources(left))
        task.log(f"NOTE: removed {label} {entry.vmid} from HA resource configuration.")


def resize(cluster: Cluster, node: Node, entry: VmEntry, key: str, wanted: str, task: Task) -> Sim:
    """Worker of ``resize``. ``wanted``: ``+1G`` or ``32G``.

    :raises Die: no such disk, a CD-ROM, smaller than it is, no space.
    """

    def work() -> Sim:
        config = cluster.config_on(node, entry.type, entry.vmid).copy()
        check_lock(config, entry.type)
        if key not in config.current or not (VM_DISK if entry.type == "qemu" else CT_DISK).match(key):
            raise Die(f"disk '{key}' does not exist")
        drive = parse_drive(key, config.current[key])
        if drive.cdrom:
            raise Die("you can't resize a cdrom")
        volume = cluster.storages.find(drive.volid, node.name)
        if volume is None or drive.storage is None:
            raise Die(f"volume '{drive.volid}' does not exist")
        new = _new_size(volume.size, wanted)
        if new < volume.size:
            raise Die("shrinking disks is not supported")
        backing = cluster.storages.backing(drive.storage, node.name)
        if backing is not None and not backing.thin and new - volume.size > backing.avail:
            raise Die(f"storage '{drive.storage}' has not enough free space on node '{node.name}': out of space")
        yield cluster.engine.sleep(0.3)
        volume.size = new
        if storage_type(cluster.storages.definition(drive.storage).type).files and entry.vmid not in node.running:
            task.log("Image resized.")
        options = {**drive.options, "size": format_size(new)}
        config.current[key] = type(drive)(key, drive.volid, options).print()
        cluster.write_config(node, entry, config)

    yield from locked(cluster, node.name, config_lock(entry.type, entry.vmid), task, work(), task=task)


def _new_size(old: int, wanted: str) -> int:
    match = re.fullmatch(r"(\+?)(\d+(?:\.\d+)?[KMGT]?)", wanted)
    if match is None:
        raise Die(f"invalid size '{wanted}'")
    return parse_size(match[2]) + (old if match[1] else 0)
