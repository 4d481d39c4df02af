# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two people upgrade a cluster without HA from two machines at the same moment: one does, the other one stops."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.integration.harness import Outcome, running_lab
from tests.integration.test_rolling_upgrade import upgrade

CLUSTER = {
    "name": "two",
    "node_defaults": {"release": "9.1", "upgrade": "9.2", "memory": "32G", "link_speed": "10Gbit", "boot": "20s"},
    "nodes": {"pve1": {}, "pve2": {}, "pve3": {"release": "9.2"}},
    "storages": {"shared": {"type": "rbd", "pool": "vms", "content": "images,rootdir", "size": "4T"}},
    "guests": {100: {"node": "pve1", "name": "web", "memory": "2G", "disk": "shared:8G"}},
}


def test_the_second_one_stops(tmp_path: Path) -> None:
    with running_lab(CLUSTER, speed=60.0) as lab, ThreadPoolExecutor(2) as both:

        def run(name: str) -> Outcome:
            folder = tmp_path / name
            folder.mkdir()
            return upgrade(lab, folder, rolling_upgrade_needs={})

        first, second = sorted(both.map(run, ("here", "there")), key=lambda outcome: outcome.code)
        tasks = [row["type"] for row in lab.api("/nodes/pve1/tasks?limit=500&source=all")]
        uptimes = {name: lab.api(f"/nodes/{name}/status")["uptime"] for name in CLUSTER["nodes"]}
        pools = lab.api("/pools")
    assert first.code == 0, first.text
    assert second.code != 0, "both have upgraded the cluster"
    assert "Another upgrade of this cluster has not ended." in second, second.text
    assert "Nothing was changed." in second
    assert tasks.count("qmigrate") == 1, "the guest moved once"
    assert uptimes["pve1"] < 86400 < uptimes["pve3"]
    assert pools == []
