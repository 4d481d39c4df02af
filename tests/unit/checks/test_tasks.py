# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks and running tasks of guests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.model.running import RunningTask

from .fixtures import Fixture, ids, judged
from .made import CT, CT_DISK, NOW, VM, VM_DISK, move, scope, stopped


def task(kind: str, number: str = "104", node: str = "pve1") -> RunningTask:
    return RunningTask(f"UPID:{node}:0001:0002:0003:{kind}:{number}:root@pam:", node, kind, number, "root@pam", NOW)


FIXTURES = [
    Fixture("guest-locked", lambda: move(config={**VM_DISK, "lock": "backup"}), lambda: move(replace(VM, lock=None))),
    Fixture(
        "guest-locked",
        lambda: move(replace(CT, lock="mounted"), state={"guest_configs": ()}),
        lambda: move(replace(CT, lock="backup"), CT_DISK),
    ),
    Fixture(
        "task-running",
        lambda: move(state={"tasks": (task("vzdump"),)}),
        lambda: move(state={"tasks": (task("vzdump", "105"), task("vncproxy"), task("vzdump", ""))}),
    ),
    Fixture(
        "task-running",
        lambda: move(CT, state={"tasks": (task("move_volume", "200"),)}),
        lambda: move(CT, state={"tasks": (task("move_volume", "200", "pve3"),)}),
    ),
    Fixture(
        "guest-in-transition",
        lambda: move(stopped(VM), state={"tasks": (task("qmstart"),)}),
        lambda: move(stopped(VM), state={"tasks": (task("qmclone"),)}),
    ),
    Fixture(
        "backup-running",
        lambda: scope(tasks=(task("vzdump", ""),)),
        lambda: replace(scope(tasks=(task("vzdump", ""),)), only_nodes=frozenset({"pve2"})),
    ),
]


@pytest.mark.parametrize(
    ("guest", "lock", "remedy"),
    [
        (stopped(VM), "suspended", "resume it"),
        (CT, "mounted", "pct unmount 200 on pve1"),
        (VM, "snapshot", "qm unlock 104 on pve1"),
        (CT, "disk", "pct unlock 200 on pve1"),
    ],
)
def test_what_helps_against_a_lock_depends_on_the_lock(guest: object, lock: str, remedy: str) -> None:
    facts = move(replace(guest, lock=lock), state={"guest_configs": ()})  # type: ignore[type-var]
    (finding,) = (item for item in judged(facts) if item.id == "guest-locked")
    assert remedy in finding.remedy


def test_the_configuration_that_was_read_later_wins_over_the_list() -> None:
    assert "guest-locked" not in ids(move(replace(VM, lock="snapshot"), VM_DISK))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("vzdump", "a backup of 104 billing-db runs on pve1"),
        ("qmmove", "the move of a disk of 104 billing-db runs on pve1"),
        ("qmigrate", "a move of 104 billing-db runs on pve1"),
        ("hamigrate", "a move of 104 billing-db runs on pve1"),
        ("qmtemplate", "the conversion to a template of 104 billing-db runs on pve1"),
    ],
)
def test_a_task_is_named_as_people_say_it(kind: str, words: str) -> None:
    (finding,) = (item for item in judged(move(state={"tasks": (task(kind),)})) if item.id == "task-running")
    assert finding.message == words
