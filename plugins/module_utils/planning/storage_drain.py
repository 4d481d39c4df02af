# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Emptying a storage: which volumes can move, where to, in which order, and why others stay.

Deterministic: the same snapshot gives the same plan. Capacity is counted down as volumes are placed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ansible_collections.pve.mobility.plugins.module_utils.checks.disks import judge_disks
from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import Disk, DiskKind
from ansible_collections.pve.mobility.plugins.module_utils.model.disk_move import DiskMove, Place
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.planning.ask import Impossible
from ansible_collections.pve.mobility.plugins.module_utils.planning.storage_content import (
    Found,
    Inventory,
    What,
    classify,
)


@dataclass(frozen=True, slots=True)
class DrainOptions:
    """:ivar targets: storages, best first; empty to choose from all. :ivar only_nodes: guests on these, None for all.

    :ivar reserve: percent of each target that stays free. :ivar allow_stop: containers may be restarted.
    :ivar accept: ids of findings that do not keep a volume from moving.
    """

    targets: tuple[str, ...] = ()
    only_nodes: frozenset[str] | None = None
    reserve: float = 5.0
    allow_stop: bool = False
    accept: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PlannedMove:
    """Disks of one guest to one storage: one call of ``move_disk``. Bytes: what they take there at most.

    :ivar after: guests whose linked clones hang on these disks; theirs have to be gone before these can be freed.
    """

    guest: Guest
    disks: tuple[str, ...]
    volids: tuple[str, ...]
    target: str
    bytes: int
    stop: bool = False
    after: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Stays:
    """A volume that does not move, why, and what to do about it."""

    found: Found
    why: str
    remedy: str


@dataclass(frozen=True, slots=True)
class DrainPlan:
    """:ivar moves: in the order in which they begin. :ivar stays: what keeps the storage from being empty.

    :ivar files: images, backups and the like, which are listed and never moved. :ivar unseen: why, by node, where it
        could not be looked.
    """

    storage: str
    moves: tuple[PlannedMove, ...] = ()
    stays: tuple[Stays, ...] = ()
    files: tuple[Found, ...] = ()
    unseen: Mapping[str, str] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        return sum(move.bytes for move in self.moves)

    @property
    def empty(self) -> bool:
        """No disk lies on it any more."""
        return not self.moves and not self.stays and not self.unseen


def plan_drain(state: ClusterState, inventory: Inventory, options: DrainOptions) -> DrainPlan:
    """:raises Impossible: a target that does not exist, or is the storage itself."""
    _check(inventory, options)
    found = classify(state, inventory)
    placing = _Placing(state, inventory, options)
    stays = [_kept(inventory, item) for item in found if item.what not in (What.DISK, What.FILE)]
    movable: dict[int, list[Found]] = {}
    for item in found:
        if item.what is not What.DISK or item.guest is None:
            continue
        hindrance = placing.hindrance(item)
        if hindrance is not None:
            stays.append(hindrance)
        elif options.only_nodes is None or item.guest.node in options.only_nodes:
            movable.setdefault(item.guest.vmid, []).append(item)
        else:
            stays.append(_elsewhere(item, item.guest, options.only_nodes))
    moves: list[PlannedMove] = []
    # Clones first: a template can go when nothing hangs on it any more.
    last = sorted(movable, key=lambda vmid: (_template(state, vmid), -_size(movable[vmid]), vmid))
    for vmid in last:
        placed, left = placing.place(movable[vmid])
        moves += placed
        stays += left
    return DrainPlan(
        inventory.storage,
        tuple(replace(move, after=_clones_of(move, moves)) for move in moves),
        tuple(sorted(stays, key=lambda item: (item.found.node, item.found.volid))),
        tuple(item for item in found if item.what is What.FILE),
        dict(inventory.unseen),
    )


def _check(inventory: Inventory, options: DrainOptions) -> None:
    known = {name for places in inventory.places.values() for name in places}
    for name in options.targets:
        if name == inventory.storage:
            raise Impossible(f"{name} is to be emptied, so it cannot be a target: name another storage.")
        if name not in known:
            listed = ", ".join(sorted(known - {inventory.storage})) or "none that the user may see"
            raise Impossible(f"There is no storage {name} on any node; there are: {listed}.")


def _clones_of(base: PlannedMove, moves: Sequence[PlannedMove]) -> tuple[int, ...]:
    """Guests with linked clones of volumes that are to move too."""
    starts = tuple(f"{volid}/" for volid in base.volids)
    found = {move.guest.vmid for move in moves if any(volid.startswith(starts) for volid in move.volids)}
    return tuple(sorted(found - {base.guest.vmid}))


def _template(state: ClusterState, vmid: int) -> bool:
    config = state.config(vmid)
    return config is not None and config.template


def _size(items: Iterable[Found]) -> int:
    return sum(item.volume.size for item in items if item.volume is not None)


