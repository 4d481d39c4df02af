# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How many moves go at once: what the HA manager is asked for holds as many places as it has workers."""

from __future__ import annotations

from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_places import Places
from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import Limits

PLAIN, HA = ("a", "b", False), ("a", "b", True)


def places(moves: list[tuple[str, str, bool]], workers: int = 2, **limits: int) -> Places:
    return Places.of(Limits(**{"source": 3, "target": 9, **limits}), workers, moves)


def test_every_move_holds_a_place() -> None:
    assert places([PLAIN] * 2).has(*PLAIN)
    assert not places([PLAIN] * 3).has(*PLAIN)
    assert places([PLAIN] * 3).has("c", "b", False), "another source has its own"
    assert not places([PLAIN] * 2, target=2).has("c", "b", False)


def test_the_queue_of_the_ha_manager_holds_as_many_as_it_has_workers() -> None:
    assert places([PLAIN, HA]).has(*HA)
    assert not places([PLAIN, PLAIN, HA]).has(*HA), "both of its workers could be at work"
    assert places([PLAIN, HA, HA]).has(*HA), "the third has to wait for one of them"
    assert not places([PLAIN, HA, HA, HA]).has(*PLAIN)
    assert places([HA, HA, HA]).has(*PLAIN)
    assert not places([HA] * 12).has(*HA), "those far ahead are not judged freshly"
    assert places([HA] * 11).has(*HA)


def test_with_fewer_places_than_workers_nothing_queues_up() -> None:
    assert not places([HA], workers=4, source=1).has(*HA)
    assert not places([HA, HA], workers=4, target=2).has(*HA)


def test_all_nodes_together() -> None:
    from_c = ("c", "d", True)
    assert places([PLAIN, from_c], cluster=3).has(*HA)
    assert not places([PLAIN, HA, from_c], cluster=3).has(*HA)
    assert places([PLAIN, from_c, from_c], cluster=3).has(*from_c), "its workers are busy anyway"
