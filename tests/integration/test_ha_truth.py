# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hundred guests under HA, an HA manager that acts when it likes: no move is reported that has not happened."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.connection import from_options
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import MobilityError
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.migrate import Migration, run
from ansible_collections.pve.mobility.plugins.module_utils.execution.request import MoveRequest
from tests.bench.cluster import many_under_ha
from tests.integration.harness import SPEED, Lab, running_lab

GUESTS = 100
IDLE = range(1090, 1100)
"""Guests whose requests the HA manager forgets."""


def test_no_success_is_claimed_that_is_none() -> None:
    cluster = many_under_ha(GUESTS)
    cluster["faults"] = [{"ha": "drop", "sid": f"vm:{vmid}"} for vmid in IDLE] + cluster["faults"]
    with running_lab(cluster) as lab, ThreadPoolExecutor(25) as pool:
        results = dict(pool.map(lambda vmid: move(lab, vmid), range(1000, 1000 + GUESTS)))
    wrong = {vmid: said for vmid, said in results.items() if said["claimed"] != said["true"]}
    assert wrong == {}
    # Those that were forgotten are told as failures, the others have all moved.
    assert {vmid for vmid, said in results.items() if not said["claimed"]} == set(IDLE)


def move(lab: Lab, vmid: int) -> tuple[int, dict[str, Any]]:
    """What the collection says of one move, and what an observer sees at that moment."""
    info = lab.info
    options = {
        "api_host": info["hosts"],
        "api_token_id": info["token_id"],
        "api_token_secret": info["token_secret"],
        "ca_path": info["ca"],
    }
    target = ("pve2", "pve3")[vmid % 2]
    migration = Migration(Session(from_options(options)), Clock(SPEED), MoveRequest(str(vmid), (target,)))
    try:
        claimed = run(migration, check=False, wait=True)["moved"]
    except MobilityError:
        claimed = False
    row = next(row for row in lab.api("/cluster/resources?type=vm") if row["vmid"] == vmid)
    service = lab.api("/cluster/ha/status/manager_status")["manager_status"]["service_status"][f"vm:{vmid}"]
    arrived = row["node"] == target == service["node"] and "lock" not in row and service["state"] == "started"
    return vmid, {"claimed": claimed, "true": arrived}
