# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rolling upgrade as an operator runs it: shown, stopped by a failure in a safe state, gone on with, reported."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.node_hosts import write
from tests.integration.harness import HERE, Lab, Outcome, play, running_lab

CLUSTER: dict[str, Any] = {
    "name": "rolling",
    "node_defaults": {"release": "9.1", "upgrade": "9.2", "memory": "32G", "link_speed": "10Gbit", "boot": "20s"},
    "nodes": {"pve1": {"pci": ["0000:41:00.0"]}, "pve2": {}, "pve3": {"release": "9.2"}},
    "storages": {"shared": {"type": "rbd", "pool": "vms", "content": "images,rootdir", "size": "4T"}},
    "ceph": {},
    "guests": {
        100: {"node": "pve1", "name": "web", "memory": "2G", "disk": "shared:8G", "ha": True},
        102: {"node": "pve1", "name": "app", "memory": "2G", "disk": "shared:8G"},
        101: {"node": "pve1", "name": "rests", "memory": "2G", "disk": "shared:8G", "running": False},
        120: {"node": "pve1", "name": "gpu", "memory": "2G", "disk": "shared:8G", "hostpci0": "0000:41:00.0"},
        110: {"node": "pve2", "name": "stays", "memory": "2G", "disk": "shared:8G"},
        200: {"node": "pve2", "type": "ct", "name": "dns", "memory": "512M", "disk": "shared:4G"},
    },
    "ha": {"settled": True},
}
QUICK = {"ANSIBLE_PIPELINING": "1"}
HOOKS = HERE / "hooks"
RUNS = {100, 102, 110, 120, 200}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab(CLUSTER, speed=60.0) as lab:
        yield lab


def upgrade(lab: Lab, folder: Path, *arguments: str, **variables: Any) -> Outcome:
    inventory = write(folder / "hosts", lab.info["control"], lab.info["nodes"])
    given = {
        "auto": True,
        "pinned": "stop",
        "rolling_upgrade_folder": str(folder / "state"),
        "report": [str(folder / "report.html"), str(folder / "report.json"), str(folder / "report.md")],
        "rolling_upgrade_needs": {"pve2": {"reboot": False}},
        **variables,
    }
    return play(
        "pve.mobility.rolling_upgrade", lab, *arguments, variables=given, inventory=inventory, environment=QUICK
    )


def guests(lab: Lab) -> dict[int, dict[str, Any]]:
    return {row["vmid"]: row for row in lab.api("/cluster/resources?type=vm")}


def tasks(lab: Lab, node: str) -> list[str]:
    return [row["type"] for row in lab.api(f"/nodes/{node}/tasks?limit=500&source=all")]


def versions(lab: Lab) -> dict[str, str]:
    return {name: lab.api(f"/nodes/{name}/version")["version"] for name in CLUSTER["nodes"]}


def node_states(lab: Lab) -> set[str]:
    """As the HA manager has them."""
    return set(lab.api("/cluster/ha/status/manager_status")["manager_status"]["node_status"].values())


