# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator reads while moves run."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.plugin_utils import progress
from ansible_collections.pve.mobility.plugins.plugin_utils.watch import Watch

TASK = "UPID:pve1:00000BB1:0003C646:6B03ABA2:qmigrate:104:root@pam:"
MOVE = {"vmid": 104, "name": "billing-db", "source": "pve1", "target": "pve3", "ha": False, "task": TASK}
GIB = 2**30


def going(**values: Any) -> dict[str, Any]:
    shown = {"phase": "disks", "percent": None, "done_bytes": 0, "total_bytes": 0, "rate_bytes_s": 0, "eta_s": None}
    return {**MOVE, "state": "running", "progress": {**shown, **values}, "follow": {**MOVE}}


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (
            going(
                percent=37,
                done_bytes=int(41.2 * GIB),
                total_bytes=110 * GIB,
                rate_bytes_s=212 * 2**20,
                eta_s=300,
            ),
            "  104 billing-db  pve1 → pve3  disks 37 %  41.2 of 110 GiB  212 MiB/s  5 min left",
        ),
        (going(done_bytes=3 * GIB), "  104 billing-db  pve1 → pve3  disks  3 GiB"),
        (going(phase="finishing", rate_bytes_s=1000), "  104 billing-db  pve1 → pve3  finishing"),
        (
            {**MOVE, "state": "done", "duration_s": 552.0, "downtime_ms": 64, "elapsed_s": 560.0},
            "  104 billing-db  pve1 → pve3  done in 9 min 12 s, paused for 64 ms",
        ),
        (
            {**MOVE, "name": "", "state": "done", "duration_s": 3.0, "elapsed_s": 4.0},
            "  104  pve1 → pve3  done in 3 s",
        ),
        ({**MOVE, "state": "failed"}, "  104 billing-db  pve1 → pve3  failed"),
        (
            {**MOVE, "state": "running", "waiting_for_ha": True},
            "  104 billing-db  pve1 → pve3  asked the HA manager, which acts every 10 s …",
        ),
        (
            {"vmid": 104, "name": "billing-db", "state": "idle", "node": "pve1"},
            "  104 billing-db  is on pve1; nothing moves it",
        ),
    ],
)
def test_lines(row: dict[str, Any], line: str) -> None:
    assert progress.line(row) == line


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.6, "1 min"), (61, "1 min 1 s"), (552, "9 min 12 s"), (3599, "59 min"), (7320, "2 h 2 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert progress.duration(seconds) == text


class Screen:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def display(self, text: str) -> None:
        self.lines.append(text.strip())


class Module:
    """Stands for the ``follow`` module: answers in order, and keeps how it was called."""

    def __init__(self, *answers: list[dict[str, Any]]) -> None:
        self.answers = list(answers)
        self.calls: list[dict[str, Any]] = []

    def __call__(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        assert name == "pve.mobility.follow"
        self.calls.append(arguments)
        rows = self.answers.pop(0)
        return {"guests": rows, "tasks": [], "finished": all(row["state"] != "running" for row in rows)}


def test_an_ha_move_is_told_step_by_step_and_nothing_twice() -> None:
    waiting = {**MOVE, "ha": True, "task": None}
    row = {**going(), **waiting, "waiting_for_ha": True, "follow": waiting}
    done = {**MOVE, "ha": True, "state": "done", "duration_s": 8.0, "elapsed_s": 30.0}
    module, screen = Module([row], [row], [done]), Screen()
    Watch(module, {"api_host": "pve1", "guest": 104}, screen).until([waiting], [], None)
    assert screen.lines == [
        "104 billing-db  pve1 → pve3  asked the HA manager, which acts every 10 s …",
        f"104 billing-db  the HA manager started the move ({TASK})",
        "104 billing-db  pve1 → pve3  done in 8 s",
    ]
    assert all(call["api_host"] == "pve1" and "guest" not in call for call in module.calls)


def test_moves_that_have_ended_are_not_asked_about_again() -> None:
    first, second = {**MOVE, "vmid": 1}, {**MOVE, "vmid": 2}
    done = {"state": "done", "duration_s": 1.0, "elapsed_s": 1.0}
    module = Module([{**first, **done}, {**going(), **second, "follow": second}], [{**second, **done}])
    answer = Watch(module, {}, Screen()).until([first, second], [], None)
    assert [call["guests"] for call in module.calls] == [[first, second], [second]]
    assert [row["vmid"] for row in answer["guests"]] == [1, 2]


def test_a_call_that_fails_ends_it_with_its_own_words() -> None:
    failed = {"failed": True, "msg": "No API host answers."}
    watch = Watch(lambda _name, _arguments: failed, {}, Screen())
    assert watch.until([MOVE], [], None) == failed
