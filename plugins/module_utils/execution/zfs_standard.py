# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hold a cluster's ZFS storages against their standard; reads only.

Requests: 2 for the cluster, 3 for each node that is online, 1 for each stray storage on each of its nodes, 1 for each
guest that has volumes on one, and for ``recent`` migrations 2 for each node and 1 for each log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import ApiError, Invalid
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.api.tasks import TaskLog, unstamped
from ansible_collections.pve.mobility.plugins.module_utils.api.upid import Upid
from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Severity
from ansible_collections.pve.mobility.plugins.module_utils.execution.collect_guests import GuestReading
from ansible_collections.pve.mobility.plugins.module_utils.execution.locate import read_resources
from ansible_collections.pve.mobility.plugins.module_utils.execution.newest import newest_host
from ansible_collections.pve.mobility.plugins.module_utils.execution.reader import Reader
from ansible_collections.pve.mobility.plugins.module_utils.execution.rights import Rights, hidden, read_rights, require
from ansible_collections.pve.mobility.plugins.module_utils.execution.zfs_nodes import (
    NodeZfs,
    on_node,
    read_nodes,
    read_volumes,
)
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Resources
from ansible_collections.pve.mobility.plugins.module_utils.model.codec import plain
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import Disk, DiskKind
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import Storage, storage
from ansible_collections.pve.mobility.plugins.module_utils.model.zfs_storage import BadStorage, Wanted, wanted
from ansible_collections.pve.mobility.plugins.module_utils.planning.zfs_standard import (
    Audit,
    DiskOn,
    Standard,
    Stray,
    audit,
)
from ansible_collections.pve.mobility.plugins.module_utils.planning.zfs_storage import OnNode, Used

_KEYS = ("pool", "content", "nodes", "sparse", "blocksize", "mountpoint", "bwlimit", "disable")
_DEFAULTS = {"content": ["images", "rootdir"], "nodes": [], "disable": False}
"""A standard holds on every node, for VMs and containers, and is in use, unless it says otherwise."""
_RENAMED = re.compile(r"^volume '([^:']+):[^']*' is '([^:']+):[^']*' on the target")


def standards(options: Mapping[str, Any]) -> tuple[Wanted, ...]:
    """The desired map: ID → dataset and the rest.

    :raises Invalid: it makes no sense.
    """
    found: list[Wanted] = []
    seen: dict[str, str] = {}
    if not options:
        raise Invalid("storages: name at least one storage with its dataset, such as {tank: {pool: tank/vm}}.")
    for name, given in sorted(options.items()):
        if str(name).lower() in ("true", "false", "none"):
            raise Invalid(f"storages.{name}: YAML reads on, off, yes, no and null as values: put the ID in quotes.")
        if not isinstance(given, Mapping):
            raise Invalid(f"storages.{name}: give its options, at least the dataset: {{pool: rpool/data}}.")
        unknown = sorted(set(given) - set(_KEYS))
        if unknown:
            raise Invalid(f"storages.{name}: there is no option {unknown[0]} (there are {', '.join(_KEYS)}).")
        if not given.get("pool"):
            raise Invalid(f"storages.{name}: say which dataset it is on (pool: rpool/data).")
        try:
            item = wanted({**_DEFAULTS, "storage": name, **{key: _list(key, value) for key, value in given.items()}})
        except BadStorage as bad:
            raise Invalid(f"storages.{name}: {bad}") from None
        if item.pool in seen:
            raise Invalid(f"storages: {seen[item.pool]} and {name} are both on {item.pool}: a dataset has one ID.")
        seen[str(item.pool)] = name
        found.append(item)
    return tuple(found)


def _list(key: str, value: Any) -> Any:
    """``nodes`` and ``content`` may be written as text with commas."""
    if key in ("nodes", "content") and isinstance(value, str):
        return [part for part in re.split(r"[,;\s]+", value) if part]
    return value


def run(
    session: Session,
    wishes: Sequence[Wanted],
    facts: Mapping[str, Mapping[str, Any]] | None = None,
    capacity: int = 80,
    recent: int = 0,
) -> dict[str, Any]:
    """The module's result.

    :param facts: results of ``zfs_info`` by node: they know how much of a volume is really used.
    """
    session = newest_host(session).session
    rights = _may_see(session)
    sees_disks = rights.may("/storage", "Datastore.Allocate") or rights.may("/vms", "VM.Config.Disk")
    resources = read_resources(session)
    _know_nodes(wishes, facts or {}, resources)
    rows = {str(row["storage"]): row for row in session.get("/storage") or ()}
    with Reader(session) as reader:
        answers = read_nodes(reader, resources.nodes)
        held = [Standard(item, rows.get(item.id), _everywhere(answers, item.id, item.pool or "")) for item in wishes]
        strays = _strays(rows, {item.id for item in wishes}, answers)
        disks = _disks(reader, resources, strays, facts or {})
        found = audit(held, strays, disks, capacity)
        unread = _unread(reader, hidden=bool(strays) and not sees_disks)
        more = _remapped(reader, resources, recent) if recent else []
    findings = [*found.findings, *unread, *more, *_contradictions(held, facts or {})]
    uses = ["zfs_storage_info.datasets", *(["zfs_storage_info.recent"] if recent else [])]
    return _result(found, held, strays, findings) | {"unread": hidden(rights, *uses)}


