# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``migrate`` when the controller, the API host or the time gives out while a guest is on its way."""

from __future__ import annotations

import re
import threading
import time
from typing import Any

import pytest

from tests.integration.clusters import VARIABLES, cluster
from tests.integration.harness import HERE, Lab, Outcome, play, running_lab


def run(name: str, lab: Lab, environment: dict[str, str] | None = None, **variables: Any) -> Outcome:
    path = HERE / "playbooks" / f"{name}.yml"
    return play(path, lab, variables={**VARIABLES, **variables}, environment=environment)


def test_a_timeout_leaves_the_move_running_and_the_next_run_adopts_it() -> None:
    with running_lab(cluster(datacenter={"bwlimit": {"migration": 20480}})) as lab:
        outcome = run("timeout", lab)
        assert outcome.code == 0, outcome.text


def test_progress_is_shown_while_disks_travel() -> None:
    with running_lab(cluster(datacenter={"bwlimit": {"migration": 20480}})) as lab:
        outcome = run("plain_move", lab)
        assert outcome.code == 0, outcome.text
        assert re.search(
            r"  102 disks  pve1 → pve2  disks \d+ %  [\d.]+ of 8 GiB  [\d.]+ MiB/s  .* left\n", outcome.text
        )
        assert re.search(r"  102 disks  pve1 → pve2  done in \d+ min( \d+ s)?, paused for \d+ ms\n", outcome.text)


def test_a_move_to_another_node_is_a_conflict() -> None:
    with running_lab(cluster(datacenter={"bwlimit": {"migration": 20480}})) as lab:
        outcome = run("conflict", lab)
        assert outcome.code == 0, outcome.text


def test_cancelled_on_timeout() -> None:
    with running_lab(cluster(datacenter={"bwlimit": {"migration": 20480}})) as lab:
        outcome = run("cancelled", lab)
        assert outcome.code == 0, outcome.text


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_request_without_an_answer_is_never_sent_twice(cut: str) -> None:
    fault = {"match": {"method": "POST", "path": "/migrate$"}, "effect": {"cut": cut}, "count": 1}
    with running_lab(cluster(faults=[fault])) as lab:
        outcome = run("unanswered", lab, started=cut == "after")
        assert outcome.code == 0, outcome.text
        posts = [row for row in lab.requests() if row["method"] == "POST" and row["path"].endswith("/migrate")]
        assert len(posts) == 1


def test_an_answer_lost_between_two_nodes_is_no_refusal() -> None:
    fault = {"match": {"method": "POST", "path": "/migrate$"}, "effect": {"status": 596, "reason": "timed out"}}
    with running_lab(cluster(faults=[fault])) as lab:
        outcome = run("unanswered", lab, started=False)
        assert outcome.code == 0, outcome.text
        assert len([row for row in lab.requests() if row["path"].endswith("/migrate") and row["write"]]) == 1


@pytest.mark.parametrize("action", ["power-off", "cut", "proxy-stop"])
def test_the_api_host_dies_in_mid_move(action: str) -> None:
    # pve3 is asked first; it is neither source nor target.
    with running_lab(cluster(datacenter={"bwlimit": {"migration": 20480}})) as lab:
        hosts = lab.info["hosts"]

        def villain() -> None:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline and not lab.writes():
                time.sleep(0.05)
            lab.control("POST", "/node", {"node": "pve3", "action": action})

        thread = threading.Thread(target=villain)
        thread.start()
        outcome = run(
            "plain_move", lab, environment={"PROXMOX_HOST": ",".join([hosts[2], hosts[0]]), "PROXMOX_API_TIMEOUT": "2"}
        )
        thread.join()
        assert outcome.code == 0, outcome.text
