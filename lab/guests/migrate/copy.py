# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copying a volume that nobody uses to another node (pve-storage Storage.pm:storage_migrate).

``pvesm export`` here, ``pvesm import`` there, ssh or a plain connection between them. A copy that ends early leaves
what it wrote, except on ZFS, where an incomplete stream is thrown away (timelines 06f).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import simpy

from lab.errors import Die
from lab.guests.migrate.numbers import dd_line, zfs_size
from lab.guests.migrate.transport import Way
from lab.guests.migrate.worker import Interrupted, Lost, Steps
from lab.pve.storage import Snapshot, Volume
from lab.pve.storage_types import storage_type
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.sim.network import Transfer

SSH_START = 0.5
"""Seconds from the start of a copy until the other side is ready."""
AFTER_KILL = 6.0
"""Seconds that the pipe goes on when only the worker is killed (timelines 06f)."""
MIGRATION_SNAPSHOT = "__migration__"
_FILES = frozenset({"dir", "nfs", "cifs", "cephfs", "glusterfs"})


@dataclass(slots=True)
class Copy:
    """What to copy and how.

    :ivar storage: on the target. :ivar limit: bytes/s. :ivar say: gets the lines of the log.
    :ivar snapshot, base: replication: the snapshot to send, and the one that the target has already.
    """

    steps: Steps
    way: Way
    volid: str
    storage: str
    say: Callable[[str], None]
    limit: float | None = None
    with_snapshots: bool = False
    allow_rename: bool = True
    snapshot: str | None = None
    base: str | None = None

    def run(self) -> Sim:
        """Copy; the value is the new volume ID.

        :raises Die: the storages do not fit together, no space, interrupted, connection lost.
        """
        cluster, source = self.steps.cluster, self.steps.node.name
        storages = cluster.storages
        origin, _colon, name = self.volid.partition(":")
        kind, other = storages.definition(origin).type, storages.definition(self.storage).type
        volume = storages.find(self.volid, source)
        if volume is None:
            raise Die(f"volume '{self.volid}' does not exist")
        if kind != other and volume.format not in storages.formats(self.storage):
            raise Die(f"unsupported format '{volume.format}' for storage type {other}")
        stream = stream_format(kind, other, volume, self.with_snapshots)
        if stream is None:
            raise Die(f"cannot migrate from storage type '{kind}' to '{other}'")
        if self.limit:
            self.say(f"using a bandwidth limit of {int(self.limit)} bytes per second for transferring '{self.volid}'")
        wanted = name if kind == other else renamed(other, volume)
        try:
            yield from self.steps.pause(SSH_START)
            yield from self.steps.check_link()
            if stream == "zfs":
                return (yield from self._zfs(volume, wanted))
            return (yield from self._plain(volume, wanted, stream, other))
        except Interrupted as fault:
            raise Die(f"{self._command(stream, wanted)} failed: interrupted by signal") from fault
        except Lost as fault:
            raise Die(f"{self._command(stream, wanted)} failed: exit code 255") from fault

    # ------------------------------------------------------------ ZFS

    def _zfs(self, volume: Volume, wanted: str) -> Sim:
        cluster = self.steps.cluster
        storages, target = cluster.storages, self.way.target.name
        pool = storages.definition(self.volid.partition(":")[0]).values.get("pool", "rpool")
        sent = self.snapshot or MIGRATION_SNAPSHOT
        size = volume.dirty if self.base is not None else volume.used
        dataset = f"{pool}/{volume.name}"
        for line in self._estimates(volume, dataset, sent, size):
            self.say(line)
        there = storages.backing(self.storage, target)
        if there is None or not there.online:
            remote = storages.definition(self.storage).values.get("pool", "rpool")
            self.say(f"could not activate storage '{self.storage}', zfs error: cannot import "
                     f"'{remote.partition('/')[0]}': no such pool available")  # fmt: skip
            raise Die(f"{self._command('zfs', wanted)} failed: exit code 2")
        new = wanted
        if self.base is None and wanted in there.volumes:
            path = f"{storages.definition(self.storage).values.get('pool', 'rpool')}/{wanted}"
            if not self.allow_rename:
                self.say(f"volume '{path}' already exists")
                raise Die(f"{self._command('zfs', wanted)} failed: exit code 255")
            self.say(f"volume '{path}' already exists - importing with a different name")
            prefix = "subvol" if volume.format == "subvol" else "vm"
            new = storages.free_name(self.storage, target, volume.vmid or 0, volume.format, prefix)
        if size > there.avail:
            self.say("cannot receive new filesystem stream: out of space")
            raise Die(f"{self._command('zfs', wanted)} failed: exit code 1")
        transfer = self.steps.carry(self.way.stream(), size, self.limit)
        try:
            while not transfer.finished.triggered:
                yield from self.steps.arrival(transfer, 1.0)
                if not transfer.finished.triggered:
                    clock = f"{cluster.when():%H:%M:%S}"
                    self.say(f"{clock}   {zfs_size(transfer.done):>5}   {dataset}@{sent}")
        finally:
            cluster.network.stop(transfer)
        snapshots = [replace(item) for item in volume.snapshots]
        if self.base is None:
            there.volumes[new] = replace(volume, name=new, snapshots=snapshots, dirty=0, created=cluster.engine.now)
        else:
            old = there.volumes[new]
            there.volumes[new] = replace(volume, name=new, snapshots=snapshots, dirty=0, created=old.created)
        yield from self.steps.pause(0.2)
        self._imported(new)
        return f"{self.storage}:{new}"

    def _estimates(self, volume: Volume, dataset: str, sent: str, size: int) -> list[str]:
        """``zfs send -v`` says what it is going to send, snapshot by snapshot; the bulk is in the first step."""
        names = [snap.name for snap in volume.snapshots if snap.name != sent]
        if self.base is not None:
            steps = [*(names[names.index(self.base) + 1 :] if self.base in names else []), sent]
            lines, previous, share = [], self.base, size
        else:
            steps = [*names[1:], sent] if names else []
            previous, share = names[0] if names else sent, 624
            lines = [f"full send of {dataset}@{previous} estimated size is {zfs_size(size)}"]
        for name in steps:
            lines.append(f"send from @{previous} to {dataset}@{name} estimated size is {zfs_size(share)}")
            previous, share = name, 624
        return [*lines, f"total estimated size is {zfs_size(size)}", f"TIME        SENT   SNAPSHOT {dataset}@{sent}"]

    # ------------------------------------------------------------ dd and tar

    def _plain(self, volume: Volume, wanted: str, stream: str, other: str) -> Sim:
        cluster = self.steps.cluster
        storages, target = cluster.storages, self.way.target.name
        there = storages.backing(self.storage, target)
        if there is None or not storages.active(self.storage, target):
            self.say(f"storage '{self.storage}' is not online")
            raise Die(f"{self._command(stream, wanted)} failed: exit code 255")
        new = wanted
        if wanted in there.volumes:
            what = f"file '{self._path(wanted)}'" if other in _FILES else f"volume {self._path(wanted)}"
            if not self.allow_rename:
                self.say(f"{what} already exists")
                raise Die(f"{self._command(stream, wanted)} failed: exit code 255")
            self.say(f"{what} already exists - importing with a different name")
            new = free_disk_name(cluster, self.storage, target, volume, wanted)
        copy = replace(
            volume, name=new, used=0, snapshots=[replace(item) for item in volume.snapshots], dirty=0, parent=None,
            created=cluster.engine.now, block_size=None,
        )  # fmt: skip
        full = volume.size if not storage_type(other).thin else volume.used
        if full > there.avail:
            self.say(f"no space left on storage '{self.storage}'")
            raise Die(f"{self._command(stream, wanted)} failed: exit code 255")
        there.volumes[new] = copy
        if stream != "tar+size":
            self.say(self._allocated(new, volume, other))
        length = _stream_length(volume, stream)
        transfer = self.steps.carry(self.way.stream(), length, self.limit)
        block = 65536 if storages.definition(self.volid.partition(":")[0]).type in {"lvm", "lvmthin"} else 4096
        began = cluster.engine.env.now
        try:
            yield from self._watch(transfer, began, stream)
        except simpy.Interrupt:
            cluster.engine.spawn(_pipe_goes_on(cluster, transfer, copy, volume.used))
            raise
        except Die:
            copy.used = int(volume.used * transfer.done / max(1.0, length))
            cluster.network.stop(transfer)
            raise
        copy.used = full
        self._finished(new, length, cluster.engine.env.now - began, block, stream)
        return f"{self.storage}:{new}"

    def _watch(self, transfer: Transfer, began: float, stream: str) -> Sim:
        """dd's lines are let through every 3, 10 or 30 seconds."""
        elapsed = 0
        while not transfer.finished.triggered:
            step = 3 if elapsed < 57 else 10 if elapsed < 590 else 30
            due = (elapsed // step + 1) * step
            yield from self.steps.arrival(transfer, began + due - self.steps.engine.env.now)
            elapsed = due
            if not transfer.finished.triggered and stream != "tar+size":
                self.say(dd_line(transfer.done, elapsed))

    def _finished(self, new: str, length: float, seconds: float, block: int, stream: str) -> None:
        if stream == "tar+size":
            self._imported(new)
            return
        records = int(length) // block
        line = dd_line(length, max(seconds, 1e-3), final=True)
        self.say(f"{records}+0 records in")
        self.say(f"{records}+0 records out")
        self.say(line)
        self._imported(new)
        partial = int(length) // 65536
        self._remote(f"{partial // 2}+{partial} records in")
        self._remote(f"{partial // 2}+{partial} records out")
        self._remote(dd_line(length, max(seconds - 0.01, 1e-3), final=True))

    def _imported(self, new: str) -> None:
        self._remote(f"successfully imported '{self.storage}:{new}'")

    def _remote(self, line: str) -> None:
        """Without ssh as carrier the other side's lines are marked."""
        self.say(line if self.way.secure else f"[{self.way.target.name}] {line}")

    def _allocated(self, name: str, volume: Volume, other: str) -> str:
        if other in {"lvm", "lvmthin"}:
            return f'  Logical volume "{name}" created.'
        if volume.format == "qcow2":
            return (
                f"Formatting '{self._path(name)}', fmt=qcow2 cluster_size=65536 extended_l2=off preallocation=metadata "
                f"compression_type=zlib size={volume.size} lazy_refcounts=off refcount_bits=16"
            )
        return f"Formatting '{self._path(name)}', fmt={volume.format} size={volume.size} preallocation=off"

    def _path(self, name: str) -> str:
        values = self.steps.cluster.storages.definition(self.storage).values
        if "path" in values:
            return f"{values['path']}/images/{name}"
        return f"{values.get('vgname', self.storage)}/{name}"

    def _command(self, stream: str, wanted: str) -> str:
        """The pipeline as run_command prints it."""
        flag = int(self.with_snapshots)
        snapshot = self.snapshot or (MIGRATION_SNAPSHOT if stream == "zfs" else None)
        words = f"pvesm export {self.volid} {stream} - -with-snapshots {flag}"
        words += f" -snapshot {snapshot}" if snapshot else ""
        words += f" -base {self.base}" if self.base else ""
        words += f" | /usr/bin/cstream -t {int(self.limit)}" if self.limit else ""
        words += f" | {self.way.ssh} -- pvesm import {self.storage}:{wanted} {stream} - -with-snapshots {flag}"
        words += f" -snapshot {snapshot}" if snapshot else ""
        words += f" -delete-snapshot {snapshot}" if snapshot and self.snapshot is None else ""
        words += f" -allow-rename {int(self.allow_rename)}"
        words += f" -base {self.base}" if self.base else ""
        return f"command 'set -o pipefail && {words}'"


def _pipe_goes_on(cluster: Cluster, transfer: Transfer, copy: Volume, used: int) -> Sim:
    """The worker is dead, the pipe it started writes a little longer."""
    yield transfer.finished | cluster.engine.sleep(AFTER_KILL)
    copy.used = int(used * transfer.done / max(1.0, transfer.total))
    cluster.network.stop(transfer)


def _stream_length(volume: Volume, stream: str) -> float:
    match stream:
        case "qcow2+size":
            return volume.size + volume.size // 2730
        case "tar+size":
            return volume.used
    return volume.size


# ---------------------------------------------------------------- formats and names


def stream_format(kind: str, other: str, volume: Volume, with_snapshots: bool) -> str | None:
    """How a volume can travel between storages of two types, None when it cannot (volume_transfer_formats)."""
    if kind == "zfspool" or other == "zfspool":
        return "zfs" if kind == other else None
    if kind in _FILES or kind == "btrfs":
        if with_snapshots:
            fits = volume.format in {"qcow2", "vmdk"} and other in _FILES
            return f"{volume.format}+size" if fits else ("btrfs" if kind == other == "btrfs" else None)
        if volume.format == "subvol":
            return "tar+size" if other in _FILES or other == "btrfs" else None
        return "raw+size" if volume.format == "raw" else None
    if with_snapshots or kind not in {"lvm", "lvmthin"}:
        return None
    return "raw+size" if volume.format == "raw" else None


def renamed(other: str, volume: Volume) -> str:
    """A volume's name in the scheme of another storage type."""
    base = volume.name.rpartition("/")[2]
    if storage_type(other).files:
        return f"{volume.vmid}/{base if '.' in base else f'{base}.{volume.format}'}"
    return base.partition(".")[0]


def free_disk_name(cluster: Cluster, storage: str, node: str, volume: Volume, wanted: str) -> str:
    """The lowest free name; files keep their suffix."""
    backing = cluster.storages.backing(storage, node)
    taken = backing.volumes if backing is not None else {}
    folder, slash, base = wanted.rpartition("/")
    prefix = "subvol" if base.startswith("subvol-") else "vm"
    suffix = f".{base.partition('.')[2]}" if "." in base else ""
    stems = {re.sub(r"\.\w+$", "", name) for name in taken}
    for number in itertools.count():
        name = f"{folder}{slash}{prefix}-{volume.vmid}-disk-{number}"
        if name not in stems:
            return name + suffix
    raise AssertionError("unreachable")


def take_snapshot(cluster: Cluster, volume: Volume, name: str) -> Snapshot:
    snapshot = Snapshot(name, cluster.storages.new_guid(), cluster.engine.now, volume.used)
    volume.snapshots.append(snapshot)
    return snapshot
