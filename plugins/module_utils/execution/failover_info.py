# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``failover_info``: what each guest would lose if its node failed now.

Requests: those of ``replication_info``, 2 for HA (3 before 9.0), 1 for backup jobs, 1 for each shared storage with
backups and 1 for each local one on each node, 1, and 1 for each guest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid, NotFound, PermissionDenied
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.locate import find_node
from ansible_collections.pve.mobility.plugins.module_utils.execution.policy_ha import read_ha
from ansible_collections.pve.mobility.plugins.module_utils.execution.reader import Reader
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_info import Look, read
from ansible_collections.pve.mobility.plugins.module_utils.execution.rights import hidden, read_rights
from ansible_collections.pve.mobility.plugins.module_utils.execution.selector import Selector
from ansible_collections.pve.mobility.plugins.module_utils.model.backup import BackupJob, backup_job
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig, guest_config
from ansible_collections.pve.mobility.plugins.module_utils.model.ha_config import HaResource, HaRule
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import Storage, storage
from ansible_collections.pve.mobility.plugins.module_utils.planning.failover import (
    Backup,
    Copy,
    Demands,
    Outlook,
    copies,
    newest_snapshots,
    outlook,
)

BACKUP = "backup"


@dataclass(frozen=True, slots=True)
class FailoverRequest:
    """:ivar node: only guests on it. :ivar previous: an earlier ``replication_info``. :ivar node_facts: by node."""

    guests: Selector = field(default_factory=Selector)
    node: str | None = None
    demands: Demands = field(default_factory=Demands)
    previous: Mapping[str, Any] = field(default_factory=dict)
    node_facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Facts:
    """What is read beside the jobs."""

    storages: dict[str, Storage] = field(default_factory=dict)
    configs: dict[int, GuestConfig] = field(default_factory=dict)
    backups: dict[int, int] = field(default_factory=dict)
    backup_jobs: list[BackupJob] = field(default_factory=list)
    resources: list[HaResource] = field(default_factory=list)
    rules: list[HaRule] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def from_options(options: Mapping[str, Any]) -> FailoverRequest:
    """:raises Invalid: a value that cannot be right."""
    rpo = options.get("rpo")
    by_tag: dict[str, int] = {}
    for tag, value in (options.get("rpo_by_tag") or {}).items():
        try:
            by_tag[str(tag)] = int(value)
        except (TypeError, ValueError):
            raise Invalid(f"rpo_by_tag of {tag} is {value!r}: give seconds.") from None
    for value in (*by_tag.values(), *(() if rpo is None else (rpo,))):
        if value < 0:
            raise Invalid(f"rpo is {value}: give seconds of work that may be lost, 0 or more.")
    facts = options.get("node_facts") or {}
    if not all(isinstance(value, Mapping) for value in facts.values()):
        raise Invalid("node_facts: give results of pve.mobility.zfs_info by node.")
    return FailoverRequest(
        Selector.from_options(options.get("guests")),
        options.get("node") or None,
        Demands(rpo, by_tag, bool(options.get("require_ha")), bool(options.get("require_backup"))),
        options.get("previous") or {},
        facts,
    )


def run(session: Session, request: FailoverRequest) -> dict[str, Any]:
    """The module's result."""
    with Reader(session) as reader:
        look = read(reader, session, request.guests)
        if request.node is not None:
            find_node(look.resources, request.node)
        guests = [guest for guest in look.guests.values() if request.node in (None, guest.node)]
        guests = [guest for guest in guests if not guest.template]
        facts = _read(reader, session, look, guests)
    rows = _judge(request, look, guests, facts)
    blocked = [row for row in rows if not row["ok"]]
    return {
        "changed": False,
        "collected_at": look.now,
        "ok": not blocked,
        "guests": rows,
        "blocked": [row["vmid"] for row in blocked],
        "summary": _summary(request, rows),
        "unread": sorted(set(facts.unread)),
    }


# ---------------------------------------------------------------- reading


def _read(reader: Reader, session: Session, look: Look, guests: Iterable[Guest]) -> Facts:
    facts = Facts()
    try:
        facts.resources, facts.rules, _groups = read_ha(session)
    except PermissionDenied as error:
        facts.unread.append(f"HA: {error.message}")
    for row in reader.get("storages", "/storage") or ():
        facts.storages[str(row["storage"])] = storage(row)
    facts.backup_jobs = [backup_job(row) for row in reader.get(BACKUP, "/cluster/backup") or ()]
    reader.each([*_backups(reader, look, facts), *(_config(reader, facts, guest) for guest in guests)])
    facts.unread += [f"{item.node or item.part}: {item.why}" for item in reader.unknown]
    rights = read_rights(session)
    backups = () if rights.may("/storage", "Datastore.Allocate") else ("failover_info.backups",)
    facts.unread += hidden(rights, "failover_info", *backups)
    return facts


