# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a change of a ZFS storage would do to the cluster: Proxmox VE itself checks next to nothing (pve-facts §4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import Storage
from ansible_collections.pve.mobility.plugins.module_utils.model.zfs_storage import Change


@dataclass(frozen=True, slots=True)
class OnNode:
    """What a node says of a storage and of the pool below it. Bytes.

    :ivar health: of the pool, None when the node does not have it. :ivar dataset: whether it is there; None when
        nobody could tell, with the reason in ``why``.
    :ivar pool_size, pool_alloc: of the pool. :ivar capacity: per cent of the pool in use.
    """

    node: str
    enabled: bool = False
    active: bool = False
    total: int = 0
    used: int = 0
    avail: int = 0
    health: str | None = None
    dataset: bool | None = None
    pool_size: int = 0
    pool_alloc: int = 0
    why: str = ""

    @property
    def capacity(self) -> int | None:
        return round(100 * self.pool_alloc / self.pool_size) if self.pool_size else None


@dataclass(frozen=True, slots=True)
class Used:
    """A volume on a node. ``content``: ``images`` or ``rootdir``."""

    node: str
    volid: str
    content: str
    vmid: int | None
    size: int = 0


def nodes_of(values: Mapping[str, str] | None, everything: Iterable[str]) -> frozenset[str]:
    """Nodes on which a definition is enabled."""
    if values is None or values.get("disable") == "1":
        return frozenset()
    named = values.get("nodes")
    return frozenset(named.split(",")) if named else frozenset(everything)


def losing(change: Change, everything: Sequence[str]) -> dict[str, frozenset[str]]:
    """Kinds of content that nodes lose by the change, by node.

    Containers are below the mount point: when it is another one they are not found there any more.
    """
    moved = change.after is not None and _mountpoint(change.before) != _mountpoint(change.after)
    found = {}
    for node in everything:
        before = _content(change.before) if node in nodes_of(change.before, everything) else frozenset()
        after = _content(change.after) if node in nodes_of(change.after, everything) else frozenset()
        lost = before - after | (before & {"rootdir"} if moved else frozenset())
        if lost:
            found[node] = lost
    return found


def _mountpoint(values: Mapping[str, str] | None) -> str:
    values = values or {}
    return values.get("mountpoint") or f"/{values.get('pool', '')}"


def _content(values: Mapping[str, str] | None) -> frozenset[str]:
    return frozenset((values or {}).get("content", "").split(",")) - {""}


def judge(
    change: Change,
    nodes: Sequence[OnNode],
    volumes: Iterable[Used],
    guests: Mapping[int, Guest],
    others: Iterable[Storage],
    unseen: Mapping[str, str] | None = None,
) -> list[Finding]:
    """:param nodes: every node. :param volumes: of the nodes that lose something. :param unseen: those of them whose
    volumes could not be listed, with the reason.
    """
    names = [node.node for node in nodes]
    findings = list(_in_use(change, losing(change, names), volumes, guests))
    findings += [
        Finding(
            "storage-unproven",
            Severity.BLOCK,
            f"nobody can tell whether guests of {node} have disks on {change.id} ({why})",
            f"bring {node} back, or leave the storage as it is there; accept storage-unproven if {node} has none",
            node=node,
            storage=change.id,
        )
        for node, why in sorted((unseen or {}).items())
    ]
    findings += _missing(change, nodes, names)
    if change.creates:
        findings += _twice(change, others, names)
    return findings


def _in_use(
    change: Change, lost: Mapping[str, frozenset[str]], volumes: Iterable[Used], guests: Mapping[int, Guest]
) -> Iterable[Finding]:
    at_home: dict[tuple[str, int], list[str]] = {}
    elsewhere: dict[str, list[str]] = {}
    for volume in volumes:
        if volume.content not in lost.get(volume.node, ()):
            continue
        guest = guests.get(volume.vmid or 0)
        if guest is not None and guest.node == volume.node:
            at_home.setdefault((volume.node, guest.vmid), []).append(volume.volid)
        else:
            elsewhere.setdefault(volume.node, []).append(volume.volid)
    for (node, vmid), volids in sorted(at_home.items()):
        guest = guests[vmid]
        yield Finding(
            "storage-in-use",
            Severity.BLOCK,
            f"{guest.label} on {node} {'runs' if guest.running else 'is stopped'} and has {', '.join(sorted(volids))}"
            f" on {change.id}, which it could not reach any more",
            "move its disks to another storage first, or leave the storage as it is there",
            guest=vmid,
            node=node,
            storage=change.id,
            evidence={"volumes": sorted(volids), "running": guest.running},
        )
    for node, volids in sorted(elsewhere.items()):
        yield Finding(
            "storage-holds-copies",
            Severity.WARN,
            f"{change.id} on {node} holds {len(volids)} volumes of guests that are not there, such as {min(volids)}:"
            " replicas, or leftovers",
            "remove replication jobs to that node first if they are replicas",
            node=node,
            storage=change.id,
            evidence={"volumes": sorted(volids)},
        )


def _missing(change: Change, nodes: Sequence[OnNode], names: Sequence[str]) -> Iterable[Finding]:
    """A definition that gains a node without the dataset is inactive there, and guests cannot go there."""
    gained = nodes_of(change.after, names) - nodes_of(change.before, names)
    pool = (change.after or {}).get("pool", "")
    for item in nodes:
        if item.node not in gained:
            continue
        if item.dataset is None:
            yield Finding(
                "dataset-unproven",
                Severity.BLOCK,
                f"nobody can tell whether {item.node} has the dataset {pool} ({item.why})",
                f"bring {item.node} back, or leave it out of nodes",
                node=item.node,
                storage=change.id,
                evidence={"pool": pool},
            )
        elif not item.dataset:
            name = pool.partition("/")[0]
            has = f"has the pool {name}, but not the dataset {pool}" if item.health else f"has no pool {name}"
            remedy = f"create it there (zfs create {pool})" if item.health else "create or import the pool there"
            yield Finding(
                "dataset-missing",
                Severity.BLOCK,
                f"{item.node} {has}",
                f"{remedy}, or leave {item.node} out of nodes",
                node=item.node,
                storage=change.id,
                evidence={"pool": pool, "pool_there": item.health is not None},
            )
        elif item.health not in (None, "ONLINE"):
            yield Finding(
                "pool-unhealthy",
                Severity.WARN,
                f"the pool {pool.partition('/')[0]} of {item.node} is {item.health}",
                "see zpool status there",
                node=item.node,
                storage=change.id,
                evidence={"health": item.health},
            )


def _twice(change: Change, others: Iterable[Storage], names: Sequence[str]) -> Iterable[Finding]:
    pool = (change.after or {}).get("pool")
    here = nodes_of(change.after, names)
    for other in sorted(others, key=lambda item: item.id):
        same_place = other.type == "zfspool" and other.where == pool and other.id != change.id
        shared = sorted(node for node in here if other.on(node))
        if same_place and shared:
            yield Finding(
                "storage-twice",
                Severity.BLOCK,
                f"{pool} is known as {other.id} already on {', '.join(shared)}: two IDs for one dataset break"
                " replication and hide what is in use",
                f"use {other.id}, or give the new storage a dataset of its own",
                storage=other.id,
                evidence={"pool": pool, "nodes": shared},
            )
