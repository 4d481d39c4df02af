# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``replication_audit`` and ``failover_check`` as an operator and a monitoring job run them, and the examples."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.harness import Lab, Outcome, play, running_lab
from tools.area import CHECKOUT

ZFS = {"storage": "tank", "size": "4G", "used": "200M"}
CLUSTER: dict[str, Any] = {
    "name": "replication",
    "nodes": ["pve1", "pve2", "pve3"],
    "storages": {
        "tank": {"type": "zfspool", "pool": "tank", "content": "images,rootdir", "size": "1T"},
        "ceph": {"type": "rbd", "pool": "vms", "content": "images,rootdir", "size": "2T"},
    },
    "guest_defaults": {"memory": "512M"},
    "guests": {
        100: {"node": "pve1", "name": "db", "tags": ["db"], "disk": ZFS,
              "replicate": {"pve2": {"last_sync": "2m"}, "pve3": {"last_sync": "never", "disable": True}}},
        101: {"node": "pve1", "name": "stale", "disk": ZFS, "replicate": {"pve2": {"last_sync": "5h"}}},
        102: {"node": "pve2", "name": "nightly", "disk": ZFS,
              "replicate": {"pve3": {"schedule": "22:00", "last_sync": "10h", "duration": 60}}},
        103: {"node": "pve3", "name": "shared", "disk": "ceph:4G", "ha": True},
        104: {"node": "pve3", "name": "app", "disk": ZFS},
        105: {"node": "pve3", "name": "bare", "disk": ZFS,
              "replicate": {"pve1": {"last_sync": "never", "disable": True}}},
        106: {"node": "pve3", "name": "paused", "disk": ZFS,
              "replicate": {"pve2": {"last_sync": "3d", "disable": True}}},
    },
    "ha": {"settled": True},
    # What is stale stays so, however long it takes until somebody looks.
    "faults": [{"task": "replicate", "vmid": 101, "effect": {"fail": "out of space"}}],
}  # fmt: skip


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    # Slow, so that ages are nearly those of the file when they are looked at.
    with running_lab(CLUSTER, 1.0) as running:
        yield running


def playbook(name: str, lab: Lab, **variables: Any) -> Outcome:
    return play(f"pve.mobility.{name}", lab, variables=variables)


def test_the_audit_fails_says_which_and_writes_what_others_read(lab: Lab, tmp_path: Path) -> None:
    output, rules = tmp_path / "copies.json", tmp_path / "replication.rules.yml"
    outcome = playbook("replication_audit", lab, output=str(output), rules_file=str(rules))
    assert outcome.code == 2, outcome.text
    assert re.search(r"1 of 6 copies are not as they should be:\s+101 stale", outcome.text)
    assert re.search(r"crit  101 stale  pve1 → pve2  30\d\.\d min old, schedule \*/15, 28\d", outcome.text)
    assert "never  105 bare  pve3 → pve1  no copy yet" in outcome
    assert "disabled: 106-0 of 106 paused to pve2" in outcome
    told = json.loads(output.read_text())
    assert (told["worst"], told["summary"]["crit"]) == ("crit", 2)
    assert lab.writes() == []
    _check_rules(rules)
    again = playbook("replication_audit", lab, output=str(output), fail_on="never", guests={"tags": ["db"]})
    assert again.code == 0, again.text
    runs = json.loads(output.read_text())["jobs"][0]["runs"]
    assert runs[:1] == told["jobs"][0]["runs"][:1], "what was remembered is still known, whatever has run since"


EXPORTED = {
    "pve_replication_info",
    "pve_replication_duration_seconds",
    "pve_replication_last_sync_timestamp_seconds",
    "pve_replication_last_try_timestamp_seconds",
    "pve_replication_next_sync_timestamp_seconds",
    "pve_replication_failed_syncs",
}
"""What prometheus-pve-exporter 3 exports about replication."""


def _check_rules(path: Path) -> None:
    [group] = yaml.safe_load(path.read_text())["groups"]
    names = {rule["alert"] for rule in group["rules"]}
    told_apart = {(rule["alert"], *rule["labels"].items()) for rule in group["rules"]}
    assert len(told_apart) == len(group["rules"]), "Prometheus warns of rules with the same name and labels"
    assert {"ProxmoxReplicationFailing", "ProxmoxReplicationNever", "ProxmoxReplicationStale"} <= names
    for rule in group["rules"]:
        assert set(re.findall(r"pve_replication_\w+", rule["expr"])) <= EXPORTED
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert "{{ $labels.id }}" in rule["annotations"]["summary"]
    limits = {
        match[1]: int(match[2])
        for rule in group["rules"]
        if rule["alert"] == "ProxmoxReplicationStale" and (match := re.search(r'id=~"([^"]+)"} > (\d+)', rule["expr"]))
    }
    assert set(limits) == {"100-0|101-0", "102-0"}
    assert 900 < limits["100-0|101-0"] < 1200
    assert 86400 < limits["102-0"] < 86400 + 300


def test_the_failover_check_blocks_what_is_worse_than_allowed(lab: Lab) -> None:
    outcome = playbook("failover_check", lab, node="pve1", rpo=900)
    assert outcome.code == 2, outcome.text
    assert "1 of 2 guests of pve1 cannot go on elsewhere as demanded" in outcome.text
    assert re.search(r"ok     100 db  pve1  copy on pve2, loses \d+ s \(copies: pve2 \d+ s; pve3 never\)", outcome.text)
    assert re.search(r"BLOCK  101 stale  pve1  copy on pve2, loses 18\d\d\d s", outcome.text)
    assert re.search(r"the copy on pve2 is 18\d\d\d s old, more than 900 s", outcome.text)
    good = playbook("failover_check", lab, node="pve1", rpo=86400, rpo_by_tag={"db": 900})
    assert good.code == 0, good.text


def test_the_examples_run(lab: Lab) -> None:
    lab.speed = 20.0
    lab.control("POST", "/speed", {"speed": lab.speed})
    examples = CHECKOUT / "docs" / "examples"
    for name, variables in (
        ("replicate_by_tag", {"tag": "db", "replicas": ["pve1", "pve2", "pve3"]}),
        ("copies_before_maintenance", {"node": "pve2"}),
    ):
        outcome = play(examples / f"{name}.yml", lab, variables=variables)
        assert outcome.code == 0, f"{name}\n{outcome.text}"
    assert {row["target"] for row in lab.api("/cluster/replication") if row["guest"] == 100} == {"pve2", "pve3"}
