# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hundred guests under HA, an HA manager that acts when it likes: no move is reported that has not happened."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.bench.cluster import many_under_ha
from tests.integration.harness import running_lab
from tests.integration.truth import move

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
