# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a plan looks like: steps, moves, who stays and why, and the figures that prove it. The same in JSON.

Times are seconds since the plan began, to the millisecond; memory and disks are bytes. A plan is data: carrying it out
means to judge each move again when its turn comes.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.codec import Malformed, built, plain
from ansible_collections.pve.mobility.plugins.module_utils.model.move import Mode

VERSION = 1
"""Of the shape. It grows when a reader of the old shape would misunderstand the new one."""


class PlanError(ValueError):
    """A text is no plan, or not one of this version: one sentence."""


class How(enum.Enum):
    """What sets a move off.

    ``request``: it is asked for, as for any guest. ``along``: nobody asks; the HA manager takes the guest along with
    ``Move.along`` (positive resource affinity). ``maintenance``: asking would not last, because an HA rule prefers the
    source; the HA manager moves the guest when its node enters maintenance mode, and chooses the target by its rules.
    ``failback``: the HA manager brings the guest back by itself when the node is out of maintenance mode.
    """

    REQUEST = "request"
    ALONG = "along"
    MAINTENANCE = "maintenance"
    FAILBACK = "failback"


class Work(enum.Enum):
    """What a step is for. ``drain``: a node is emptied. ``upgrade``: emptied, upgraded, restarted. ``install``:
    upgraded in place, because nothing has to be restarted. ``home``: guests go back to where they were."""

    DRAIN = "drain"
    UPGRADE = "upgrade"
    INSTALL = "install"
    HOME = "home"


class Fate(enum.Enum):
    """What happens to a guest that does not move. ``stays``: it does not run, so that it may stay where it is.
    ``stop``: it is shut down before its node restarts, and started afterwards. ``holds``: it keeps its node from being
    emptied."""

    STAYS = "stays"
    STOP = "stop"
    HOLDS = "holds"


@dataclass(frozen=True, slots=True)
class Move:
    """One guest from ``source`` to ``target``.

    :ivar id: unique in the plan; moves are listed by it, in the order in which they begin. :ivar step: number of its
        step. :ivar bytes: sent over the network. :ivar start: when it begins at the earliest. :ivar after: ids of moves
        that must have ended before. :ivar replica: only the difference to a replica is sent. :ivar sync: replicate once
        before. :ivar ha: the HA manager carries it out. :ivar memory: that it takes on the target from its start on.
    :ivar disks: bytes that it takes on storages of the target, replicas not counted. :ivar warnings: ids of findings
        that do not block. :ivar others: targets to try when this one fails, best first.
    """

    id: int
    step: int
    guest: int
    name: str
    type: str
    source: str
    target: str
    mode: Mode
    bytes: int = 0
    seconds: float = 0.0
    start: float = 0.0
    after: tuple[int, ...] = ()
    replica: bool = False
    sync: bool = False
    ha: bool = False
    how: How = How.REQUEST
    along: int | None = None
    memory: int = 0
    disks: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def end(self) -> float:
        return round(self.start + self.seconds, 3)

    @property
    def label(self) -> str:
        return f"{self.guest} {self.name}" if self.name else str(self.guest)


@dataclass(frozen=True, slots=True)
class Stay:
    """A guest that does not leave its node in a step, and why. ``findings``: ids of what blocks it, none when it may
    stay. ``remedy`` is for people."""

    step: int
    guest: int
    name: str
    node: str
    fate: Fate
    why: str
    findings: tuple[str, ...] = ()
    remedy: str = ""

    @property
    def label(self) -> str:
        return f"{self.guest} {self.name}" if self.name else str(self.guest)


@dataclass(frozen=True, slots=True)
class Left:
    """A node that the plan leaves alone, and why."""

    node: str
    why: str


