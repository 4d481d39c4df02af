# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest does inside, which no configuration says but which decides how long its moves take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Traits:
    """Behaviour of one guest while it runs.

    :ivar memory_used: bytes of RAM with content (what a live migration carries first); None: 60 % of the configured.
    :ivar dirty_rate: bytes/s of RAM that change while it runs.
    :ivar working_set: bytes that those changes touch over and over; None: a tenth of ``memory_used``.
    :ivar shutdown_seconds: what it needs to shut down when asked; None: ignores the request.
    :ivar cpu_load: share of its CPUs that it uses, 0…1.
    """

    memory_used: int | None = None
    dirty_rate: float = 2e6
    working_set: int | None = None
    shutdown_seconds: float | None = 3.0
    cpu_load: float = 0.05


DEFAULT = Traits()
