# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fresh copies are: against a lab in the same process whose copies have known ages."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_info import from_options, run
from ansible_collections.pve.mobility.plugins.module_utils.planning.freshness import Run, Trend, backoff, trend
from tests.conformance.client import Lab
from tests.integration.inprocess import LabClock, LabSession, reading
from tests.integration.replicas import control

DISK = {"storage": "tank", "size": "4G", "used": "1G", "write_rate": "100K"}
GUESTS: dict[int, dict[str, Any]] = {
    100: {"node": "pve1", "name": "fresh", "disk": DISK, "replicate": {"pve2": {"last_sync": "2m", "duration": 10}}},
    101: {"node": "pve1", "name": "late", "disk": DISK, "replicate": {"pve2": {"last_sync": "20m", "duration": 30}}},
    102: {"node": "pve1", "name": "old", "disk": DISK, "replicate": {"pve2": {"last_sync": "5h", "duration": 5}}},
    103: {
        "node": "pve1",
        "name": "fails",
        "disk": DISK,
        "replicate": {"pve2": {"last_sync": "20m", "fail_count": 2, "last_try": "1m", "duration": 1}},
    },
    104: {"node": "pve1", "name": "never", "disk": DISK, "replicate": {"pve2": {"last_sync": "never"}}},
    105: {
        "node": "pve2",
        "name": "nightly",
        "disk": DISK,
        "replicate": {"pve1": {"last_sync": "40h", "schedule": "mon..fri 22:00", "duration": 60}},
        "tags": ["db"],
    },
    106: {
        "node": "pve2",
        "name": "off",
        "disk": DISK,
        "replicate": {"pve3": {"last_sync": "3m", "disable": True, "duration": 7}},
    },
}


def start(**more: Any) -> Lab:
    lab = Lab.from_dict(
        {
            "name": "fresh",
            "nodes": ["pve1", "pve2", "pve3"],
            "storages": {"tank": {"type": "zfspool", "pool": "tank", "content": "images", "size": "1T"}},
            "guests": {vmid: {**values, "running": True, "memory": "512M"} for vmid, values in GUESTS.items()},
            **more,
        }
    )
    lab.advance(2.0)
    return lab


def look(lab: Lab, session: LabSession | None = None, **options: Any) -> dict[str, Any]:
    session = session or LabSession(lab)
    with reading(session):
        return run(session, from_options(options))


def by_guest(result: dict[str, Any]) -> dict[int, dict[str, Any]]:
    return {row["guest"]: row for row in result["jobs"]}


def test_states_tell_late_from_old_from_failing_from_never() -> None:
    result = look(start())
    assert {guest: row["state"] for guest, row in by_guest(result).items()} == {
        100: "ok",
        101: "warn",
        102: "crit",
        103: "failing",
        104: "never",
        105: "ok",
        106: "ok",
    }
    assert result["worst"] == "crit"
    assert result["summary"] == {"ok": 3, "warn": 1, "unknown": 0, "never": 1, "failing": 1, "crit": 1}


def test_jobs_without_a_guest_are_left_over() -> None:
    lab = start()
    assert look(lab)["orphans"] == []
    lab.cluster.fs.delete("nodes/pve1/qemu-server/101.conf")
    lab.advance(20.0)
    result = look(lab)
    assert result["orphans"] == ["101-0"]
    assert 101 not in by_guest(result)


def test_age_lag_and_what_could_be_lost() -> None:
    rows = by_guest(look(start()))
    fresh, late = rows[100], rows[101]
    assert fresh["age_s"] == pytest.approx(122, abs=3)
    assert (fresh["interval_s"], fresh["lag_s"]) == (900, 0)
    assert late["lag_s"] == pytest.approx(302, abs=3)
    # The others of pve1: 30 + 5 + 1 s (104 has no run yet).
    assert fresh["queue_s"] == 36
    assert fresh["at_risk_worst_s"] == 900 + 10 + 36
    # Never better than what is lost already.
    assert rows[102]["at_risk_worst_s"] == rows[102]["age_s"]
    assert rows[103]["backoff_s"] == 600
    assert rows[103]["at_risk_worst_s"] == max(900 + 1 + 45 + 600, rows[103]["age_s"])
    assert rows[106]["at_risk_worst_s"] is None, "a job that is off has no limit"


