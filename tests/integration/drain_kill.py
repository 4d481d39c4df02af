# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``drain`` broken off at a random point, and run again: the same end, no guest moved twice, none lost.

What is looked at is the lab's own state, and the tasks of its nodes.
"""

from __future__ import annotations

import copy
import functools
import random
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import MobilityError
from tests.conformance.client import Lab
from tests.integration.drain_case import CLUSTER, drain, moves, running, session, where
from tests.integration.inprocess import Killed

SCENARIO: dict[str, Any] = {
    **CLUSTER,
    "nodes": {"pve1": {"pci": ["0000:41:00.0"]}, "pve2": {}, "pve3": {}},
    "guests": {
        **{vmid: CLUSTER["guests"][vmid] for vmid in (100, 101, 103, 104, 200)},
        120: {"node": "pve1", "name": "gpu", "memory": "2G", "disk": "ceph:8G", "hostpci0": "0000:41:00.0"},
    },
}


@dataclass(slots=True)
class Outcome:
    """:ivar killed: it was really broken off. :ivar lost: guests that are gone, or do not run any more though they did.

    :ivar twice: guests that were moved more than once. :ivar elsewhere: guests that are not where the run that nobody
    breaks off brings them. :ivar broken: how the second run failed.
    """

    killed: bool = False
    lost: int = 0
    twice: int = 0
    elsewhere: int = 0
    broken: str = ""


def start() -> Lab:
    lab = Lab.from_dict(copy.deepcopy(SCENARIO))
    lab.advance(30.0)
    return lab


@functools.cache
def whole() -> tuple[int, dict[int, str], frozenset[int]]:
    """A run that nobody breaks off: how many requests it sends, where the guests are then, which run."""
    lab, used = start(), None
    with tempfile.TemporaryDirectory() as folder:
        used = session(lab)
        drain(lab, Path(folder) / "drain.jsonl", used, pinned="stop")
    return used.sent, where(lab), frozenset(running(lab))


def broken_off(seed: int) -> Outcome:
    """Killed at a random request, before it is sent or after its answer, up to three times; then to its good end."""
    dice = random.Random(seed)
    requests, wanted, up = whole()
    lab, outcome = start(), Outcome()
    before = set(where(lab))
    early = dice.random() < 0.5
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "drain.jsonl"
        for attempt in range(8):
            # Later attempts have less to do; what they do not reach is no kill.
            limit = dice.randint(1, requests) if attempt < dice.randint(1, 3) else 10**9

            def stop(number: int, at: int = limit) -> None:
                if number == at:
                    raise Killed

            used = session(lab, stop if early else None, None if early else stop)
            try:
                drain(lab, journal, used, pinned="stop")
                outcome.broken = ""
                break
            except Killed:
                outcome.killed = True
                lab.advance(dice.choice((0.0, 1.0, 7.0, 40.0)))
            except MobilityError as error:
                outcome.broken = error.message
                lab.advance(20.0)
    lab.advance(20.0)
    now = where(lab)
    outcome.elsewhere = sum(now.get(vmid) != node for vmid, node in wanted.items())
    outcome.lost = len(before - set(now)) + len(up ^ running(lab))
    good = Counter(row["id"] for row in moves(lab) if row.get("status") == "OK")
    outcome.twice = sum(number > 1 for number in good.values())
    return outcome
