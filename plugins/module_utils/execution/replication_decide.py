# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is to be done so that a guest is replicated as declared: read and judged, nothing is written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api import tasks
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    ApiError,
    Invalid,
    NotFound,
    PermissionDenied,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.locate import (
    find_guest,
    find_node,
    read_resources,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_check import (
    check_replicatable,
    check_rights,
    check_schedule,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_read import JobsSeen, read_jobs
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_request import ReplicationRequest
from ansible_collections.pve.mobility.plugins.module_utils.execution.rights import explained
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Resources
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob
from ansible_collections.pve.mobility.plugins.module_utils.model.schedule import same
from ansible_collections.pve.mobility.plugins.module_utils.planning.replica_set import (
    Cleanup,
    Plan,
    described,
    plan,
    removal,
)

MIGRATING = "migrate"


@dataclass(slots=True)
class Decision:
    """:ivar gone: the guest does not exist any more; only its jobs do.

    :ivar targets: nodes that are declared to hold a copy beside the guest's own.
    """

    guest: Guest
    seen: JobsSeen
    plan: Plan
    resources: Resources
    gone: bool = False
    targets: tuple[str, ...] = ()
    cleanup: Cleanup = Cleanup.FULL
    sync: tuple[ReplicationJob, ...] = ()
    warnings: list[str] = field(default_factory=list)

    @property
    def busy(self) -> bool:
        """The guest is on its way to another node: what it needs is known when it has arrived."""
        return self.guest.lock == MIGRATING

    def online(self, node: str) -> bool:
        found = self.resources.node(node)
        return found is not None and found.online


def decide(session: Session, request: ReplicationRequest) -> Decision:
    """Read and judge.

    :raises MobilityError: it cannot be done, or must not.
    """
    resources = read_resources(session)
    guest = _guest(session, resources, request)
    if guest is None:
        return _without_guest(session, request, resources)
    for name in (*(request.replicas or ()), request.target) if request.present else ():
        if name is not None:
            find_node(resources, name)
    seen = read_jobs(session, guest.vmid, guest.node if _online(resources, guest.node) else None)
    decision = Decision(guest, seen, Plan(), resources, cleanup=request.cleanup)
    if not request.present:
        decision.plan = removal(seen.jobs.values(), _removed(request))
    else:
        decision.targets = _targets(session, request, guest, seen)
        if request.replicas is not None and guest.node not in request.replicas:
            decision.warnings.append(
                f"{guest.label} runs on {guest.node}, which is not one of its replicas ({', '.join(request.replicas)}):"
                " all of them get a copy; move it back, or declare the node."
            )
        decision.plan = plan(
            guest.vmid,
            decision.targets,
            seen.jobs.values(),
            request.settings,
            exact=request.replicas is not None,
            reachable=frozenset(node.name for node in resources.nodes if node.online),
        )
        if request.sync_now:
            decision.sync = decision.plan.keep
    _judge(session, request, decision)
    return decision


def diff(decision: Decision, request: ReplicationRequest) -> dict[str, dict[str, str]]:
    """Each job in a line, by target, before and after."""
    before = {job.target: described(job) for job in decision.seen.jobs.values()}
    going = {job.target for job in (*decision.plan.remove, *decision.plan.leaving)}
    after = {name: text for name, text in before.items() if name not in going}
    for job in decision.plan.keep:
        after[job.target] = described(job, request.settings)
    for name in decision.plan.create:
        after[name] = described(None, request.settings)
    if not decision.plan.changed:
        after = before
    return {"before": before, "after": after}


def _guest(session: Session, resources: Resources, request: ReplicationRequest) -> Guest | None:
    """None: removal is asked for the jobs of a guest that is not there.

    :raises PermissionDenied: it may be there, unseen, and its jobs with it.
    """
    try:
        return find_guest(resources, request.guest)
    except NotFound as error:
        if request.present or not request.guest.isdigit():
            raise
        unseen = explained(session, error)
        if isinstance(unseen, PermissionDenied):
            raise unseen from None
        return None


def _without_guest(session: Session, request: ReplicationRequest, resources: Resources) -> Decision:
    """Jobs that outlived their guest: no node processes them, so only dropping them at once works (pve-facts §6.1)."""
    vmid = int(request.guest)
    seen = read_jobs(session, vmid, None)
    guest = Guest(vmid, "qemu", "")
    meant = removal(seen.jobs.values(), _removed(request))
    todo = Plan(remove=(*meant.remove, *meant.leaving))
    warnings = [
        f"{vmid} does not exist any more, so its job {job.id} was dropped at once; a copy that may be left on"
        f" {job.target} has to be removed there by hand."
        for job in todo.remove
    ]
    if todo.changed:
        check_rights(session, [vmid], guest.label)
    return Decision(guest, seen, todo, resources, gone=True, cleanup=Cleanup.FORCE, warnings=warnings)


def _removed(request: ReplicationRequest) -> Iterable[str] | None:
    if request.target is not None:
        return [request.target]
    return request.replicas


def _online(resources: Resources, node: str) -> bool:
    found = resources.node(node)
    return found is not None and found.online


def _targets(session: Session, request: ReplicationRequest, guest: Guest, seen: JobsSeen) -> tuple[str, ...]:
    """Nodes other than the guest's own that shall hold a copy."""
    if request.replicas is not None:
        return tuple(name for name in request.replicas if name != guest.node)
    target = str(request.target)
    if target != guest.node:
        return (target,)
    back = _turned_round(session, guest, seen)
    if back is None:
        raise Invalid(
            f"{guest.label} is itself on {target}: a guest cannot be replicated to the node that it is on. Name another"
            " node, or declare the set with replicas, which stays true when the guest moves. Nothing was changed."
        )
    # It has moved to its replica, and Proxmox VE has turned the job round: both nodes hold the data as before.
    return (back.target,)


def _turned_round(session: Session, guest: Guest, seen: JobsSeen) -> ReplicationJob | None:
    """The declared job, when the guest has come to its target and it leads back to where the guest was."""
    jobs = [job for job in seen.jobs.values() if job.removing is None]
    back = next((job for job in jobs if _came_from(session, guest, job)), None)
    if back is None and guest.hastate is not None and len(jobs) == 1:
        # The HA manager may have recovered it here, which leaves no task; of several jobs nobody could tell which.
        return jobs[0]
    return back


def _came_from(session: Session, guest: Guest, job: ReplicationJob) -> bool:
    """Whether the guest has migrated here from the job's target."""
    with contextlib.suppress(ApiError):
        rows = tasks.listed(session, job.target, vmid=guest.vmid)
        return any(row.get("type") == guest.task_type and row.get("status") == "OK" for row in rows)
    return False


def _judge(session: Session, request: ReplicationRequest, decision: Decision) -> None:
    """Everything that could be wrong with what is to be written."""
    todo, guest = decision.plan, decision.guest
    if request.present and request.settings.schedule is not None:
        wanted = request.settings.schedule
        if not any(same(job.schedule, wanted) for job in decision.seen.jobs.values()):
            check_schedule(session, wanted)
    if todo.changed or decision.sync:
        check_rights(session, [guest.vmid], guest.label)
    if todo.create:
        nodes = [find_node(decision.resources, name) for name in todo.create]
        decision.warnings += check_replicatable(session, guest, nodes)


def facts(decision: Decision) -> dict[str, Any]:
    """Where the guest is, for the result of a failure."""
    return {"guest": decision.guest.vmid, "node": decision.guest.node}
