# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When each move begins and ends: limits are kept, links are shared.

Moves that are copying share the link of their source and that of their target; a move starts as soon as the limits,
what it waits for and the room on its target let it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.model.thresholds import Thresholds
from ansible_collections.pve.mobility.plugins.module_utils.planning.estimate import Rates
from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import Limits
from ansible_collections.pve.mobility.plugins.module_utils.planning.room import Need

_MOMENT = 1e-6


@dataclass(frozen=True, slots=True)
class Wire:
    """``link``: bytes a second that a node sends, and that it receives. ``stream``: of one move.

    :ivar workers: moves that the local resource manager of a node carries out at once (pve-facts §7.5).
    """

    link: float
    stream: float
    workers: int = 4

    @classmethod
    def of(cls, state: ClusterState, thresholds: Thresholds) -> Wire:
        """A link is as fast as is given, or as the fastest move that was seen."""
        rates = Rates.of(state, thresholds)
        link = max(thresholds.link_mbit * 125_000, rates.rate)
        return cls(link, min(link, rates.rate), max(1, state.options.max_workers if state.options is not None else 4))


@dataclass(frozen=True, slots=True)
class Job:
    """One move. ``lead`` and ``tail``: seconds before and after its bytes are sent.

    :ivar after: ids that must have ended. :ivar beside: id of a move that takes this one along: it begins no sooner.
    """

    id: int
    source: str
    target: str
    bytes: int
    lead: float
    tail: float
    ha: bool = False
    after: tuple[int, ...] = ()
    beside: int | None = None
    need: Need = field(default_factory=Need)


@dataclass(frozen=True, slots=True)
class Slot:
    """When a move begins and ends, in seconds."""

    start: float
    end: float


class Gate(Protocol):
    """What else a move may have to wait for."""

    def may(self, job: Job) -> bool: ...

    def began(self, job: Job) -> None: ...

    def ended(self, job: Job) -> None: ...


class _Open:
    """A gate that holds nobody up."""

    def may(self, job: Job) -> bool:
        return True

    def began(self, job: Job) -> None:
        return None

    def ended(self, job: Job) -> None:
        return None


@dataclass(slots=True)
class _Running:
    job: Job
    start: float
    until: float
    """End of the present phase; while bytes are sent it is not known before the rates are."""
    left: float
    phase: int = 0
    rate: float = 0.0


def schedule(
    jobs: Sequence[Job], wire: Wire, limits: Limits, start: float = 0.0, gate: Gate | None = None
) -> dict[int, Slot]:
    """Moves that begin sooner come first in ``jobs`` where nothing else decides. Those that never can are left out."""
    return _Schedule(wire, limits, gate or _Open(), start).run(jobs)


class _Schedule:
    def __init__(self, wire: Wire, limits: Limits, gate: Gate, start: float) -> None:
        self.wire, self.limits, self.gate, self.now = wire, limits, gate, start
        self.running: list[_Running] = []
        self.slots: dict[int, Slot] = {}
        self.begun: set[int] = set()
        self.out: dict[str, int] = {}
        self.into: dict[str, int] = {}
        self.managed: dict[str, int] = {}
        self.queues: dict[tuple[str, str], deque[tuple[int, Job]]] = {}
        self.waiting = 0

    def run(self, jobs: Sequence[Job]) -> dict[int, Slot]:
        for rank, job in enumerate(jobs):
            self.queues.setdefault((job.source, job.target), deque()).append((rank, job))
        self.waiting = len(jobs)
        self._begin(self.queues)
        while self.running:
            touched = self._advance()
            if self.waiting:
                self._begin([key for key in self.queues if key[0] in touched or key[1] in touched])
                if not self.running:
                    self._begin(self.queues)
            if not self.running and self.waiting:
                self._unblock()
        return self.slots

    def _begin(self, keys: Iterable[tuple[str, str]]) -> None:
        """Start what can start, in the order of the jobs."""
        keys = list(keys)
        while True:
            heads = sorted((self.queues[key][0][0], key) for key in keys if self.queues[key])
            started = False
            for _rank, key in heads:
                job = self.queues[key][0][1]
                if self._may(job):
                    self.queues[key].popleft()
                    self._start(job)
                    started = True
            if not started:
                return

    def _unblock(self) -> None:
        """Nothing runs and no head of a queue may: look behind the heads, and give up on what cannot."""
        for queue in self.queues.values():
            for item in queue:
                if self._may(item[1]):
                    queue.remove(item)
                    self._start(item[1])
                    return
        self.waiting = 0

    def _may(self, job: Job) -> bool:
        limits = self.limits
        if limits.cluster and len(self.running) >= limits.cluster:
            return False
        if limits.source and self.out.get(job.source, 0) >= limits.source:
            return False
        if limits.target and self.into.get(job.target, 0) >= limits.target:
            return False
        if job.ha and self.managed.get(job.source, 0) >= self.wire.workers:
            return False
        if job.beside is not None and job.beside not in self.begun:
            return False
        return all(item in self.slots for item in job.after) and self.gate.may(job)

    def _start(self, job: Job) -> None:
        self.running.append(_Running(job, self.now, self.now + job.lead, float(job.bytes)))
        self.begun.add(job.id)
        self.out[job.source] = self.out.get(job.source, 0) + 1
        self.into[job.target] = self.into.get(job.target, 0) + 1
        if job.ha:
            self.managed[job.source] = self.managed.get(job.source, 0) + 1
        self.waiting -= 1
        self.gate.began(job)

    def _advance(self) -> set[str]:
        """To the next moment at which something changes; nodes at which a move has ended."""
        self._share()
        moment = min(item.until for item in self.running)
        passed = moment - self.now
        self.now = moment
        touched: set[str] = set()
        for item in list(self.running):
            if item.phase == 1:
                item.left -= item.rate * passed
            if item.until - moment > _MOMENT:
                continue
            item.phase += 1
            if item.phase == 1:
                item.until = moment
                continue
            if item.phase == 2:
                item.until = moment + item.job.tail
                continue
            self._end(item)
            touched |= {item.job.source, item.job.target}
        return touched

    def _share(self) -> None:
        out: dict[str, int] = {}
        into: dict[str, int] = {}
        copying = [item for item in self.running if item.phase == 1]
        for item in copying:
            out[item.job.source] = out.get(item.job.source, 0) + 1
            into[item.job.target] = into.get(item.job.target, 0) + 1
        for item in copying:
            link = self.wire.link
            item.rate = min(self.wire.stream, link / out[item.job.source], link / into[item.job.target])
            item.until = self.now + max(0.0, item.left) / item.rate

    def _end(self, item: _Running) -> None:
        job = item.job
        self.running.remove(item)
        self.slots[job.id] = Slot(item.start, self.now)
        self.out[job.source] -= 1
        self.into[job.target] -= 1
        if job.ha:
            self.managed[job.source] -= 1
        self.gate.ended(job)
