# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may stand in the way of a move, and what only looks like it. Each twist changes the world that it is given.

A twist that does not fit returns nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.agreement import twists_guest, twists_ha, twists_nodes, twists_storage
from tests.agreement.draw import World

Twist = Callable[[World], str | bool | None]

TWISTS: list[Twist] = [*twists_nodes.TWISTS, *twists_storage.TWISTS, *twists_guest.TWISTS, *twists_ha.TWISTS]