@dataclass(frozen=True, slots=True)
class Step:
    """Work on one node, or going home (``node`` empty).

    :ivar moves: ids. :ivar start: of its first move; ``seconds`` until its last move ends. ``work``: seconds for
        upgrading and restarting after that. :ivar at_least: seconds below which the moves cannot be done.
        :ivar maintenance: the node has to be in HA maintenance mode while it is worked on.
        :ivar skipped: it is not carried out, because a guest holds the node. :ivar before: releases, as far as known.
    """

    number: int
    node: str
    kind: Work
    moves: tuple[int, ...] = ()
    start: float = 0.0
    seconds: float = 0.0
    work: float = 0.0
    at_least: float = 0.0
    bytes: int = 0
    maintenance: bool = False
    skipped: bool = False
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What no plan for the same work can beat: moves, bytes, seconds of moving (work on nodes not counted)."""

    moves: int = 0
    bytes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Room:
    """Memory or a storage of one node in one step: the most that is taken at any moment of it, of what may be taken.

    :ivar storage: empty for memory. :ivar before: at the beginning of the step. :ivar after: at its end.
    """

    step: int
    node: str
    storage: str
    before: int
    peak: int
    after: int
    limit: int
    at: float = 0.0

    @property
    def fits(self) -> bool:
        """What was too full before the plan touched it is none of its doing, so long as nothing is added."""
        return self.peak <= max(self.limit, self.before)


@dataclass(frozen=True, slots=True)
class Proof:
    """``rooms``: those that a step touches. ``broken``: sentences, one for each thing that would not hold."""

    rooms: tuple[Room, ...] = ()
    broken: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return not self.broken


@dataclass(frozen=True, slots=True)
class Limits:
    """Moves at the same time: from one node, to one node, in the cluster; 0 for no limit."""

    source: int = 4
    target: int = 4
    cluster: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """:ivar kind: ``drain`` or ``upgrade``. :ivar fingerprint: of the cluster that it was made for.

    :ivar nodes: in the order in which they are worked on. :ivar blind_bytes: that the same moves would send without
        replicas. :ivar goal: version that nodes are brought to, as far as it is known.
    :ivar problems: why it must not be carried out; empty when it can be.
    """

    kind: str
    fingerprint: str
    version: int = VERSION
    cluster: str | None = None
    made_at: int | None = None
    nodes: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    moves: tuple[Move, ...] = ()
    stays: tuple[Stay, ...] = ()
    left: tuple[Left, ...] = ()
    bounds: Bounds = field(default_factory=Bounds)
    proof: Proof = field(default_factory=Proof)
    limits: Limits = field(default_factory=Limits)
    rate: float = 0.0
    observed: bool = False
    bytes: int = 0
    blind_bytes: int = 0
    seconds: float = 0.0
    moving_seconds: float = 0.0
    pinned: str = "fail"
    homing: str = "never"
    goal: str | None = None
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.problems

    def moves_of(self, step: Step) -> tuple[Move, ...]:
        """In the order in which they begin."""
        wanted = set(step.moves)
        return tuple(move for move in self.moves if move.id in wanted)

    def as_dict(self) -> dict[str, Any]:
        """Values that JSON knows."""
        found: dict[str, Any] = plain(self)
        return found

    def as_json(self) -> str:
        """The same plan gives the same text, so that two plans can be compared line by line."""
        return json.dumps(self.as_dict(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def plan_from(value: Any) -> Plan:
    """From its plain form. :raises PlanError: it is no plan, or one of another version."""
    if not isinstance(value, Mapping) or "fingerprint" not in value:
        raise PlanError("This is no plan of upgrade_plan or drain: it has no fingerprint.")
    if value.get("version") != VERSION:
        raise PlanError(
            f"This plan has version {value.get('version')}, and only {VERSION} is understood: make it anew."
        )
    try:
        return built(Plan, value)
    except Malformed as problem:
        raise PlanError(f"The plan cannot be read, {problem}: make it anew.") from None


def plan_from_json(text: str) -> Plan:
    """:raises PlanError: it is no JSON, or no plan."""
    try:
        return plan_from(json.loads(text))
    except json.JSONDecodeError as problem:
        raise PlanError(f"The plan is no JSON (line {problem.lineno}: {problem.msg}): make it anew.") from None
