# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upgrading and restarting a node on its shell: what changes at once, what with the next boot, what stands still."""

from __future__ import annotations

import copy

import pytest

from lab.cluster_file import ClusterFileError
from lab.control import Control
from tests.conformance.client import Lab

CLUSTER = {
    "node_defaults": {"release": "9.1"},
    "nodes": {"pve1": {"upgrade": "9.2"}, "pve2": {}, "pve3": {}},
    "storages": {"tank": {"type": "zfspool", "pool": "tank", "size": "500G"}},
    "guests": {
        100: {"node": "pve1", "disk": "tank:8G"},
        200: {"node": "pve1", "type": "ct", "disk": "tank:4G"},
        101: {"node": "pve2", "disk": "tank:8G"},
    },
}


def shell(lab: Lab, *argv: str, node: str = "pve1") -> tuple[int, str]:
    status, body = Control(lab.cluster, lab.gateway).handle("POST", "/lab/shell", {"node": node, "argv": list(argv)})
    assert status == 200, body
    return body["exit"], body["output"]


@pytest.fixture
def lab() -> Lab:
    return Lab.from_dict(copy.deepcopy(CLUSTER))


def test_an_upgrade_is_served_at_once_and_its_kernel_runs_after_the_next_boot(lab: Lab) -> None:
    node = "/nodes/pve1"
    assert {"pve-manager", "proxmox-kernel-7.0.2-1-pve-signed"} <= {
        row["Package"] for row in lab.get(f"{node}/apt/update")
    }
    assert shell(lab, "apt-get", "full-upgrade")[0] != 0, "nobody said yes"
    before = lab.now
    assert "Inst pve-manager [9.1.4] (9.2.11)" in shell(lab, "apt-get", "-s", "full-upgrade")[1]
    assert lab.get(f"{node}/version")["version"] == "9.1.4"
    assert shell(lab, "apt-get", "-y", "-o", "Dpkg::Options::=--force-confold", "full-upgrade")[0] == 0
    assert lab.now - before > 20
    assert lab.get(f"{node}/version")["version"] == "9.2.11"
    assert lab.get(f"{node}/apt/update") == []
    assert shell(lab, "uname", "-r") == (0, "6.17.4-1-pve\n")
    assert "7.0.2-1-pve\n" in shell(lab, "proxmox-boot-tool", "kernel", "list")[1]
    assert lab.cluster.nodes["pve1"].running[100].qemu == "10.1.2", "a running guest keeps its QEMU"

    assert shell(lab, "systemctl", "reboot") == (0, "")
    lab.advance(30)
    assert shell(lab, "uname", "-r")[0] == 255, "it is down"
    lab.advance(120)
    assert shell(lab, "uname", "-r") == (0, "7.0.2-1-pve\n")
    status = lab.get(f"{node}/status")
    assert status["current-kernel"]["release"] == "7.0.2-1-pve"
    assert status["uptime"] < 120
    assert shell(lab, "systemctl", "is-active", "pvedaemon", "pve-cluster.service") == (0, "active\nactive\n")
    guests = {row["vmid"]: row for row in lab.get("/cluster/resources", params={"type": "vm"}, node="pve2")}
    assert [guests[vmid]["status"] for vmid in (100, 200, 101)] == ["stopped", "stopped", "running"]


def test_a_pinned_kernel_stays(lab: Lab) -> None:
    lab.cluster.nodes["pve1"].pinned_kernel = "6.17.4-1-pve"
    shell(lab, "apt-get", "-y", "dist-upgrade")
    shell(lab, "systemctl", "reboot")
    lab.advance(150)
    assert shell(lab, "uname", "-r") == (0, "6.17.4-1-pve\n")
    assert shell(lab, "proxmox-boot-tool", "kernel", "list")[1].endswith("\nPinned kernel:\n6.17.4-1-pve\n")


def test_an_upgrade_fails_when_it_is_told_to(lab: Lab) -> None:
    lab.cluster.faults.add({"shell": "full-upgrade", "node": "pve1", "effect": {"fail": "E: no luck"}, "count": 1})
    assert shell(lab, "apt-get", "-y", "full-upgrade") == (100, "E: no luck\n")
    assert lab.get("/nodes/pve1/version")["version"] == "9.1.4"
    assert shell(lab, "apt-get", "-y", "full-upgrade")[0] == 0


def test_an_upgrade_to_something_older_is_refused() -> None:
    with pytest.raises(ClusterFileError, match=r"pve1\.upgrade: 9\.0\.11 is older than the 9\.1\.4"):
        Lab.from_dict({"nodes": {"pve1": {"release": "9.1", "upgrade": "9.0"}}})


def test_ceph_tells_of_its_health_and_keeps_flags() -> None:
    lab = Lab.from_dict({**copy.deepcopy(CLUSTER), "ceph": {}})
    assert lab.get("/cluster/ceph/status")["health"]["status"] == "HEALTH_OK"
    assert lab.put("/cluster/ceph/flags/noout", {"value": 1}) is None
    assert lab.get("/cluster/ceph/flags/noout") == 1
    health = lab.get("/cluster/ceph/status")["health"]
    assert (health["status"], list(health["checks"])) == ("HEALTH_WARN", ["OSDMAP_FLAGS"])
    shell(lab, "systemctl", "reboot", node="pve3")
    lab.advance(30)
    assert "OSD_HOST_DOWN" in lab.get("/cluster/ceph/status")["health"]["checks"]
    lab.put("/cluster/ceph/flags/noout", {"value": 0})
    lab.advance(120)
    assert lab.get("/cluster/ceph/status")["health"]["status"] == "HEALTH_OK"


def test_a_cluster_without_ceph_says_so(lab: Lab) -> None:
    answer = lab.request("GET", "/cluster/ceph/status")
    assert (answer.status, answer.reason) == (500, "binary not installed: /usr/bin/ceph-mon")
