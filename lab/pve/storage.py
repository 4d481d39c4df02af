# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storages: definitions from storage.cfg, and the volumes and space behind them.

A definition is cluster-wide; what lies behind it differs per node. ``Backing`` is one place with a capacity: a ZFS
pool's dataset, a volume group, a directory's file system on one node, or a shared server. Several definitions may
share a backing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.errors import Die
from lab.pve.formats import Section, parse_section_config, split_list
from lab.pve.storage_types import storage_type
from lab.sim.network import Pipe

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster

DISK_SPEED = 500e6
"""Bytes/s of a storage that says nothing else: a SATA SSD, or what is left of a 10 Gbit/s network."""
SHARED_TYPES = frozenset({"iscsi", "nfs", "cifs", "rbd", "cephfs", "iscsidirect", "zfs", "drbd", "pbs", "esxi"})
"""Plugin.pm:@SHARED_STORAGE."""


@dataclass(slots=True)
class Snapshot:
    """A snapshot of a volume. ``guid`` survives send and receive, as in ZFS."""

    name: str
    guid: int
    created: float
    referenced: int = 0


@dataclass(slots=True, eq=False)
class Volume:
    """One volume.

    :ivar name: volume name inside the storage (``vm-100-disk-0``, ``100/vm-100-disk-0.qcow2``, ``iso/x.iso``).
    :ivar content: images, rootdir, iso, vztmpl, backup, snippets.
    :ivar size: virtual size, bytes. :ivar used: bytes really allocated.
    :ivar vmid: owner, None for ISO images and the like. :ivar parent: base volume name of a linked clone.
    :ivar dirty: bytes changed since the last replication snapshot (what the next delta carries).
    :ivar write_rate: bytes/s that the running guest changes; :ivar block_size: zvol block size, None elsewhere.
    """

    name: str
    content: str
    format: str
    size: int
    used: int
    vmid: int | None = None
    parent: str | None = None
    created: float = 0.0
    snapshots: list[Snapshot] = field(default_factory=list)
    notes: str | None = None
    dirty: int = 0
    write_rate: float = 0.0
    block_size: int | None = None

    def has_snapshot(self, name: str) -> bool:
        return any(snap.name == name for snap in self.snapshots)


class Volumes(dict[str, Volume]):
    """Volumes by name. ``leaves``: the last part of each name, which is what must be unique for disks of a guest."""

    def __init__(self) -> None:
        super().__init__()
        self.leaves: dict[str, str] = {}

    def __setitem__(self, name: str, volume: Volume) -> None:
        super().__setitem__(name, volume)
        self.leaves[name.rpartition("/")[2]] = name

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self.leaves.pop(name.rpartition("/")[2], None)

    def pop(self, name: str, *default: Any) -> Any:
        self.leaves.pop(name.rpartition("/")[2], None)
        return super().pop(name, *default)


@dataclass(slots=True, eq=False)
class Backing:
    """A place that holds volumes.

    :ivar size: capacity in bytes. :ivar other: bytes used by things that are no volumes.
    :ivar online: False when the pool is not imported, the server down, the directory not mounted.
    :ivar thin: volumes take only what they use.
    :ivar kind: storage type of the definition that describes it. :ivar speed: bytes/s that can be read, and written.
    :ivar siblings: places that share this one's capacity (datasets of one ZFS pool, directories of one file system).
    """

    name: str
    size: int
    other: int = 0
    online: bool = True
    thin: bool = True
    health: str = "ONLINE"
    kind: str = ""
    speed: float = DISK_SPEED
    volumes: Volumes = field(default_factory=Volumes)
    siblings: list[Backing] = field(default_factory=list)
    inventory: dict[str, int] = field(default_factory=dict)
    """Datasets that are no volumes (name → referenced bytes), for scans."""

    @property
    def used(self) -> int:
        return self.other + sum(v.used if self.thin else v.size for v in self.volumes.values())

    @property
    def avail(self) -> int:
        return max(0, self.size - self.used - sum(place.used for place in self.siblings))


