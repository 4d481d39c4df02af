# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From a request to a decision: nothing to do, adopt what is under way, or move, judged beforehand.

Requests: 1 for the resources (a no-op needs no more, or 2 while the HA manager is busy with the guest), then the
guest's newest tasks, the precondition, the HA manager's status for HA guests, and the guest's replication jobs: at most
5 before the write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    Blocked,
    Conflict,
    Invalid,
    Locked,
    MobilityError,
    NodeUnreachable,
    NotImplementedByRelease,
    Unsupported,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import judge_move
from ansible_collections.pve.mobility.plugins.module_utils.execution.locate import (
    find_guest,
    find_node,
    read_resources,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.moving import Moving
from ansible_collections.pve.mobility.plugins.module_utils.execution.request import MoveRequest
from ansible_collections.pve.mobility.plugins.module_utils.execution.underway import (
    await_target,
    begun,
    ha_if_busy,
    moving_of,
    read_ha,
    under_way,
)
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Resources
from ansible_collections.pve.mobility.plugins.module_utils.model.ha import MOVING, HaStatus
from ansible_collections.pve.mobility.plugins.module_utils.model.ha_config import (
    HaRule,
    group_rules,
    ha_resource,
    ha_rule,
)
from ansible_collections.pve.mobility.plugins.module_utils.model.move import Mode, MoveFacts, natural_mode
from ansible_collections.pve.mobility.plugins.module_utils.model.precondition import Precondition, precondition
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob, replication_job
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.model.thresholds import Thresholds
from ansible_collections.pve.mobility.plugins.module_utils.model.zfs_facts import ZfsFacts


@dataclass(slots=True)
class Decision:
    """:ivar moving: what to follow; None when nothing is to be done. :ivar start: it has yet to be started.

    :ivar facts: of the move to start, None otherwise.
    :ivar known: UPIDs of the guest's newest tasks, to tell by which task a write has started.
    """

    guest: Guest
    target: str
    mode: str
    moving: Moving | None = None
    start: bool = False
    facts: MoveFacts | None = None
    findings: list[Finding] = field(default_factory=list)
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Around:
    """What somebody who moves many guests knows beyond the requests of a single move.

    :ivar state: a snapshot, for the checks that need more. :ivar seen: the resources, read a moment ago.
    :ivar arriving: by node, vmids that the same work is just bringing there.
    """

    state: ClusterState
    seen: Resources
    arriving: Mapping[str, frozenset[int]] = field(default_factory=dict)
    thresholds: Thresholds = field(default_factory=Thresholds)
    zfs: Mapping[str, ZfsFacts] = field(default_factory=dict)


def decide(
    session: Session, request: MoveRequest, clock: Clock | None = None, around: Around | None = None
) -> Decision:
    """Read and judge; sends no write.

    :param clock: to wait until a move under way says where to; without it that is a conflict at once.
    :raises MobilityError: when the move cannot or must not happen, with what is known of the guest.
    """
    seen = around.seen if around is not None else read_resources(session)
    guest = find_guest(seen, request.guest)
    for name in request.targets:
        find_node(seen, name)
    try:
        return _decide(session, request, clock, around or Around(_known(seen), seen), guest)
    except MobilityError as error:
        error.details = facts_of(guest) | error.details
        raise


def _known(seen: Resources) -> ClusterState:
    """What the requests of a single move show; a check that needs more says nothing."""
    return ClusterState(parts=("nodes", "guests"), nodes=seen.nodes, guests=seen.guests)


def facts_of(guest: Guest) -> dict[str, Any]:
    """Where a guest is that was not touched: for the result of a failure."""
    return {"guest": guest.vmid, "node": guest.node, "status": guest.status, "lock": guest.lock}


def _decide(session: Session, request: MoveRequest, clock: Clock | None, around: Around, guest: Guest) -> Decision:
    seen = around.seen
    ha = ha_if_busy(session, guest)
    guest, moving = under_way(session, guest, ha)
    if moving is not None and clock is not None:
        await_target(session, clock, moving)
    if moving is not None:
        return _adopt(guest, request, moving)
    if guest.node in request.targets:
        # Whatever the lock is, the guest is where it should be and does not move.
        return Decision(guest, guest.node, _mode_of(guest, request.mode, guest.running).value)
    home = seen.node(guest.node)
    if home is not None and home.status == "offline":
        raise NodeUnreachable(
            f"{guest.label} is on {guest.node}, which is offline, and cannot move from there: bring the node back."
            " Nothing was changed.",
            node=guest.node,
        )
    if guest.lock is not None:
        raise Locked(f"{guest.label} on {guest.node} is locked ({guest.lock}): {_unlock(guest)}. Nothing was changed.")
    # The HA manager's own status shows what it has begun, and its time tells a new task from an old one.
    known, moving = (frozenset[str](), None) if _managed(guest) else begun(session, guest)
    if moving is not None:
        if clock is not None:
            await_target(session, clock, moving)
        return _adopt(guest, request, moving)
    decision = _judge(session, request, around, guest, ha)
    decision.known = known
    return decision


def _managed(guest: Guest) -> bool:
    return guest.hastate is not None and guest.hastate != "ignored"


def _unlock(guest: Guest) -> str:
    if guest.lock == "suspended":
        return "it hibernates; resume it, or shut it down properly, before it moves"
    tool = "qm" if guest.type == "qemu" else "pct"
    return (
        "wait until what holds the lock has ended, or remove a left-over lock with"
        f" {tool} unlock {guest.vmid} on {guest.node}"
    )


def _adopt(guest: Guest, request: MoveRequest, moving: Moving) -> Decision:
    if not moving.target:
        raise Conflict(
            f"{guest.label} is being moved already, and its task does not say where to: run this again when that has"
            " ended. Nothing was changed.",
            task=moving.task,
        )
    if moving.target not in request.targets:
        raise Conflict(
            f"{guest.label} is already on its way from {moving.source} to {moving.target}, not to"
            f" {' or '.join(request.targets)}: wait until that move has ended. Nothing was changed.",
            source=moving.source,
            target=moving.target,
            task=moving.task,
        )
    return Decision(guest, moving.target, moving.mode, moving)


# ---------------------------------------------------------------- a new move


def _judge(session: Session, request: MoveRequest, around: Around, guest: Guest, ha: HaStatus | None) -> Decision:
    before = _precondition(session, guest)
    managed = _managed(guest)
    if managed and ha is None:
        ha = read_ha(session)
    if ha is not None and ha.disarm_mode == "ignore":
        managed = False
    mode = _mode_of(guest, request.mode, before.running)
    if managed:
        _refuse_dropped(guest, request, mode, before.running)
        queued = _queued(session, guest, request, ha)
        if queued is not None:
            return queued
    else:
        _refuse_impossible(session, guest, request, before)
    jobs = _jobs(session, guest, before)
    rules = _rules(session) if managed else ()
    judged: list[tuple[MoveFacts, list[Finding]]] = []
    for name in request.targets:
        facts = MoveFacts(
            guest,
            find_node(around.seen, name),
            mode,
            before,
            ha if managed else None,
            jobs,
            request.with_local_disks,
            request.storage_map,
            rules=rules,
            state=around.state,
            thresholds=around.thresholds,
            zfs=around.zfs,
            arriving=around.arriving.get(name, frozenset()) - {guest.vmid},
        )
        findings = [] if request.preflight == "skip" else list(judge_move(facts))
        judged.append((facts, findings))
        if request.preflight != "enforce" or not _blocking(findings, request.accept):
            return _decision(guest, facts, findings, managed, before)
    raise _blocked(guest, request, judged)


def _decision(guest: Guest, facts: MoveFacts, findings: list[Finding], managed: bool, before: Precondition) -> Decision:
    moving = Moving(
        guest.vmid,
        guest.type,
        guest.name,
        guest.node,
        facts.target.name,
        facts.mode.value,
        before.running,
        ha=managed,
        storage_map=dict(facts.storage_map),
    )
    return Decision(guest, facts.target.name, facts.mode.value, moving, True, facts, findings)


def _precondition(session: Session, guest: Guest) -> Precondition:
    try:
        return precondition(session.get(f"{guest.path}/migrate"))
    except NotImplementedByRelease:
        # Containers on 8.4 have no such call.
        current = session.get(f"{guest.path}/status/current")
        return Precondition(current.get("status") == "running")


def _mode_of(guest: Guest, wanted: str, running: bool) -> Mode:
    """:raises Invalid: the mode does not fit the guest."""
    if wanted == "auto":
        return natural_mode(guest, running)
    mode = Mode(wanted)
    if mode is Mode.ONLINE and guest.type == "lxc" and running:
        raise Invalid(
            f"{guest.label} is a container: containers cannot move while they run. Use mode: restart (it is shut down,"
            " moved and started), or auto."
        )
    if mode is Mode.RESTART and guest.type == "qemu":
        raise Invalid(f"{guest.label} is a VM: mode restart is for containers. Use online, or stop it and use offline.")
    if mode is Mode.OFFLINE and running:
        raise Invalid(
            f"{guest.label} runs on {guest.node}, and mode is offline: stop it first, or use mode"
            f" {'online' if guest.type == 'qemu' else 'restart'}. Nothing was changed."
        )
    # A stopped guest needs no special mode; Proxmox VE moves it offline whatever is asked.
    return mode if running else Mode.OFFLINE


def _refuse_dropped(guest: Guest, request: MoveRequest, mode: Mode, running: bool) -> None:
    dropped = request.dropped_by_ha
    if dropped:
        raise Unsupported(
            f"{guest.label} is under HA, and the HA manager ignores {', '.join(dropped)}: leave"
            f" {'it' if len(dropped) == 1 else 'them'} out, or take the guest out of HA for the move"
            f" (ha-manager set {guest.sid} --state ignored). Nothing was changed.",
            options=dropped,
        )


def _refuse_impossible(session: Session, guest: Guest, request: MoveRequest, before: Precondition) -> None:
    """Options that this kind of guest, or the release of its node, does not have."""
    if guest.type == "lxc":
        for name, given in (
            ("migration_type", request.migration_type),
            ("migration_network", request.migration_network),
            ("with_conntrack_state", request.with_conntrack_state),
        ):
            if given:
                raise Unsupported(f"{guest.label} is a container: {name} is for VMs only.")
    elif request.restart_timeout is not None:
        raise Unsupported(f"{guest.label} is a VM: restart_timeout is for containers only.")
    elif request.with_conntrack_state and not before.conntrack:
        release = session.get(f"/nodes/{guest.node}/version").get("release")
        raise Unsupported(
            f"with_conntrack_state needs Proxmox VE 9.0, and {guest.node} runs {release}: leave it out, or upgrade"
            f" {guest.node} first. Nothing was changed."
        )


def _queued(session: Session, guest: Guest, request: MoveRequest, ha: HaStatus | None) -> Decision | None:
    """A request that the HA manager has taken but not acted on yet."""
    service = ha.services.get(guest.sid) if ha is not None else None
    if service is None:
        return None
    if service.state in MOVING and service.target:
        return _adopt(guest, request, moving_of(session, guest, service.node, service.target, [], ha=True))
    if len(service.command) >= 2 and service.command[0] in MOVING:
        queued = moving_of(session, guest, service.node, service.command[1], [], ha=True)
        queued.seen_moving = False
        return _adopt(guest, request, queued)
    return None


def _rules(session: Session) -> tuple[HaRule, ...]:
    """HA rules; on 8.4, which has groups instead, the rules that they stand for."""
    try:
        return tuple(ha_rule(row) for row in session.get("/cluster/ha/rules") or ())
    except NotImplementedByRelease:
        resources = [ha_resource(row) for row in session.get("/cluster/ha/resources") or ()]
        if not any(resource.group for resource in resources):
            return ()
        return group_rules(session.get("/cluster/ha/groups") or (), resources)


def _jobs(session: Session, guest: Guest, before: Precondition) -> tuple[ReplicationJob, ...]:
    """Replication needs local volumes; a VM without any costs no request."""
    if guest.type == "qemu" and not any(not disk.cdrom for disk in before.local_disks):
        return ()
    rows: Sequence[dict[str, object]] = session.get(f"/nodes/{guest.node}/replication", {"guest": guest.vmid})
    return tuple(replication_job(row) for row in rows or ())


def _blocking(findings: list[Finding], accepted: frozenset[str]) -> list[Finding]:
    return [item for item in findings if item.severity is Severity.BLOCK and item.id not in accepted]


def _blocked(guest: Guest, request: MoveRequest, judged: list[tuple[MoveFacts, list[Finding]]]) -> Blocked:
    parts = []
    everything: list[Finding] = []
    for facts, findings in judged:
        everything += findings
        first, *more = _blocking(findings, request.accept)
        others = f" (and {len(more)} more)" if more else ""
        parts.append(f"{facts.target.name}: {first.message} ({first.id}){others}; {first.remedy}")
    where = " nor to ".join(facts.target.name for facts, _findings in judged)
    how = " while it runs" if judged[0][0].live else ""
    return Blocked(
        f"{guest.label} cannot move from {guest.node} to {where}{how}. {'. '.join(parts)}. Nothing was changed.",
        findings=[item.as_dict() for item in everything],
        node=guest.node,
    )
