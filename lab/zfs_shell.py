# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``zpool`` and ``zfs`` on a node: what listings say of the lab's pools, and creating filesystems."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lab.control import shell_command
from lab.errors import Die
from lab.pve.cluster import Cluster
from lab.pve.node import Node
from lab.pve.storage_place import adopt_dataset
from lab.pve.storage_status import Zpool, zpools

_VALUED = frozenset({"-o", "-t", "-s", "-S", "-d"})
Row = Mapping[str, Any]


def _arguments(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """``(options with their values, the rest)``; flags have the value ``""``."""
    options: dict[str, str] = {}
    rest: list[str] = []
    queue = iter(words)
    for word in queue:
        if word in _VALUED:
            options[word] = next(queue, "")
        elif word.startswith("-"):
            options |= {f"-{letter}": "" for letter in word[1:]}
        else:
            rest.append(word)
    return options, rest


def _installed(cluster: Cluster, node: Node, program: str) -> dict[str, Zpool]:
    if not node.zfs_installed:
        raise Die(f"{program}: command not found")
    return zpools(cluster, node.name)


def _chosen(pools: Mapping[str, Zpool], names: Iterable[str]) -> list[Zpool]:
    for name in names:
        if name not in pools:
            raise Die(f"cannot open '{name}': no such pool")
    return [pools[name] for name in sorted(names or pools)]


def _table(rows: Iterable[Row], columns: str) -> str:
    return "".join("\t".join(str(row.get(name, "-")) for name in columns.split(",")) + "\n" for row in rows)


@shell_command("zpool list")
def zpool_list(cluster: Cluster, node: Node, words: list[str]) -> str:
    options, names = _arguments(words)
    rows = []
    for pool in _chosen(_installed(cluster, node, "zpool"), names):
        row = {"name": pool.name, "size": pool.size, "allocated": pool.alloc, "alloc": pool.alloc,
               "free": max(0, pool.size - pool.alloc), "capacity": 100 * pool.alloc // max(1, pool.size),
               "health": pool.health}  # fmt: skip
        rows.append(row)
    return _table(rows, options.get("-o", "name,size,alloc,free,capacity,health"))


@shell_command("zpool status")
def zpool_status(cluster: Cluster, node: Node, words: list[str]) -> str:
    _options, names = _arguments(words)
    blocks = []
    for pool in _chosen(_installed(cluster, node, "zpool"), names):
        errors = "No known data errors" if pool.health == "ONLINE" else "Unknown"
        blocks.append(f"  pool: {pool.name}\n state: {pool.health}\nconfig:\n\n\t{pool.name}\n\nerrors: {errors}\n")
    return "\n".join(blocks)


@shell_command("zfs list")
def zfs_list(cluster: Cluster, node: Node, words: list[str]) -> str:
    options, names = _arguments(words)
    kinds = set(options.get("-t", "filesystem,volume").split(","))
    rows = _snapshots(cluster, node) if "snapshot" in kinds else []
    if kinds & {"filesystem", "volume"}:
        rows = [row for row in _datasets(cluster, node) if row["type"] in kinds]
    inside = _inside(names, "-r" in options)
    chosen = [row for row in rows if inside(str(row["name"]).partition("@")[0])]
    if names and not chosen and not kinds & {"snapshot", "bookmark"}:
        raise Die(f"cannot open '{names[0]}': dataset does not exist")
    return _table(chosen, options.get("-o", "name,used,available,referenced,mountpoint"))


def _inside(names: list[str], recursive: bool) -> Callable[[str], bool]:
    def inside(dataset: str) -> bool:
        return not names or any(dataset == name or (recursive and dataset.startswith(f"{name}/")) for name in names)

    return inside


def _datasets(cluster: Cluster, node: Node) -> list[Row]:
    rows: list[Row] = []
    for pool in _installed(cluster, node, "zfs").values():
        free = max(0, pool.size - pool.alloc)
        for name, used in pool.datasets.items():
            rows.append({"name": name, "type": "filesystem", "used": used, "available": free, "referenced": used,
                         "mountpoint": f"/{name}"})  # fmt: skip
    for where, key, place in cluster.storages.backings():
        if where != node.name or place.kind != "zfspool" or not place.online:
            continue
        for volume in place.volumes.values():
            kind = {"type": "volume", "volsize": volume.size} if volume.format == "raw" else {"type": "filesystem"}
            rows.append({"name": f"{key}/{volume.name}", "used": volume.used, "available": place.avail,
                         "referenced": volume.used, **kind})  # fmt: skip
    return sorted(rows, key=lambda row: str(row["name"]))


def _snapshots(cluster: Cluster, node: Node) -> list[Row]:
    return [
        {"name": f"{key}/{volume.name}@{snapshot.name}", "used": 0, "referenced": snapshot.referenced,
         "creation": int(snapshot.created), "userrefs": 0}
        for where, key, place in cluster.storages.backings() if where == node.name and place.kind == "zfspool"
        for volume in place.volumes.values() for snapshot in volume.snapshots
    ]  # fmt: skip


@shell_command("zfs get")
def zfs_get(cluster: Cluster, node: Node, _words: list[str]) -> str:
    """The lab's datasets have no properties of their own."""
    _installed(cluster, node, "zfs")
    return ""


@shell_command("zfs create")
def zfs_create(cluster: Cluster, node: Node, words: list[str]) -> None:
    """``zfs create [-p] DATASET``; a storage that waited for the dataset works from now on."""
    options, names = _arguments(words)
    if len(names) != 1:
        raise Die("missing filesystem argument")
    dataset = names[0]
    pools = _installed(cluster, node, "zfs")
    pool = pools.get(dataset.partition("/")[0])
    if pool is None:
        raise Die(f"cannot create '{dataset}': no such pool '{dataset.partition('/')[0]}'")
    if dataset in pool.datasets:
        if "-p" in options:
            return
        raise Die(f"cannot create '{dataset}': dataset already exists")
    parts = dataset.split("/")
    parents = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
    if "-p" not in options and any(parent not in pool.datasets for parent in parents):
        raise Die(f"cannot create '{dataset}': parent does not exist")
    family = [place for where, key, place in cluster.storages.backings()
              if where == node.name and place.kind == "zfspool" and key.partition("/")[0] == pool.name]  # fmt: skip
    family[0].inventory |= {name: 0 for name in (*parents, dataset) if name not in pool.datasets}
    wanted = {cluster.storages.backing_key(name) for name, item in cluster.storages.definitions().items()
              if item.type == "zfspool"}  # fmt: skip
    if dataset in wanted:
        adopt_dataset(cluster, node, dataset)
