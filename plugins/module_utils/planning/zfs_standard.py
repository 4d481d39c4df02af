# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The standard of a cluster's ZFS storages against what there is: what can be repaired, and what has to be moved.

The same ID on the same dataset of every node is what replication and plain migrations rest on (pve-facts §4, §14).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import Storage
from ansible_collections.pve.mobility.plugins.module_utils.model.zfs_storage import Change, Fixed, Wanted, plan
from ansible_collections.pve.mobility.plugins.module_utils.planning.zfs_storage import OnNode


@dataclass(frozen=True, slots=True)
class Standard:
    """A storage as it should be. ``row``: its definition of now, None when there is none. ``nodes``: every node."""

    wanted: Wanted
    row: Mapping[str, Any] | None
    nodes: tuple[OnNode, ...]


@dataclass(frozen=True, slots=True)
class Stray:
    """A ZFS storage that is not in the standard, and what each node says of it."""

    storage: Storage
    nodes: tuple[OnNode, ...]


@dataclass(frozen=True, slots=True)
class DiskOn:
    """A disk of a guest on a stray storage. ``bytes``: what is really there, the size when nobody has looked.

    :ivar stays: why ``move_disk`` cannot carry it; empty when it can. :ivar keeps_source: only without deleting it.
    """

    guest: Guest
    disk: str
    storage: str
    size: int
    bytes: int
    content: str
    stays: str = ""
    keeps_source: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """What ``move_disk`` is asked for. ``stop``: a container that runs has to be stopped for it."""

    guest: int
    name: str
    node: str
    disk: str
    from_storage: str
    storage: str
    size: int
    bytes: int
    stop: bool = False
    delete: bool = True


