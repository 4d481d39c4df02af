# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making room for a disk on another storage, and giving up the old one (pve-storage Storage.pm)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.errors import Die
from lab.guests.create import file_path
from lab.pve.storage_types import storage_type

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.sim.network import Pipe

SLOW_FREE = 0.3
"""Seconds that removing a volume takes."""
_NO_RENAME = frozenset({"zfs", "iscsi", "iscsidirect", "esxi", "pbs"})


def pipes(cluster: Cluster, source: str, target: str, node: str) -> tuple[Pipe, ...]:
    """What limits copying from one storage to another on a node."""
    found = []
    for storage, direction in ((source, "read"), (target, "write")):
        backing = cluster.storages.backing(storage, node)
        if backing is not None:
            found.append(cluster.storages.pipe(backing, direction))
    return tuple(found)


def room(cluster: Cluster, storage: str, node: str) -> int:
    """Bytes that fit on a storage; one that takes whole volumes at once has taken what it needs."""
    backing = cluster.storages.backing(storage, node)
    return backing.avail if backing is not None and backing.thin else 2**63


def can_rename(cluster: Cluster, volid: str) -> bool:
    """Whether the storage can give a volume another owner."""
    kind = cluster.storages.definition(volid.partition(":")[0]).type
    return kind not in _NO_RENAME and not re.search(r"[:/]base(?:vol)?-\d+-[^/]*$", volid)


def rename(cluster: Cluster, volid: str, vmid: int, node: str) -> str:
    """Give a volume to another guest; its new ID. A linked clone stays one."""
    storages = cluster.storages
    storage, _colon, name = volid.partition(":")
    backing, volume = storages.backing(storage, node), storages.find(volid, node)
    if backing is None or volume is None:
        raise Die(f"volume '{volid}' does not exist")
    prefix = "subvol" if name.rpartition("/")[2].startswith("subvol-") else "vm"
    new = storages.free_name(storage, node, vmid, volume.format, prefix)
    if volume.parent is not None:
        new = f"{volume.parent}/{new}"
    del backing.volumes[name]
    volume.name, volume.vmid = new, vmid
    volume.snapshots = [item for item in volume.snapshots if not item.name.startswith("__replicate_")]
    backing.volumes[new] = volume
    return f"{storage}:{new}"


def to_base(cluster: Cluster, volid: str, node: str) -> str:
    """Make the disk of a template read-only under its new name; its new ID (Storage.pm:vdisk_create_base)."""
    storages = cluster.storages
    storage, _colon, name = volid.partition(":")
    backing, volume = storages.backing(storage, node), storages.find(volid, node)
    if backing is None or volume is None:
        raise Die(f"volume '{volid}' does not exist")
    folder, slash, leaf = name.rpartition("/")
    new = folder + slash + leaf.replace("subvol-", "basevol-").replace("vm-", "base-")
    del backing.volumes[name]
    volume.name = new
    backing.volumes[new] = volume
    return f"{storage}:{new}"


def has_files(cluster: Cluster, storage: str) -> bool:
    return storage_type(cluster.storages.definition(storage).type).files


def path(cluster: Cluster, volid: str) -> str:
    """What programs open to read or write a volume (Storage.pm:path)."""
    storage, _colon, name = volid.partition(":")
    section = cluster.storages.definition(storage)
    leaf = name.rpartition("/")[2]
    match section.type:
        case "zfspool":
            return f"/dev/zvol/{section.values.get('pool', 'rpool')}/{leaf}"
        case "lvm" | "lvmthin":
            return f"/dev/{section.values.get('vgname', storage)}/{leaf}"
        case "rbd":
            return f"rbd:{section.values.get('pool', 'rbd')}/{leaf}:conf=/etc/pve/ceph.conf"
    return file_path(cluster, volid)
