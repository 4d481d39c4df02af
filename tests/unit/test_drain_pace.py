# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which move comes next, by what is under way; and when the HA manager begins what it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import NodeUnreachable
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_turns import Turns
from ansible_collections.pve.mobility.plugins.module_utils.execution.ha_rounds import HaRounds
from ansible_collections.pve.mobility.plugins.module_utils.execution.moving import Moving
from ansible_collections.pve.mobility.plugins.module_utils.model.ha import ha_status
from ansible_collections.pve.mobility.plugins.module_utils.planning.pace import Part, ends, next_of
from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import Limits
from ansible_collections.pve.mobility.plugins.module_utils.planning.schedule import Wire

GB = 1e9
WIRE = Wire(1 * GB, 0.5 * GB)
SHORT, MIDDLE, LONG = Part(3, 1 * GB, 3), Part(3, 5 * GB, 3), Part(3, 20 * GB, 3)


def test_a_link_that_would_run_dry_gets_the_longest_move() -> None:
    assert next_of([SHORT, LONG, MIDDLE] * 4, [], WIRE, 4) == 1
    assert next_of([SHORT, LONG, MIDDLE] * 4, [SHORT, SHORT, SHORT], WIRE, 4) == 1


def test_beside_enough_bytes_the_shortest_move_uses_the_places() -> None:
    assert next_of([MIDDLE, LONG, SHORT] * 4, [LONG, LONG, LONG], WIRE, 4) == 11


def test_moves_that_are_alike_keep_their_order() -> None:
    assert next_of([SHORT, SHORT], [LONG], WIRE, 4) == 0


def test_it_is_quicker_than_the_longest_or_the_shortest_first() -> None:
    """Carried out on paper, in four places; 116 GB take 116 s at the least."""
    moves = [Part(3, size * GB, 3) for size in (30, 20, 16, 12, 10, 8, 5, 3, *[1] * 12)]
    paced = _carried_out(moves, lambda waiting, going: next_of(waiting, going, WIRE, 4))
    assert paced < 116 * 1.1
    assert paced < 0.95 * _carried_out(moves, lambda waiting, going: 0)
    assert paced < 0.95 * _carried_out(moves, lambda waiting, going: len(waiting) - 1)


def test_ends_share_the_link() -> None:
    assert ends([Part(0, 1 * GB, 1)], WIRE) == [pytest.approx(3.0, abs=0.01)]
    assert ends([Part(0, 3 * GB, 0.5)] * 3, WIRE) == [pytest.approx(9.5, abs=0.01)] * 3
    assert ends([Part(2, 0, 1), Part(0, 0.25 * GB, 0)], WIRE) == [
        pytest.approx(3.0, abs=0.01),
        pytest.approx(0.5, abs=0.01),
    ]
    assert ends([], WIRE) == []


def _carried_out(moves: list[Part], choose: Callable[[list[Part], list[Part]], int]) -> float:
    waiting, going, now = list(moves), list[Part](), 0.0
    while waiting or going:
        while waiting and len(going) < 4:
            going.append(waiting.pop(choose(waiting, going)))
        going, passed = _until_one_ends(going)
        now += passed
    return now


def _until_one_ends(going: list[Part]) -> tuple[list[Part], float]:
    """In steps of a tenth of a second."""
    now = 0.0
    while True:
        sending = [part for part in going if part.lead <= 0 < part.bytes]
        rate = min(WIRE.stream, WIRE.link / len(sending)) if sending else 0.0
        going = [_later(part, rate) for part in going]
        now += 0.1
        left = [part for part in going if part.tail > 0]
        if len(left) < len(going):
            return left, now


def _later(part: Part, rate: float) -> Part:
    if part.lead > 0:
        return Part(part.lead - 0.1, part.bytes, part.tail)
    if part.bytes > 0:
        return Part(0, part.bytes - rate * 0.1, part.tail)
    return Part(0, 0, part.tail - 0.1)


# ---------------------------------------------------------------- rounds of the HA manager


def status(master: int, pve1: int, *, moving: bool = False) -> HaRounds:
    """The clock shows 500 when it is 1000 in the cluster."""
    service = {"vm:100": {"state": "migrate" if moving else "started", "node": "pve1", "target": "pve2", "uid": "u"}}
    rounds = HaRounds()
    answer = {
        "manager_status": {"timestamp": master, "service_status": service, "master_node": "pve2"},
        "lrm_status": {"pve1": {"timestamp": pve1, "mode": "active", "state": "active", "results": {}}},
    }
    rounds.saw(ha_status(answer), 1000.0, 500.0)
    return rounds


def test_a_move_begins_at_the_first_round_of_its_node_after_one_of_the_master() -> None:
    rounds = status(master=997, pve1=994)
    # The master's next rounds are at 507 and 517, the node's at 504 and 514; a second early, as clocks may differ.
    assert rounds.begins("pve1", 500.0) == 513.0
    assert rounds.begins("pve1", 506.5) == 523.0, "a request needs a second to reach the master"
    assert rounds.until_next(500.0) == 6.0


def test_never_sooner_than_the_manager_ever_was() -> None:
    assert status(master=993, pve1=994).begins("pve1", 501.5) == 507.5


@pytest.mark.parametrize(
    ("master", "pve1"),
    [(0, 994), (900, 994), (997, 0), (997, 900), (1100, 994)],
    ids=["no master", "its master is off", "no agent", "its agent is off", "clocks differ"],
)
def test_what_is_not_known_is_not_foreseen(master: int, pve1: int) -> None:
    rounds = status(master, pve1)
    assert rounds.begins("pve1", 500.0) == 506.0
    assert rounds.begins("pve9", 500.0) == 506.0


def test_an_agent_at_work_does_not_tell_its_rounds_but_a_move_that_began_does() -> None:
    rounds = status(master=997, pve1=994, moving=True)
    assert rounds.begins("pve1", 500.0) == 506.0
    rounds.began("pve1", 499.0)
    assert rounds.begins("pve1", 500.0) == 508.0


def test_a_cluster_that_does_not_answer_just_now_stops_no_drain() -> None:
    class Silent:
        def cluster_time(self, node: str) -> int:
            raise NodeUnreachable(f"no answer of {node}")

    turns = Turns(Any, Any, Silent(), Limits(), rounds=status(master=997, pve1=994), begins={7: 513.0})  # type: ignore[arg-type]
    moving = Moving(100, "qemu", "web", "pve1", "pve2", "online", True, ha=True)
    moving.task = "UPID:pve1:00000BB1:0003C646:000003F2:qmigrate:100:root@pam:"
    turns.started(SimpleNamespace(move=SimpleNamespace(id=7)), moving, 512.0)  # type: ignore[arg-type]
    assert turns.begins == {}, "it has begun"
    assert turns.rounds == status(master=997, pve1=994), "and what was known is known"
