# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``move_disk`` as users meet it: playbooks against a cluster that is simulated here and genuine elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.harness import HERE, Lab, Outcome, play, running_lab
from tools.area import CHECKOUT

CLUSTER: dict[str, Any] = {
    "name": "disks",
    "nodes": ["pve1", "pve2"],
    "storages": {
        "ceph": {"type": "rbd", "pool": "vms", "content": "images,rootdir", "size": "2T"},
        "nfs": {"type": "nfs", "server": "10.0.0.9", "export": "/x", "content": "images,rootdir", "size": "2T"},
        "tank": {"type": "zfspool", "pool": "tank", "content": "images,rootdir", "size": "1T", "sparse": True},
        "tiny": {"type": "lvm", "vgname": "tiny", "content": "images,rootdir", "size": "2G"},
        "local": {"type": "dir", "path": "/var/lib/vz", "content": "iso,vztmpl,snippets", "size": "100G"},
    },
    "guests": {
        100: {
            "node": "pve1",
            "name": "web",
            "memory": "2G",
            "disks": {
                "scsi0": {"storage": "tank", "size": "8G", "used": "2G", "iothread": 1, "discard": "on", "ssd": 1},
                "scsi1": {"storage": "tank", "size": "4G", "used": "1G", "cache": "writeback"},
            },
            "tags": ["hot"],
        },
        101: {
            "node": "pve1",
            "name": "rests",
            "disk": {"storage": "tank", "size": "8G", "used": "2G"},
            "running": False,
        },
        102: {
            "node": "pve1",
            "name": "image",
            "disk": {"storage": "nfs", "size": "4G", "used": "1G", "format": "raw"},
            "running": False,
            "tags": ["cold"],
        },
        103: {
            "node": "pve1",
            "name": "kept",
            "disk": {"storage": "nfs", "size": "4G", "used": "1G"},
            "running": False,
            "snapshots": ["before"],
        },
        104: {"node": "pve1", "name": "copied", "disk": {"storage": "tank", "size": "4G", "used": "1G"}},
        200: {
            "node": "pve1",
            "type": "ct",
            "name": "dns",
            "memory": "512M",
            "disks": {"rootfs": "tank:4G", "mp0": {"storage": "tank", "size": "2G", "mp": "/srv"}},
        },
    },
    "replication": {"104-0": {"target": "pve2"}},
}
VARIABLES = {
    "vm": 100,
    "stopped_vm": 101,
    "image_vm": 102,
    "ct": 200,
    "shared": "ceph",
    "files": "nfs",
}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab(CLUSTER) as running:
        yield running


def run(name: str, lab: Lab, *arguments: str, **variables: Any) -> Outcome:
    path = HERE / "playbooks" / f"{name}.yml"
    return play(path, lab, *arguments, variables={**VARIABLES, **variables})


