# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``replication_info``: every job with its age, its lag, and what would be lost.

Requests: 2, 1 for each node that has replicated guests, 1 for the time, and 1 or 2 for each rhythm among the schedules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.locate import read_resources
from ansible_collections.pve.mobility.plugins.module_utils.execution.reader import Reader
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_log import LINE
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_read import cluster_time
from ansible_collections.pve.mobility.plugins.module_utils.execution.rights import hidden, read_rights
from ansible_collections.pve.mobility.plugins.module_utils.execution.schedule_pause import local_offset, longest_pauses
from ansible_collections.pve.mobility.plugins.module_utils.execution.selector import Selector
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Resources
from ansible_collections.pve.mobility.plugins.module_utils.model.propstring import size
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob, replication_job
from ansible_collections.pve.mobility.plugins.module_utils.planning.freshness import (
    Freshness,
    Limits,
    Run,
    State,
    freshness,
)


@dataclass(frozen=True, slots=True)
class InfoRequest:
    """:ivar previous: result of an earlier look. :ivar bytes: read the log of each job too."""

    guests: Selector = field(default_factory=Selector)
    limits: Limits = field(default_factory=Limits)
    previous: Mapping[str, Any] = field(default_factory=dict)
    bytes: bool = False


@dataclass(slots=True)
class Look:
    """What was seen. ``now``: Unix time in the cluster."""

    resources: Resources
    guests: dict[int, Guest]
    jobs: list[ReplicationJob]
    now: int | None = None
    intervals: dict[str, int | None] = field(default_factory=dict)
    deltas: dict[str, int] = field(default_factory=dict)


def from_options(options: Mapping[str, Any]) -> InfoRequest:
    """:raises Invalid: limits that contradict each other."""
    warn, crit = options.get("warn_after"), options.get("crit_after")
    for name, value in (("warn_after", warn), ("crit_after", crit)):
        if value is not None and value <= 0:
            raise Invalid(f"{name} is {value}: give seconds, more than 0.")
    if warn is not None and crit is not None and crit < warn:
        raise Invalid(f"crit_after ({crit} s) is less than warn_after ({warn} s): what is critical is older.")
    return InfoRequest(
        Selector.from_options(options.get("guests")),
        Limits(warn, crit),
        options.get("previous") or {},
        bool(options.get("bytes")),
    )


def run(session: Session, request: InfoRequest) -> dict[str, Any]:
    """The module's result."""
    with Reader(session) as reader:
        look = read(reader, session, request.guests, request.bytes)
        unread = sorted({f"{item.node}: {item.why}" for item in reader.unknown if item.node})
        unread += hidden(read_rights(session), "replication_info")
    found = freshness(look.jobs, look.now, look.intervals, request.limits, _remembered(request.previous))
    found = [item for item in found if item.job.guest in look.guests]
    rows = [_row(item, look) for item in found]
    return {
        "changed": False,
        "collected_at": look.now,
        "jobs": rows,
        "summary": {state.value: sum(item.state is state for item in found) for state in State},
        "worst": max((item.state for item in found), key=lambda state: state.rank, default=State.OK).value,
        "orphans": _orphans(look),
        "removing": [job.id for job in look.jobs if job.removing is not None and job.guest in look.guests],
        "nodes": _nodes(found),
        "unread": unread,
    }


def read(reader: Reader, session: Session, guests: Selector, with_bytes: bool = False) -> Look:
    """All jobs of the cluster (those of other guests delay the chosen ones), with time and intervals."""
    resources = read_resources(session)
    chosen = {guest.vmid: guest for guest in guests.chosen(resources.guests)}
    jobs = [replication_job(row) for row in session.get("/cluster/replication") or ()]
    where = {guest.vmid: guest.node for guest in resources.guests}
    names = sorted({where[job.guest] for job in jobs if job.guest in where})
    for node in resources.nodes:
        if not node.online:
            reader.give_up(node.name, f"{node.name} is {node.status}.")
    told: dict[str, ReplicationJob] = {}

    def ask(node: str) -> Callable[[], None]:
        def work() -> None:
            if reader.dead(node):
                reader.missing("replication", reader.why_dead(node), node=node)
                return
            rows = reader.get("replication", f"/nodes/{node}/replication", node=node)
            told.update({job.id: job for job in map(replication_job, rows or ())})
            if rows is None and reader.dead(node):
                reader.missing("replication", reader.why_dead(node), node=node)

        return work

    reader.each([ask(name) for name in names])
    # A node turns round the jobs of recovered guests when it is asked, so its word is the newer one.
    look = Look(resources, chosen, [told.get(job.id) or replace(job, seen=False) for job in jobs])
    alive = next((name for name in names if not reader.dead(name)), None)
    look.now, offset = local_offset(session, alive) if alive is not None else (None, 0)
    if look.now is None:
        look.now = cluster_time(session, None)
    of_chosen = [job for job in look.jobs if job.guest in chosen]
    look.intervals = longest_pauses(session, {job.schedule for job in of_chosen}, look.now, offset)
    if with_bytes:
        reader.each([_delta(reader, look, job) for job in of_chosen if job.seen and job.last_sync])
    return look


