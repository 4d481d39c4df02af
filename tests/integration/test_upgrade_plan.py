# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``upgrade_plan`` as users meet it: what is said, kept and shown, and that nothing is touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.integration.harness import HERE, play, running_lab

CLUSTER: dict[str, Any] = {
    "name": "shop",
    "nodes": {
        "pve1": {"release": "9.1", "memory": "64G"},
        "pve2": {"release": "9.1", "memory": "64G"},
        "pve3": {"release": "9.1", "memory": "64G"},
        "pve4": {"release": "9.2", "memory": "64G"},
    },
    "storages": {
        "ceph": {"type": "rbd", "pool": "vms", "content": "images,rootdir", "size": "8T"},
        "tank": {"type": "zfspool", "pool": "tank", "content": "images,rootdir", "sparse": True, "size": "2T"},
    },
    "guests": {
        100: {"node": "pve1", "name": "web", "memory": "4G", "disk": "ceph:20G"},
        101: {"node": "pve1", "name": "billing-db", "memory": "4G", "disk": "tank:100G", "replicate": ["pve2"]},
        102: {"node": "pve2", "name": "gpu-farm", "memory": "4G", "disk": "ceph:20G", "hostpci0": "0000:01:00.0"},
        103: {"node": "pve2", "name": "mail", "memory": "4G", "disk": "ceph:20G", "ha": True},
        104: {"node": "pve3", "type": "ct", "name": "cache", "memory": "2G", "disk": "ceph:8G"},
        105: {"node": "pve3", "name": "archive", "memory": "2G", "disk": "tank:50G", "running": False},
        106: {"node": "pve4", "name": "new", "memory": "2G", "disk": "ceph:20G"},
    },
}
NONSENSE: list[dict[str, Any]] = [
    {"ask": {"nodes": ["pve9"]}, "words": "pve9"},
    {"ask": {"order": ["pve7"]}, "words": "pve7"},
    {"ask": {"goal": "newest"}, "words": "9.2.11"},
    {"ask": {"needs": {"pve1": "all"}}, "words": "upgrade and reboot"},
    {"ask": {"needs": {"pve1": {"reboot": "perhaps"}}}, "words": "true or false"},
    {"ask": {"needs": {"pve8": {"reboot": False}}}, "words": "pve8"},
    {"ask": {"parallel": 0}, "words": "parallel"},
    {"ask": {"accept": ["pased"]}, "words": "pased"},
    {"ask": {"report": "plan.pdf", "pinned": "stop"}, "words": ".html"},
    {"ask": {"dest": "/nowhere/plan.json", "pinned": "stop"}, "words": "Create the folder"},
]


def test_an_upgrade_is_planned(tmp_path: Path) -> None:
    with running_lab(CLUSTER) as lab:
        outcome = play(
            HERE / "playbooks" / "upgrade_plan.yml",
            lab,
            variables={
                "folder": str(tmp_path),
                # The last one can send its replicated guest only to the one before it.
                "sequence": ["pve3", "pve2", "pve1"],
                "idle": "pve2",
                "running_on": "pve3",
                "done": ["pve4"],
                "holding": "pve2",
                "pinned": [102],
                "replicated": 101,
                "needs": {
                    "pve2": {"upgrade": False, "reboot": False, "why": "it was done by hand"},
                    "pve3": {"reboot": False},
                },
                "asked": NONSENSE,
            },
        )
        assert outcome.code == 0, outcome.text
        assert not lab.writes()
    assert "Rolling upgrade of 3 nodes from 9.1." in outcome
    assert "lower bound" in outcome
    assert "pve4 is left alone: it runs 9.2." in outcome
    said = [line for line in outcome.text.splitlines() if line.startswith("  ") and "gpu-farm" in line]
    told = [line for line in said if "cannot leave" in line or "holds" in line]
    assert told, "a guest that holds a node is told of"
    assert not [line for line in told if "cannot leave" in line], "and once only: not with the node, not as a problem"
    page = (tmp_path / "plan.html").read_text(encoding="utf-8")
    assert "It fits at every step" in page
    assert "http" not in page.replace("http-equiv", "")
    for node in CLUSTER["nodes"]:
        assert f">{node}</text>" in page, "each node has its row in the timeline"
    assert (tmp_path / "before.html").exists()
    text = (tmp_path / "plan.md").read_text(encoding="utf-8")
    assert "102 gpu-farm holds its node" in text
    kept = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    assert kept["homing"] == "end"
