# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What each guest would lose if its node failed now, and whether it could go on elsewhere.

The HA manager checks no age before it recovers a guest, and knows nothing of copies (pve-facts §7.9): this is the look
before.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import Disk, DiskKind
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig
from ansible_collections.pve.mobility.plugins.module_utils.model.ha_config import HaRule
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import Storage
from ansible_collections.pve.mobility.plugins.module_utils.planning.replica_ha import NODE_AFFINITY, restricts
from ansible_collections.pve.mobility.plugins.module_utils.planning.replicatable import ZFS

_SNAPSHOT = re.compile(r"^__replicate_(\d+)-\d+_(\d+)__$")
_REMADE = frozenset({DiskKind.CDROM, DiskKind.CLOUDINIT})
"""What is made anew, or is not missed."""


class Data(enum.Enum):
    """Where the data of a guest is."""

    SHARED = "shared"
    COPIED = "copied"
    LOCAL = "local"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Copy:
    """A node that has, or should have, the data. ``last_sync``: Unix time, 0 for never, None for not known.

    :ivar witness: who says so: ``job`` (the guest's node), ``snapshot`` (ZFS on the target), ``previous`` (an earlier
        look; the copy is at least as fresh).
    """

    node: str
    online: bool
    job: str
    last_sync: int | None
    witness: str = "job"
    failing: bool = False
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class HaView:
    """What the HA manager may do with the guest. ``nodes`` None: any node."""

    managed: bool = False
    nodes: tuple[str, ...] | None = None
    ok: bool = True


@dataclass(frozen=True, slots=True)
class Backup:
    """``last``: Unix time of the newest that could be seen, None when there is none. ``planned``: a job covers it."""

    last: int | None = None
    planned: bool = False


@dataclass(slots=True)
class Outlook:
    """One guest. ``loss`` in seconds: 0 when nothing is lost, None when all of it is, or nobody knows."""

    guest: Guest
    data: Data
    copies: tuple[Copy, ...]
    best: Copy | None
    loss: int | None
    ha: HaView
    backup: Backup
    rpo: int | None
    blocks: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.blocks


@dataclass(frozen=True, slots=True)
class Demands:
    """``rpo``: seconds of work that may be lost at most; ``by_tag``: less, or more, for guests with a tag.

    :ivar ha, backup: lacking these blocks too.
    """

    rpo: int | None = None
    by_tag: Mapping[str, int] = field(default_factory=dict)
    ha: bool = False
    backup: bool = False

    def of(self, guest: Guest) -> int | None:
        """The strictest of its tags; the general one when it has none of them."""
        return min((self.by_tag[tag] for tag in guest.tags if tag in self.by_tag), default=self.rpo)


def copies(
    guest: Guest,
    jobs: Iterable[ReplicationJob],
    online: frozenset[str],
    snapshots: Mapping[tuple[int, str], int],
    previous: Mapping[tuple[int, str], int],
) -> tuple[Copy, ...]:
    """Who has the guest's data beside its own node.

    :param snapshots, previous: Unix time of the newest copy by guest and node, for when the guest's node does not tell.
    """
    found = []
    for job in sorted(jobs, key=lambda job: job.target):
        if job.removing is not None or job.target == guest.node:
            continue
        key = (guest.vmid, job.target)
        last: int | None = job.last_sync
        witness = "job"
        if not job.seen:
            last, witness = snapshots.get(key), "snapshot"
            if last is None and key in previous:
                last, witness = previous[key], "previous"
        found.append(Copy(job.target, job.target in online, job.id, last, witness, job.fail_count > 0, job.disabled))
    return tuple(found)


def newest_snapshots(node_facts: Mapping[str, Mapping[str, Any]]) -> dict[tuple[int, str], int]:
    """From results of ``zfs_info`` with all snapshots: the newest replication snapshot that each node has of a guest.

    Of a guest with several volumes the oldest counts: they are only complete together.
    """
    by_volume: dict[tuple[int, str, str], int] = {}
    for node, facts in node_facts.items():
        for row in facts.get("snapshots") or ():
            match = _SNAPSHOT.match(str(row.get("name", "")))
            if match:
                key = (int(match[1]), node, str(row.get("dataset", "")))
                by_volume[key] = max(by_volume.get(key, 0), int(match[2]))
    found: dict[tuple[int, str], int] = {}
    for (vmid, node, _dataset), when in by_volume.items():
        found[vmid, node] = min(found.get((vmid, node), when), when)
    return found


