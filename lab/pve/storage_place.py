# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a definition that the API writes finds on the nodes: a dataset, a directory, or nothing (pve-facts §4, §15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.errors import Die
from lab.pve.storage import Backing
from lab.pve.storage_status import activate, complaint, zpools

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.formats import Section
    from lab.pve.node import Node

_DIRECTORIES = frozenset({"dir", "btrfs"})


def appear(cluster: Cluster, section: Section) -> None:
    """Give a definition the places that its nodes have for it: datasets that exist, directories that are made."""
    key = cluster.storages.backing_key(section.id)
    for node in cluster.nodes.values():
        if not cluster.storages.enabled(section.id, node.name) or cluster.storages.backing(section.id, node.name):
            continue
        if section.type == "zfspool":
            adopt_dataset(cluster, node, key)
        elif section.type in _DIRECTORIES and _may_be_made(section):
            size, used = node.rootfs
            cluster.storages.add_backing(key, Backing(key, size, used, kind=section.type), node.name)


def _may_be_made(section: Section) -> bool:
    """Proxmox VE makes the directory, unless it must be a mount point or was told not to."""
    values = section.values
    waits = values.get("is_mountpoint", "no") not in {"no", "0"}
    forbidden = values.get("mkdir") == "0" or values.get("create-base-path") == "0"
    return not waits and not forbidden and not values.get("path", "").startswith(("/proc/", "/sys/"))


def adopt_dataset(cluster: Cluster, node: Node, dataset: str) -> Backing | None:
    """The place of a dataset that exists on a node; None when the pool, or the dataset in it, is missing."""
    known = cluster.storages.local(node.name, dataset)
    if known is not None:
        return known
    pool_name = dataset.partition("/")[0]
    pool = zpools(cluster, node.name).get(pool_name)
    if pool is None or dataset not in pool.datasets:
        return None
    family = [place for where, key, place in cluster.storages.backings()
              if where == node.name and place.kind == "zfspool" and key.partition("/")[0] == pool_name]  # fmt: skip
    held = max((place.inventory.pop(dataset, 0) for place in family), default=0)
    place = Backing(dataset, pool.size, held, kind="zfspool", health=pool.health, siblings=family)
    for other in family:
        other.siblings = [*other.siblings, place]
    cluster.storages.add_backing(dataset, place, node.name)
    return place


def try_to_activate(cluster: Cluster, section: Section, node: Node) -> None:
    """What creating a storage does on the node that serves the request.

    For ``zfspool`` the pool is enough: a missing dataset shows later, as an inactive storage.

    :raises Die: with the plugin's complaint.
    """
    path = section.values.get("path", "")
    if section.type in _DIRECTORIES and path.startswith(("/proc/", "/sys/")):
        base = "/".join(path.split("/")[:3])
        raise Die(f"mkdir {base}: No such file or directory at /usr/share/perl5/PVE/Storage/Plugin.pm line 2663.")
    if section.type == "zfspool":
        pool = section.values.get("pool", "").partition("/")[0]
        if not node.zfs_installed:
            command = f"zpool import -d /dev/disk/by-id/ -o cachefile=none {pool}"
            raise Die(
                f"could not activate storage '{section.id}', zfs error: open3: exec of {command} failed: No such file "
                "or directory at /usr/share/perl5/PVE/Cmd.pm line 174.\n"
            )
        if pool not in zpools(cluster, node.name):
            raise Die(complaint(section))
        return
    activate(cluster, section.id, node.name)
