# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Limits by which checks judge; users may set each of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Limits of checks and figures of estimates.

    :ivar memory_headroom: per cent of a node's memory that guests must leave free.
    :ivar cpu_overcommit: virtual CPUs of running guests for each thread of the processor.
    :ivar storage_headroom: per cent of a storage that must stay free.
    :ivar clock_offset: seconds by which a node's clock may be off.
    :ivar replica_gaps: how many of its intervals a replica may be old before it counts as stale.
    :ivar replica_interval: seconds; a schedule that asks for runs as often or more often is called too aggressive.
    :ivar link_mbit: speed of the migration network in Mbit/s, for estimates when no move was observed.
    """

    memory_headroom: float = 10.0
    cpu_overcommit: float = 4.0
    storage_headroom: float = 5.0
    clock_offset: float = 30.0
    replica_gaps: float = 2.0
    replica_interval: float = 60.0
    link_mbit: float = 1000.0