def _delta(reader: Reader, look: Look, job: ReplicationJob) -> Callable[[], None]:
    """Bytes that the last run estimated to send."""

    def work() -> None:
        rows = reader.get(
            "replication", f"/nodes/{job.source}/replication/{job.id}/log", {"limit": 500}, node=job.source
        )
        total = 0
        for row in rows or ():
            match = LINE.match(str(row.get("t", "")))
            head, mark, text = (match[1] if match else "").partition("total estimated size is ")
            if mark and not head:
                total += size(text.strip()) or 0
        look.deltas[job.id] = total

    return work


# ---------------------------------------------------------------- telling


def _row(item: Freshness, look: Look) -> dict[str, Any]:
    job, guest = item.job, look.guests[item.job.guest]
    return {
        "id": job.id,
        "guest": job.guest,
        "name": guest.name,
        "label": guest.label,
        "source": job.source,
        "target": job.target,
        "schedule": job.schedule,
        "rate": job.rate,
        "enabled": not job.disabled,
        "running": job.running,
        "state": item.state.value,
        "last_sync": job.last_sync,
        "age_s": item.age,
        "interval_s": item.interval,
        "lag_s": item.lag,
        "duration_s": job.duration or None,
        "trend": item.trend.value if item.trend is not None else None,
        "queue_s": item.queue,
        "backoff_s": item.backoff,
        "at_risk_s": item.age,
        "at_risk_worst_s": item.worst,
        **_bytes(item, look),
        "fail_count": job.fail_count,
        "error": " ".join(job.error.split()) if job.error else None,
        "next_sync": job.next_sync,
        "runs": [{"at": run.at, "duration_s": run.duration} for run in item.runs],
    }


def _bytes(item: Freshness, look: Look) -> dict[str, int | None]:
    """What the last run had to send, taken for what every interval writes."""
    delta = look.deltas.get(item.job.id)
    if delta is None:
        return {}
    if not item.interval or item.age is None:
        return {"delta_bytes": delta, "at_risk_bytes": None, "at_risk_worst_bytes": None}
    rate = delta / item.interval
    worst = None if item.worst is None else round(rate * item.worst)
    return {"delta_bytes": delta, "at_risk_bytes": round(rate * item.age), "at_risk_worst_bytes": worst}


def _orphans(look: Look) -> list[str]:
    """Jobs that outlived their guest: no node looks at them, so they are neither run nor removed (pve-facts §6.1)."""
    known = {guest.vmid for guest in look.resources.guests}
    return [job.id for job in look.jobs if job.guest not in known]


def _nodes(found: Iterable[Freshness]) -> list[dict[str, Any]]:
    """How busy each node is with its jobs: all of them at once take so long."""
    by_node: dict[str, list[Freshness]] = {}
    for item in found:
        by_node.setdefault(item.job.source, []).append(item)
    return [
        {
            "node": node,
            "jobs": len(items),
            "busy_s": round(sum(item.job.duration for item in items if not item.job.disabled), 1),
            "worst": max((item.state for item in items), key=lambda state: state.rank).value,
        }
        for node, items in sorted(by_node.items())
    ]


def _remembered(previous: Mapping[str, Any]) -> dict[tuple[int, str], list[Run]]:
    """:raises Invalid: it is no result of this module."""
    found: dict[tuple[int, str], list[Run]] = {}
    try:
        for row in previous.get("jobs", ()):
            runs = [Run(int(run["at"]), float(run["duration_s"])) for run in row.get("runs", ())]
            found[int(row["guest"]), str(row["target"])] = runs
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Invalid("previous: give the result of an earlier run of pve.mobility.replication_info.") from None
    return found
