# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state machine against what a poller of a genuine cluster saw: it must never be fooled."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.tasks import TaskStatus
from ansible_collections.pve.mobility.plugins.module_utils.execution.follow import (
    HA_SILENCE,
    Current,
    Seen,
    State,
    Verdict,
    judge,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.moving import Moving
from ansible_collections.pve.mobility.plugins.module_utils.model.ha import HaStatus, LrmResult, Service

TIMELINES = Path(__file__).parents[1] / "conformance" / "timelines"


@dataclass(slots=True)
class Recorded:
    """The newest answers of a timeline at one moment, as the follower would have them."""

    file: str
    moving: Moving
    until: float = 1e9

    def rounds(self) -> Iterator[tuple[float, Seen]]:
        """``(t, seen)`` whenever an answer changed after the request."""
        moving = self.moving
        answers: dict[str, Any] = {}
        rows: dict[str, dict[str, Any]] = {}
        for line in (TIMELINES / self.file).read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            if event["t"] > self.until:
                return
            if "endpoint" not in event:
                continue
            endpoint = event["endpoint"].partition(" @")[0]
            answers[endpoint] = _newer(answers.get(endpoint), event["value"]) if event["status"] == 200 else None
            if re.match(rf"GET /nodes/{moving.source}/tasks\?", endpoint) and event["status"] == 200:
                value = event["value"]
                for row in value.get("changed", []) if isinstance(value, dict) else value:
                    rows[row["upid"]] = row
            if event["t"] >= 0:
                yield event["t"], self._seen(event["t"], answers, list(rows.values()))

    def _seen(self, now: float, answers: dict[str, Any], rows: list[dict[str, Any]]) -> Seen:
        moving = self.moving
        seen = Seen(now)
        for row in rows:
            if f":{moving.guest.task_type}:{moving.vmid}#" in row["upid"] and moving.task in (None, row["upid"]):
                moving.task = row["upid"]
                moving.seen_moving = True
                ended = bool(row.get("ended"))
                seen.task = TaskStatus(row["upid"], not ended, row["status"] if ended else None)
        current = answers.get(f"GET /nodes/{moving.target}/{moving.type}/{moving.vmid}/status/current")
        if current is not None:
            seen.target = Current(moving.target, current["status"], current.get("lock"))
        manager = answers.get("GET /cluster/ha/status/manager_status")
        if moving.ha and manager is not None:
            seen.ha = HaStatus(
                services={
                    sid: Service(sid, row["state"], row["node"], row.get("target"), tuple(row.get("cmd", ())))
                    for sid, row in manager["service_status"].items()
                },
                results=(),
            )
        return seen


def _newer(before: Any, value: Any) -> Any:
    """A whole answer, or the parts of it that have changed."""
    if not (isinstance(value, dict) and set(value) == {"delta"}):
        return value
    merged = dict(before)
    for key, part in value["delta"].items():
        merged[key] = {**before[key], **part} if isinstance(part, dict) and isinstance(before.get(key), dict) else part
    return merged


def moving(vmid: int, source: str, target: str, **more: Any) -> Moving:
    values: dict[str, Any] = {"type": "qemu", "mode": "online", "was_running": True, **more}
    return Moving(vmid=vmid, name=f"vm{vmid}", source=source, target=target, **values)


def outcome(recorded: Recorded) -> tuple[float, Verdict]:
    """When the first verdict other than "going on" came, and which."""
    for now, seen in recorded.rounds():
        verdict = judge(recorded.moving, seen)
        if verdict.state is not State.GOING:
            return now, verdict
    raise AssertionError(f"no verdict at all in {recorded.file}")


@pytest.mark.parametrize(
    ("recorded", "not_before", "not_after"),
    [
        (Recorded("01-live-shared.jsonl", moving(113, "pve1", "pve2")), 7.5, 10),
        (Recorded("02-live-local-disks.jsonl", moving(110, "pve1", "pve2")), 62.5, 66),
        (
            Recorded("03b-offline-local-disk.jsonl", moving(110, "pve2", "pve1", was_running=False, mode="offline")),
            26.5,
            29,
        ),
        (Recorded("03c-ct-restart-migration.jsonl", moving(203, "pve1", "pve2", type="lxc", mode="restart")), 7.3, 10),
        # The real task ends at 21.6 s; the HA manager lets go of the service at 26 s.
        (Recorded("04b-ha-qemu-migrate.jsonl", moving(111, "pve1", "pve2", ha=True)), 21.6, 27),
        (Recorded("01b-live-shared-slow.jsonl", moving(113, "pve2", "pve1")), 13.5, 15),
        (
            Recorded("03-offline-shared.jsonl", moving(113, "pve1", "pve2", was_running=False, mode="offline")),
            1.3,
            3,
        ),
        (Recorded("04c-ha-resource-migrate.jsonl", moving(111, "pve2", "pve1", ha=True)), 13.6, 15),
        # Shut down at 72 s, moved at 73 s, and started on the target only at 78 s.
        (Recorded("04f-ha-relocate.jsonl", moving(111, "pve3", "pve2", ha=True)), 78, 81),
        (
            Recorded(
                "07b-two-migrates-first-finishes.jsonl", moving(113, "pve1", "pve2", task="pve1:qmigrate:113#01B2A")
            ),
            8.5,
            10,
        ),
        # Reloading the daemons of the source in the middle of it harms nothing; restarting pvedaemon kills it (10).
        (Recorded("10b-api-daemons-reload-during-migration.jsonl", moving(110, "pve1", "pve2")), 46, 49),
        # The HA master is dead when it is asked for at 53 s; another one acts at 112 s.
        (
            Recorded("09b-death-of-the-ha-master-node-5min.jsonl", moving(111, "pve3", "pve2", ha=True, asked_at=53.0)),
            126,
            135,
        ),
        (
            Recorded(
                "08e2-offline-migrate-to-replica-target-job-flip.jsonl",
                moving(103, "pve2", "pve1", was_running=False, mode="offline"),
            ),
            21.5,
            24,
        ),
    ],
    ids=lambda value: value.file if isinstance(value, Recorded) else "",
)
def test_success_is_claimed_at_the_real_end_and_not_before(
    recorded: Recorded, not_before: float, not_after: float
) -> None:
    now, verdict = outcome(recorded)
    assert verdict == Verdict(State.DONE)
    assert not_before <= now <= not_after


@pytest.mark.parametrize(
    ("recorded", "not_after"),
    [
        (Recorded("06a-cancel-live-disk-phase.jsonl", moving(110, "pve1", "pve2")), 14),
        (Recorded("06b-cancel-live-ram-phase-shared.jsonl", moving(113, "pve1", "pve2")), 15),
        (Recorded("06d-kill9-worker-live-disk-phase.jsonl", moving(110, "pve1", "pve2")), 11),
        (
            Recorded(
                "06f-cancel-offline-local-disk-then-kill9.jsonl",
                moving(110, "pve1", "pve2", was_running=False, mode="offline"),
            ),
            7,
        ),
        # The second of two at once waits ten seconds for the lock, while the first one goes on.
        (Recorded("07a-two-migrates-at-once.jsonl", moving(113, "pve1", "pve2", task="pve1:qmigrate:113#02400")), 12),
        (
            Recorded(
                "07b-two-migrates-first-finishes.jsonl", moving(113, "pve1", "pve3", task="pve1:qmigrate:113#01B2C")
            ),
            10,
        ),
        (
            Recorded(
                "07c-backup-lock-and-move-disk-then-migrate.jsonl",
                moving(113, "pve1", "pve2", task="pve1:qmigrate:113#02A55"),
            ),
            33,
        ),
        (Recorded("10-api-daemons-restart-during-migration.jsonl", moving(110, "pve1", "pve2")), 32),
    ],
    ids=lambda value: value.file if isinstance(value, Recorded) else "",
)
def test_a_cancelled_or_killed_task_is_a_failure(recorded: Recorded, not_after: float) -> None:
    now, verdict = outcome(recorded)
    assert verdict.state is State.FAILED
    assert now <= not_after


def test_an_ha_move_that_leaves_no_task_is_a_failure() -> None:
    # The service goes to migrate and back to started on the old node; nothing else is ever seen (04h, first part).
    recorded = Recorded("04h-ha-resource-migrate-fails.jsonl", moving(111, "pve1", "pve3", ha=True), until=75)
    _now, verdict = outcome(recorded)
    assert verdict.state is State.FAILED
    assert "without starting a migration task" in verdict.why


def test_a_later_ha_request_that_wins_is_told() -> None:
    # To pve2 at 0 s, to pve3 at 1.2 s: the last one of a round wins (04d).
    recorded = Recorded("04d-ha-second-command-while-migrating.jsonl", moving(111, "pve1", "pve2", ha=True))
    _now, verdict = outcome(recorded)
    assert verdict.state is State.FAILED
    assert "moves it to pve3 instead" in verdict.why


def test_an_ha_request_that_died_with_its_node_is_told_in_bounded_time() -> None:
    # Asked for at 26 s, while the source is dead but not fenced; the guest comes back on a third node (09).
    recorded = Recorded("09-node-death-with-ha-and-plain-vm.jsonl", moving(111, "pve2", "pve1", ha=True, asked_at=26.0))
    now, verdict = outcome(recorded)
    assert verdict.state is State.FAILED
    assert "did not act" in verdict.why
    assert now <= 26 + HA_SILENCE + 30


def service(state: str, node: str, target: str | None = None, cmd: tuple[str, ...] = ()) -> HaStatus:
    return HaStatus(services={"vm:111": Service("vm:111", state, node, target, cmd)})


def test_an_ha_manager_that_does_nothing_is_noticed_in_bounded_time() -> None:
    move = moving(111, "pve1", "pve2", ha=True, asked_at=100.0)
    assert judge(move, Seen(100 + HA_SILENCE - 1, ha=service("started", "pve1"))).state is State.GOING
    verdict = judge(move, Seen(100 + HA_SILENCE, ha=service("started", "pve1")))
    assert verdict.state is State.FAILED
    assert "did not act" in verdict.why


def test_a_dead_ha_master_is_given_the_time_to_be_replaced() -> None:
    move = moving(111, "pve1", "pve2", ha=True, asked_at=0.0)
    seen = Seen(112.0, ha=service("started", "pve1"), master_works=False)
    assert judge(move, seen).state is State.GOING


def test_the_exit_code_of_the_local_resource_manager_is_told() -> None:
    move = moving(111, "pve1", "pve2", ha=True, seen_moving=True)
    status = HaStatus(
        services={"vm:111": Service("vm:111", "started", "pve1")},
        results=(LrmResult("vm:111", "pve1", "migrate", 255),),
    )
    verdict = judge(move, Seen(30.0, ha=status))
    assert verdict.state is State.FAILED
    assert "pve1 ended with exit code 255" in verdict.why


def test_the_result_of_an_attempt_tells_even_when_the_attempt_was_not_seen() -> None:
    status = HaStatus(
        services={"vm:111": Service("vm:111", "started", "pve1")},
        results=(LrmResult("vm:111", "pve1", "migrate", 255),),
    )
    # Right after the request it is the result of an earlier one.
    assert judge(moving(111, "pve1", "pve2", ha=True), Seen(10.0, ha=status)).state is State.GOING
    verdict = judge(moving(111, "pve1", "pve2", ha=True), Seen(15.0, ha=status))
    assert "pve1 ended with exit code 255" in verdict.why


def test_an_ha_task_that_fails_is_told_before_the_ha_manager_knows() -> None:
    move = moving(111, "pve1", "pve2", ha=True, task="UPID")
    status = service("migrate", "pve1", "pve2")
    failed = TaskStatus("UPID", False, "migration problems")
    assert judge(move, Seen(20.0, failed, None, status)) == Verdict(State.FAILED)
    # It has arrived all the same: then the HA manager has to agree first.
    assert judge(move, Seen(20.0, failed, Current("pve2", "running"), status)).state is State.GOING


ENDED = TaskStatus("UPID", False, "OK")


@pytest.mark.parametrize(
    ("target", "state"),
    [
        (Current("pve2", "running"), State.DONE),
        (Current("pve2", "running", "migrate"), State.GOING),
        (Current("pve2", "stopped"), State.GOING),
        (None, State.GOING),
    ],
)
def test_a_good_end_of_the_task_is_not_enough(target: Current | None, state: State) -> None:
    assert judge(moving(100, "pve1", "pve2"), Seen(0.0, ENDED, target)).state is state


def test_a_guest_that_does_not_run_on_the_target_is_a_failure_after_a_while() -> None:
    move = moving(203, "pve1", "pve2", type="lxc", mode="restart")
    stopped = Current("pve2", "stopped")
    assert judge(move, Seen(0.0, ENDED, stopped)).state is State.GOING
    verdict = judge(move, Seen(30.0, ENDED, stopped))
    assert verdict == Verdict(State.FAILED, "it is on pve2, but stopped (it was running)")


def test_problems_after_the_arrival_are_a_success_with_a_problem() -> None:
    problems = TaskStatus("UPID", False, "migration problems")
    verdict = judge(moving(100, "pve1", "pve2"), Seen(0.0, problems, Current("pve2", "running")))
    assert verdict == Verdict(State.DONE, problem=True)


def test_warnings_are_a_success() -> None:
    warned = TaskStatus("UPID", False, "WARNINGS: 1")
    verdict = judge(moving(100, "pve1", "pve2"), Seen(0.0, warned, Current("pve2", "running")))
    assert verdict == Verdict(State.DONE)
