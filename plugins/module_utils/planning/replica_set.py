# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which replication jobs a guest needs, and what is to be done so that it has them, and no others.

A job is told by its guest and its target: Proxmox VE allows one for each, the number is arbitrary, and a migration to
a job's target turns the job round (pve-facts §6.1, §6.5). So nothing here looks at numbers but the allocation of one.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob
from ansible_collections.pve.mobility.plugins.module_utils.model.schedule import DEFAULT, same


class Cleanup(enum.Enum):
    """What happens to copies and snapshots when a job goes away."""

    FULL = "full"
    KEEP = "keep"
    FORCE = "force"

    @property
    def params(self) -> dict[str, bool]:
        """Of ``DELETE /cluster/replication/{id}``."""
        return {} if self is Cleanup.FULL else {self.value: True}


@dataclass(frozen=True, slots=True)
class Settings:
    """How each job shall be; None leaves a job as it is. ``rate`` in MB/s, 0 for no limit."""

    schedule: str | None = None
    rate: float | None = None
    comment: str | None = None
    enabled: bool | None = True

    def params(self) -> dict[str, Any]:
        """For a new job: what differs from the defaults."""
        return {
            "schedule": self.schedule,
            "rate": number(self.rate) if self.rate else None,
            "comment": self.comment or None,
            "disable": True if self.enabled is False else None,
        }


