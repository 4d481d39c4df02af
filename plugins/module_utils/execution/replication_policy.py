# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A policy for replication, compared with all jobs of the cluster and carried out, many requests at a time.

Requests when all is as it should be: 2, 2 more for HA (3 before 9.0), and 1 for each guest that cannot be replicated,
with the storages of the nodes in question, because what is in the way may have gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import MobilityError
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution import replication_writes as writes
from ansible_collections.pve.mobility.plugins.module_utils.execution.locate import find_node, read_resources
from ansible_collections.pve.mobility.plugins.module_utils.execution.policy_check import Refused, find_refused
from ansible_collections.pve.mobility.plugins.module_utils.execution.policy_ha import HaSide
from ansible_collections.pve.mobility.plugins.module_utils.execution.policy_request import PolicyRequest
from ansible_collections.pve.mobility.plugins.module_utils.execution.reader import Reader
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_check import (
    check_rights,
    check_schedule,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.rights import Rights, read_rights, require
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Resources
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob, replication_job
from ansible_collections.pve.mobility.plugins.module_utils.planning.replica_set import Cleanup, described
from ansible_collections.pve.mobility.plugins.module_utils.planning.replication_policy import (
    GuestPlan,
    Rule,
    plan_policy,
)

MIGRATING = "migrate"
ROUNDS = 3
"""How often somebody else may change the same jobs meanwhile."""

HA_USES: dict[str, tuple[str, ...]] = {
    "ignore": (),
    "propose": ("replication_policy.ha",),
    "create": ("replication_policy.ha", "replication_policy.ha_create"),
}
"""What each value of ``ha`` takes, in the table of privileges."""


class PartlyFailed(MobilityError):
    """Some jobs could not be written; ``kind`` is that of the first, the details are the whole result."""

    def __init__(self, message: str, kind: str, **details: Any) -> None:
        super().__init__(message, **details)
        self.kind = kind


@dataclass(slots=True)
class Done:
    """What was carried out. IDs; ``failed`` rows of guest, job, message and kind."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    raced: bool = False

    @property
    def changed(self) -> bool:
        return bool(self.created or self.updated or self.removed)


@dataclass(slots=True)
class Seen:
    """The cluster as the policy sees it."""

    resources: Resources
    chosen: list[tuple[Guest, Rule]]
    jobs: list[ReplicationJob]
    refused: Refused = field(default_factory=Refused)
    plans: list[GuestPlan] = field(default_factory=list)

    @property
    def busy(self) -> list[GuestPlan]:
        """Guests on their way: what they need is known when they have arrived."""
        return [item for item in self.plans if item.guest.lock == MIGRATING and item.plan.changed]


def run(session: Session, clock: Clock, request: PolicyRequest, check: bool = False) -> dict[str, Any]:
    """The module's result.

    :raises PartlyFailed: some jobs could not be written. :raises MobilityError: nothing was.
    """
    with Reader(session) as reader:
        done = Done()
        rights = read_rights(session)
        require(rights, HA_USES[request.ha], "to keep HA to the copies (ha: ignore leaves it alone)")
        seen = first = _look(reader, session, request)
        unseen = _unseen(rights, request, seen)
        _may(session, seen)
        ha = HaSide.read(session, seen.plans) if request.ha != "ignore" else HaSide()
        for _round in range(0 if check else ROUNDS):
            done.raced = False
            _carry_out(reader, clock, seen, done)
            if not done.raced:
                break
            seen = _look(reader, session, request)
            ha = HaSide.read(session, seen.plans) if request.ha != "ignore" else HaSide()
        if request.ha == "create" and not check:
            ha.create(session)
        result = _result(first, seen, done, ha, request, check)
        result["requests"] = reader.sent
        result["warnings"] = [*unseen, *result["warnings"]]
    if done.failed:
        row = done.failed[0]
        raise PartlyFailed(
            f"{len(done.failed)} of the replication jobs could not be written; the first: {row['msg']}",
            row["kind"],
            **{key: value for key, value in result.items() if key not in ("diff", "warnings")},
        )
    return result


# ---------------------------------------------------------------- reading


def _look(reader: Reader, session: Session, request: PolicyRequest) -> Seen:
    resources = read_resources(session)
    for name in request.nodes:
        find_node(resources, name)
    chosen = [(guest, rule) for guest in resources.guests if (rule := _rule_of(request, guest)) is not None]
    jobs = [replication_job(row) for row in session.get("/cluster/replication") or ()]
    seen = Seen(resources, chosen, [replace(job, seen=False) for job in jobs])
    up = frozenset(node.name for node in resources.nodes if node.online)
    seen.plans = plan_policy(chosen, seen.jobs, {}, up)
    _ask_about_copies(reader, seen)
    seen.refused = find_refused(reader, resources, [item for item in seen.plans if item.plan.create])
    if seen.refused.guests or any(job.seen for job in seen.jobs):
        seen.plans = plan_policy(chosen, seen.jobs, seen.refused.guests, up)
    return seen


def _unseen(rights: Rights, request: PolicyRequest, seen: Seen) -> list[str]:
    """What to warn of.

    :raises PermissionDenied: a guest that is named by its number may be there, unseen.
    """
    known = {guest.vmid for guest in seen.resources.guests}
    named = sorted({vmid for selector, _rule in request.rules for vmid in selector.vmids} - known)
    hidden_ones = [vmid for vmid in named if not rights.may(f"/vms/{vmid}", "VM.Audit")]
    if hidden_ones:
        require(rights, ["replication_policy"], "to see the guests that are named", vmid=hidden_ones)
    if rights.may("/vms", "VM.Audit"):
        return []
    return ["Guests that the user may not see are left out: VM.Audit on /vms is missing."]


def _rule_of(request: PolicyRequest, guest: Guest) -> Rule | None:
    return next((rule for selector, rule in request.rules if selector.matches(guest)), None)


def _ask_about_copies(reader: Reader, seen: Seen) -> None:
    """Where jobs are to go away it matters whether another copy is complete: one request a node."""
    names = sorted({item.guest.node for item in seen.plans if item.plan.remove and item.targets})
    told: dict[str, ReplicationJob] = {}

    def ask(node: str) -> Callable[[], None]:
        def work() -> None:
            rows = reader.get("replication", f"/nodes/{node}/replication", node=node)
            told.update({job.id: job for job in map(replication_job, rows or ())})

        return work

    online = {node.name for node in seen.resources.nodes if node.online}
    reader.each([ask(name) for name in names if name in online])
    seen.jobs = [told.get(job.id) or job for job in seen.jobs]


def _may(session: Session, seen: Seen) -> None:
    """:raises PermissionDenied: the user may not write the jobs. :raises Invalid: a schedule makes no sense.

    :raises NoQuorum: nobody could.
    """
    changing = [item for item in seen.plans if item.plan.changed]
    if not changing:
        return
    vmids = [item.guest.vmid for item in changing]
    label = changing[0].guest.label if len(changing) == 1 else f"{len(changing)} guests"
    check_rights(session, vmids, label)
    for schedule in sorted({item.rule.settings.schedule for item in changing if item.rule.settings.schedule}):
        check_schedule(session, schedule)
    up = {node.name for node in seen.resources.nodes if node.online}
    guest = next((item.guest for item in changing if item.guest.node in up), None)
    if guest is not None:
        # A node cannot look at its jobs without quorum, and would say so only when the first one is written.
        session.get(f"/nodes/{guest.node}/replication", {"guest": guest.vmid})


# ---------------------------------------------------------------- writing


def _carry_out(reader: Reader, clock: Clock, seen: Seen, done: Done) -> None:
    """Guests at the same time, the jobs of each one after the other: new ones first."""
    busy = {item.guest.vmid for item in seen.busy}

    def guest(item: GuestPlan) -> Callable[[], None]:
        def work() -> None:
            session = reader.session()
            for target, id in item.plan.create.items():
                settings = item.settings(target)
                _try(done, item, id, done.created, partial(writes.create, session, clock, id, target, settings))
            for update in item.plan.update:
                _try(done, item, update.job.id, done.updated, partial(writes.update, session, clock, update))
            for job in item.plan.remove if not item.plan.wait_before_removal else ():
                write = partial(writes.remove, session, clock, job.id, Cleanup.FULL)
                _try(done, item, job.id, done.removed, write)

        return work

    reader.each([guest(item) for item in seen.plans if item.plan.changed and item.guest.vmid not in busy])


def _try(done: Done, item: GuestPlan, id: str, to: list[str], write: Callable[[], None]) -> None:
    try:
        write()
    except writes.Raced:
        done.raced = True
    except MobilityError as error:
        done.failed.append({"guest": item.guest.vmid, "job": id, "msg": error.message, "kind": error.kind})
    else:
        to.append(id)


# ---------------------------------------------------------------- telling


def _result(first: Seen, seen: Seen, done: Done, ha: HaSide, request: PolicyRequest, check: bool) -> dict[str, Any]:
    if check:
        done = _foreseen(seen)
    homeless = [item for item in seen.plans if item.homeless]
    waiting = [
        {"guest": item.guest.vmid, "label": item.guest.label, "job": job.id, "target": job.target}
        for item in seen.plans
        if item.plan.wait_before_removal
        for job in item.plan.remove
    ]
    result: dict[str, Any] = {
        "changed": done.changed or ha.changed or (check and request.ha == "create" and bool(ha.judgement.proposals)),
        "guests": [_guest_row(item) for item in seen.plans if not item.homeless],
        "created": sorted(done.created, key=_numbers),
        "updated": sorted(done.updated, key=_numbers),
        "removed": sorted(done.removed, key=_numbers),
        "waiting": waiting,
        "cannot": seen.refused.rows + [_homeless_row(item) for item in homeless],
        "failed_jobs": done.failed,
        "ha": ha.as_dict(),
        "warnings": [
            *_outside(seen.plans),
            *(_busy(item) for item in seen.busy),
            *_later(first),
            *_unmatched(request, seen),
        ],
        "diff": _diff(first),
    }
    return result


def _foreseen(seen: Seen) -> Done:
    busy = {item.guest.vmid for item in seen.busy}
    items = [item for item in seen.plans if item.guest.vmid not in busy]
    return Done(
        [id for item in items for id in item.plan.create.values()],
        [update.job.id for item in items for update in item.plan.update],
        [job.id for item in items if not item.plan.wait_before_removal for job in item.plan.remove],
    )


def _guest_row(item: GuestPlan) -> dict[str, Any]:
    present = {job.target: job.schedule for job in item.plan.keep}
    return {
        "vmid": item.guest.vmid,
        "name": item.guest.name,
        "node": item.guest.node,
        "rule": item.rule.name,
        "replicas": list(item.nodes),
        "schedules": {name: item.schedules.get(name) or present.get(name) for name in item.copies},
    }


def _homeless_row(item: GuestPlan) -> dict[str, Any]:
    return {
        "guest": item.guest.vmid,
        "label": item.guest.label,
        "node": item.guest.node,
        "target": None,
        "why": f"it is on {item.guest.node}, which is in none of the sets of {item.rule.name}",
        "remedy": "move it to a node of a set, or add a set with its node; its jobs were left as they are",
    }


def _outside(plans: Iterable[GuestPlan]) -> list[str]:
    return [
        f"{item.guest.label} runs on {item.guest.node}, which is not one of its replicas ({', '.join(item.replicas)}):"
        " all of them get a copy."
        for item in plans
        if not item.homeless and item.outside
    ]


def _later(seen: Seen) -> Iterable[str]:
    """Nodes that are off and get copies all the same."""
    guests: dict[str, int] = {}
    for item in seen.plans:
        for target in item.plan.create:
            guests[target] = guests.get(target, 0) + 1
    for node in seen.resources.nodes:
        if not node.online and node.name in guests:
            yield f"{node.name} is {node.status}: first copies of {guests[node.name]} guests are made when it is back."


def _unmatched(request: PolicyRequest, seen: Seen) -> Iterable[str]:
    """A rule that is about nobody may have a tag or a name that is misspelt."""
    used = {id(rule) for _guest, rule in seen.chosen}
    for _selector, rule in request.rules:
        if id(rule) not in used:
            yield f"{rule.name} of the policy is about no guest: none matches, or an earlier rule matches them all."


def _busy(item: GuestPlan) -> str:
    return f"{item.guest.label} is migrating: its jobs were left alone; run this again when it has arrived."


def _diff(seen: Seen) -> dict[str, dict[str, str]]:
    """Jobs that change, a line each."""
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for item in seen.plans:
        for update in item.plan.update:
            key = f"{item.guest.label} to {update.job.target}"
            before[key] = described(update.job)
            after[key] = described(update.job, item.settings(update.job.target))
        for target in item.plan.create:
            after[f"{item.guest.label} to {target}"] = described(None, item.settings(target))
        for job in item.plan.remove:
            before[f"{item.guest.label} to {job.target}"] = described(job)
    return {"before": before, "after": after}


def _numbers(id: str) -> tuple[int, int]:
    guest, _dash, number = id.partition("-")
    return int(guest), int(number)