class Storages:
    """Definitions (``/etc/pve/storage.cfg``) and backings."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._local: dict[tuple[str, str], Backing] = {}
        self._shared: dict[str, Backing] = {}
        self.unreachable: set[tuple[str, str]] = set()
        """``(node, storage)`` of shared storages that a node cannot reach."""
        self._pipes: dict[tuple[Backing, str], Pipe] = {}
        self.next_guid = 1_000_001
        """GUID of the next snapshot."""

    # ------------------------------------------------------------ definitions

    def definitions(self) -> dict[str, Section]:
        return self._cluster.fs.parsed("storage.cfg", parse_section_config)

    def definition(self, storage: str) -> Section:
        """:raises Die: ``storage '<s>' does not exist``."""
        found = self.definitions().get(storage)
        if found is None:
            raise Die(f"storage '{storage}' does not exist")
        return found

    def is_shared(self, storage: str) -> bool:
        section = self.definition(storage)
        return section.type in SHARED_TYPES or section.values.get("shared") == "1"

    def contents(self, storage: str) -> set[str]:
        return set(split_list(self.definition(storage).values.get("content")))

    def formats(self, storage: str) -> tuple[str, ...]:
        """Formats that its volumes may have (Plugin.pm:get_formats); LVM has qcow2 only for chains of snapshots."""
        section = self.definition(storage)
        if section.type == "lvm" and section.values.get("snapshot-as-volume-chain") != "1":
            return ("raw",)
        return storage_type(section.type).formats

    def nodes(self, storage: str) -> set[str] | None:
        """The nodes a definition is limited to, None for all."""
        text = self.definition(storage).values.get("nodes")
        return set(split_list(text)) if text else None

    def enabled(self, storage: str, node: str) -> bool:
        section = self.definition(storage)
        nodes = self.nodes(storage)
        return section.values.get("disable") != "1" and (nodes is None or node in nodes)

    def check_available(self, storage: str, node: str) -> Section:
        """pve-storage Storage.pm:storage_check_enabled.

        :raises Die: when it does not exist, is disabled, or is not for this node.
        """
        section = self.definition(storage)
        if section.values.get("disable") == "1":
            raise Die(f"storage '{storage}' is disabled")
        nodes = self.nodes(storage)
        if nodes is not None and node not in nodes:
            raise Die(f"storage '{storage}' is not available on node '{node}'")
        return section

    # ------------------------------------------------------------ what lies behind

    def backing_key(self, storage: str) -> str:
        """Name of the place a definition points to: the pool, volume group, path or server of the definition."""
        values = self.definition(storage).values
        for key in ("pool", "thinpool", "vgname", "path", "export", "share", "datastore", "target"):
            if key in values:
                extra = values.get("vgname", "") + "/" if key == "thinpool" else ""
                extra = values.get("server", "") + ":" if key in {"export", "share", "datastore"} else extra
                return extra + values[key]
        return storage

    def add_backing(self, key: str, backing: Backing, node: str | None) -> None:
        """``node`` None: shared by all nodes."""
        if node is None:
            self._shared[key] = backing
        else:
            self._local[node, key] = backing

    def local(self, node: str, key: str) -> Backing | None:
        """The place of that name on a node itself."""
        return self._local.get((node, key))

    def backing(self, storage: str, node: str) -> Backing | None:
        """The place behind a definition on a node, None when it has none there (pool missing)."""
        key = self.backing_key(storage)
        if (node, key) in self._local:
            return self._local[node, key]
        return self._shared.get(key)

    def pipe(self, backing: Backing, direction: str) -> Pipe:
        """What limits reading from (``read``) or writing to (``write``) a place."""
        key = backing, direction
        if key not in self._pipes:
            self._pipes[key] = Pipe(f"{backing.name} {direction}", backing.speed)
        return self._pipes[key]

    def backings(self) -> Iterator[tuple[str | None, str, Backing]]:
        """``(node or None, key, backing)`` of every place."""
        for (node, key), backing in self._local.items():
            yield node, key, backing
        for key, backing in self._shared.items():
            yield None, key, backing

    def active(self, storage: str, node: str) -> bool:
        backing = self.backing(storage, node)
        reachable = backing is not None and backing.online and (node, storage) not in self.unreachable
        return reachable and self.enabled(storage, node)

    # ------------------------------------------------------------ volumes

    def find(self, volid: str, node: str) -> Volume | None:
        """The volume behind ``storage:name`` as seen from a node."""
        storage, _colon, name = volid.partition(":")
        if storage not in self.definitions():
            return None
        backing = self.backing(storage, node)
        return backing.volumes.get(name) if backing is not None else None

    def volumes(self, storage: str, node: str) -> list[Volume]:
        backing = self.backing(storage, node)
        return list(backing.volumes.values()) if backing is not None else []

    def alloc(self, storage: str, node: str, volume: Volume) -> Volume:
        """Put a volume on a storage.

        :raises Die: storage not usable on the node, no space, name taken.
        """
        self.check_available(storage, node)
        backing = self.backing(storage, node)
        if backing is None or not backing.online:
            raise Die(f"storage '{storage}' is not online")
        if volume.name in backing.volumes:
            raise Die(f"volume '{storage}:{volume.name}' already exists")
        if (volume.used if backing.thin else volume.size) > backing.avail:
            raise Die(f"storage '{storage}' has not enough free space on node '{node}': out of space")
        volume.created = volume.created or self._cluster.engine.now
        backing.volumes[volume.name] = volume
        return volume

    def free(self, volid: str, node: str) -> None:
        storage, _colon, name = volid.partition(":")
        backing = self.backing(storage, node)
        if backing is not None:
            backing.volumes.pop(name, None)

    def free_name(self, storage: str, node: str, vmid: int, format: str, prefix: str = "vm") -> str:
        """The lowest free ``vm-<vmid>-disk-<n>`` in the naming scheme of the storage type."""
        files = storage_type(self.definition(storage).type).files
        backing = self.backing(storage, node)
        taken = backing.volumes.leaves if backing is not None else {}
        suffixes = ("", ".raw", ".qcow2", ".vmdk", ".subvol")
        for number in itertools.count():
            stems = [f"{kind}-{vmid}-disk-{number}" for kind in ("vm", "base", "subvol", "basevol")]
            if not any(stem + suffix in taken for stem in stems for suffix in suffixes):
                return f"{vmid}/{prefix}-{vmid}-disk-{number}.{format}" if files else f"{prefix}-{vmid}-disk-{number}"
        raise AssertionError("unreachable")

    def new_guid(self) -> int:
        self.next_guid += 1
        return self.next_guid - 1
