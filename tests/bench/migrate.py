# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a no-op, a move, and the truth about HA and failures cost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.bench.adhoc import call
from tests.bench.cluster import CLUSTER, many_under_ha
from tests.bench.peers import FAILURE
from tests.integration.harness import Lab, running_lab
from tests.integration.truth import move

HA_GUESTS = 100


def measure() -> dict[str, float]:
    figures: dict[str, float] = {}
    with running_lab(CLUSTER, 4.0) as lab:
        figures["migrate_noop_requests"] = call(lab, "pve.mobility.migrate", {"guest": 100, "target": "pve1"}).requests
        move = call(lab, "pve.mobility.migrate", {"guest": 100, "target": "pve2"})
        figures["migrate_requests"] = move.requests - move.polls
        figures["migrate_polls"] = move.polls
        ha = call(lab, "pve.mobility.migrate", {"guest": 101, "target": "pve2"})
        figures["migrate_ha_requests"] = ha.requests - ha.polls
        figures["migrate_ha_polls"] = ha.polls
    with running_lab(CLUSTER, 1.0) as lab:
        figures["failed_task_report_s"] = round(_report_delay(lab), 2)
    figures["ha_false_success"] = _false_successes()
    return figures


def _report_delay(lab: Lab) -> float:
    """Seconds of the lab between the end of a failing task and the poll by which the module learns of it."""
    lab.control("POST", "/fault", {"task": "qmigrate", "vmid": 102, "phase": "memory", "effect": {"fail": FAILURE}})
    failing = call(lab, "pve.mobility.migrate", {"guest": 102, "target": "pve2"})
    assert failing.result["failure"]["kind"] == "task_failed", failing.result
    upid = failing.result["failure"]["task"]
    ended = next(row["endtime"] for row in lab.api("/nodes/pve1/tasks?vmid=102") if row["upid"] == upid)
    learnt = max(row["time"] for row in lab.requests() if row["path"].endswith(f"/tasks/{upid}/status"))
    return float(learnt) - float(ended)


def _false_successes() -> int:
    """Of many HA guests moved at once: how many were reported as moved while they were not on the target."""
    with running_lab(many_under_ha(HA_GUESTS)) as lab, ThreadPoolExecutor(25) as pool:
        said = list(pool.map(lambda vmid: move(lab, vmid)[1], range(1000, 1000 + HA_GUESTS)))
    return sum(1 for row in said if row["claimed"] and not row["true"])