def ha_view(guest: Guest, holders: Iterable[str], rules: Iterable[HaRule], managed: bool) -> HaView:
    """:param holders: nodes that have the data, the guest's own among them."""
    if not managed:
        return HaView()
    own = [rule for rule in rules if rule.type == NODE_AFFINITY and rule.active and guest.sid in rule.sids]
    strict = next((rule for rule in own if rule.positive and rule.strict), None)
    if strict is None:
        return HaView(True, None, False)
    return HaView(True, tuple(sorted(strict.nodes)), restricts(strict, holders))


def outlook(
    guest: Guest,
    config: GuestConfig | None,
    storages: Mapping[str, Storage],
    found: tuple[Copy, ...],
    rules: Iterable[HaRule],
    managed: bool,
    backup: Backup,
    now: int | None,
    demands: Demands,
) -> Outlook:
    """Judge one guest."""
    data, lost = _data(config, storages, found)
    usable = [copy for copy in found if copy.online and copy.last_sync]
    best = max(usable, key=lambda copy: copy.last_sync or 0, default=None)
    loss: int | None = None
    if data is Data.SHARED:
        loss = 0
    elif best is not None and now is not None and not lost:
        loss = max(0, now - (best.last_sync or 0))
    holders = {guest.node, *(copy.node for copy in found if copy.last_sync)}
    if data is Data.SHARED:
        view = HaView(managed)
    else:
        view = ha_view(guest, holders, rules, managed)
    result = Outlook(guest, data, found, best, loss, view, backup, demands.of(guest))
    _complain(result, lost, demands)
    return result


def _data(
    config: GuestConfig | None, storages: Mapping[str, Storage], found: tuple[Copy, ...]
) -> tuple[Data, list[Disk]]:
    """Where the data is, and the disks that no job copies."""
    if config is None:
        return (Data.COPIED if found else Data.UNKNOWN), []
    local = [disk for disk in config.disks if disk.kind not in _REMADE and _is_local(disk, storages)]
    if not local:
        return Data.SHARED, []
    lost = [disk for disk in local if not _is_copied(disk, storages) and disk.kind is not DiskKind.UNUSED]
    return (Data.COPIED if found else Data.LOCAL), lost if found else []


def _is_local(disk: Disk, storages: Mapping[str, Storage]) -> bool:
    if disk.kind in (DiskKind.BIND, DiskKind.DEVICE):
        return not disk.shared
    storage = storages.get(disk.storage or "")
    return storage is not None and not storage.shared


def _is_copied(disk: Disk, storages: Mapping[str, Storage]) -> bool:
    storage = storages.get(disk.storage or "")
    return disk.replicate and storage is not None and storage.type == ZFS


def _complain(item: Outlook, lost: list[Disk], demands: Demands) -> None:
    to = item.blocks if item.rpo is not None else item.warnings
    if item.data is Data.LOCAL:
        to.append(f"its data is on {item.guest.node} alone: all of it would be lost")
    elif item.data is Data.UNKNOWN:
        to.append(f"{item.guest.node} does not tell where its data is, and no job copies it")
    elif item.data is Data.COPIED:
        _complain_about_copies(item, to)
    for disk in lost:
        to.append(f"{disk.key} ({disk.volid}) is on {item.guest.node} alone and is not copied")
    if item.ha.managed and not item.ha.ok:
        words = "on any node" if item.ha.nodes is None else f"on {', '.join(item.ha.nodes)}"
        (item.blocks if demands.ha else item.warnings).append(
            f"the HA manager may start it {words}, also where no copy is"
        )
    if item.backup.last is None:
        planned = ", though a backup job covers it" if item.backup.planned else ", and no backup job covers it"
        (item.blocks if demands.backup else item.warnings).append(f"no backup of it was found{planned}")


def _complain_about_copies(item: Outlook, to: list[str]) -> None:
    if item.best is None:
        if any(copy.last_sync is None for copy in item.copies):
            why = (
                f"{item.guest.node} does not tell how old its copies are; look at ZFS on the targets (node_facts),"
                " or give an earlier look (previous)"
            )
        elif any(copy.last_sync for copy in item.copies):
            why = f"{', '.join(copy.node for copy in item.copies if copy.last_sync)}, which has the copy, is offline"
        else:
            why = "no copy is complete yet"
        to.append(why)
    elif item.loss is not None and item.rpo is not None and item.loss > item.rpo:
        to.append(f"the copy on {item.best.node} is {item.loss} s old, more than {item.rpo} s")
    for copy in item.copies:
        if copy.failing:
            item.warnings.append(f"job {copy.job} to {copy.node} fails")
        if copy.disabled:
            item.warnings.append(f"job {copy.job} to {copy.node} is disabled: its copy only gets older")