REFUSED: dict[str, dict[str, Any]] = {
    "unknown guest": {
        "move": {"guest": 999, "disk": "scsi0", "storage": "ceph"},
        "kind": "not_found",
        "words": ["999"],
    },
    "unknown disk": {
        "move": {"guest": 100, "disk": "scsi9", "storage": "ceph"},
        "kind": "not_found",
        "words": ["100 web has no disk scsi9"],
    },
    "no disk at all": {
        "move": {"guest": 100, "disk": "hda", "storage": "ceph"},
        "kind": "invalid",
        "words": ["hda is no"],
    },
    "unknown storage": {
        "move": {"guest": 100, "disk": "scsi0", "storage": "cehp"},
        "kind": "not_found",
        "words": ["Did you mean ceph"],
    },
    "a format that the storage cannot hold": {
        "move": {"guest": 100, "disk": "scsi0", "storage": "ceph", "format": "qcow2"},
        "kind": "unsupported",
        "words": ["cannot hold qcow2", "Nothing was changed"],
    },
    "a storage for images only": {
        "move": {"guest": 100, "disk": "scsi0", "storage": "local"},
        "kind": "blocked",
        "words": ["disk-target", "Nothing was changed"],
    },
    "no room": {
        "move": {"guest": 101, "disk": "scsi0", "storage": "tiny"},
        "kind": "blocked",
        "words": ["disk-space", "8 GiB needed"],
    },
    "snapshots and delete": {
        "move": {"guest": 103, "disk": "scsi0", "storage": "ceph", "delete": True},
        "kind": "blocked",
        "words": ["disk-snapshots", "before"],
    },
    "a replicated disk leaves ZFS": {
        "move": {"guest": 104, "disk": "scsi0", "storage": "ceph"},
        "kind": "blocked",
        "words": ["disk-leaves-replication", "104-0"],
    },
    "a container that runs": {
        "move": {"guest": 200, "disk": "rootfs", "storage": "ceph"},
        "kind": "invalid",
        "words": ["allow_stop"],
    },
    "a format for a container": {
        "move": {"guest": 200, "disk": "rootfs", "storage": "ceph", "format": "raw", "allow_stop": True},
        "kind": "unsupported",
        "words": ["Leave format out"],
    },
}


def test_what_must_fail_is_refused_before_anything_is_sent(lab: Lab) -> None:
    lab.control("DELETE", "/requests")
    outcome = run("move_disk_refused", lab, cases=[{"name": name, **case} for name, case in REFUSED.items()])
    assert outcome.code == 0, outcome.text
    assert lab.writes() == []


def test_disks_move_and_stay_where_they_are(lab: Lab) -> None:
    outcome = run("move_disk", lab)
    assert outcome.code == 0, outcome.text
    config = lab.api("/nodes/pve1/qemu/100/config")
    assert re.search(r"^ceph:vm-100-disk-\d,.*discard=on", config["scsi0"])
    assert all(setting in config["scsi0"] for setting in ("iothread=1", "ssd=1"))
    assert "cache=writeback" in config["scsi1"]
    assert lab.api("/nodes/pve1/storage/tank/content?vmid=100") == []
    assert lab.api("/nodes/pve1/lxc/200/status/current")["status"] == "running"
    assert re.search(r"  100 web  scsi0  tank → ceph  done in [\d a-z]+\n", outcome.text)


def test_the_examples_run(lab: Lab, tmp_path: Path) -> None:
    """Two in one run of Ansible where their variables agree: starting it is what takes long."""
    examples = CHECKOUT / "docs" / "examples"
    formats = {"guest": 102, "disk": "scsi0", "storage": "nfs", "hot": "ceph", "cold": "nfs"}
    outcome = play(examples / "raw_to_qcow2.yml", lab, str(examples / "tiers_by_tag.yml"), variables=formats)
    assert outcome.code == 0, outcome.text
    assert "became nfs:102/vm-102-disk-0.qcow2" in outcome or "became nfs:102/vm-102-disk-1.qcow2" in outcome
    away = {"guest": "rests", "storage": "ceph", "target": "pve2"}
    outcome = play(examples / "local_to_shared.yml", lab, variables=away)
    assert outcome.code == 0, outcome.text
    assert "ceph" in lab.api("/nodes/pve2/qemu/101/config")["scsi0"]
    at_once = {"guests": "image,kept", "storage": "tank", "look_every": 1}
    outcome = play(examples / "many_guests_at_once.yml", lab, variables=at_once)
    assert outcome.code == 2, "one of them has a snapshot, which stops nobody else"
    assert lab.api("/nodes/pve1/qemu/102/config")["scsi0"].startswith("tank:")
    report = tmp_path / "nfs.md"
    outcome = play(examples / "retire_storage.yml", lab, variables={"storage": "nfs", "report": str(report)})
    assert "nfs can be switched off: False" in outcome.text
    assert "103/vm-103-disk-0.qcow2" in report.read_text()
