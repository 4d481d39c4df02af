# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing a replica up to date before a move: run once, wait for the real end, never collide with a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    Locked,
    MaybeSent,
    MobilityError,
    NotFound,
    TaskFailed,
    TimedOut,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.request import MoveRequest
from ansible_collections.pve.mobility.plugins.module_utils.execution.sync import await_quiet, job_to_sync, sync
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Node
from ansible_collections.pve.mobility.plugins.module_utils.model.move import Mode, MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.precondition import Precondition
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob

NOW = 1_795_402_000
SSH = "command '/usr/bin/ssh … pvesr prepare-local-job 103-0' failed: exit code 1"


def job(**more: Any) -> ReplicationJob:
    values: dict[str, Any] = {"id": "103-0", "guest": 103, "source": "pve1", "target": "pve2", **more}
    return ReplicationJob(**values)


def facts(*jobs: ReplicationJob) -> MoveFacts:
    guest = Guest(103, "qemu", "pve1", "vm103", "running")
    return MoveFacts(guest, Node("pve2", "online"), Mode.ONLINE, Precondition(True), replication=jobs)


def ask(**more: Any) -> MoveRequest:
    return MoveRequest("103", ("pve2",), **more)


@pytest.mark.parametrize(
    ("request_", "job_", "wanted"),
    [
        (ask(), job(last_sync=NOW - 899), False),
        (ask(), job(last_sync=NOW - 901), True),
        (ask(), job(last_sync=0), True),
        (ask(sync_max_age=60), job(last_sync=NOW - 61), True),
        (ask(sync_first=True), job(last_sync=NOW), True),
        (ask(sync_first=False), job(last_sync=0), False),
        (ask(), job(last_sync=NOW, running=True), True),
        (ask(), job(last_sync=0, disabled=True), False),
        (ask(), job(last_sync=0, target="pve3"), False),
        (ask(), job(last_sync=0, removing="full"), False),
    ],
)
def test_an_old_copy_is_brought_up_to_date_first(request_: MoveRequest, job_: ReplicationJob, wanted: bool) -> None:
    assert job_to_sync(request_, facts(job_), NOW) == (job_ if wanted else None)


@pytest.mark.parametrize("jobs", [(), (job(disabled=True),), (job(target="pve3"),)])
def test_a_sync_that_was_asked_for_and_cannot_be_is_told(jobs: tuple[ReplicationJob, ...]) -> None:
    with pytest.raises(NotFound, match="cannot be synced to pve2 first"):
        job_to_sync(ask(sync_first=True), facts(*jobs), NOW)


class Node1:
    """The node of the guest, and its scheduler that starts jobs at full minutes."""

    def __init__(self, *states: dict[str, Any]) -> None:
        self.states = [{"id": "103-0", "guest": 103, "source": "pve1", "target": "pve2", **state} for state in states]
        self.posts: list[str] = []
        self.refusals: list[MobilityError] = []
        self.log: list[str] = []

    def post(self, path: str, params: dict[str, Any] | None = None) -> Any:
        self.posts.append(path)
        if self.refusals:
            raise self.refusals.pop(0)
        return ""

    def get(self, path: str, params: dict[str, Any] | None = None) -> Any:
        if path.endswith("/log"):
            return [{"n": number, "t": line} for number, line in enumerate(self.log, 1)]
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return state if path.endswith("/status") else [state]


class Time(Clock):
    def __init__(self) -> None:
        super().__init__(1.0)
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


OLD = {"last_sync": 100, "fail_count": 2, "error": "an earlier one"}


def test_it_waits_for_the_run_and_not_for_its_announcement() -> None:
    # While a run is on, last_sync may be new already, and the error of an earlier run is still there (§15, §16).
    node = Node1(OLD, {**OLD, "pid": 7}, {**OLD, "last_sync": 200, "pid": 7}, {"last_sync": 200})
    assert sync(node, Time(), job(last_sync=100, fail_count=2), 600.0).last_sync == 200
    assert node.posts == ["/nodes/pve1/replication/103-0/schedule_now"]


def test_a_run_that_is_on_is_waited_for_without_another_one() -> None:
    node = Node1({**OLD, "pid": 7}, {"last_sync": 200})
    sync(node, Time(), job(last_sync=100, running=True), 600.0)
    assert node.posts == []


@pytest.mark.parametrize("refusal", [Locked("got timeout"), MaybeSent("no answer")], ids=["locked", "unanswered"])
def test_a_run_that_begins_meanwhile_or_an_answer_that_is_lost_do_not_matter(refusal: MobilityError) -> None:
    node = Node1(OLD, {"last_sync": 200})
    node.refusals = [refusal]
    assert sync(node, Time(), job(last_sync=100, fail_count=2), 600.0).last_sync == 200


def test_a_run_that_fails_is_told_with_its_cause_from_the_log() -> None:
    node = Node1(OLD, {**OLD, "fail_count": 3, "error": SSH})
    node.log = [
        "2026-11-23 02:48:01 103-0: start replication job",
        "2026-11-23 02:48:01 103-0: (remote_prepare_local_job) zfs error: cannot open 'tank': no such pool",
        (
            "2026-11-23 02:48:01 103-0: (remote_prepare_local_job) could not activate storage 'zp', zfs error: cannot"
            " import 'tank': no such pool available"
        ),
        f"2026-11-23 02:48:01 103-0: end replication job with error: {SSH}",
    ]
    with pytest.raises(TaskFailed) as error:
        sync(node, Time(), job(last_sync=100, fail_count=2), 600.0)
    assert "could not activate storage 'zp', zfs error: cannot import 'tank'" in error.value.message
    assert "ssh" not in error.value.message
    assert "The guest was not moved" in error.value.message


def quiet(node: Node1, time: Time, *jobs: ReplicationJob) -> None:
    await_quiet(node, time, facts(*jobs), 60.0)


@pytest.mark.parametrize("wait", [quiet, lambda node, time, *jobs: sync(node, time, jobs[0], 60.0)])
def test_a_run_without_end_does_not_hold_it_for_ever(wait: Callable[..., Any]) -> None:
    with pytest.raises(TimedOut, match="the move was not started"):
        wait(Node1({**OLD, "pid": 7}), Time(), job(last_sync=100, running=True))


def test_a_run_to_another_node_is_waited_for_too() -> None:
    time = Time()
    quiet(Node1({"target": "pve3", "pid": 7}, {"target": "pve3"}), time, job(target="pve3", running=True))
    assert time.now == 10.0
    quiet(Node1({}), time, job(target="pve3"))
    assert time.now == 10.0
