# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From a request to a decision about disks: nothing to do, adopt what is under way, or move, judged beforehand.

Requests: 2 for the resources and the configuration, and unless nothing is looked at, 1 for the storages and 1 for each
of them that holds disks, to see orphans. A move takes the guest's newest tasks, the storages' definitions and the
content of the sources, and where they matter the guest's state, its snapshots and its replication jobs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    ApiError,
    Blocked,
    Invalid,
    Locked,
    MobilityError,
    NodeUnreachable,
    NotFound,
    Unsupported,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.checks.disks import judge_disks
from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Severity
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_request import DiskRequest, wanted_disks
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_underway import (
    running_move,
    take_up,
    was_stopped,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_work import DiskWork, Step
from ansible_collections.pve.mobility.plugins.module_utils.execution.locate import find_guest, read_resources
from ansible_collections.pve.mobility.plugins.module_utils.execution.orphans import (
    Orphans,
    content,
    find_orphans,
    snapshot_configs,
    volids,
)
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Resources
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import Disk, DiskKind
from ansible_collections.pve.mobility.plugins.module_utils.model.disk_move import (
    DiskMove,
    Place,
    StoredVolume,
    places,
)
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig, guest_config
from ansible_collections.pve.mobility.plugins.module_utils.model.meant import meant
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob, replication_job


@dataclass(slots=True)
class DiskDecision:
    """:ivar work: what is to be done; None when every disk is where it should be. :ivar start: nothing of it has begun.

    :ivar there: disks that need no move. :ivar moves: those that do, as they were judged.
    """

    guest: Guest
    config: GuestConfig
    request: DiskRequest
    there: tuple[Disk, ...] = ()
    moves: tuple[DiskMove, ...] = ()
    work: DiskWork | None = None
    findings: list[Finding] = field(default_factory=list)
    orphans: Orphans = field(default_factory=Orphans)


def read_config(session: Session, guest: Guest) -> GuestConfig:
    """As it is now, without changes that wait for a restart."""
    row: Mapping[str, Any] = session.get(f"{guest.path}/config", {"current": True} if guest.type == "qemu" else None)
    return guest_config(guest.vmid, guest.type, guest.node, row)


def format_for(disk: Disk, request: DiskRequest) -> str | None:
    """The format that is asked for; the emulated TPM wants raw whatever the others have."""
    return None if disk.kind is DiskKind.TPMSTATE else request.format


def is_there(disk: Disk, storage: str, form: str | None) -> bool:
    """On the storage, and in the format if one is wanted."""
    return disk.storage == storage and form in (None, disk.format)


def decide_disks(session: Session, request: DiskRequest, clock: Clock, seen: Resources | None = None) -> DiskDecision:
    """Read and judge; sends no write.

    :param seen: the list of guests, if it was read just now.
    :raises MobilityError: when it cannot or must not happen, with what is known of the guest.
    """
    seen = seen or read_resources(session)
    guest = find_guest(seen, request.guest)
    home = seen.node(guest.node)
    try:
        if home is not None and home.status == "offline":
            raise NodeUnreachable(
                f"{guest.label} is on {guest.node}, which is offline: its disks can be moved when the node is back."
                " Nothing was changed.",
                node=guest.node,
            )
        return _decide(session, request, clock, guest)
    except MobilityError as error:
        error.details = {"guest": guest.vmid, "node": guest.node, "status": guest.status} | error.details
        raise


def _decide(session: Session, request: DiskRequest, clock: Clock, guest: Guest) -> DiskDecision:
    if guest.type == "lxc" and request.format is not None:
        raise Unsupported(
            f"{guest.label} is a container: Proxmox VE chooses the format of its volumes. Leave format out."
        )
    config = read_config(session, guest)
    disks = wanted_disks(guest, config, request)
    there = tuple(disk for disk in disks if is_there(disk, request.storage, format_for(disk, request)))
    to_move = [disk for disk in disks if disk not in there]
    decision = DiskDecision(guest, config, request, there)
    if not to_move:
        decision.work = _left_stopped(session, request, guest, config)
        if request.preflight != "skip":
            decision.orphans = _anywhere(session, guest, config)
        return decision
    rows, upid = running_move(session, guest)
    if upid is None and config.lock is not None:
        tool = "qm" if guest.type == "qemu" else "pct"
        raise Locked(
            f"{guest.label} on {guest.node} is locked ({config.lock}): wait until what holds the lock has ended, or"
            f" remove a left-over lock with {tool} unlock {guest.vmid} on {guest.node}. Nothing was changed.",
            lock=config.lock,
        )
    facts = _facts(session, request, guest, config, to_move)
    decision.moves = facts
    decision.work = _work(request, guest, config, facts)
    decision.work.known = [str(row["upid"]) for row in rows]
    if upid is not None:
        # What runs already was judged by whoever has started it; what comes after it is judged here all the same.
        take_up(session, decision.work, upid)
    begun = {step.disk for step in decision.work.steps if step.task is not None}
    ahead = [move for move in facts if move.disk.key not in begun]
    if request.preflight != "skip":
        decision.findings = list(judge_disks(ahead))
        blocking = [
            item for item in decision.findings if item.severity is Severity.BLOCK and item.id not in request.accept
        ]
        if blocking and request.preflight == "enforce":
            raise _blocked(guest, request, blocking, decision.findings)
    _power(session, request, guest, decision.work, rows)
    decision.work.asked_at = clock.monotonic()
    return decision


def _work(request: DiskRequest, guest: Guest, config: GuestConfig, moves: Sequence[DiskMove]) -> DiskWork:
    steps = [
        Step(
            move.disk.key,
            move.disk.volid,
            move.format if guest.type == "qemu" else "",
            move.size,
            move.disk.kind.value,
            dict(move.disk.options),
        )
        for move in moves
    ]
    return DiskWork(
        guest.vmid,
        guest.type,
        guest.name,
        guest.node,
        request.storage,
        steps,
        request.format,
        request.delete,
        request.bwlimit,
        request.stop_timeout,
        digest=config.digest,
    )


def _power(
    session: Session, request: DiskRequest, guest: Guest, work: DiskWork, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Containers have to be stopped; one that an earlier run of this kind has stopped is started again at the end."""
    if guest.type != "lxc":
        return
    if _running(session, guest):
        if not request.allow_stop:
            raise Invalid(
                f"{guest.label} is a container that runs, and Proxmox VE moves volumes of stopped containers only: stop"
                " it first, or set allow_stop: true (it is shut down, its volumes move, and it is started again)."
                " Nothing was changed."
            )
        work.restart = True
        if work.phase == "move":
            work.phase = "stop"
    elif request.allow_stop and was_stopped(session, guest, rows, unmoved=True):
        work.restart = True


def _left_stopped(session: Session, request: DiskRequest, guest: Guest, config: GuestConfig) -> DiskWork | None:
    """The work that is left when a run was interrupted just before it would have started a container again."""
    if guest.type != "lxc" or not request.allow_stop or _running(session, guest):
        return None
    rows, upid = running_move(session, guest)
    if (upid is None and config.lock is not None) or not was_stopped(session, guest, rows, unmoved=False):
        return None
    work = _work(request, guest, config, ())
    work.restart, work.phase = True, "start"
    if upid is not None:
        # The volume is where it should be, but its source is still being freed.
        work.foreign, work.phase = upid.text, "foreign"
    return work


def _running(session: Session, guest: Guest) -> bool:
    """Exact within a second, unlike the list of resources."""
    return bool(session.get(f"{guest.path}/status/current").get("status") == "running")


def _blocked(guest: Guest, request: DiskRequest, blocking: Sequence[Finding], everything: Sequence[Finding]) -> Blocked:
    first, *more = blocking
    others = f" (and {len(more)} more)" if more else ""
    return Blocked(
        f"Disks of {guest.label} cannot move to {request.storage}: {first.message} ({first.id}){others};"
        f" {first.remedy}. Nothing was changed.",
        findings=[item.as_dict() for item in everything],
    )


# ---------------------------------------------------------------- what is known beforehand


def _facts(
    session: Session, request: DiskRequest, guest: Guest, config: GuestConfig, disks: Sequence[Disk]
) -> tuple[DiskMove, ...]:
    node = f"/nodes/{guest.node}"
    known = places(session.get(f"{node}/storage", {"format": True}), session.get("/storage") or ())
    target = _target(guest, request, known)
    sources = {str(disk.storage) for disk in disks}
    stored = {storage: _listed(session, guest, config, request, storage) for storage in sorted(sources)}
    jobs: tuple[ReplicationJob, ...] = ()
    if any(known[storage].type == "zfspool" for storage in sources if storage in known):
        jobs = tuple(replication_job(row) for row in session.get(f"{node}/replication", {"guest": guest.vmid}) or ())
    running, machine = _state(session, guest, disks, target)
    held = {name: volids(snapshot) for name, snapshot in snapshot_configs(session, guest).items()}
    found = []
    for disk in disks:
        listed = stored[str(disk.storage)]
        found.append(
            DiskMove(
                guest,
                disk,
                target,
                target.becomes(disk.format, format_for(disk, request)),
                request.delete,
                running,
                known.get(str(disk.storage)),
                next((item for item in listed if item.volid == disk.volid), None),
                machine,
                tuple(sorted(name for name, volumes in held.items() if disk.volid in volumes)),
                jobs,
                tuple(item.volid for item in listed if _is_clone(item, disk)),
                config.template,
            )
        )
    return tuple(found)


def _target(guest: Guest, request: DiskRequest, known: Mapping[str, Place]) -> Place:
    """:raises NotFound: no such storage. :raises Unsupported: it cannot hold the format."""
    target = known.get(request.storage)
    if target is None:
        raise NotFound(
            f"There is no storage {request.storage} on {guest.node}, or the user may not see it"
            f" (Datastore.AllocateSpace on /storage/{request.storage}).{meant(request.storage, known)}",
            path=f"/storage/{request.storage}",
            privileges=["Datastore.AllocateSpace"],
        )
    if request.format is not None and target.active and not target.holds(request.format):
        can = " and ".join(item for item in target.formats or (target.default,) if item != "subvol")
        raise Unsupported(
            f"{request.storage} is of type {target.type} and cannot hold {request.format} (it holds {can}): Proxmox VE"
            f" would take {target.default} without saying so. Leave format out, or choose another storage. Nothing was"
            " changed."
        )
    return target


def _listed(
    session: Session, guest: Guest, config: GuestConfig, request: DiskRequest, storage: str
) -> list[StoredVolume]:
    """Volumes on a source; of a template whose source goes away also those of others, which may hang on it."""
    try:
        return content(session, guest.node, storage, None if config.template and request.delete else guest.vmid)
    except ApiError:
        # Not permitted, or the storage is not active: sizes are then those of the configuration.
        return []


def _is_clone(volume: StoredVolume, disk: Disk) -> bool:
    name = disk.volid.partition(":")[2]
    return volume.volid != disk.volid and (
        volume.volid.startswith(f"{disk.volid}/") or (volume.parent or "").partition("@")[0] == name
    )


def _state(session: Session, guest: Guest, disks: Sequence[Disk], target: Place) -> tuple[bool, str | None]:
    """Whether a VM runs and with which machine version; asked for only where it decides something."""
    touchy = {DiskKind.TPMSTATE, DiskKind.CLOUDINIT}
    if guest.type != "qemu" or not (target.troubled_by_io_uring or any(disk.kind in touchy for disk in disks)):
        return guest.running and guest.type == "qemu", None
    row = session.get(f"{guest.path}/status/current")
    machine = row.get("running-machine")
    return row.get("status") == "running", str(machine) if machine else None


def _anywhere(session: Session, guest: Guest, config: GuestConfig) -> Orphans:
    """Orphans on any storage of the node that holds disks: nothing says any more where the disks have been."""
    try:
        known = places(session.get(f"/nodes/{guest.node}/storage"), ())
        holding = [item.id for item in known.values() if item.active and item.content & {"images", "rootdir"}]
        found = find_orphans(session, guest, config, holding)
        if found.volumes and running_move(session, guest)[1] is not None:
            # One of them may be the source that is being freed just now.
            return Orphans((), found.unseen)
        return found
    except ApiError:
        return Orphans()
