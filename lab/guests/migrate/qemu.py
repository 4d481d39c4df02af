# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migration of VMs (qemu-server QemuMigrate.pm)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.errors import ApiFault, Die
from lab.guests import bandwidth
from lab.guests.drives import parse_drive, replace_volumes
from lab.guests.locks import check_lock
from lab.guests.migrate.copy import Copy
from lab.guests.migrate.memory import Ram
from lab.guests.migrate.mirror import Mirrors
from lab.guests.migrate.options import Options
from lab.guests.migrate.scan import LocalVolume, Scan, check_target, used_storages
from lab.guests.migrate.target import Target
from lab.guests.migrate.transport import check_ssh, find_way
from lab.guests.migrate.worker import Migration
from lab.guests.power import stop_vm
from lab.guests.replication import ties
from lab.guests.resources import clipboard_blocks, local_resources
from lab.pve.formats import GuestConfig, parse_property_string, render_bytes
from lab.pve.pvestatd import guest_memory
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.node import Node
    from lab.pve.pmxcfs import VmEntry
    from lab.pve.storage import Volume
    from lab.pve.tasks import Task
    from lab.sim.network import Pipe

UNLIMITED = 16 * 2**30


class QemuMigration(Migration):
    """One migration of a VM."""

    kind = "qemu"

    def __init__(self, cluster: Cluster, node: Node, task: Task, vmid: int, target: Node, options: Options) -> None:
        super().__init__(cluster, node, task, vmid, target)
        self.options = options
        self.config = GuestConfig()
        self.volumes: dict[str, LocalVolume] = {}
        self.moved: dict[str, str] = {}
        """Source volume → volume on the target."""
        self.drives: dict[str, str] = {}
        """New property strings of the drives that were mirrored."""
        self.replication: ties.Ties
        self.other = Target(self)
        self.mirrors: Mirrors | None = None
        self.ram: Ram | None = None
        self.failed = False
        self.was_paused = False
        self.leftover: str | None = None

    @property
    def entry(self) -> VmEntry:
        return self.cluster.entry_on(self.node, "qemu", self.vmid)

    @property
    def blockdev(self) -> bool:
        """QEMU block devices as of machine 10.0."""
        process = self.node.running.get(self.vmid)
        match = re.search(r"-(\d+)\.(\d+)", process.machine if process is not None else "")
        return match is None or (int(match[1]), int(match[2])) >= (10, 0)

    def find_way(self) -> Sim:
        default = parse_property_string(self.cluster.options().get("migration", ""), "type")
        kind = self.options.type or default.get("type", "secure")
        network = self.options.network or default.get("network")
        return (yield from find_way(self, self.node, self.target, network, kind == "secure"))

    # ------------------------------------------------------------ prepare

    def prepare(self) -> Sim:
        cluster, options = self.cluster, self.options
        self.config = cluster.config(self.entry).copy()
        yield from self.pause(0.1)
        self.replication = ties.ties(cluster, self.vmid, self.target.name)
        if self.replication.job is not None and "remove_job" in self.replication.job.values:
            raise Die("refusing to migrate replicated VM whose replication job is marked for removal")
        check_lock(self.config, "qemu")
        process = self.node.running.get(self.vmid)
        if process is not None:
            if not options.online:
                raise Die("can't migrate running VM without --online")
            self._check_replica()
            self.was_paused = process.qmpstatus == "paused"
            if self.node.release >= (9, 0) and not options.with_conntrack_state:
                self.log("conntrack state migration not supported or disabled, active connections might get dropped")
        self._check_devices(process is not None)
        if clipboard_blocks(self.config, process):
            raise Die(
                "VMs with 'clipboard' set to 'vnc' are not live migratable with QEMU/machine versions older than 10.1!"
            )
        for volid, storage in used_storages(cluster, self.config, options.storages):
            cluster.storages.check_available(volid.partition(":")[0], self.node.name)
            check_target(cluster, storage, self.target.name, volid)
        yield from check_ssh(self, self.way)
        self.enter("prepare")
        return process is not None

    def _check_replica(self) -> None:
        if not self.replication.replicated or self.replication.job is not None:
            return
        name = self.target.name
        if not self.options.force:
            raise Die(
                f"Cannot live-migrate replicated VM to node '{name}' - not a replication target. "
                "Use 'force' to override."
            )
        self.log(
            f"WARNING: Node '{name}' is not a replication target. Existing replication jobs will fail after migration!"
        )

    def _check_devices(self, running: bool) -> None:
        found = local_resources(self.cluster, self.config, running)
        if found.unmapped:
            if not self.options.force:
                raise Die(f"can't migrate VM which uses local devices: {', '.join(found.unmapped)}")
            self.log("migrating VM which uses local devices")
        if not found.mapped:
            return
        missing = found.missing[self.target.name]
        fixed = [f"{key}:{item['name']}" for key, item in sorted(found.mapped.items()) if "live-migration" not in item]
        if missing:
            raise Die(f"can't migrate to '{self.target.name}': missing mapped devices {', '.join(missing)}")
        if running and fixed:
            raise Die(f"can't live migrate running VM which uses following mapped devices: {', '.join(fixed)}")
        self.log("migrating VM which uses mapped local devices")

    # ------------------------------------------------------------ phase 1: what can move while nobody uses it

    def phase1(self) -> Sim:
        cluster = self.cluster
        self.log(f"starting migration of VM {self.vmid} to node '{self.target.name}' ({self.way.address})")
        self.config.current["lock"] = "migrate"
        cluster.write_config(self.node, self.entry, self.config)
        yield from self.pause(0.02)
        replicated = ties.replicated_volumes(cluster, self.entry, self.config) if self.replication.job else frozenset()
        self.volumes = Scan(
            cluster, self.node, self.target, self.vmid, self.config, self.options, self.running, replicated, self.log
        ).run()
        if self.replication.job is not None:
            yield from self._replicate()
        offline = [item for item in self.volumes.values() if not item.online and not item.replicated]
        if offline:
            self.log("copying local disk images")
        if not self.running:
            self.enter("disks")
        for item in offline:
            limit = self._limit(item)
            copy = Copy(
                self, self.way, item.volid, item.storage, self.log, limit * 1024 if limit else None,
                item.with_snapshots, not item.keep_name,
            )  # fmt: skip
            try:
                new = yield from copy.run()
            except Die as fault:
                raise Die(
                    f"storage migration for '{item.volid}' to storage '{item.storage}' failed - {fault.reason}"
                ) from fault
            self.moved[item.volid] = new
            self.log(f"volume '{item.volid}' is '{new}' on the target")

    def _limit(self, item: LocalVolume | None) -> float | None:
        storages = [] if item is None else [item.volid.partition(":")[0], item.storage]
        return bandwidth.limit(self.cluster, "migration", storages, self.options.bwlimit, self.options.user)

    def _replicate(self) -> Sim:
        for item in self.volumes.values():
            if item.online and item.replicated:
                self.log(f"{item.drive}: start tracking writes using block-dirty-bitmap 'repl_{item.drive}'")
        self.log("replicating disk images")
        done = yield from ties.replicate_now(self, self.replication)
        for volid, item in self.volumes.items():
            if item.replicated and volid not in done:
                raise Die(f"expected volume '{volid}' to get replicated, but it wasn't")

    def phase1_cleanup(self) -> Sim:
        self.log("aborting phase 1 - cleanup resources")
        self._unlock_source()
        yield from self._free_target_volumes()
        self._forget_bitmaps()

    # ------------------------------------------------------------ phase 2: the running VM

    def phase2(self) -> Sim:
        online = [item for item in self.volumes.values() if item.online]
        yield from self.other.start(online)
        self.log("start remote tunnel")
        yield from self.pause(0.95)
        yield from self.check_link()
        self.log("ssh tunnel ver 1")
        pipes = self.way.stream()
        uri = f"tcp:{self.way.address}:60000" if not self.way.secure else f"unix:/run/qemu-server/{self.vmid}.migrate"
        if online:
            self.log("starting storage migration")
            self.enter("disks")
            self._start_mirrors(online, pipes)
            assert self.mirrors is not None
            yield from self.mirrors.wait_ready()
            if self.node.release >= (8, 4):
                yield from self.mirrors.switch_to_active()
        self.enter("memory")
        self._announce_memory(uri)
        process = self.node.running.get(self.vmid)
        if process is None:
            raise Die(f"VM {self.vmid} not running")
        limit = self._memory_limit()
        self.ram = Ram(self, process, pipes if self.way.secure else self.way.pipes, limit)
        self.ram.start()
        yield from self.ram.follow()
        if self.mirrors is not None:
            self.task.log("all 'mirror' jobs are ready")
            yield from self.mirrors.complete()
            yield from self.pause(0.8)

    def _start_mirrors(self, online: list[LocalVolume], pipes: tuple[Pipe, ...]) -> None:
        self.mirrors = Mirrors(self, pipes if self.way.secure else self.way.stream(), self.blockdev)
        for item in online:
            assert item.drive is not None
            if self.way.secure:
                uri = f"nbd:unix:/run/qemu-server/{self.vmid}_nbd.migrate:exportname=drive-{item.drive}"
            else:
                uri = f"nbd:{self.way.address}:60001:exportname=drive-{item.drive}"
            self.log(f"{item.drive}: start migration to {uri}")
            copy = self.other.volumes[item.drive]
            size = 2**20 if item.replicated else item.volume.size
            self.mirrors.add(item.drive, item.volume, copy, size, self._limit(item), item.replicated)

    def _memory_limit(self) -> float | None:
        """Bytes/s: the lower of bwlimit and the VM's migrate_speed."""
        limit = (self._limit(None) or 0) * 1024
        speed = float(self.config.current.get("migrate_speed", 0)) * 2**20
        chosen = min(limit, speed) if limit and speed else limit or speed
        return chosen or None

    def _announce_memory(self, uri: str) -> None:
        self.log(f"starting online/live migration on {uri}", "set migration capabilities")
        limit = self._memory_limit()
        if limit:
            self.log(f"migration speed limit: {render_bytes(limit)}/s")
        downtime = float(self.config.current.get("migrate_downtime", "0.1")) * 1000
        tenth = guest_memory(self.config, "qemu") // 10
        cache = 1 << max(0, (tenth - 1).bit_length())
        self.log(
            f"migration downtime limit: {downtime:g} ms",
            f"migration cachesize: {render_bytes(cache)}",
            "set migration parameters",
            f"start migrate command to {uri}",
        )

    def phase2_cleanup(self) -> Sim:
        if not self.errors:
            return
        self.failed = True
        interrupted = self.told_to_end
        self.log("aborting phase 2 - cleanup resources", "migrate_cancel")
        if self.ram is not None:
            self.ram.cancel()
        process = self.node.running.get(self.vmid)
        if process is not None and process.qmpstatus in {"postmigrate", "finish-migrate"}:
            process.qmpstatus = "running"
        self.leftover = self.enter("cleanup")
        if self.leftover != "leave-lock":
            self._unlock_source()
        if self.mirrors is not None:
            self.mirrors.cancel()
        self._forget_bitmaps()
        yield from self.pause(0.5)
        if self.target.up:
            yield from self.other.stop()
        yield from self._free_target_volumes()
        if interrupted and self.other.tunnel:
            self.error("writing to tunnel failed: broken pipe")

    # ------------------------------------------------------------ phase 3: the VM belongs to the target

    def phase3_cleanup(self) -> Sim:
        if self.failed:
            return
        cluster = self.cluster
        before = self.entry
        if self.moved:
            replace_volumes(self.config, self.moved)
        self.config.current |= self.drives
        cluster.write_config(self.node, before, self.config)
        if self.replication.replicated:
            yield from ties.hand_over_state(self, self.replication)
        cluster.fs.rename(before.path, before.path.replace(f"nodes/{self.node.name}/", f"nodes/{self.target.name}/"))
        if self.running:
            self.other.take_over()
        if self.replication.replicated:
            ties.flip(cluster, self.replication, self.node.name, self.target.name)
        unharmed = self._enter_or_note("switchover") and self._enter_or_note("cleanup")
        if self.running:
            if self.mirrors is not None:
                self.log("stopping NBD storage migration server on target.")
                yield from self.pause(0.9)
            if unharmed and not self.was_paused:
                self.other.resume()
            yield from self.pause(0.2)
            if self.options.with_conntrack_state:
                self.log(
                    "stopping migration dbus-vmstate helpers",
                    "migrated 12 conntrack state entries",
                    "flushing conntrack state for guest on source node",
                )
        yield from self._stop_source()
        for item in self.volumes.values():
            if not item.replicated:
                self._free_source(item.volid)
        yield from self.pause(0.6)
        self._unlock_target()

    def _enter_or_note(self, phase: str) -> bool:
        """After the configuration has moved an error only makes problems, nothing goes back."""
        try:
            self.leftover = self.enter(phase) or self.leftover
        except Die as fault:
            self.error(fault.reason)
            self.errors = True
            return False
        return True

    def _stop_source(self) -> Sim:
        if not self.running:
            return
        yield from self.pause(1.9 if self.mirrors is None else 2.4)
        self.node.running.pop(self.vmid, None)

    def _free_source(self, volid: str) -> None:
        self.cluster.storages.free(volid, self.node.name)

    def _unlock_target(self) -> None:
        if self.leftover == "leave-lock" or not self.target.up:
            command = f"{self.way.ssh} qm unlock {self.vmid}"
            self.log(f"# {command}")
            self.error(f"failed to clear migrate lock: command '{command}' failed: exit code 255")
            self.errors = True
            return
        entry = self.cluster.guest(self.vmid)
        if entry is not None:
            self.cluster.set_lock(entry, None)

    # ------------------------------------------------------------ cleaning up

    def _unlock_source(self) -> None:
        self.config.current.pop("lock", None)
        try:
            self.cluster.write_config(self.node, self.entry, self.config)
        except ApiFault as fault:
            self.error(fault.reason)

    def _free_target_volumes(self) -> Sim:
        for volid in self.moved.values():
            source = next((item for old, item in self.volumes.items() if self.moved.get(old) == volid), None)
            if source is not None and source.replicated:
                continue
            yield from self.pause(0.25)
            if self.leftover == "leave-target-disk" or not self.target.up:
                self.error(f"command '{self.way.ssh} pvesm free {volid}' failed: exit code 255")
                self.errors = True
                continue
            self.cluster.storages.free(volid, self.target.name)

    def _forget_bitmaps(self) -> None:
        for item in self.volumes.values():
            if item.online and item.replicated:
                self.log(f"{item.drive}: removing block-dirty-bitmap 'repl_{item.drive}'")

    def volume_arrived(self, item: LocalVolume, new: str, volume: Volume) -> None:
        """The target has made room for a disk that will be mirrored."""
        assert item.drive is not None
        drive = parse_drive(item.drive, self.config.current[item.drive])
        options = dict(drive.options)
        if not item.replicated:
            options["format"] = volume.format
        self.drives[item.drive] = type(drive)(item.drive, new, options).print()
        self.moved[item.volid] = new
        if not item.replicated:
            self.log(f"volume '{item.volid}' is '{new}' on the target")

    def stop_target(self, task: Task) -> Sim:
        yield from stop_vm(self.cluster, self.target, self.vmid, task, skiplock=True, migrated_from=self.node.name)
