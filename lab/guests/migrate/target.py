# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The target's part in a live migration: a QEMU that waits for the guest (``qm start --migratedfrom``)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.errors import Die
from lab.guests.drives import parse_drive, replace_volumes
from lab.guests.locks import config_lock, locked
from lab.guests.power import checked_start
from lab.guests.start import launch
from lab.pve.node import Running
from lab.pve.storage import Volume
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from lab.guests.migrate.qemu import QemuMigration
    from lab.guests.migrate.scan import LocalVolume
    from lab.pve.tasks import Task

SSH = 0.75
"""Seconds until the remote command has started its task."""
SSHD = "sshd"
MTU_SINCE = (9, 0, 20)
"""qemu-server that hands the host's MTU over (pve-facts §8)."""


class Target:
    """What runs on the target node.

    :ivar volumes: by drive. :ivar tunnel: the connection to it is open.
    """

    def __init__(self, migration: QemuMigration) -> None:
        self.m = migration
        self.volumes: dict[str, Volume] = {}
        self.tunnel = False
        self.process: Running | None = None

    def start(self, online: list[LocalVolume]) -> Sim:
        """:raises Die: ``remote command failed with exit code 255``, after the reason was logged."""
        m = self.m
        m.log(f"starting VM {m.vmid} on remote node '{m.target.name}'")
        yield from m.pause(SSH)
        yield from m.check_link()
        if self._mtu_not_supported():
            m.log(f"[{m.target.name}] Unknown option: nets-host-mtu",
                  f"[{m.target.name}] 400 unable to parse option")  # fmt: skip
            raise Die(f"target node {m.target.name} is too old for preserving VirtIO-net MTU, please upgrade")

        def worker(task: Task) -> Sim:
            yield from locked(
                m.cluster, m.target.name, config_lock("qemu", m.vmid), task, self._work(task, online), task=task
            )

        task = m.cluster.tasks.fork_worker(m.target, "qmstart", str(m.vmid), "root@pam", worker)
        task.parent = SSHD
        assert task.ended is not None
        yield from m.wait(task.ended)
        yield from m.pause(0.1)
        if task.exitstatus not in {"OK"} and not str(task.exitstatus).startswith("WARNINGS"):
            lines = [line.removeprefix("TASK ERROR: ") for line in task.lines]
            m.log(*(f"[{m.target.name}] {line}" for line in lines))
            raise Die("remote command failed with exit code 255")
        self.tunnel = True
        for item in online:
            if item.drive is not None:
                new = item.volid if item.replicated else f"{item.storage}:{self.volumes[item.drive].name}"
                m.volume_arrived(item, new, self.volumes[item.drive])

    def _work(self, task: Task, online: list[LocalVolume]) -> Sim:
        m = self.m
        yield m.engine.sleep(0.1)
        if m.vmid in m.target.running:
            raise Die(f"VM {m.vmid} already running")
        config = m.config.copy()
        replace_volumes(config, m.moved)
        for item in online:
            volume = self._room(item)
            assert item.drive is not None
            self.volumes[item.drive] = volume
            drive = parse_drive(item.drive, config.current[item.drive])
            storage = item.volid.partition(":")[0] if item.replicated else item.storage
            config.current[item.drive] = type(drive)(item.drive, f"{storage}:{volume.name}", drive.options).print()
            yield m.engine.sleep(0.1)
        process = m.node.running.get(m.vmid)
        machine = process.machine if process is not None else ""
        effect = m.cluster.faults.task("qmigrate", m.vmid, "start")
        yield from checked_start(m.cluster, m.target, m.vmid, config, machine, task)
        if effect is not None and effect.kind == "fail":
            raise Die(effect.text)
        entry = m.cluster.guest(m.vmid)
        if entry is None:
            raise Die(f"unable to find configuration file for VM {m.vmid} - no such machine")
        self.process = launch(m.cluster, m.target, entry, config, machine)
        self.process.incoming = True
        self.process.qmpstatus = "inmigrate"
        if process is not None:
            self.process.started = m.engine.now

    def _room(self, item: LocalVolume) -> Volume:
        """Allocate a volume for a disk that will be mirrored (QemuServer.pm:vm_migrate_alloc_nbd_disks).

        The mirror writes every block, so nothing stays thin but on sparse ZFS (pve-facts §14).
        """
        m = self.m
        storages = m.cluster.storages
        if item.replicated:
            found = storages.find(item.volid, m.target.name)
            if found is None:
                raise Die(f"volume '{item.volid}' does not exist")
            return found
        definition = storages.check_available(item.storage, m.target.name)
        wanted = item.volume.format
        fmt = (
            wanted
            if wanted in storages.formats(item.storage) and wanted != "subvol"
            else definition.values.get("format", "raw")
        )
        sparse = definition.type == "zfspool" and definition.values.get("sparse") == "1"
        used = item.volume.used if sparse else item.volume.size
        name = storages.free_name(item.storage, m.target.name, m.vmid, fmt)
        volume = Volume(
            name, "images", fmt, item.volume.size, used, m.vmid, write_rate=item.volume.write_rate,
            block_size=16384 if definition.type == "zfspool" else None,
        )  # fmt: skip
        return storages.alloc(item.storage, m.target.name, volume)

    def _mtu_not_supported(self) -> bool:
        m = self.m
        virtio = any(re.fullmatch(r"net\d+", key) and value.startswith("virtio")
                     for key, value in m.config.current.items())  # fmt: skip
        return virtio and _qemu_server(m.node.packages) >= MTU_SINCE > _qemu_server(m.target.packages)

    # ------------------------------------------------------------ after the move

    def take_over(self) -> None:
        """The configuration is here now, so the process becomes visible; it waits to be resumed."""
        process = self.process
        if process is not None and self.m.target.running.get(self.m.vmid) is process:
            process.incoming = False
            process.qmpstatus = "paused"

    def resume(self) -> None:
        if self.process is not None:
            self.process.qmpstatus = "running"

    def stop(self) -> Sim:
        """``qm stop --skiplock --migratedfrom``: whatever runs there under this number."""
        m = self.m
        yield from m.pause(SSH)
        task = m.cluster.tasks.fork_worker(m.target, "qmstop", str(m.vmid), "root@pam", m.stop_target)
        task.parent = SSHD
        assert task.ended is not None
        yield from m.wait(task.ended)


def _qemu_server(packages: dict[str, str]) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", packages.get("qemu-server", "99"))[:3])
