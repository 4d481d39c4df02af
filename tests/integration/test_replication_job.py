# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``replication_job`` as users meet it: playbooks against a cluster that is simulated here and genuine elsewhere.

Every situation that it must master is in ``test_replication_behaviour.py`` and ``test_replication_trouble.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.harness import HERE, Lab, Outcome, play, running_lab

CLUSTER: dict[str, Any] = {
    "name": "replicas",
    "nodes": ["pve1", "pve2", "pve3"],
    "storages": {
        "tank": {"type": "zfspool", "pool": "tank", "content": "images,rootdir", "size": "1T", "sparse": True},
        "ceph": {"type": "rbd", "pool": "vms", "content": "images,rootdir", "size": "2T"},
    },
    "guests": {
        100: {"node": "pve1", "name": "db", "memory": "1G", "disk": {"storage": "tank", "size": "8G", "used": "2G"}},
        101: {"node": "pve1", "name": "shared", "memory": "1G", "disk": "ceph:8G", "running": False},
    },
}
VARIABLES = {"vm": 100, "source": "pve1", "target": "pve2", "other": "pve3"}
REFUSED: dict[str, dict[str, Any]] = {
    "a rate below 1": {
        "job": {"guest": 100, "target": "pve2", "rate": 0.5},
        "kind": "invalid",
        "words": ["rate is 0.5 MB/s"],
    },
    "the guest's own node": {
        "job": {"guest": "db", "target": "pve1"},
        "kind": "invalid",
        "words": ["100 db is itself on pve1", "Nothing was changed"],
    },
    "nonsense": {
        "job": {"guest": 100, "replicas": ["pve1", "pve2"], "schedule": "now and then"},
        "kind": "invalid",
        "words": ["'now and then' is no calendar event", "Nothing was changed"],
    },
    "no replicatable disk": {
        "job": {"guest": 101, "target": "pve2"},
        "kind": "unsupported",
        "words": ["101 shared", "none is on a ZFS storage (they are on ceph)"],
    },
    "unknown node": {
        "job": {"guest": 100, "replicas": ["pve1", "pve9"]},
        "kind": "not_found",
        "words": ["no node pve9", "pve1, pve2, pve3"],
    },
}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab(CLUSTER, 60.0) as running:
        yield running


def run(name: str, lab: Lab, *arguments: str, **variables: Any) -> Outcome:
    return play(HERE / "playbooks" / f"{name}.yml", lab, *arguments, variables={**VARIABLES, **variables})


def test_what_cannot_be_is_refused_before_anything_is_sent(lab: Lab) -> None:
    lab.control("DELETE", "/requests")
    outcome = run("replication_refused", lab, cases=[{"name": name, **case} for name, case in REFUSED.items()])
    assert outcome.code == 0, outcome.text
    assert lab.writes() == []


def test_a_set_is_declared_survives_a_migration_changes_and_goes(lab: Lab) -> None:
    outcome = run("replication_job", lab)
    assert outcome.code == 0, outcome.text
    assert re.search(r"  100 db  waiting for the copy on pve2 .*full minutes", outcome.text)
    assert re.search(r"  100 db  pve1 → pve2  disks \d+ %", outcome.text)
    assert lab.api("/cluster/replication") == []
    for node in ("pve2", "pve3"):
        assert lab.api(f"/nodes/{node}/storage/tank/content?vmid=100") == []
