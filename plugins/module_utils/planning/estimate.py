# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How much a move copies and how long that takes, by what was observed rather than by the sizes of disks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.pve.mobility.plugins.module_utils.model.history import Observed, summary
from ansible_collections.pve.mobility.plugins.module_utils.model.move import Mode, MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.model.thresholds import Thresholds

OVERHEAD = 6.0
"""Seconds that a move takes beside copying: connecting, starting QEMU on the target, switching over."""

HA_OVERHEAD = 15.0
"""Seconds until the HA manager has acted and has noticed the end (pve-facts §7)."""

_LIVE_DOWNTIME_MS = 100.0
"""What Proxmox VE allows a VM's pause to be, unless memory changes too quickly (pve-facts §1.2)."""

_SHUTDOWN = 10.0
"""Seconds that a container takes to stop and start around its move."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """``bytes`` over the network; ``seconds``; ``downtime_ms`` of the guest that pauses longest, None when none runs.

    :ivar full_copy: a local disk is sent whole, rather than the difference to a replica. :ivar rate: bytes a second
        that were assumed. :ivar observed: the rate comes from migrations that the cluster has seen.
    """

    bytes: int = 0
    seconds: float = 0.0
    downtime_ms: float | None = None
    full_copy: bool = False
    rate: float = 0.0
    observed: bool = False


@dataclass(frozen=True, slots=True)
class Rates:
    """What to expect of this cluster."""

    rate: float
    observed: bool
    downtime_ms: float

    @classmethod
    def of(cls, state: ClusterState, thresholds: Thresholds) -> Rates:
        """Observed medians; the given link speed where nothing was observed; never above the bandwidth limit."""
        seen: Observed = summary(state.history)
        rate = seen.rate or thresholds.link_mbit * 125_000
        limits = state.options.bwlimit if state.options is not None else {}
        limit = limits.get("migration", limits.get("default", 0.0))
        if limit:
            rate = min(rate, limit * 1024)
        return cls(rate, seen.rate is not None, seen.downtime_ms or _LIVE_DOWNTIME_MS)


def estimate_move(facts: MoveFacts, rates: Rates) -> Estimate:
    """Of one move. What a replica already has costs nothing; what has changed since is not known."""
    disks = sum(volume.full_copy for volume in facts.volumes)
    sent = disks + (facts.guest.maxmem if facts.live else 0)
    seconds = sent / rates.rate + OVERHEAD + (HA_OVERHEAD if facts.managed else 0.0)
    downtime: float | None = None
    if facts.mode is Mode.ONLINE:
        downtime = rates.downtime_ms
    elif facts.mode is Mode.RESTART:
        downtime = 1000 * (disks / rates.rate + OVERHEAD + _SHUTDOWN)
    return Estimate(sent, seconds, downtime, disks > 0, rates.rate, rates.observed)


def total(moves: Iterable[Estimate]) -> Estimate:
    """One after the other: a link is shared, so moves at the same time do not make the sum of the bytes faster."""
    known = list(moves)
    pauses = [move.downtime_ms for move in known if move.downtime_ms is not None]
    return Estimate(
        sum(move.bytes for move in known),
        sum(move.seconds for move in known),
        max(pauses, default=None),
        any(move.full_copy for move in known),
        known[0].rate if known else 0.0,
        known[0].observed if known else False,
    )
