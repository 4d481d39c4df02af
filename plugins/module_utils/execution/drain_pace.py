# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How fast moves really go, learnt from those under way: the link, one stream, and how much of the memory is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.progress import Phase, Progress
from ansible_collections.pve.mobility.plugins.module_utils.execution.follow import Follower
from ansible_collections.pve.mobility.plugins.module_utils.model.move import Mode
from ansible_collections.pve.mobility.plugins.module_utils.planning.estimate import OVERHEAD
from ansible_collections.pve.mobility.plugins.module_utils.planning.pace import Part, ends
from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import Move
from ansible_collections.pve.mobility.plugins.module_utils.planning.schedule import Wire

REPLICA = 4.0
"""Seconds that a move towards a replica takes more, before its bytes and after them: snapshots, NBD, the job's turn."""
QUICK = 1.25e9
"""Bytes a second of a link that is not known yet: on a slower one it matters little which move comes first."""
_SENDING = (Phase.DISKS, Phase.MEMORY)


@dataclass(slots=True)
class Pace:
    """:ivar link: most bytes a second of all together, seen twice in a row; ``last``: at the last look.
    :ivar stream: most bytes a second of one. :ivar planned: bytes that moves which have ended were planned to send.
    :ivar sent: what they did send. :ivar most: the largest part that one of them has sent.
    :ivar since: by number of the move, its phase and since when.
    """

    link: float = 0.0
    stream: float = 0.0
    planned: int = 0
    sent: int = 0
    most: float = 0.0
    last: float = 0.0
    since: dict[int, tuple[Phase, float]] = field(default_factory=dict)

    def handle(self) -> dict[str, Any]:
        """What :meth:`of` makes it of in another process."""
        values = asdict(self)
        return values | {"since": {str(number): [phase.name, at] for number, (phase, at) in self.since.items()}}

    @classmethod
    def of(cls, handle: Mapping[str, Any]) -> Pace:
        """:raises KeyError, TypeError, ValueError: it is no handle."""
        since = {int(number): (Phase[name], float(at)) for number, (name, at) in handle["since"].items()}
        return cls(**{**handle, "since": since})

    @property
    def wire(self) -> Wire:
        return Wire(self.link, self.stream) if self.link else Wire(QUICK, QUICK / 2)

    def look(self, going: Mapping[int, Follower], now: float) -> None:
        """Take in what the logs of moves tell."""
        rates = []
        for number, follower in going.items():
            progress = follower.progress
            if self.since.get(number, (None, 0.0))[0] is not progress.phase:
                self.since[number] = progress.phase, now
            if progress.phase in _SENDING and not follower.landed:
                rates.append(progress.rate)
        together = sum(rates)
        self.stream = max(self.stream, *rates, 0.0)
        # Logs are not all of the same second: one that tells of the time before another began would count twice.
        self.link = max(self.link, min(together, self.last), self.stream)
        self.last = together

    def ended(self, move: Move, progress: Progress) -> None:
        self.since.pop(move.id, None)
        if move.bytes and progress.carried:
            self.planned += move.bytes
            self.sent += progress.carried
            self.most = max(self.most, progress.carried / move.bytes)

    def whole(self, move: Move) -> Part:
        """Of a move that has not begun."""
        lead = tail = OVERHEAD / 2 + (REPLICA if move.replica else 0.0)
        return Part(lead, move.bytes * self._part, tail)

    def seconds(self, move: Move) -> float:
        """How long it takes, at the most, beside two others."""
        part, wire = self.whole(move), self.wire
        return part.lead + move.bytes * (self.most or 1.0) / min(wire.stream, wire.link / 3) + part.tail

    def ends(
        self, going: Mapping[int, tuple[Move, Follower]], begins: Mapping[int, float], now: float
    ) -> dict[int, float]:
        """Seconds until each has sent all that it may have to send, and is over; if no other begins meanwhile."""
        most = self.most or 1.0
        parts = [self._left(*item, begins.get(number, now), now, most) for number, item in going.items()]
        return dict(zip(going, ends(parts, self.wire), strict=True))

    def parts(self, going: Mapping[int, tuple[Move, Follower]], begins: Mapping[int, float], now: float) -> list[Part]:
        """What is left of moves under way. :param begins: when the HA manager is expected to begin with them."""
        return [
            self._left(move, follower, begins.get(number, now), now, self._part)
            for number, (move, follower) in going.items()
            if not follower.landed
        ]

    def _left(self, move: Move, follower: Follower, begin: float, now: float, part: float) -> Part:
        """:param part: of its bytes that it sends."""
        whole, progress = self.whole(move), follower.progress
        phase, since = self.since.get(move.id, (Phase.PREPARING, now))
        expected, passed = move.bytes * part, now - since
        if follower.landed:
            return Part(0.0, 0.0, 0.0)
        match phase:
            case Phase.PREPARING | Phase.SHUTDOWN if follower.moving.task is None:
                return Part(whole.lead + max(0.0, begin - now), expected, whole.tail)
            case Phase.PREPARING | Phase.SHUTDOWN:
                return Part(max(0.5, whole.lead - passed), expected, whole.tail)
            case Phase.FINISHING:
                return Part(0.0, 0.0, max(0.5, whole.tail - passed))
            case Phase.DISKS if move.mode is Mode.ONLINE:
                # Its memory follows; what differs from a replica takes next to nothing, but has to be found.
                lead = max(0.0, REPLICA - passed) if move.replica else 0.0
                return Part(lead, max(0.0, expected - progress.carried), whole.tail)
            case Phase.DISKS:
                return Part(0.0, max(0.0, (progress.total or expected) - progress.done), whole.tail)
        return Part(0.0, max(0.0, expected - progress.carried), whole.tail)

    @property
    def _part(self) -> float:
        return self.sent / self.planned if self.planned else 1.0
