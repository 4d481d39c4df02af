# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the operator wants of a plan."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.pve.mobility.plugins.module_utils.planning.ask import Options
from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import Limits


class Pinned(enum.Enum):
    """What becomes of running guests that cannot move.

    ``fail``: the plan says so and is not carried out. ``stop``: they are shut down for as long as their node is worked
    on. ``skip``: they stay, and their node is left as it is.
    """

    FAIL = "fail"
    STOP = "stop"
    SKIP = "skip"


class Homing(enum.Enum):
    """Whether guests go back to where they were: never, when all nodes are done, or after each node."""

    NEVER = "never"
    END = "end"
    EACH = "each"


@dataclass(frozen=True, slots=True)
class NodeNeeds:
    """What a node needs, as far as it was found out. ``why`` is said of a node that needs nothing."""

    upgrade: bool = True
    reboot: bool = True
    why: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """:ivar judge: how moves are judged. :ivar stopped: guests that do not run move too; otherwise they stay.

    :ivar to: the only nodes that guests may go to; None for all. :ivar only: the only nodes to upgrade; None for all.
    :ivar order: nodes to begin with, in this order. :ivar last: nodes that come last, such as the API host in use.
    :ivar goal: version of pve-manager that nodes are brought to, ``9.2.11``; None when it is not known.
    :ivar needs: by node, what was found out about it. :ivar restart: seconds for upgrading and restarting a node;
        ``install`` for upgrading alone.
    """

    judge: Options = field(default_factory=Options)
    limits: Limits = field(default_factory=Limits)
    pinned: Pinned = Pinned.FAIL
    homing: Homing = Homing.NEVER
    stopped: bool = True
    to: tuple[str, ...] | None = None
    only: tuple[str, ...] | None = None
    order: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    goal: str | None = None
    needs: Mapping[str, NodeNeeds] = field(default_factory=dict)
    restart: float = 600.0
    install: float = 180.0