def _kept(inventory: Inventory, item: Found) -> Stays:
    """What is no disk in use."""
    name, node = item.guest.label if item.guest is not None else "no guest", item.node
    match item.what:
        case What.SNAPSHOT:
            listed = ", ".join(item.holders)
            return Stays(item, f"only snapshots of {name} hold it ({listed})", f"delete these snapshots: {listed}")
        case What.REPLICA:
            return Stays(
                item,
                f"it is the replica of a volume of {name} (job {', '.join(item.holders)})",
                "it goes away with the volume of which it is the replica, or with the job",
            )
        case What.MISSING:
            key = item.disk.key if item.disk is not None else "a disk"
            return Stays(
                item,
                f"{key} of {name} names it, and it is not there",
                f"take {key} out of the configuration when it is not needed",
            )
        case What.STRANGER:
            return Stays(
                item,
                "there is no guest of that number",
                f"free it when nothing needs it (pvesm free {item.volid} on {node})",
            )
    return Stays(
        item,
        f"it belongs to {name} by its name and is in none of its configurations",
        f"free it when nothing needs it (pvesm free {item.volid} on {node}), or take it up as unused disk (qm rescan or"
        " pct rescan)",
    )


def _elsewhere(item: Found, guest: Guest, nodes: frozenset[str]) -> Stays:
    key = item.disk.key if item.disk is not None else item.volid
    return Stays(
        item,
        f"{key} of {guest.label} is on {guest.node}, and only disks on {', '.join(sorted(nodes))} are to move",
        f"run it for {guest.node} too, or leave nodes out",
    )


