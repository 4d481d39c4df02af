# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults on demand inside the workers of guests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import simpy

from lab.errors import Die
from lab.pve.tasks import Signal

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.tasks import Task


def strike(cluster: Cluster, task: Task, phase: str) -> str | None:
    """Ask for a fault at the begin of a phase; the value is the kind of one that acts later.

    :raises Die: the fault says so. A killed worker vanishes as by SIGKILL.
    """
    effect = cluster.faults.task(task.type, task.id, phase)
    if effect is None:
        return None
    match effect.kind:
        case "fail":
            raise Die(effect.text)
        case "kill":
            raise simpy.Interrupt(Signal.KILL)
        case "warnings":
            for number in range(int(effect.number)):
                task.warn(f"fault injected ({number + 1})")
    return effect.kind
