# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How fresh copies are: age, lag, what would be lost now, what could be lost at worst (pve-facts §6.2, §6.3).

The time of a copy is when its run began. A node runs its jobs one after the other, starts nothing new while a round is
running, tries a failed job again after 5, 10, 15 and then every 30 minutes, and not at all while its target is off.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob

MINUTE = 60
REMEMBERED = 20
"""Runs whose duration is kept from one look to the next."""
MISSED_RUNS = 2
"""Runs that may be missed, beyond the worst case, until it is critical."""


class State(enum.Enum):
    """How a job is; the worst comes last."""

    OK = "ok"
    WARN = "warn"
    UNKNOWN = "unknown"
    NEVER = "never"
    FAILING = "failing"
    CRIT = "crit"

    @property
    def rank(self) -> int:
        return list(State).index(self)


class Trend(enum.Enum):
    """How the duration of runs develops."""

    GROWING = "growing"
    STEADY = "steady"
    SHRINKING = "shrinking"


@dataclass(frozen=True, slots=True)
class Run:
    """``at``: Unix time of its snapshot. ``duration`` in seconds."""

    at: int
    duration: float


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds of age; None: by the schedule of each job."""

    warn: int | None = None
    crit: int | None = None


@dataclass(frozen=True, slots=True)
class Freshness:
    """A job and how fresh its copy is, in seconds; None where that is not known.

    :ivar interval: the longest pause that the schedule makes. :ivar lag: by how much the copy is older than that.
    :ivar queue: how long the job may wait for others of its node. :ivar backoff: until a failed one is tried again.
    :ivar worst: the age that the copy has at worst before the next one is there.
    """

    job: ReplicationJob
    state: State
    age: int | None
    interval: int | None
    lag: int | None
    queue: float
    backoff: int
    worst: float | None
    runs: tuple[Run, ...] = ()
    trend: Trend | None = None


def backoff(fails: int) -> int:
    """Seconds from a failed try to the next."""
    if fails <= 0:
        return 0
    return 5 * MINUTE * fails if fails <= 3 else 30 * MINUTE


def freshness(
    jobs: Iterable[ReplicationJob],
    now: int | None,
    intervals: Mapping[str, int | None],
    limits: Limits,
    remembered: Mapping[tuple[int, str], Sequence[Run]],
) -> list[Freshness]:
    """Judge jobs.

    :param intervals: longest pause by schedule. :param remembered: runs of earlier looks by guest and target.
    """
    known = [job for job in jobs if job.removing is None]
    busy: dict[str, float] = {}
    for job in known:
        if not job.disabled:
            busy[job.source] = busy.get(job.source, 0.0) + job.duration
    return [
        _judged(
            job,
            now,
            intervals.get(job.schedule),
            busy.get(job.source, 0.0) - (0.0 if job.disabled else job.duration),
            limits,
            remembered.get((job.guest, job.target), ()),
        )
        for job in known
    ]


def _judged(
    job: ReplicationJob, now: int | None, interval: int | None, queue: float, limits: Limits, before: Sequence[Run]
) -> Freshness:
    age = max(0, now - job.last_sync) if now is not None and job.last_sync and job.seen else None
    wait = backoff(job.fail_count)
    worst = None if interval is None or job.disabled or job.waits_for_target else interval + job.duration + queue + wait
    runs = _runs(job, before)
    return Freshness(
        job,
        _state(job, age, interval, queue, limits),
        age,
        interval,
        None if age is None or interval is None else max(0, age - interval),
        max(0.0, round(queue, 1)),
        wait,
        None if worst is None else round(max(worst, age or 0), 1),
        runs,
        trend(runs),
    )


def _state(job: ReplicationJob, age: int | None, interval: int | None, queue: float, limits: Limits) -> State:
    if not job.seen:
        return State.UNKNOWN
    if not job.last_sync:
        return State.FAILING if job.fail_count else State.NEVER
    if age is None:
        return State.FAILING if job.fail_count else State.UNKNOWN
    usual = None if interval is None else interval + job.duration + queue + MINUTE
    warn = limits.warn if limits.warn is not None else usual
    crit = limits.crit
    if crit is None and usual is not None and interval is not None:
        crit = round(max(usual, limits.warn or 0) + MISSED_RUNS * interval)
    if crit is not None and age > crit:
        return State.CRIT
    if job.fail_count:
        return State.FAILING
    return State.WARN if warn is not None and age > warn else State.OK


def _runs(job: ReplicationJob, before: Sequence[Run]) -> tuple[Run, ...]:
    """The duration that a node tells is that of the last try; it counts when that was a success."""
    runs = {run.at: run for run in before}
    if job.last_sync and not job.running and not job.fail_count and job.duration:
        runs[job.last_sync] = Run(job.last_sync, job.duration)
    return tuple(runs[at] for at in sorted(runs))[-REMEMBERED:]


def trend(runs: Sequence[Run]) -> Trend | None:
    """The last third of the runs against the first; None with fewer than six."""
    third = len(runs) // 3
    if third < 2:
        return None
    first = sum(run.duration for run in runs[:third]) / third
    last = sum(run.duration for run in runs[-third:]) / third
    if last > 1.25 * first and last - first > 1:
        return Trend.GROWING
    if first > 1.25 * last and first - last > 1:
        return Trend.SHRINKING
    return Trend.STEADY