def _may_see(session: Session) -> Rights:
    rights = read_rights(session)
    require(rights, ["zfs_storage_info"], "or the audit would call standard what it cannot see")
    return rights


def _unread(reader: Reader, hidden: bool) -> list[Finding]:
    """What nobody could look at, so that it is not taken for good."""
    found = {(item.node or "", item.why.rstrip(".")) for item in reader.unknown if item.part != "datasets"}
    if hidden:
        found.add(("", "disks of guests are listed only with Datastore.Allocate on /storage or VM.Config.Disk on /vms"))
    return [
        Finding(
            "standard-unproven",
            Severity.WARN,
            f"not everything{f' of {node}' if node else ''} could be looked at, and there may be more to say: {why}",
            "give the user what is missing, or mend the node, and look again",
            node=node or None,
            evidence={"why": why},
        )
        for node, why in sorted(found)
    ]


def _know_nodes(wishes: Iterable[Wanted], facts: Iterable[str], resources: Resources) -> None:
    known = {node.name for node in resources.nodes}
    for name in facts:
        if name not in known:
            raise Invalid(
                f"node_facts: the cluster has no node {name} (it has {', '.join(sorted(known))}): hosts of the"
                " inventory are told by the name of their node; give the address as ansible_host."
            )
    for item in wishes:
        for name in item.nodes or ():
            if name not in known:
                raise Invalid(
                    f"storages.{item.id}.nodes: the cluster has no node {name} (it has {', '.join(sorted(known))})."
                )


def _everywhere(answers: Mapping[str, NodeZfs], name: str, dataset: str) -> tuple[OnNode, ...]:
    return tuple(on_node(node, answers[node], name, dataset) for node in sorted(answers))


def _strays(rows: Mapping[str, Mapping[str, Any]], standard: set[str], answers: Mapping[str, NodeZfs]) -> list[Stray]:
    found: list[Storage] = [storage(row) for row in rows.values() if row.get("type") == "zfspool"]
    return [
        Stray(item, _everywhere(answers, item.id, str(item.where)))
        for item in sorted(found, key=lambda item: item.id)
        if item.id not in standard
    ]


# ---------------------------------------------------------------- guests


def _disks(
    reader: Reader, resources: Resources, strays: Sequence[Stray], facts: Mapping[str, Mapping[str, Any]]
) -> list[DiskOn]:
    """Disks on strays. The volumes tell whose configurations are worth reading."""
    guests = {guest.vmid: guest for guest in resources.guests}
    volumes: dict[tuple[int, str], Used] = {}
    for stray in strays:
        for used in read_volumes(reader, stray.storage.id, [item.node for item in stray.nodes if item.active]):
            guest = guests.get(used.vmid or 0)
            if guest is not None and guest.node == used.node:
                volumes[guest.vmid, used.volid] = used
    wanted_guests = [guests[vmid] for vmid in sorted({vmid for vmid, _volid in volumes})]
    reading = GuestReading(reader, wanted_guests)
    reader.each(reading.steps(wanted_guests))
    where = {stray.storage.id: str(stray.storage.where) for stray in strays}
    return [
        item
        for guest in reading.guests()
        if guest.vmid in reading.found
        for item in _of_guest(guest, reading, volumes, where, _really(facts.get(guest.node, {})))
    ]


def _of_guest(
    guest: Guest,
    reading: GuestReading,
    volumes: Mapping[tuple[int, str], Used],
    where: Mapping[str, str],
    used: Mapping[str, int],
) -> Iterable[DiskOn]:
    config = reading.found[guest.vmid]
    for disk in config.disks:
        if disk.storage is None or disk.storage not in where or disk.kind is DiskKind.VMSTATE:
            continue
        known = volumes.get((guest.vmid, disk.volid))
        size = disk.size or (known.size if known else 0)
        name = f"{where[disk.storage]}/{disk.volid.partition(':')[2].rpartition('/')[2]}"
        content = "rootdir" if guest.type == "lxc" else "images"
        # A running VM keeps its cloud-init drive open; move_disk then makes a new one beside it.
        keeps = disk.kind is DiskKind.CLOUDINIT and guest.running
        yield DiskOn(
            guest, disk.key, disk.storage, size, used.get(name, size), content, _stays(guest, config, disk), keeps
        )


