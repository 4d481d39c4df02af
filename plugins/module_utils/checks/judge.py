# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All checks of a move, in the order in which an operator would want to read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks import devices, ha, nodes, replication, storage
from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts

MoveCheck = Callable[[MoveFacts], Iterable[Finding]]

MOVE_CHECKS: tuple[MoveCheck, ...] = (
    nodes.target_takes_guests,
    ha.manager_will_act,
    ha.rules,
    devices.passthrough,
    devices.mappings,
    storage.on_target,
    storage.local_disks,
    replication.target_is_replica,
)


def judge_move(move: MoveFacts) -> Iterator[Finding]:
    """Every finding about one move."""
    for check in MOVE_CHECKS:
        yield from check(move)