def _config(reader: Reader, facts: Facts, guest: Guest) -> Callable[[], None]:
    def work() -> None:
        try:
            row = reader.get("guest_configs", f"{guest.path}/config", {"current": 1}, node=guest.node, vmid=guest.vmid)
        except NotFound:
            return
        if row is not None:
            facts.configs[guest.vmid] = guest_config(guest.vmid, guest.type, guest.node, row)

    return work


def _backups(reader: Reader, look: Look, facts: Facts) -> list[Callable[[], None]]:
    """Each storage once; local ones on each node that they are for."""
    online = [node.name for node in look.resources.nodes if node.online]

    def ask(node: str, name: str) -> Callable[[], None]:
        def work() -> None:
            rows = reader.get(BACKUP, f"/nodes/{node}/storage/{name}/content", {"content": BACKUP}, node=node)
            for row in rows or ():
                if row.get("vmid") and row.get("ctime"):
                    vmid = int(row["vmid"])
                    facts.backups[vmid] = max(facts.backups.get(vmid, 0), int(row["ctime"]))

        return work

    steps = []
    for item in facts.storages.values():
        nodes = [name for name in online if item.on(name)]
        if BACKUP in item.content:
            steps += [ask(name, item.id) for name in (nodes[:1] if item.shared else nodes)]
    return steps


# ---------------------------------------------------------------- judging


def _judge(request: FailoverRequest, look: Look, guests: Iterable[Guest], facts: Facts) -> list[dict[str, Any]]:
    online = frozenset(node.name for node in look.resources.nodes if node.online)
    snapshots = newest_snapshots(request.node_facts)
    previous = _previous(request.previous)
    managed = {item.sid for item in facts.resources if item.state != "ignored"}
    of_guest: dict[int, list[Any]] = {}
    for job in look.jobs:
        of_guest.setdefault(job.guest, []).append(job)
    rows = []
    for guest in sorted(guests, key=lambda guest: guest.vmid):
        found = copies(guest, of_guest.get(guest.vmid, ()), online, snapshots, previous)
        planned = any(job.covers(guest.vmid, guest.node, guest.pool) for job in facts.backup_jobs)
        item = outlook(
            guest,
            facts.configs.get(guest.vmid),
            facts.storages,
            found,
            facts.rules,
            guest.sid in managed,
            Backup(facts.backups.get(guest.vmid), planned),
            look.now,
            request.demands,
        )
        rows.append(_row(item, look.now, guest.node in online))
    return rows


def _row(item: Outlook, now: int | None, online: bool) -> dict[str, Any]:
    guest = item.guest
    return {
        "vmid": guest.vmid,
        "name": guest.name,
        "label": guest.label,
        "type": guest.type,
        "tags": list(guest.tags),
        "node": guest.node,
        "node_online": online,
        "data": item.data.value,
        "copies": [_copy(copy, now) for copy in item.copies],
        "best": item.best.node if item.best is not None else None,
        "expected_loss_s": item.loss,
        "rpo_s": item.rpo,
        "ha": {
            "managed": item.ha.managed,
            "nodes": list(item.ha.nodes) if item.ha.nodes is not None else None,
            "ok": item.ha.ok,
        },
        "backup": {
            "last": item.backup.last,
            "age_s": max(0, now - item.backup.last) if now and item.backup.last else None,
            "planned": item.backup.planned,
        },
        "ok": item.ok,
        "blocks": item.blocks,
        "warnings": item.warnings,
    }


def _copy(copy: Copy, now: int | None) -> dict[str, Any]:
    return {
        "node": copy.node,
        "online": copy.online,
        "job": copy.job,
        "last_sync": copy.last_sync,
        "age_s": max(0, now - copy.last_sync) if now and copy.last_sync else None,
        "witness": copy.witness,
    }


def _previous(result: Mapping[str, Any]) -> dict[tuple[int, str], int]:
    """:raises Invalid: it is no result of ``replication_info``."""
    try:
        return {
            (int(row["guest"]), str(row["target"])): int(row["last_sync"])
            for row in result.get("jobs", ())
            if row["last_sync"]
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Invalid("previous: give the result of an earlier run of pve.mobility.replication_info.") from None


def _summary(request: FailoverRequest, rows: list[dict[str, Any]]) -> str:
    what = f"of {request.node}" if request.node is not None else "of the cluster"
    blocked = sum(not row["ok"] for row in rows)
    losses = [row["expected_loss_s"] for row in rows if row["expected_loss_s"] is not None]
    worst = f", at most {max(losses)} s of work where there is a copy" if losses else ""
    if not blocked:
        return f"All {len(rows)} guests {what} can go on elsewhere as demanded{worst}."
    return f"{blocked} of {len(rows)} guests {what} cannot go on elsewhere as demanded{worst}."
