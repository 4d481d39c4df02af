# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Giving a disk to another guest on the same node: the volume is renamed, nothing is copied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.errors import Die
from lab.guests.disks.volumes import can_rename, rename
from lab.guests.drives import UNUSED, Drive, parse_drive
from lab.guests.locks import check_lock, config_lock, locked
from lab.guests.release import in_snapshots
from lab.guests.replication.jobs import of_guest
from lab.pve.formats import GuestConfig
from lab.pve.pmxcfs import assert_digest
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.node import Node
    from lab.pve.pmxcfs import VmEntry
    from lab.pve.tasks import Task


@dataclass(frozen=True, slots=True)
class Reassign:
    """What a request wants; ``type``: qemu or lxc."""

    type: str
    vmid: int
    disk: str
    target: int
    target_disk: str
    digest: str | None = None
    target_digest: str | None = None

    @property
    def words(self) -> dict[str, str]:
        """How VMs and containers say the same."""
        if self.type == "qemu":
            return {"one": "VM", "guest": "VM", "guests": "VMs", "disk": "disk", "Disk": "Disk", "template": "VMs"}
        return {
            "one": "CT", "guest": "container", "guests": "containers", "disk": "volume", "Disk": "volume",
            "template": "CT",
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pair:
    """Both guests, as the checks found them; the configurations may be changed."""

    source: VmEntry
    target: VmEntry
    config: GuestConfig
    other: GuestConfig
    drive: Drive


def judge(cluster: Cluster, node: Node, wish: Reassign) -> Pair:
    """:raises Die: in Proxmox VE's words."""
    vm, words = wish.type == "qemu", wish.words
    if not vm:
        if "rootfs" in {wish.disk, wish.target_disk}:
            raise Die("Cannot move to/from 'rootfs'")
        if UNUSED.match(wish.disk) and not UNUSED.match(wish.target_disk):
            raise Die("Moving an unused volume to a used one is not possible")
    source, target = cluster.guest(wish.vmid), cluster.guest(wish.target)
    if source is None:
        raise Die(f"could not find {words['one']} {wish.vmid}")
    if target is None:
        raise Die(f"could not find {'target VM' if vm else 'CT'} {wish.target}")
    if source.node != target.node:
        raise Die(f"Both {words['guests']} need to be on the same node ({source.node} != {target.node})")
    found = []
    for entry in (cluster.entry_on(node, wish.type, wish.vmid), cluster.entry_on(node, wish.type, wish.target)):
        check_lock(cluster.config(entry), wish.type)
        found.append(cluster.config(entry).copy())
    config, other = found
    if "1" in {config.current.get("template"), other.current.get("template")}:
        raise Die(f"Can't move {words['disk']}s from or to template {words['template']}")
    for vmid, entry, given in ((wish.vmid, source, wish.digest), (wish.target, target, wish.target_digest)):
        try:
            assert_digest(given, cluster.fs.read(entry.path))
        except Die as fault:
            raise Die(f"{'VM' if vm else 'Container'} {vmid}: {fault.reason}") from fault
    return Pair(source, target, config, other, _drive(cluster, node, wish, config, other))


def _drive(cluster: Cluster, node: Node, wish: Reassign, config: GuestConfig, other: GuestConfig) -> Drive:
    vm, words = wish.type == "qemu", wish.words
    value = config.current.get(wish.disk)
    if value is None:
        raise Die(f"{words['Disk']} '{wish.disk}' for {words['guest']} '{wish.vmid}' does not exist")
    if wish.target_disk in other.current:
        key = "disk key" if vm else "volume key"
        raise Die(f"Target {key} '{wish.target_disk}' is already in use for {words['guest']} '{wish.target}'")
    drive = parse_drive(wish.disk, value)
    if vm and drive.cdrom and not drive.cloudinit:
        raise Die("CD drive contents can't be moved to another VM")
    if drive.storage is None:
        raise Die(f"Volume '{drive.volid}' not managed by PVE" if vm
                  else "Cannot move a bindmount or device mount to another container")  # fmt: skip
    if in_snapshots(config, wish.type, drive.volid):
        raise Die("Can't move disk used by a snapshot to another VM" if vm
                  else "Cannot move volume used by a snapshot to another container")  # fmt: skip
    if not can_rename(cluster, drive.volid):
        raise Die(f"Storage does not support moving of this disk to another {words['guest']}")
    if wish.vmid in node.running and not UNUSED.match(wish.disk):
        raise Die("Cannot move disk to another VM while the source VM is running - detach first" if vm
                  else "Cannot move in-use volume while the source CT is running - detach or shutdown "
                  "first")  # fmt: skip
    if of_guest(cluster, wish.target) and cluster.storages.definition(drive.storage).type != "zfspool":
        raise Die("Cannot move disk to a replicated VM. Storage does not support replication!" if vm
                  else f"Cannot move volume on storage '{drive.storage}' to a replicated container - missing "
                  "replication support")  # fmt: skip
    return drive


def reassign(cluster: Cluster, node: Node, wish: Reassign, task: Task) -> Sim:
    """Worker of both kinds: under the locks of both guests.

    :raises Die: what has changed meanwhile.
    """

    def work() -> Sim:
        yield cluster.engine.sleep(0.1)
        found = judge(cluster, node, wish)
        if wish.type == "qemu":
            _hand_over_vm(cluster, node, wish, found, task)
        else:
            _hand_over_ct(cluster, node, wish, found, task)

    inner = locked(cluster, node.name, config_lock(wish.type, wish.target), task, work(), task=task)
    yield from locked(cluster, node.name, config_lock(wish.type, wish.vmid), task, inner, task=task)


def _hand_over_vm(cluster: Cluster, node: Node, wish: Reassign, found: Pair, task: Task) -> None:
    task.log(f"reassign disk '{wish.disk}' from VM '{wish.vmid}' as '{wish.target_disk}' to VM '{wish.target}'")
    new = rename(cluster, found.drive.volid, wish.target, node.name)
    order = found.config.current.get("boot", "").removeprefix("order=").split(";")
    if wish.disk in order:
        task.log(f"removing disk '{wish.disk}' from boot order config")
        left = ";".join(item for item in order if item != wish.disk)
        found.config.current["boot"] = f"order={left}" if left else ""
    del found.config.current[wish.disk]
    task.log(f"removing disk '{wish.disk}' from VM '{wish.vmid}' config")
    cluster.write_config(node, found.source, found.config)
    options = {} if UNUSED.match(wish.target_disk) else found.drive.options
    value = Drive(wish.target_disk, new, options).print()
    if not UNUSED.match(wish.target_disk):
        task.log(f"update VM {wish.target}: -{wish.target_disk} {value}")
    found.other.current[wish.target_disk] = value
    cluster.write_config(node, found.target, found.other)


def _hand_over_ct(cluster: Cluster, node: Node, wish: Reassign, found: Pair, task: Task) -> None:
    task.log(f"moving volume '{wish.disk}' from container '{wish.vmid}' to '{wish.target}'")
    new = rename(cluster, found.drive.volid, wish.target, node.name)
    del found.config.current[wish.disk]
    task.log(f"removing volume '{wish.disk}' from container '{wish.vmid}' config")
    cluster.write_config(node, found.source, found.config)
    options = {} if UNUSED.match(wish.target_disk) else found.drive.options
    found.other.current[wish.target_disk] = Drive(wish.target_disk, new, options).print()
    cluster.write_config(node, found.target, found.other)
    task.log(f"target container '{wish.target}' updated with '{wish.target_disk}'")
