# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``cluster_ready``: what keeps a node from being taken away, and when a node is really back."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Blocked, Invalid, TimedOut
from ansible_collections.pve.mobility.plugins.module_utils.execution.ready import from_options, run
from tests.conformance.client import Lab
from tests.integration.inprocess import LabClock, LabSession
from tests.integration.test_node_maintenance import Shell

CLUSTER: dict[str, Any] = {
    "node_defaults": {"release": "9.1", "upgrade": "9.2"},
    "nodes": {"pve1": {}, "pve2": {}, "pve3": {}},
    "storages": {
        "tank": {"type": "zfspool", "pool": "tank", "content": "images,rootdir", "size": "1T"},
        "nas": {"type": "nfs", "server": "10.0.0.9", "export": "/x", "content": "iso"},
    },
    "guests": {
        100: {"node": "pve1", "name": "web", "disk": "tank:8G", "replicate": {"pve2": {"last_sync": "5m"}}},
        101: {"node": "pve1", "name": "ha", "disk": "tank:8G", "ha": True, "replicate": {"pve2": {"last_sync": "5m"}}},
    },
    "ha": {"settled": True},
}


def start(**more: Any) -> Lab:
    lab = Lab.from_dict({**copy.deepcopy(CLUSTER), **more})
    lab.advance(30.0)
    return lab


def ready(lab: Lab, **options: Any) -> dict[str, Any]:
    return run(LabSession(lab), LabClock(lab), from_options(options))


def problems(lab: Lab, **options: Any) -> dict[str, str]:
    with pytest.raises(Blocked) as error:
        ready(lab, **options)
    return {row["check"]: row["message"] for row in error.value.details["problems"]}


def test_a_healthy_cluster_is_ready() -> None:
    lab = start(ceph={})
    result = ready(lab)
    assert (result["ready"], result["problems"], result["ceph"]["health"]) == (True, [], "HEALTH_OK")
    assert abs(result["time"] - lab.engine.now) < 5
    assert ready(start())["ceph"] == {"present": False, "health": None, "noout": False}


def test_no_node_may_be_taken_away_from_what_has_just_quorum() -> None:
    lab = start()
    lab.cluster.power_off(lab.cluster.nodes["pve3"])
    lab.advance(20.0)
    found = problems(lab)
    assert found["quorum"] == "without one node more the cluster would lose its quorum: 1 of 3 would be left"
    assert found["nodes"] == "pve3 is offline"
    assert ready(lab, accept=["quorum", "nodes", "replication"])["ready"] is True


def test_a_failing_replication_a_backup_and_a_sick_ceph_are_found() -> None:
    lab = start(ceph={"health": "HEALTH_WARN"})
    node = lab.cluster.nodes["pve2"]
    lab.cluster.tasks.fork_worker(node, "vzdump", "", "root@pam", lambda task: iter([lab.engine.sleep(600)]))
    lab.advance(15.0)
    lab.cluster.nodes["pve1"].replication_state["100-0"] |= {"fail_count": 2, "error": "no route to host"}
    found = problems(lab)
    assert found["replication"] == "replication job 100-0 to pve2 fails (no route to host)"
    assert "a backup runs on pve2" in found["backups"]
    assert found["ceph"] == "Ceph is HEALTH_WARN: Degraded data redundancy: 8 pgs degraded"


def test_the_flag_that_is_set_for_a_restart_is_no_problem() -> None:
    lab = start(ceph={"flags": ["noout"]})
    assert ready(lab)["ceph"] == {"present": True, "health": "HEALTH_WARN", "noout": True}


def test_maintenance_of_another_node_is_a_problem() -> None:
    lab = start()
    shell = Shell(lab)
    assert shell(["ha-manager", "crm-command", "node-maintenance", "enable", "pve2"])[0] == 0
    lab.advance(40.0)
    assert problems(lab) == {"nodes": "pve2 is in HA maintenance mode"}
    assert ready(lab, without=["pve2"])["ready"] is True


def test_a_node_is_back_when_everything_on_it_is() -> None:
    lab = start()
    shell = Shell(lab, "pve3")
    begun = ready(lab)["time"]
    assert shell(["apt-get", "-y", "full-upgrade"])[0] == 0
    assert shell(["systemctl", "reboot"])[0] == 0
    lab.advance(15.0)
    before = lab.now
    result = ready(lab, node="pve3", kernel="7.0.2-1-pve", version="9.2.11", booted_after=begun, timeout=600)
    assert (result["kernel"], result["version"]) == ("7.0.2-1-pve", "9.2.11")
    assert result["uptime"] < 120
    assert lab.now - before > 30, "it took a while"


def test_what_is_missing_is_said_when_the_time_is_up() -> None:
    lab = start()
    with pytest.raises(TimedOut, match=r"pve3 is not back after 30 s: pve3 has not been restarted since"):
        ready(lab, node="pve3", booted_after=int(lab.engine.now), timeout=30)
    assert "pve3 runs pve-manager 9.1.4, not 9.2.11" in problems(lab, node="pve3", version="9.2.11")["version"]
    lab.cluster.nodes["pve3"].daemon_up = False
    assert "nodes" in problems(lab, node="pve3") or "services" in problems(lab, node="pve3")
    lab.cluster.nodes["pve3"].daemon_up = True
    lab.cluster.storages.unreachable.add(("pve3", "nas"))
    lab.advance(60.0)
    assert "not active" in problems(lab, node="pve3")["storages"]
    with pytest.raises(Invalid, match="The cluster has no node pve9"):
        ready(lab, node="pve9")
