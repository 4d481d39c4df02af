# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When the HA manager will begin what it is asked for now.

Its master acts on requests once in ten seconds, and so does the local resource manager of each node on what the master
wants (pve-facts §7.5). Both write down when they did last, so the next times are known.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.pve.mobility.plugins.module_utils.model.ha import MOVING, HaStatus

ROUND = 10.0
SOONEST = 6.0
"""Seconds in which no move begins, where the rounds are not known."""
QUEUED = 1.0
"""Seconds until a request has reached the master."""
EARLY = 1.0
"""Seconds by which what was foreseen may be wrong: times are whole seconds, of clocks that differ a little."""


@dataclass(slots=True)
class HaRounds:
    """Times are of the controller's clock."""

    master: float | None = None
    nodes: dict[str, float] = field(default_factory=dict)

    def saw(self, status: HaStatus, cluster_time: float, now: float) -> None:
        """:param cluster_time: Unix seconds in the cluster when the clock showed ``now``."""
        self.master = _recent(status.timestamp, cluster_time, now)
        busy = {service.node for service in status.services.values() if service.state in MOVING}
        for node, written in status.written.items():
            # While moves are carried out it writes at the end of its round instead.
            at = _recent(written, cluster_time, now) if node not in busy else None
            if at is not None:
                self.nodes[node] = at

    def began(self, node: str, at: float) -> None:
        """A move that had not to wait for another one has begun: that was in a round."""
        self.nodes[node] = at

    def begins(self, node: str, now: float) -> float:
        """The soonest time at which a move away from ``node`` begins that is asked for now."""
        if self.master is None or node not in self.nodes:
            return now + SOONEST
        return max(now + SOONEST, _next(self.nodes[node], _next(self.master, now + QUEUED)) - EARLY)

    def until_next(self, now: float) -> float:
        """Seconds until the master's next round that a request made now can reach; 0 where the rounds are not known."""
        return _next(self.master, now + QUEUED) - now - QUEUED if self.master is not None else 0.0


def _recent(stamp: int, cluster_time: float, now: float) -> float | None:
    """None when it is no round of just now: nobody is at work, or the clocks are not the same."""
    ago = cluster_time - stamp
    return now - ago if -EARLY <= ago <= ROUND + EARLY else None


def _next(round_: float, now: float) -> float:
    """The first of the rounds every ten seconds that is not before ``now``."""
    return now + (round_ - now) % ROUND
