# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a storage works on a node, how full it is, what it holds, and the ZFS pools below (pve-facts §4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.errors import Die
from lab.pve.pvestatd import total_space
from lab.pve.storage import Backing, Volume
from lab.pve.storage_types import storage_type

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.formats import Section


def activate(cluster: Cluster, storage: str, node: str) -> Backing:
    """pve-storage Storage.pm:activate_storage.

    :raises Die: not for this node, disabled, or with the plugin's own complaint.
    """
    section = cluster.storages.check_available(storage, node)
    backing = cluster.storages.backing(storage, node)
    if backing is not None and cluster.storages.active(storage, node):
        return backing
    raise Die(complaint(section))


def complaint(section: Section) -> str:
    """What activation of a storage that is not there says."""
    storage, values = section.id, section.values
    match section.type:
        case "zfspool":
            pool = values.get("pool", "").partition("/")[0]
            return (
                f"could not activate storage '{storage}', zfs error: cannot import '{pool}': no such pool available\n"
            )
        case "lvm" | "lvmthin":
            return f"can't activate LV, no such volume group '{values.get('vgname')}'"
        case "nfs" | "cifs" | "cephfs" | "rbd" | "zfs" | "iscsi":
            return f"storage '{storage}' is not online"
        case "pbs":
            return f"{storage}: error fetching datastores - 500 Can't connect to {values.get('server')}:8007"
    path = values.get("path", "")
    if values.get("is_mountpoint", "no") not in {"no", "0"}:
        mount = values["is_mountpoint"] if values["is_mountpoint"].startswith("/") else path
        return (
            f"unable to activate storage '{storage}' - directory is expected to be a mount point but is not mounted: "
            f"'{mount}'"
        )
    return f"unable to activate storage '{storage}' - directory '{path}' does not exist or is unreachable"


def status(cluster: Cluster, section: Section, node: str) -> dict[str, Any]:
    """A storage's state on a node as ``/nodes/N/storage/S/status`` answers; an inactive one has zeros."""
    storages = cluster.storages
    row: dict[str, Any] = {
        "type": section.type, "content": ",".join(sorted(storages.contents(section.id))),
        "shared": int(storages.is_shared(section.id)), "enabled": int(storages.enabled(section.id, node)), "active": 0,
        "total": 0, "used": 0, "avail": 0,
    }  # fmt: skip
    backing = storages.backing(section.id, node)
    if backing is not None and storages.active(section.id, node):
        used = backing.used + (0 if section.type == "zfspool" else sum(other.used for other in backing.siblings))
        row |= {"active": 1, "total": total_space(section.type, backing), "used": used, "avail": backing.avail}
    return row


# ---------------------------------------------------------------- content


def content_rows(cluster: Cluster, section: Section, node: str) -> Iterator[dict[str, Any]]:
    """Rows of ``/nodes/N/storage/S/content``, sorted by volume ID.

    :raises Die: when the storage cannot be activated.
    """
    backing = activate(cluster, section.id, node)
    files = storage_type(section.type).files
    allowed = cluster.storages.contents(section.id)
    for name in sorted(backing.volumes):
        volume = backing.volumes[name]
        kind = content_of(cluster, volume)
        if kind not in allowed:
            continue
        row: dict[str, Any] = {
            "volid": f"{section.id}:{name}", "content": kind, "format": volume.format, "size": volume.size,
        }  # fmt: skip
        if volume.vmid is not None:
            row["vmid"] = volume.vmid
        if kind in {"images", "rootdir"}:
            row["parent"] = _parent(volume, files)
        if files:
            row["ctime"] = int(volume.created)
            if kind in {"images", "rootdir"}:
                row["used"] = volume.used
        elif section.type in {"zfspool", "rbd"}:
            row["name"] = name.rpartition("/")[2]
        elif section.type in {"lvm", "lvmthin"}:
            row["ctime"] = str(int(volume.created))
        if volume.notes is not None:
            row["notes"] = volume.notes
        yield row


def content_of(cluster: Cluster, volume: Volume) -> str:
    """What a volume counts as: disks of containers are ``rootdir``, whatever they were made for."""
    if volume.content not in {"images", "rootdir"} or volume.vmid is None:
        return volume.content
    owner = cluster.guest(volume.vmid)
    if owner is None:
        return volume.content
    return "rootdir" if owner.type == "lxc" else "images"


def _parent(volume: Volume, files: bool) -> str | None:
    if volume.parent is None:
        return None
    return f"../{volume.parent}" if files else f"{volume.parent}@__base__"


# ---------------------------------------------------------------- ZFS


@dataclass(slots=True)
class Zpool:
    """A ZFS pool of a node; ``datasets``: name → referenced bytes, the pool itself first."""

    name: str
    size: int
    alloc: int
    health: str
    datasets: dict[str, int] = field(default_factory=dict)


def zpools(cluster: Cluster, node: str) -> dict[str, Zpool]:
    """The imported pools of a node by name."""
    pools: dict[str, Zpool] = {}
    for where, key, backing in cluster.storages.backings():
        if where != node or backing.kind != "zfspool" or not backing.online:
            continue
        name = key.partition("/")[0]
        pool = pools.setdefault(name, Zpool(name, backing.size, 0, backing.health, {name: 0}))
        pool.alloc += backing.used
        path = key.split("/")
        for depth in range(2, len(path) + 1):
            pool.datasets.setdefault("/".join(path[:depth]), 0)
        pool.datasets[key] += backing.used
        pool.datasets |= backing.inventory
    return pools
