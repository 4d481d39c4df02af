# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a move that did not succeed: the cause, where the guest is, and nothing that was not looked up."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    ApiError,
    Locked,
    NodeUnreachable,
    PermissionDenied,
    TimedOut,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution import outcome
from ansible_collections.pve.mobility.plugins.module_utils.execution.follow import Follower, State, Verdict
from ansible_collections.pve.mobility.plugins.module_utils.execution.moving import Moving
from ansible_collections.pve.mobility.plugins.module_utils.execution.prepare import Decision
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest

TASK = "UPID:pve1:00000BB1:0003C646:6B03ABA2:qmigrate:110:mover@pve:"
LOG = [
    "2026-11-23 04:10:02 starting migration of VM 110 to node 'pve2' (10.99.0.12)",
    "2026-11-23 04:10:02 found local disk 'tank:vm-110-disk-0' (attached)",
    "2026-11-23 04:10:03 ERROR: storage migration for 'tank:vm-110-disk-0' to storage 'tank' failed - out of space",
    "TASK ERROR: migration aborted",
]
HALF = {"volid": "tank:vm-110-disk-0", "content": "images"}


class Api:
    """A cluster with the guest on pve1 and half a disk of it on pve2."""

    host = "pve1:8006"

    def __init__(self, **changes: Any) -> None:
        self.refuse_cancel: ApiError | None = None
        self.cancelled: list[str] = []
        self.answers: dict[str, Any] = {
            "/cluster/resources": [
                {"type": "qemu", "vmid": 110, "node": "pve1", "name": "db", "status": "running", "lock": "migrate"}
            ],
            "/nodes/pve1/qemu/110/status/current": {"status": "running", "lock": "migrate"},
            "/nodes/pve2/storage": [{"storage": "tank"}],
            "/nodes/pve2/storage/tank/content": [HALF],
            "/nodes/pve1/replication": [],
            f"/nodes/pve1/tasks/{TASK}/status": {"status": "running"},
        } | changes

    def get(self, path: str, params: dict[str, Any] | None = None) -> Any:
        if path.endswith("/log"):
            assert params is not None
            return [{"n": n, "t": line} for n, line in enumerate(LOG[:2], 1)][params["start"] :]
        answer = self.answers[path]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def delete(self, path: str, params: dict[str, Any] | None = None) -> Any:
        self.cancelled.append(path)
        if self.refuse_cancel is not None:
            raise self.refuse_cancel

    def prefer(self, host: str) -> None:
        pass

    def rotate(self) -> None:
        pass


class Time(Clock):
    def __init__(self) -> None:
        super().__init__(1.0)
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def follower(api: Api, lines: list[str] | None = None) -> Follower:
    moving = Moving(110, "qemu", "db", "pve1", "pve2", "online", True, task=TASK)
    result = Follower(api, Time(), moving)
    result.poll()
    assert result._log is not None
    result._log.lines = list(LOG if lines is None else lines)
    return result


def test_a_failure_names_cause_place_lock_and_leftover() -> None:
    error = outcome.failed(follower(Api()), Verdict(State.FAILED))
    assert "failed - out of space" in error.message
    assert error.message.endswith(
        "The guest is on pve1 and runs; a lock remains (migrate); left behind: tank:vm-110-disk-0 on pve2."
    )
    failure = error.failure()
    assert {key: failure[key] for key in ("kind", "guest", "node", "status", "lock", "leftovers", "task")} == {
        "kind": "task_failed",
        "guest": 110,
        "node": "pve1",
        "status": "running",
        "lock": "migrate",
        "leftovers": ["tank:vm-110-disk-0 on pve2"],
        "task": TASK,
    }


def test_what_could_not_be_looked_up_is_not_denied() -> None:
    api = Api(**{"/nodes/pve2/storage": PermissionDenied("no")})
    api.answers["/nodes/pve1/qemu/110/status/current"] = {"status": "running"}
    message = outcome.failed(follower(api), Verdict(State.FAILED)).message
    assert "no lock remains; whether a disk was left behind on pve2 could not be looked up" in message
    assert "no leftover" not in message


def test_of_a_node_that_is_silent_the_cluster_knows_what_it_has() -> None:
    api = Api()
    watched = follower(api)
    api.answers["/nodes/pve1/qemu/110/status/current"] = NodeUnreachable("no")
    failure = outcome.lost(watched, NodeUnreachable("Nobody answers.")).failure()
    assert (failure["node"], failure["status"], failure["lock"]) == ("pve1", "unknown", "migrate")


@pytest.mark.parametrize("cancel", [False, True])
def test_a_move_that_goes_on_has_left_nothing_behind_yet(cancel: bool) -> None:
    api = Api()
    api.refuse_cancel = PermissionDenied("Permission is missing: Sys.Modify on /nodes/pve1.")
    error = outcome.timed_out(api, Time(), follower(api), 60, cancel)
    assert isinstance(error, TimedOut)
    assert "it goes on" in error.message
    assert "left behind" not in error.message
    assert error.details["leftovers"] == []
    assert error.details["follow"]["task"] == TASK
    assert len(api.cancelled) == cancel
    assert ("Cancelling was asked for, but: Permission is missing: Sys.Modify" in error.message) == cancel


def test_a_move_that_arrives_while_it_is_cancelled_is_a_success() -> None:
    api = Api()
    watched = follower(api)
    api.answers[f"/nodes/pve1/tasks/{TASK}/status"] = {"status": "stopped", "exitstatus": "OK"}
    api.answers["/nodes/pve2/qemu/110/status/current"] = {"status": "running"}
    assert outcome.timed_out(api, Time(), watched, 60, True) is None
    assert watched.verdict.state is State.DONE


@pytest.mark.parametrize(
    ("error", "told"),
    [(Locked("VM is locked (backup)."), True), (NodeUnreachable("No task appeared: it may have started."), False)],
)
def test_of_a_request_that_was_refused_the_guest_is_told_to_be_untouched(error: ApiError, told: bool) -> None:
    guest = Guest(110, "qemu", "pve1", "db", "running")
    refused = outcome.not_started(Decision(guest, "pve2", "online"), error)
    assert ("110 db is still on pve1; nothing was changed." in refused.message) == told
    assert (refused.details["node"], refused.details["status"]) == ("pve1", "running")