def _stays(guest: Guest, config: GuestConfig, disk: Disk) -> str:
    """Why ``move_disk`` cannot carry a disk, with what would help; empty when it can."""
    if disk.kind is DiskKind.CDROM:
        return "it is a medium: eject it"
    if config.template:
        return "its guest is a template: recreate the template on a standard storage"
    if config.snapshot is not None:
        return "snapshots of its guest need it: remove them first"
    if disk.kind is DiskKind.TPMSTATE and guest.running:
        return "a TPM state moves only while the VM is off: shut it down first"
    return ""


def _really(facts: Mapping[str, Any]) -> dict[str, int]:
    """What ``zfs_info`` saw datasets take, by name."""
    rows = facts.get("datasets") or ()
    return {str(row["name"]): int(row["used"]) for row in rows if row.get("used") is not None}


def _contradictions(held: Sequence[Standard], facts: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """Where the shell of a node says otherwise than its API, or knows more."""
    found = []
    for standard in held:
        pool = (standard.wanted.pool or "").partition("/")[0]
        for item in standard.nodes:
            rows = {str(row.get("name")): row for row in facts.get(item.node, {}).get("pools") or ()}
            row = rows.get(pool)
            if row is not None and not row.get("healthy", True) and item.health in (None, "ONLINE"):
                found.append(
                    Finding(
                        "pool-unhealthy",
                        Severity.BLOCK,
                        f"zpool status on {item.node} says of {pool}: {row.get('status') or row.get('errors')}",
                        "see zpool status there",
                        node=item.node,
                        storage=standard.wanted.id,
                        evidence={"health": row.get("health"), "errors": row.get("errors")},
                    )
                )
    return found


def _remapped(reader: Reader, resources: Resources, recent: int) -> list[Finding]:
    """Recent migrations that took ``target_storage``: with a standard they need not, so each is an exception."""
    found: list[tuple[int, str, str, str]] = []

    def node(name: str) -> Callable[[], Iterable[Callable[[], None]]]:
        def read() -> Iterable[Callable[[], None]]:
            rows: list[dict[str, Any]] = []
            for kind in ("qmigrate", "vzmigrate"):
                params = {"typefilter": kind, "source": "archive", "limit": recent}
                rows += reader.get("history", f"/nodes/{name}/tasks", params, node=name) or ()
            return [log(row) for row in rows if row.get("endtime")]

        return read

    def log(row: Mapping[str, Any]) -> Callable[[], None]:
        def read() -> None:
            try:
                lines = TaskLog(Upid.parse(str(row["upid"]))).read_on(reader.session())
            except (ApiError, Invalid):
                return
            for match in filter(None, (_RENAMED.match(unstamped(line)) for line in lines)):
                if match[1] != match[2]:
                    found.append((int(row.get("starttime") or 0), str(row.get("id")), match[1], match[2]))

        return read

    reader.each([node(item.name) for item in resources.nodes if item.online])
    labels = {str(guest.vmid): guest.label for guest in resources.guests}
    return [
        Finding(
            "target-storage-used",
            Severity.INFO,
            f"a migration of {labels.get(vmid, vmid)} took target_storage: disks went from {source} to {target}",
            "with the same IDs on every node target_storage is the exception: leave it out of everyday migrations",
            guest=int(vmid),
            storage=target,
            evidence={"from": source, "to": target, "started": started},
        )
        for started, vmid, source, target in sorted(set(found))
    ]


# ---------------------------------------------------------------- result


def _result(
    found: Audit, held: Sequence[Standard], strays: Sequence[Stray], findings: Sequence[Finding]
) -> dict[str, Any]:
    ranked = sorted(findings, key=lambda item: (item.severity.rank, item.id, item.storage or "", item.node or ""))
    total = sum(move.bytes for move in found.moves)
    blocks = sum(item.severity is Severity.BLOCK for item in ranked)
    warns = sum(item.severity is Severity.WARN for item in ranked)
    summary = f"{len(held)} ZFS storages: {blocks} block, {warns} warn, {len(found.repairs)} to repair"
    if found.moves:
        summary += f", {len(found.moves)} disks to move ({total / 2**30:.1f} GiB)"
    return {
        "changed": False,
        "ok": not any(item.severity is not Severity.INFO for item in ranked),
        "summary": summary if blocks or warns else f"{len(held)} ZFS storages are as they should be",
        "storages": [
            {
                "storage": item.wanted.id,
                "pool": item.wanted.pool,
                "defined": item.row is not None,
                "nodes": [plain(node) | {"capacity": node.capacity} for node in item.nodes],
            }
            for item in held
        ],
        "not_standard": [
            {
                "storage": item.storage.id,
                "pool": item.storage.where,
                "nodes": [node.node for node in item.nodes if node.enabled],
            }
            for item in strays
        ],
        "findings": [item.as_dict() for item in ranked],
        "repairs": [dict(item) for item in found.repairs],
        "create": [dict(item) for item in found.create],
        "plan": {"moves": [plain(move) for move in found.moves], "bytes": total},
    }