def test_the_pause_of_a_weekend_is_asked_of_the_api() -> None:
    asked: list[str] = []

    class Watching(LabSession):
        def _on_any_host(self, method: str, path: str, params: dict[str, Any]) -> Any:
            asked.append(str(params.get("schedule")))
            return super()._on_any_host(method, path, params)

    lab = start()
    row = by_guest(look(lab, Watching(lab)))[105]
    assert row["interval_s"] == 72 * 3600
    assert row["state"] == "ok"
    assert "mon..fri 22:00" in asked


def test_own_limits_count() -> None:
    rows = by_guest(look(start(), warn_after=60, crit_after=100))
    assert rows[100]["state"] == "crit"
    assert by_guest(look(start(), warn_after=60))[100]["state"] == "warn"
    with pytest.raises(Invalid, match="less than warn_after"):
        look(start(), warn_after=100, crit_after=60)


def test_only_chosen_guests_are_told_but_all_delay_them() -> None:
    result = look(start(), guests={"vmids": [100]})
    assert set(by_guest(result)) == {100}
    assert by_guest(result)[100]["queue_s"] == 36


def test_a_node_that_is_off_leaves_its_jobs_unknown() -> None:
    lab = start()
    control(lab, "POST", "/lab/node", node="pve2", action="power-off")
    lab.advance(30.0)
    result = look(lab)
    assert by_guest(result)[105]["state"] == "unknown"
    assert result["unread"] == ["pve2: pve2 is offline."]
    # Its own jobs to that node fail, and are not tried again before it is back.
    lab.advance(900.0)
    row = by_guest(look(lab))[100]
    assert (row["state"], row["at_risk_worst_s"]) == ("failing", None)


def test_bytes_come_from_the_log_of_the_last_run() -> None:
    lab = start()
    lab.advance(3600.0)
    row = by_guest(look(lab, bytes=True))[100]
    written = 900 * 100 * 1024
    assert 0.5 * written < row["delta_bytes"] < 1.5 * written
    assert row["at_risk_bytes"] == pytest.approx(row["delta_bytes"] * row["age_s"] / 900, rel=0.01)


def test_the_trend_needs_earlier_looks() -> None:
    lab = start()
    result: dict[str, Any] = {}
    for _number in range(8):
        result = look(lab, previous=result)
        assert result["changed"] is False
        lab.advance(930.0)
    assert len(by_guest(result)[104]["runs"]) >= 6
    assert by_guest(result)[104]["trend"] == "steady"
    with pytest.raises(Invalid, match="previous"):
        look(lab, previous={"jobs": [{"nonsense": 1}]})


def test_trends() -> None:
    def runs(*durations: float) -> list[Run]:
        return [Run(number, duration) for number, duration in enumerate(durations, 1)]

    assert trend(runs(4, 4, 4, 4, 4)) is None
    assert trend(runs(4, 4, 5, 7, 9, 11)) is Trend.GROWING
    assert trend(runs(11, 9, 7, 5, 4, 4)) is Trend.SHRINKING
    assert trend(runs(4, 5, 4, 5, 4, 5)) is Trend.STEADY
    assert trend(runs(0.1, 0.1, 0.2, 0.2, 0.3, 0.3)) is Trend.STEADY, "fractions of a second are no trend"


def test_back_off_is_that_of_the_scheduler() -> None:
    """Against the lab's own scheduler: each job is tried again when this says, never before (pve-facts §6.3)."""
    lab = start(guests={100: {**GUESTS[100], "memory": "512M"}})
    lab.cluster.faults.add({"task": "replicate", "vmid": 100, "phase": "prepare", "effect": {"fail": "no"}})
    tries: list[int] = []
    for _minute in range(150):
        lab.advance(60.0)
        row = lab.get("/nodes/pve1/replication", {"guest": 100})[0]
        if not tries or row["last_try"] != tries[-1]:
            tries.append(row["last_try"])
    gaps = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert gaps[:5] == [backoff(1), backoff(2), backoff(3), backoff(4), backoff(5)]


def test_it_is_cheap() -> None:
    lab = start()
    session = LabSession(lab)
    look(lab, session)
    # Jobs, guests and rights 3, nodes 2, time 1, rhythms: */15 once, the weekend within a hundred nights once.
    assert session.sent == 8
    assert LabClock(lab).speed == 1.0
