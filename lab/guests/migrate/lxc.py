# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migration of containers: stopped ones are copied, running ones are shut down first (pve-container Migrate.pm)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.errors import ApiFault, Die
from lab.guests import bandwidth
from lab.guests.drives import drives, replace_volumes
from lab.guests.locks import check_lock
from lab.guests.migrate.copy import Copy
from lab.guests.migrate.options import Options
from lab.guests.migrate.scan import MIGRATABLE
from lab.guests.migrate.transport import check_ssh, find_way
from lab.guests.migrate.worker import Migration
from lab.guests.power import boot_ct, halt_ct, start_ct
from lab.guests.replication import ties
from lab.guests.replication.jobs import mount_type
from lab.pve.formats import GuestConfig, parse_property_string
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.node import Node
    from lab.pve.pmxcfs import VmEntry
    from lab.pve.tasks import Task


class LxcMigration(Migration):
    """One migration of a container."""

    kind = "lxc"

    def __init__(self, cluster: Cluster, node: Node, task: Task, vmid: int, target: Node, options: Options) -> None:
        super().__init__(cluster, node, task, vmid, target)
        self.options = options
        self.config = GuestConfig()
        self.was_running = False
        self.volumes: list[str] = []
        self.moved: dict[str, str] = {}
        self.config_moved = False
        self.leftover: str | None = None

    @property
    def entry(self) -> VmEntry:
        return self.cluster.entry_on(self.node, "lxc", self.vmid)

    def find_way(self) -> Sim:
        default = parse_property_string(self.cluster.options().get("migration", ""), "type")
        secure = default.get("type", "secure") == "secure"
        return (yield from find_way(self, self.node, self.target, default.get("network"), secure))

    # ------------------------------------------------------------ prepare

    def prepare(self) -> Sim:
        options = self.options
        yield from self.pause(0.05)
        self.config = self.cluster.config(self.entry).copy()
        check_lock(self.config, "lxc")
        self.was_running = self.vmid in self.node.running
        if self.was_running:
            if options.online:
                raise Die("lxc live migration is currently not implemented")
            if not options.restart:
                raise Die("running container can only be migrated in restart mode")
        self._check_mounts()
        yield from check_ssh(self, self.way)
        self.enter("prepare")
        if self.was_running:
            self.log(f"shutdown CT {self.vmid}")
            self.enter("shutdown")
            yield from self.apart(halt_ct(self.cluster, self.node, self.vmid, options.timeout, False))
        return False

    def _check_mounts(self) -> None:
        storages = self.cluster.storages
        for drive in drives(self.config.current, "lxc", unused=True):
            kind = mount_type(drive.volid)
            if kind != "volume":
                if drive.options.get("shared") != "1":
                    raise Die(f"cannot migrate local {kind} mount point '{drive.key}'")
                continue
            storage = drive.storage
            if storage is None:
                raise Die(f"can't determine assigned storage for mount point '{drive.key}'")
            storages.check_available(storage, self.node.name)
            if "rootdir" not in storages.contents(storage):
                raise Die(f"content type 'rootdir' is not available on storage '{storage}'")
            target = storage if storages.is_shared(storage) else self.options.storages.target(storage)
            storages.check_available(target, self.target.name)
            if "rootdir" not in storages.contents(target):
                raise Die(f"{drive.volid}: content type 'rootdir' is not available on storage '{target}'")

    # ------------------------------------------------------------ phase 1

    def phase1(self) -> Sim:
        cluster = self.cluster
        self.log(f"starting migration of CT {self.vmid} to node '{self.target.name}' ({self.way.address})")
        self.config.current["lock"] = "migrate"
        cluster.write_config(self.node, self.entry, self.config)
        yield from self.pause(0.2)
        found = self._scan()
        tied = ties.ties(cluster, self.vmid, self.target.name)
        done: set[str] = set()
        if tied.job is not None:
            done = yield from ties.replicate_now(self, tied)
        self.enter("disks")
        for volid, with_snapshots in found.items():
            if volid not in done:
                yield from self._copy(volid, with_snapshots)
        with_state = tied.job is not None or bool(found)
        if with_state:
            yield from ties.hand_over_state(self, tied)
        replace_volumes(self.config, self.moved)
        cluster.write_config(self.node, self.entry, self.config)
        yield from self.pause(0.3)
        self.leftover = self.enter("switchover")
        old = self.entry.path
        cluster.fs.rename(old, old.replace(f"nodes/{self.node.name}/", f"nodes/{self.target.name}/"))
        self.config_moved = True
        if with_state:
            ties.flip(cluster, tied, self.node.name, self.target.name)
        yield from self.pause(0.3)

    def _scan(self) -> dict[str, bool]:
        """Local volumes, and whether snapshots come along.

        :raises Die: can't migrate CT - check log.
        """
        found: dict[str, bool] = {}
        references: dict[str, str] = {}
        errors: dict[str, str] = {}
        sections = list(self.config.snapshots.items())
        for name, section in [*sections, ("", self.config.pending), ("", self.config.current)]:
            for drive in drives(section, "lxc", unused=not name):
                if mount_type(drive.volid) != "volume":
                    if not name:
                        kind = mount_type(drive.volid)
                        self.log(f"ignoring shared '{kind}' mount point '{drive.key}' ('{drive.volid}')")
                    continue
                try:
                    self._test(drive.volid, name, found, references)
                except ApiFault as fault:
                    errors.setdefault(drive.volid, fault.reason)
        for volid in sorted(references):
            where = {"config": "(in current VM config)", "snapshot": "(referenced by snapshot(s))"}[references[volid]]
            self.log(f"found local volume '{volid}' {where}")
        for volid in sorted(errors):
            self.log(f"can't migrate local volume '{volid}': {errors[volid]}")
        if errors:
            raise Die("can't migrate CT - check log")
        return found

    def _test(self, volid: str, snapshot: str, found: dict[str, bool], references: dict[str, str]) -> None:
        storages = self.cluster.storages
        storage = volid.partition(":")[0]
        definition = storages.check_available(storage, self.node.name)
        if storages.is_shared(storage):
            if not snapshot:
                self.log(f"volume '{volid}' is on shared storage '{storage}'")
            return
        storages.check_available(self.options.storages.target(storage), self.target.name)
        found[volid] = found.get(volid, False) or bool(snapshot)
        references[volid] = "snapshot" if snapshot else "config"
        volume = storages.find(volid, self.node.name)
        if volume is None or volume.vmid != self.vmid:
            raise Die(f"owned by other guest (owner = {volume.vmid if volume is not None else ''})")
        if definition.type not in MIGRATABLE:
            raise Die(f"storage type '{definition.type}' not supported")
        if volume.parent is not None:
            raise Die(f"clone of '{volume.parent.rpartition('/')[2]}'")
        if snapshot and definition.type not in {"zfspool", "btrfs"}:
            raise Die("non-migratable snapshot exists")

    def _copy(self, volid: str, with_snapshots: bool) -> Sim:
        self.volumes.append(volid)
        storage = volid.partition(":")[0]
        target = self.options.storages.target(storage)
        limit = bandwidth.limit(self.cluster, "migration", (storage, target), self.options.bwlimit, self.options.user)
        copy = Copy(self, self.way, volid, target, self.log, limit * 1024 if limit else None, with_snapshots)
        try:
            new = yield from copy.run()
        except Die as fault:
            raise Die(f"storage migration for '{volid}' to storage '{target}' failed - {fault.reason}") from fault
        self.moved[volid] = new
        self.log(f"volume '{volid}' is '{new}' on the target")

    def phase1_cleanup(self) -> Sim:
        """Copies that are there already stay there."""
        self.log("aborting phase 1 - cleanup resources")
        for volid in self.volumes:
            self.error(f"found stale volume copy '{self.moved.get(volid, volid)}' on node '{self.target.name}'")
        yield from self.pause(0.1)

    # ------------------------------------------------------------ the rest

    def phase3(self) -> Sim:
        for volid in self.volumes:
            self.cluster.storages.free(volid, self.node.name)
            yield from self.pause(0.1)

    def final_cleanup(self) -> Sim:
        self.log("start final cleanup")
        effect = self.leftover or self.enter("cleanup")
        yield from self.pause(0.5)
        if not self.config_moved:
            yield from self._back_to_work(effect)
            return
        if effect == "leave-lock" or not self.target.up:
            self.error("failed to clear migrate lock: command '"
                       f"{self.way.ssh} pct unlock {self.vmid}' failed: exit code 255")  # fmt: skip
            self.errors = True
        else:
            entry = self.cluster.guest(self.vmid)
            if entry is not None:
                self.cluster.set_lock(entry, None)
        if self.was_running:
            self.log("start container on target node", f"# {self.way.ssh} pct start {self.vmid}")
            yield from self._start_there()

    def _back_to_work(self, effect: str | None) -> Sim:
        if effect != "leave-lock" and self.cluster.config(self.entry).current.get("lock") == "migrate":
            self.cluster.set_lock(self.entry, None)
        if self.was_running and self.vmid not in self.node.running:
            self.log("start container on source node")
            yield from self.apart(boot_ct(self.cluster, self.node, self.entry, self.config, self.task))

    def _start_there(self) -> Sim:
        cluster, vmid = self.cluster, self.vmid
        yield from self.pause(0.7)

        def worker(task: Task) -> Sim:
            yield from start_ct(cluster, self.target, vmid, task)

        effect = self.cluster.faults.task(self.task.type, vmid, "start")
        command = f"command '{self.way.ssh} pct start {vmid}' failed: exit code 255"
        if not self.target.up or (effect is not None and effect.kind == "fail"):
            unreachable = f"ssh: connect to host {self.way.address} port 22: No route to host"
            self.log(effect.text if effect is not None else unreachable)
            raise Die(command)
        task = cluster.tasks.fork_worker(self.target, "vzstart", str(vmid), "root@pam", worker)
        task.parent = "sshd"
        assert task.ended is not None
        yield from self.wait(task.ended)
        if task.exitstatus != "OK":
            self.log(*(re.sub("^TASK ERROR: ", "", line) for line in task.lines))
            raise Die(command)
