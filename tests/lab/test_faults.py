# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Descriptions of faults: what they match, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from lab.faults import BadFault, Faults


@pytest.mark.parametrize(
    ("description", "part"),
    [
        ({}, "'match' (HTTP), 'task', 'ha' or 'shell'"),
        ({"match": {"verb": "GET"}, "effect": "hang"}, "no 'verb'"),
        ({"match": {"path": "("}, "effect": "hang"}, "regular expression"),
        ({"match": {}, "effect": {"status": 700}}, "effect of an HTTP fault"),
        ({"match": {}, "effect": {"cut": "during"}}, "effect of an HTTP fault"),
        ({"task": "qmigrate", "phase": "never", "effect": "kill"}, "'phase'"),
        ({"task": "qmigrate", "effect": "explode"}, "effect of a task fault"),
        ({"ha": {"delay": [5, 1]}}, "'ha' of a fault"),
        ({"ha": "drop", "nth": 0}, "'nth'"),
        ("hang", "mapping"),
    ],
)
def test_nonsense_is_refused_in_one_sentence(description: Any, part: str) -> None:
    with pytest.raises(BadFault) as refused:
        Faults().add(description)
    assert part in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_task_fault_waits_for_its_phase_and_guest() -> None:
    faults = Faults()
    faults.add({"task": "qmigrate", "vmid": 100, "phase": "memory", "effect": {"fail": "no more"}, "count": 1})
    assert faults.task("qmigrate", 100, "disks") is None
    assert faults.task("qmigrate", 101, "memory") is None
    assert faults.task("vzmigrate", 100, "memory") is None
    effect = faults.task("qmigrate", "100", "memory")
    assert effect is not None and (effect.kind, effect.text) == ("fail", "no more")
    assert faults.task("qmigrate", 100, "memory") is None


def test_leftovers_and_warnings_come_at_the_end() -> None:
    faults = Faults()
    faults.add({"task": "qmigrate", "effect": {"warnings": 2}})
    assert faults.task("qmigrate", 100, "prepare") is None
    effect = faults.task("qmigrate", 100, "cleanup")
    assert effect is not None and effect.number == 2


def test_ha_faults_are_asked_by_kind() -> None:
    faults = Faults()
    faults.add({"ha": {"delay": [1, 9]}, "sid": "vm:100"})
    faults.add({"ha": "lrm-fails", "nth": 2})
    assert faults.ha("vm:100", "lrm-fails") is None
    delay = faults.ha("vm:100", "delay", "drop")
    assert delay is not None and (delay.number, delay.most) == (1.0, 9.0)
    assert faults.ha("vm:101", "delay") is None
    assert faults.ha("vm:101", "lrm-fails") is not None


def test_one_or_all_can_be_taken_away() -> None:
    faults = Faults()
    first = faults.add({"match": {}, "effect": "hang"})
    faults.add({"match": {"method": "PUT"}, "effect": "hang"})
    faults.clear(first.id)
    assert faults.http("GET", "/version", "pve1", None) is None
    assert faults.http("PUT", "/version", "pve1", None) is not None
    faults.clear()
    assert list(faults) == []