@dataclass(slots=True)
class _Placing:
    """Where volumes go; remembers what is taken."""

    state: ClusterState
    inventory: Inventory
    options: DrainOptions
    _taken: dict[tuple[str, str], int] = field(default_factory=dict)
    _going: set[str] = field(default_factory=set)

    def hindrance(self, item: Found) -> Stays | None:
        """Why a disk cannot move wherever it goes."""
        guest, disk = item.guest, item.disk
        if guest is None or disk is None:
            return None
        node = self.state.node(guest.node)
        held = [
            name
            for name, config in sorted(self.inventory.snapshots.get(guest.vmid, {}).items())
            if disk.volid in {other.volid for other in config.disks}
        ]
        what = f"{disk.key} of {guest.label}"
        if node is not None and not node.online:
            return Stays(item, f"{what} is on {guest.node}, which is {node.status}", "bring the node back")
        if item.holders:
            others = ", ".join(item.holders)
            return Stays(item, f"{what} is used by {others} too", "decide which guest keeps it, and detach the others")
        if held:
            names = ", ".join(held)
            return Stays(item, f"{what} is held by snapshots ({names})", f"delete these snapshots: {names}")
        if disk.kind is DiskKind.CDROM:
            return Stays(item, f"{what} is a CD drive, and Proxmox VE moves no media", f"eject it ({disk.key}: none)")
        if disk.kind is DiskKind.VMSTATE:
            return Stays(item, f"{what} is the memory of a VM that hibernates", "resume the VM")
        if disk.kind is DiskKind.UNUSED and guest.type == "lxc":
            return Stays(
                item,
                f"{what} is not part of the container, and Proxmox VE moves only volumes that are",
                "attach it as a mount point, or delete it",
            )
        if guest.type == "lxc" and guest.running and not self.options.allow_stop:
            return Stays(item, f"{guest.label} is a container that runs", "stop it, or set allow_stop: true")
        if guest.running and disk.kind is DiskKind.TPMSTATE:
            return Stays(item, f"{what} is the TPM state of a VM that runs", "shut the VM down")
        if guest.running and disk.kind is DiskKind.CLOUDINIT:
            return Stays(item, f"{what} is the cloud-init drive of a VM that runs", "shut the VM down")
        return None

    def place(self, items: Sequence[Found]) -> tuple[list[PlannedMove], list[Stays]]:
        """All disks of one guest: together if one storage takes them, else wherever each fits."""
        guest = items[0].guest
        if guest is None:
            return [], []
        stays = [item for item in map(self._needed_as_base, items) if item is not None]
        kept = {item.found.volid for item in stays}
        going = sorted((item for item in items if item.volid not in kept), key=lambda item: _key(item.disk))
        if not going:
            return [], stays
        for target in self._candidates(guest):
            move = self._fits(guest, going, target)
            if move is not None:
                return [move], stays
        moves: list[PlannedMove] = []
        for item in sorted(going, key=lambda found: -(found.volume.size if found.volume else 0)):
            single = next(
                (move for place in self._candidates(guest) if (move := self._fits(guest, [item], place))), None
            )
            if single is not None:
                moves.append(single)
            else:
                stays.append(self._nowhere(guest, item))
        return moves, stays

    def _needed_as_base(self, item: Found) -> Stays | None:
        """A template's disk from which clones hang that stay."""
        clones = [
            volume.volid
            for volumes in self.inventory.volumes.values()
            for volume in volumes
            if volume.volid.startswith(f"{item.volid}/") and volume.volid not in self._going
        ]
        if not clones or item.disk is None or item.guest is None:
            return None
        return Stays(
            item,
            f"{item.disk.key} of {item.guest.label} is the base of linked clones that stay ({', '.join(clones)})",
            "see why these stay; the base can go after them",
        )

    def _candidates(self, guest: Guest) -> list[Place]:
        """Storages of the guest's node that take its disks, best first."""
        places = self.inventory.places.get(guest.node, {})
        wanted = "images" if guest.type == "qemu" else "rootdir"
        fit = [
            place
            for place in places.values()
            if place.id != self.inventory.storage and place.enabled and place.active and wanted in place.content
        ]
        if self.options.targets:
            order = {name: number for number, name in enumerate(self.options.targets)}
            return sorted((place for place in fit if place.id in order), key=lambda place: order[place.id])
        source = places.get(self.inventory.storage)
        # What is shared stays shared, so that its guests can go on to move live; then the one with most room.
        return sorted(
            fit,
            key=lambda place: (
                place.shared != self.inventory.shared,
                source is not None and place.type != source.type,
                -self._free(place, guest.node),
                place.id,
            ),
        )

    def _free(self, place: Place, node: str) -> int:
        kept = int(place.total * self.options.reserve / 100)
        return place.avail - kept - self._taken.get(_where(place, node), 0)

    def _fits(self, guest: Guest, items: Sequence[Found], target: Place) -> PlannedMove | None:
        """The move, when nothing speaks against it and there is room; the room is taken then."""
        moves = [self._move(guest, item, target) for item in items if item.disk is not None]
        need = sum(move.needs[0] for move in moves)
        if need > self._free(target, guest.node):
            return None
        if any(
            finding.severity is Severity.BLOCK and finding.id not in self.options.accept
            for finding in judge_disks(moves)
        ):
            return None
        where = _where(target, guest.node)
        self._taken[where] = self._taken.get(where, 0) + need
        self._going.update(item.volid for item in items)
        return PlannedMove(
            guest,
            tuple(move.disk.key for move in moves),
            tuple(item.volid for item in items),
            target.id,
            need,
            guest.type == "lxc" and guest.running,
        )

    def _move(self, guest: Guest, item: Found, target: Place) -> DiskMove:
        if item.disk is None:
            raise Impossible(f"{item.volid} is no disk of {guest.label}.")
        process = self.state.process(guest.vmid)
        return DiskMove(
            guest,
            item.disk,
            target,
            target.becomes(item.disk.format, None),
            True,
            guest.running,
            self.inventory.places.get(guest.node, {}).get(self.inventory.storage),
            item.volume,
            process.machine if process is not None else None,
            jobs=self.state.jobs_of(guest.vmid),
        )

    def _nowhere(self, guest: Guest, item: Found) -> Stays:
        """Say why for the storage that comes nearest."""
        key = item.disk.key if item.disk is not None else item.volid
        candidates = self._candidates(guest)
        if not candidates:
            named = f" of {', '.join(self.options.targets)}" if self.options.targets else ""
            return Stays(
                item,
                f"no storage{named} on {guest.node} takes {key} of {guest.label}",
                "enable a storage with the right content for the node, or name other targets",
            )
        reasons = list(self._reasons(guest, item, candidates))
        return Stays(item, f"{key} of {guest.label} fits nowhere: {'; '.join(reasons)}", "name other targets")

    def _reasons(self, guest: Guest, item: Found, candidates: Sequence[Place]) -> Iterator[str]:
        for place in candidates:
            move = self._move(guest, item, place)
            blocking = [
                finding
                for finding in judge_disks([move])
                if finding.severity is Severity.BLOCK and finding.id not in self.options.accept
            ]
            if blocking:
                yield f"{place.id}: {blocking[0].message} ({blocking[0].id})"
            else:
                free = max(0, self._free(place, guest.node))
                yield f"{place.id}: {_gib(move.needs[0])} needed, {_gib(free)} free beside what comes before it"


def _where(place: Place, node: str) -> tuple[str, str]:
    return (place.id, "" if place.shared else node)


def _key(disk: Disk | None) -> tuple[str, int]:
    """``scsi2`` before ``scsi10``."""
    name = disk.key if disk is not None else ""
    digits = name.lstrip("abcdefghijklmnopqrstuvwxyz")
    return (name.rstrip("0123456789"), int(digits) if digits.isdigit() else 0)


def _gib(value: int) -> str:
    return f"{value / 2**30:.1f} GiB"
