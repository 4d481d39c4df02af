# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Moves that were observed: windows are planned from such rates, not from the sizes of disks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from ansible_collections.pve.mobility.plugins.module_utils.model.names import NodeName, TaskId


@dataclass(frozen=True, slots=True)
class ObservedMove:
    """A migration that ended well. ``bytes`` that its log accounts for, 0 when it says nothing; times in seconds.

    :ivar downtime_ms: pause of a live migration; None for all others.
    """

    upid: TaskId
    vmid: int
    type: str
    source: NodeName
    target: NodeName | None
    start: int
    seconds: int
    bytes: int = 0
    downtime_ms: int | None = None

    @property
    def rate(self) -> float | None:
        """Bytes a second over the whole move; None when nothing was copied or it was too short to tell."""
        return self.bytes / self.seconds if self.bytes and self.seconds else None


@dataclass(frozen=True, slots=True)
class Observed:
    """The middle of several moves: bytes a second and milliseconds; None when no move tells."""

    moves: int
    rate: float | None
    downtime_ms: float | None


def summary(moves: Iterable[ObservedMove]) -> Observed:
    """Medians, so that one strange move does not count."""
    known = list(moves)
    rates = [move.rate for move in known if move.rate is not None]
    pauses = [move.downtime_ms for move in known if move.downtime_ms is not None]
    return Observed(len(known), median(rates) if rates else None, float(median(pauses)) if pauses else None)