def until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_shown_stopped_gone_on_with_and_reported(lab: Lab, tmp_path: Path) -> None:
    lab.control("DELETE", "/requests")
    shown = upgrade(lab, tmp_path, "--check")
    assert shown.code == 0, shown.text
    assert "Rolling upgrade of 2 nodes from 9.1.4" in shown
    assert "120 gpu  will be shut down meanwhile" in shown
    assert lab.writes() == [], "check mode sends no write"
    assert {path.name for path in tmp_path.iterdir()} == {"hosts"}, "and writes no file"

    crowded = upgrade(lab, tmp_path, rolling_upgrade_install=str(HOOKS / "crowded.yml"), comes_back={"pve1": 102})
    assert crowded.code != 0
    assert "pve1 is not restarted: 102 app still there" in crowded, crowded.text
    assert "It is in service again." in crowded
    assert "run this again to go on with it" in crowded
    assert versions(lab) == dict.fromkeys(CLUSTER["nodes"], "9.2.11")
    assert lab.api("/nodes/pve1/status")["uptime"] > 86400, "it was not restarted"
    assert node_states(lab) == {"online"}, "no node is left in maintenance mode"
    assert lab.api("/cluster/ceph/flags/noout") == 0
    assert {vmid for vmid, row in guests(lab).items() if row["status"] == "running"} == RUNS
    told = json.loads((tmp_path / "report.json").read_text())
    assert [(row["name"], row["state"]) for row in told["nodes"]] == [("pve2", "done"), ("pve1", "failed")]

    alone = upgrade(lab, tmp_path, rolling_upgrade_install=str(HOOKS / "alone.yml"), lost="pve3")
    assert alone.code != 0
    assert "without pve1 the cluster would lose its quorum: 1 of 3 would be left" in alone, alone.text
    assert "It is in service again." in alone
    assert lab.api("/nodes/pve1/status")["uptime"] > 86400, "it was not restarted"
    lab.control("POST", "/node", {"node": "pve3", "action": "power-on", "boot_seconds": 20})
    until(lambda: node_states(lab) == {"online"} and all(row["online"] for row in lab.api("/cluster/status")[1:]))
    lab.post(f"/nodes/{guests(lab)[102]['node']}/qemu/102/status/start")

    assert [row["poolid"] for row in lab.api("/pools")] == ["pve-mobility-upgrade"]
    lab.control("DELETE", "/requests")
    other = upgrade(lab, tmp_path, rolling_upgrade_folder=str(tmp_path / "elsewhere"))
    assert other.code != 0
    assert "Another upgrade of this cluster has not ended." in other, other.text
    assert f"on {socket.gethostname()} is at work." in other
    assert lab.writes() == [], "a second controller changes nothing"

    lost = upgrade(lab, tmp_path, rolling_upgrade_restart=str(HOOKS / "lost.yml"), rolling_upgrade_back_timeout=60)
    assert lost.code != 0
    assert "An upgrade of this cluster has not ended: going on with pve1." in lost
    assert "pve1: pve1 is not back after 60 s" in lost, lost.text
    assert "HA maintenance mode stays on, because the node does not serve" in lost
    assert lab.api("/cluster/ceph/flags/noout", host=1) == 1, "its data is not copied elsewhere while it is away"

    lab.control("POST", "/node", {"node": "pve1", "action": "power-on", "boot_seconds": 20})
    lock = tmp_path / "state/rolling/rolling-upgrade.json.lock"
    began = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[19]
    dead = lock.read_text()
    lock.write_text(json.dumps({"pid": os.getpid(), "began": began, "host": socket.gethostname()}))
    lab.control("DELETE", "/requests")
    second = upgrade(lab, tmp_path)
    assert second.code != 0
    assert f"Another run is at work with the state {lock.with_suffix('')} (process {os.getpid()}" in second
    lock.write_text(dead)
    elsewhere = upgrade(lab, tmp_path, rolling_upgrade_folder=str(tmp_path / "another-machine"))
    assert elsewhere.code != 0
    assert "pve1 is in HA maintenance mode" in elsewhere, elsewhere.text
    assert lab.writes() == [], "a second controller changes nothing"
    assert "maintenance" in node_states(lab)
    assert lab.api("/cluster/ceph/flags/noout") == 1

    last = upgrade(lab, tmp_path)
    assert last.code == 0, last.text
    assert lab.api("/nodes/pve1/status")["current-kernel"]["release"] == "7.0.2-1-pve"
    assert node_states(lab) == {"online"}
    now = guests(lab)
    assert {vmid for vmid, row in now.items() if row["status"] == "running"} == RUNS
    assert (now[101]["node"], now[110]["node"], now[120]["node"]) == ("pve1", "pve2", "pve1")
    assert lab.api("/cluster/ceph/flags/noout") == 0
    assert lab.api("/pools") == []
    assert "stopall" not in tasks(lab, "pve1"), "it was not restarted with a guest on it"
    assert tasks(lab, "pve2").count("qmigrate") == 0, "a node that does not restart keeps its guests"
    told = json.loads((tmp_path / "report.json").read_text())
    assert told["good"] is True
    assert told["answer"].startswith("2 of 2 nodes done in ")
    assert told["left"] == [{"node": "pve3", "why": "nothing waits to be installed, and its newest kernel runs"}]
    assert told["totals"]["rebooted"] == 1
    by_node = {row["name"]: row for row in told["nodes"]}
    assert (by_node["pve1"]["before"], by_node["pve1"]["after"]) == ("9.1.4", "9.2.11")
    assert [row["vmid"] for row in by_node["pve1"]["stopped"]] == [120]
    state = json.loads((tmp_path / "state/rolling/rolling-upgrade.json").read_text())
    assert (state["finished"], sorted(state["done"])) == (True, [1, 2])
    assert by_node["pve1"]["times"].keys() >= {"drain", "upgrade", "reboot"}
    page = (tmp_path / "report.html").read_text()
    assert "100 web" in page
    assert "<script src" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "| 100 web | pve1 → " in (tmp_path / "report.md").read_text()