@dataclass(frozen=True, slots=True)
class Audit:
    """``repairs``: options for the module ``zfs_storage``. ``create``: datasets that are missing, by node."""

    findings: tuple[Finding, ...] = ()
    repairs: tuple[Mapping[str, Any], ...] = ()
    create: tuple[Mapping[str, str], ...] = ()
    moves: tuple[Move, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.findings


@dataclass(slots=True)
class _Work:
    findings: list[Finding] = field(default_factory=list)
    repairs: list[Mapping[str, Any]] = field(default_factory=list)
    create: list[Mapping[str, str]] = field(default_factory=list)

    def find(self, id: str, severity: Severity, message: str, remedy: str, **where: Any) -> None:
        places = {name: where.pop(name) for name in ("guest", "node", "storage") if name in where}
        self.findings.append(Finding(id, severity, message, remedy, evidence=where, **places))


def audit(standards: Sequence[Standard], strays: Sequence[Stray], disks: Iterable[DiskOn], capacity: int = 80) -> Audit:
    """:param capacity: per cent of a pool from which on it is called full."""
    work = _Work()
    for standard in standards:
        _one(work, standard)
        _pools(work, standard, capacity)
    _twice(work, standards, strays)
    _per_node(work, standards, strays)
    moves = _moves(work, standards, strays, disks)
    return Audit(tuple(work.findings), tuple(work.repairs), tuple(work.create), tuple(moves))


# ---------------------------------------------------------------- one storage


def _one(work: _Work, standard: Standard) -> None:
    want = standard.wanted
    here = [item for item in standard.nodes if not want.nodes or item.node in want.nodes]
    good = _datasets(work, standard, here)
    try:
        change = plan(standard.row, want)
    except Fixed as fixed:
        work.find(
            "storage-wrong-pool" if fixed.key == "pool" else "storage-wrong-type",
            Severity.BLOCK,
            f"{want.id} is {'on' if fixed.key == 'pool' else 'of type'} {fixed.found}, not {fixed.wanted}, and that"
            " never changes",
            f"define another ID on {fixed.wanted}, move the disks there with move_disk, and remove {want.id}",
            storage=want.id,
            found=fixed.found,
            wanted=fixed.wanted,
        )
        return
    if not change.changed:
        return
    _drift(work, change, [item.node for item in here if item.node not in good])
    _repair(work, standard, change, good, len(here))


def _datasets(work: _Work, standard: Standard, here: Sequence[OnNode]) -> list[str]:
    """Nodes of the standard that have the dataset."""
    want, good = standard.wanted, []
    dataset = want.pool or ""
    pool = dataset.partition("/")[0]
    for item in here:
        if item.dataset:
            good.append(item.node)
        elif item.dataset is None:
            work.find(
                "dataset-unproven",
                Severity.BLOCK,
                f"nobody can tell whether {item.node} has {dataset} ({item.why})",
                f"bring {item.node} back, or give the user the privilege that is missing",
                node=item.node,
                storage=want.id,
            )
        elif item.health is None:
            work.find(
                "pool-missing",
                Severity.BLOCK,
                f"{item.node} has no pool {pool}",
                "create the pool there, or leave the node out of the standard",
                node=item.node,
                storage=want.id,
                pool=pool,
            )
        else:
            work.create.append({"node": item.node, "dataset": dataset, "storage": want.id})
            work.find(
                "dataset-missing",
                Severity.BLOCK,
                f"{item.node} has the pool {pool}, but not the dataset {dataset}",
                f"zfs create {dataset} on {item.node}; the role does it with zfs_storage_create_datasets",
                node=item.node,
                storage=want.id,
                dataset=dataset,
            )
    return good


def _drift(work: _Work, change: Change, without: Sequence[str]) -> None:
    """:param without: nodes of the standard that lack the dataset, as far as one can tell."""
    if change.creates:
        work.find(
            "storage-undefined",
            Severity.WARN,
            f"there is no storage {change.id}",
            "the role defines it where its dataset exists",
            storage=change.id,
        )
        return
    before, after = change.before or {}, change.after or {}
    if "disable" in {*change.put, *change.delete}:
        now, then = ("disabled", "in use") if "disable" in before else ("in use", "disabled")
        work.find(
            "storage-drift",
            Severity.WARN,
            f"{change.id} is {now}, not {then}",
            "the role sets it",
            storage=change.id,
            key="disable",
            found=now,
            wanted=then,
        )
    for key in sorted({*change.put, *change.delete} - {"disable"}):
        found, wanted = before.get(key, "nothing"), after.get(key, "nothing")
        if key == "nodes":
            found, wanted = (text if text != "nothing" else "all" for text in (found, wanted))
        later = key == "nodes" and without
        work.find(
            "storage-drift",
            Severity.WARN,
            f"{key} of {change.id} is {found}, not {wanted}",
            f"the role adds {', '.join(without)} when the dataset is there" if later else "the role sets it",
            storage=change.id,
            key=key,
            found=found,
            wanted=wanted,
        )


def _repair(work: _Work, standard: Standard, change: Change, good: Sequence[str], meant: int) -> None:
    """Options for ``zfs_storage``: no node without the dataset is added, and none that has the storage is dropped."""
    want = standard.wanted
    options: dict[str, Any] = {"storage": want.id, "pool": want.pool}
    options |= {"content": list(want.content)} if want.content is not None else {}
    for key in ("sparse", "blocksize", "mountpoint"):
        value = getattr(want, key)
        if value is not None:
            options[key] = value
    if "disable" in {*change.put, *change.delete}:
        options["disable"] = bool(want.disable)
    if want.bwlimit:
        options["bwlimit"] = dict(want.bwlimit)
    if want.nodes is not None:
        options["nodes"] = list(want.nodes)
    if len(good) < meant:
        already = {item.node for item in standard.nodes if item.enabled}
        if change.creates and not good:
            return
        if "disable" in change.delete:
            # Where it comes back on a node without the dataset, it would be inactive there.
            return
        unlimited = standard.row is not None and not (change.before or {}).get("nodes")
        if unlimited:
            options.pop("nodes", None)
        else:
            options["nodes"] = sorted({*good, *already})
        nodes = tuple(options["nodes"]) if "nodes" in options else None
        if not plan(standard.row, replace(want, nodes=nodes)).changed:
            return
    work.repairs.append(options)


def _pools(work: _Work, standard: Standard, capacity: int) -> None:
    pool = (standard.wanted.pool or "").partition("/")[0]
    for item in standard.nodes:
        if standard.wanted.nodes and item.node not in standard.wanted.nodes:
            continue
        if item.health not in (None, "ONLINE"):
            work.find(
                "pool-unhealthy",
                Severity.BLOCK,
                f"the pool {pool} of {item.node} is {item.health}",
                "see zpool status there",
                node=item.node,
                storage=standard.wanted.id,
                health=item.health,
            )
        if item.capacity is not None and item.capacity >= capacity:
            work.find(
                "pool-full",
                Severity.WARN,
                f"the pool {pool} of {item.node} is {item.capacity} % full",
                f"free space, or move guests: ZFS becomes slow above {capacity} %",
                node=item.node,
                storage=standard.wanted.id,
                capacity=item.capacity,
            )
        if item.enabled and not item.active and item.dataset:
            work.find(
                "storage-inactive",
                Severity.BLOCK,
                f"{standard.wanted.id} is not active on {item.node}, although the dataset is there",
                "see zfs mount and the log of pvestatd there",
                node=item.node,
                storage=standard.wanted.id,
            )


# ---------------------------------------------------------------- several storages


def _twice(work: _Work, standards: Sequence[Standard], strays: Sequence[Stray]) -> None:
    """The same dataset under several IDs on one node."""
    by_dataset: dict[str, list[tuple[str, frozenset[str]]]] = {}
    for standard in standards:
        if standard.row is not None:
            on = frozenset(item.node for item in standard.nodes if item.enabled)
            by_dataset.setdefault(str(standard.row.get("pool")), []).append((standard.wanted.id, on))
    for stray in strays:
        on = frozenset(item.node for item in stray.nodes if item.enabled)
        by_dataset.setdefault(str(stray.storage.where), []).append((stray.storage.id, on))
    for dataset, entries in sorted(by_dataset.items()):
        names = sorted(name for name, _on in entries)
        shared = sorted(
            {
                node
                for index, (_a, one) in enumerate(entries)
                for _b, other in entries[index + 1 :]
                for node in one & other
            }
        )
        if shared:
            work.find(
                "storage-twice",
                Severity.WARN,
                f"{dataset} is known as {' and '.join(names)} on {', '.join(shared)}",
                "move the disks to one of the IDs and remove the others",
                storage=names[0],
                dataset=dataset,
                storages=names,
                nodes=shared,
            )
        elif len(entries) > 1:
            work.find(
                "storage-per-node",
                Severity.WARN,
                f"{dataset} has an ID of its own on different nodes: {', '.join(names)}; replication and plain"
                " migrations between them are impossible",
                "use one ID on all of them, and move the disks to it",
                storage=names[0],
                dataset=dataset,
                storages=names,
            )


def _per_node(work: _Work, standards: Sequence[Standard], strays: Sequence[Stray]) -> None:
    """IDs that are each for one node, on datasets that are called differently."""
    single: dict[str, list[Stray]] = {}
    for stray in strays:
        for node in stray.storage.nodes or ():
            stem = _stem(stray.storage.id, node)
            if len(stray.storage.nodes or ()) == 1 and stem:
                single.setdefault(stem, []).append(stray)
    for stem, group in sorted(single.items()):
        datasets = {str(item.storage.where) for item in group}
        if len(group) > 1 and len(datasets) > 1:
            names = sorted(item.storage.id for item in group)
            work.find(
                "storage-per-node",
                Severity.WARN,
                f"{', '.join(names)} look like one storage under a name for each node, on"
                f" {', '.join(sorted(datasets))}",
                "give every node a dataset of the same name and use one ID, because an ID has one dataset",
                storage=names[0],
                storages=names,
                stem=stem,
            )


def _stem(storage: str, node: str) -> str:
    """``tank-pve1`` on pve1 → ``tank``; empty when the name of the node is not in it."""
    return storage.replace(node, "").strip("-_.") if node in storage else ""


# ---------------------------------------------------------------- moves


def _moves(work: _Work, standards: Sequence[Standard], strays: Sequence[Stray], disks: Iterable[DiskOn]) -> list[Move]:
    where = {stray.storage.id: str(stray.storage.where) for stray in strays}
    room = {(item.wanted.id, node.node): node.avail for item in standards for node in item.nodes if node.active}
    moves: list[Move] = []
    for disk in sorted(disks, key=lambda item: (item.guest.vmid, item.disk)):
        target = _target(standards, disk, where.get(disk.storage, ""))
        if disk.stays or target is None:
            why = disk.stays or f"no standard storage works on {disk.guest.node}"
            work.find(
                "disk-not-standard",
                Severity.WARN,
                f"{disk.disk} of {disk.guest.label} is on {disk.storage}, and {why}",
                "do that, and look again" if disk.stays else "repair the standard there first",
                guest=disk.guest.vmid,
                node=disk.guest.node,
                storage=disk.storage,
                disk=disk.disk,
            )
            continue
        left = room[target, disk.guest.node] - disk.bytes
        if left < 0:
            work.find(
                "disk-no-space",
                Severity.WARN,
                f"{disk.disk} of {disk.guest.label} does not fit on {target} of {disk.guest.node} after the moves"
                f" before it: {-left / 2**30:.1f} GiB are missing",
                "free space there, or move the guest to another node first",
                guest=disk.guest.vmid,
                node=disk.guest.node,
                storage=target,
                missing=-left,
            )
            continue
        room[target, disk.guest.node] = left
        stop = disk.guest.type == "lxc" and disk.guest.running
        moves.append(
            Move(
                disk.guest.vmid,
                disk.guest.name,
                disk.guest.node,
                disk.disk,
                disk.storage,
                target,
                disk.size,
                disk.bytes,
                stop,
                not disk.keeps_source,
            )
        )
    if moves:
        work.find(
            "disks-not-standard",
            Severity.WARN,
            f"{len(moves)} disks of {len({move.guest for move in moves})} guests are on storages that are not in the"
            f" standard: {', '.join(sorted({move.from_storage for move in moves}))}",
            "carry out the plan with move_disk",
            storages=sorted({move.from_storage for move in moves}),
            disks=len(moves),
            bytes=sum(move.bytes for move in moves),
        )
    return moves


def _target(standards: Sequence[Standard], disk: DiskOn, dataset: str) -> str | None:
    """The standard storage for a disk: on the same dataset, else in the same pool, else the first that works there."""
    fit = [
        item
        for item in standards
        if disk.content in (item.wanted.content or ("images", "rootdir"))
        and any(node.node == disk.guest.node and node.active for node in item.nodes)
    ]
    if not fit:
        return None

    def distance(item: Standard) -> tuple[bool, bool, str]:
        pool = item.wanted.pool or ""
        return (pool != dataset, pool.partition("/")[0] != dataset.partition("/")[0], item.wanted.id)

    return min(fit, key=distance).wanted.id