@dataclass(frozen=True, slots=True)
class Update:
    """A job that stays, and how it changes. ``revived``: it was on its way out."""

    job: ReplicationJob
    values: Mapping[str, Any] = field(default_factory=dict)
    delete: tuple[str, ...] = ()
    revived: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done for one guest.

    :ivar create: nodes that lack a job, with the IDs that the jobs get. :ivar keep: jobs to declared nodes, as they are
        now. :ivar remove: superfluous jobs. :ivar leaving: superfluous jobs that are on their way out already.
    :ivar reachable: nodes that are up; None: all.
    """

    create: Mapping[str, str] = field(default_factory=dict)
    update: tuple[Update, ...] = ()
    keep: tuple[ReplicationJob, ...] = ()
    remove: tuple[ReplicationJob, ...] = ()
    leaving: tuple[ReplicationJob, ...] = ()
    reachable: frozenset[str] | None = None

    @property
    def changed(self) -> bool:
        return bool(self.create or self.update or self.remove)

    @property
    def wait_before_removal(self) -> bool:
        """Whether a superfluous copy must stay until another one is complete.

        It need not when a declared copy can be used, when there is no copy to lose, or when none is declared. A job
        about which its node has not told may have one.
        """
        declared = bool(self.create or self.keep)
        copies = any(job.last_sync or not job.seen for job in self.remove)
        return declared and copies and not any(usable(job, self.reachable) for job in self.keep)


def usable(job: ReplicationJob, reachable: frozenset[str] | None) -> bool:
    """Whether its copy is complete, kept up to date, and on a node that is up: one that is off helps nobody.

    :param reachable: nodes that are up; None: all.
    """
    up = reachable is None or job.target in reachable
    return bool(job.last_sync) and not job.fail_count and up


def effective(jobs: Iterable[ReplicationJob], node: str) -> tuple[ReplicationJob, ...]:
    """The jobs as they will be once the guest's node has looked at them.

    A guest that the HA manager has recovered on its replica leaves a job to itself, until the first status call there
    turns it round (pve-facts §6.5).
    """
    return tuple(
        job if job.target != node or job.source in ("", node) else job.turned(node)
        for job in sorted(jobs, key=lambda job: (job.number, job.id))
    )


def plan(
    vmid: int,
    wanted: Iterable[str],
    jobs: Iterable[ReplicationJob],
    settings: Settings,
    exact: bool,
    reachable: frozenset[str] | None = None,
) -> Plan:
    """What makes the jobs of a guest those that are wanted.

    :param wanted: nodes that shall get copies, the guest's own not among them. :param jobs: as :func:`effective`
        returns them. :param exact: jobs to other nodes are superfluous. :param reachable: nodes that are up; None: all.
    """
    present = {job.target: job for job in jobs}
    targets = tuple(dict.fromkeys(wanted))
    keep = tuple(present[name] for name in targets if name in present)
    others = tuple(job for name, job in present.items() if name not in targets) if exact else ()
    return Plan(
        _numbered(vmid, [name for name in targets if name not in present], present.values()),
        tuple(update for job in keep if (update := change(job, settings)) is not None),
        keep,
        tuple(job for job in others if job.removing is None),
        tuple(job for job in others if job.removing is not None),
        reachable,
    )


def removal(jobs: Iterable[ReplicationJob], targets: Iterable[str] | None) -> Plan:
    """What removes the jobs to some nodes, or all (None)."""
    names = None if targets is None else frozenset(targets)
    meant = tuple(job for job in jobs if names is None or job.target in names)
    return Plan(
        remove=tuple(job for job in meant if job.removing is None),
        leaving=tuple(job for job in meant if job.removing is not None),
    )


def change(job: ReplicationJob, settings: Settings) -> Update | None:
    """How a job differs from what is wanted, None when it does not."""
    values: dict[str, Any] = {}
    delete: list[str] = []
    if settings.schedule is not None and not same(job.schedule, settings.schedule):
        values["schedule"] = settings.schedule
    if settings.rate is not None and (job.rate or 0) != settings.rate:
        if settings.rate:
            values["rate"] = number(settings.rate)
        else:
            delete.append("rate")
    if settings.comment is not None and (job.comment or "") != settings.comment.rstrip("\n"):
        if settings.comment:
            values["comment"] = settings.comment
        else:
            delete.append("comment")
    if settings.enabled is not None and job.disabled is settings.enabled:
        if settings.enabled:
            delete.append("disable")
        else:
            values["disable"] = True
    if job.removing is not None:
        delete.append("remove_job")
    if not values and not delete:
        return None
    return Update(job, values, tuple(delete), job.removing is not None)


def projected(
    vmid: int, node: str, jobs: Iterable[ReplicationJob], todo: Plan, settings: Settings
) -> list[ReplicationJob]:
    """The jobs as they will be when a plan has been carried out."""
    updates = {update.job.id: update for update in todo.update}
    gone = {job.id for job in (*todo.remove, *todo.leaving)}
    after = [_updated(job, updates[job.id]) if job.id in updates else job for job in jobs if job.id not in gone]
    after += [
        ReplicationJob(
            id,
            vmid,
            node,
            target,
            schedule=settings.schedule or DEFAULT,
            rate=settings.rate or None,
            comment=settings.comment or None,
            disabled=settings.enabled is False,
            seen=False,
        )
        for target, id in todo.create.items()
    ]
    return sorted(after, key=lambda job: job.number)


def _updated(job: ReplicationJob, update: Update) -> ReplicationJob:
    values = update.values
    return replace(
        job,
        schedule=str(values.get("schedule", job.schedule)),
        rate=None if "rate" in update.delete else float(values["rate"]) if "rate" in values else job.rate,
        comment=None if "comment" in update.delete else values.get("comment", job.comment),
        disabled="disable" not in update.delete and (job.disabled or bool(values.get("disable"))),
        removing=None if update.revived else job.removing,
    )


def described(job: ReplicationJob | None, settings: Settings | None = None) -> str:
    """A job's settings in a line, for a diff; with ``settings``: as they will be."""
    schedule = job.schedule if job else DEFAULT
    rate = job.rate if job else None
    comment = job.comment if job else None
    disabled = job.disabled if job else False
    removing = job.removing if job else None
    if settings is not None:
        if settings.schedule is not None and not same(schedule, settings.schedule):
            schedule = settings.schedule
        rate = settings.rate if settings.rate is not None else rate
        comment = settings.comment if settings.comment is not None else comment
        disabled = not settings.enabled if settings.enabled is not None else disabled
        removing = None
    parts = [schedule, f"{number(rate)} MB/s" if rate else "no limit"]
    parts += ["disabled"] if disabled else []
    parts += ["being removed"] if removing else []
    parts += [comment] if comment else []
    return ", ".join(parts)


def number(value: float | None) -> float | int | None:
    """80 rather than 80.0."""
    return int(value) if value is not None and value == int(value) else value


def _numbered(vmid: int, targets: Iterable[str], jobs: Iterable[ReplicationJob]) -> dict[str, str]:
    """The lowest numbers that are free; those of jobs on their way out are taken still."""
    taken = {job.number for job in jobs}
    found: dict[str, str] = {}
    for target in targets:
        free = next(number for number in range(len(taken) + 1) if number not in taken)
        taken.add(free)
        found[target] = f"{vmid}-{free}"
    return found
