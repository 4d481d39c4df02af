# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab's HA stack does with services beyond what was recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.control import Control
from lab.state_dir import load_state, save
from tests.conformance.client import Lab

_NODES = ("pve1", "pve2", "pve3")


def make(guests: dict[int, Any], nodes: Any = _NODES, **more: Any) -> Lab:
    cluster = {
        "nodes": nodes if isinstance(nodes, dict) else list(nodes),
        "storages": {"shr": {"type": "rbd", "pool": "vms", "content": "images,rootdir"}},
        "guests": {vmid: {"memory": 64, "memory_used": "32M", "dirty_rate": 0, "disk": "shr:1G", **guest}
                   for vmid, guest in guests.items()},
        **more,
    }  # fmt: skip
    return Lab.from_dict(cluster)


def shell(lab: Lab, *argv: str, node: str = "pve1") -> tuple[int, str]:
    status, body = Control(lab.cluster, lab.gateway).handle("POST", "/lab/shell", {"node": node, "argv": list(argv)})
    assert status == 200, body
    return body["exit"], body["output"]


def service(lab: Lab, sid: str) -> dict[str, Any]:
    status: dict[str, Any] = lab.get("/cluster/ha/status/manager_status")["manager_status"]["service_status"]
    return dict(status.get(sid, {}))


def shown(lab: Lab, sid: str) -> str | None:
    rows = lab.get("/cluster/ha/status/current")
    return next((row["state"] for row in rows if row.get("sid") == sid), None)


def tasks(lab: Lab, type: str) -> list[Any]:
    return sorted((task for name in lab.cluster.nodes for task in lab.cluster.tasks.of_node(name) if task.type == type),
                  key=lambda task: task.starttime)  # fmt: skip


# ---------------------------------------------------------------- the service's own life


def test_a_cluster_without_resources_runs_no_managers() -> None:
    lab = make({100: {"node": "pve1"}})
    lab.advance(600)
    assert not lab.cluster.ha.lrms
    rows = lab.get("/cluster/ha/status/current")
    assert [row["type"] for row in rows] == ["quorum", "fencing"]
    lab.post("/cluster/ha/resources", {"sid": "100"})
    lab.advance(45)
    assert shown(lab, "vm:100") == "started"


def test_a_guest_that_stops_by_itself_is_started_again() -> None:
    lab = make({100: {"node": "pve1", "ha": True}})
    lab.advance(15)
    del lab.cluster.nodes["pve1"].running[100]
    lab.advance(25)
    assert 100 in lab.cluster.nodes["pve1"].running
    (start,) = tasks(lab, "qmstart")
    assert start.lines[0] == "task started by HA resource agent"


def test_stop_and_start_by_the_guests_own_path_change_what_is_wanted() -> None:
    lab = make({100: {"node": "pve1", "ha": True}, 200: {"node": "pve2", "type": "ct", "ha": True}})
    lab.advance(15)
    lab.post("/nodes/pve1/qemu/100/status/stop")
    lab.post("/nodes/pve2/lxc/200/status/shutdown")
    lab.advance(1)
    assert {row["state"] for row in lab.get("/cluster/ha/resources")} == {"stopped"}
    assert shown(lab, "vm:100") == "stopping"
    lab.advance(30)
    assert shown(lab, "vm:100") == shown(lab, "ct:200") == "stopped"
    assert 100 not in lab.cluster.nodes["pve1"].running and 200 not in lab.cluster.nodes["pve2"].running
    lab.post("/nodes/pve1/qemu/100/status/start")
    lab.advance(1)
    assert shown(lab, "vm:100") == "starting"
    lab.advance(40)
    assert shown(lab, "vm:100") == "started" and 100 in lab.cluster.nodes["pve1"].running


@pytest.mark.parametrize("max_relocate", [0, 2])
def test_a_service_that_does_not_start_is_tried_again_elsewhere_and_ends_in_error(max_relocate: int) -> None:
    lab = make({100: {
        "node": "pve1", "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr9",
        "ha": {"max_restart": 1, "max_relocate": max_relocate}, "running": False,
    }})  # fmt: skip
    lab.advance(220)
    assert service(lab, "vm:100")["state"] == "error"
    where = [task.node for task in tasks(lab, "qmstart")]
    assert len(where) == 2 * (max_relocate + 1), "two tries on each node"
    assert len(set(where)) == max_relocate + 1
    refused = lab.request("POST", "/cluster/ha/resources/vm:100/migrate", {"node": "pve2"})
    assert refused.reason == "service 'vm:100' in error state, must be disabled and fixed first"
    assert lab.request("PUT", "/cluster/ha/resources/vm:100", {"state": "started"}).status == 500
    lab.put("/cluster/ha/resources/vm:100", {"state": "disabled"})
    lab.advance(12)
    assert shown(lab, "vm:100") == "disabled"


def test_an_ignored_resource_is_like_any_guest() -> None:
    lab = make({100: {"node": "pve1", "ha": "ignored"}, 101: {"node": "pve1", "ha": True}})
    lab.advance(15)
    upid = lab.post("/nodes/pve1/qemu/100/migrate", {"target": "pve2", "online": 1})
    assert ":qmigrate:" in upid and lab.wait_task(upid) == "OK"
    assert shown(lab, "vm:100") == "ignored" and not service(lab, "vm:100")


def test_no_more_workers_than_allowed_move_at_a_time() -> None:
    lab = make({100 + n: {"node": "pve1", "ha": True} for n in range(7)}, datacenter={"max_workers": 2})
    lab.advance(15)
    shell(lab, "ha-manager", "crm-command", "node-maintenance", "enable", "pve1")
    most = 0
    for _second in range(120):
        lab.advance(1)
        most = max(most, sum(task.running for task in tasks(lab, "qmigrate")))
    assert most == 2
    assert len(tasks(lab, "qmigrate")) == 7 and not lab.cluster.nodes["pve1"].running
    counts = [len(lab.cluster.nodes[name].running) for name in ("pve2", "pve3")]
    assert sorted(counts) == [3, 4], "spread by the number of services"


def test_purging_a_resource_shrinks_its_rules() -> None:
    lab = make({100: {"node": "pve1", "ha": True}, 101: {"node": "pve2", "ha": True}})
    lab.post("/cluster/ha/rules", {"rule": "home", "type": "node-affinity", "resources": "vm:100,vm:101",
                                   "nodes": "pve1,pve2"})  # fmt: skip
    lab.delete("/cluster/ha/resources/vm:100")
    assert lab.get("/cluster/ha/rules/home")["resources"] == "vm:101"
    lab.delete("/cluster/ha/resources/vm:101", {"purge": 0})
    assert lab.get("/cluster/ha/rules/home")["resources"] == "vm:101"


def test_a_round_over_a_thousand_services_looks_only_at_those_with_news(monkeypatch: pytest.MonkeyPatch) -> None:
    from lab.ha import transitions

    nodes = [f"pve{n}" for n in range(1, 5)]
    lab = make({1000 + n: {"node": nodes[n % 4], "ha": True} for n in range(1000)}, nodes=nodes)
    before = {sid: item.uid for sid, item in lab.cluster.ha.status.services.items()}
    looked: list[str] = []
    step = transitions.next_state

    def counted(manager: Any, sid: str, *more: Any) -> None:
        looked.append(sid)
        step(manager, sid, *more)

    monkeypatch.setattr(transitions, "next_state", counted)
    lab.advance(12)
    looked.clear()
    lab.advance(100)
    # An LRM gets through four workers a second for nine seconds of a round.
    assert len(looked) <= 10 * 4 * 36 * 1.1, f"{len(looked)} in ten rounds"
    after = lab.cluster.ha.status.services
    assert all(item.uid != before[sid] and item.running for sid, item in after.items()), "each had its turn"


# ---------------------------------------------------------------- disarming


def test_disarmed_with_freeze_nothing_moves() -> None:
    lab = make({100: {"node": "pve1", "ha": True}})
    lab.advance(15)
    lab.post("/cluster/ha/status/disarm-ha", {"resource-mode": "freeze"})
    lab.advance(40)
    fencing = next(row for row in lab.get("/cluster/ha/status/current") if row["type"] == "fencing")
    assert fencing["armed-state"] == "disarmed" and fencing["resource_mode"] == "freeze"
    upid = lab.post("/nodes/pve1/qemu/100/migrate", {"target": "pve2", "online": 1})
    assert lab.wait_task(upid) == "OK", "the request is taken"
    lab.advance(60)
    assert not tasks(lab, "qmigrate")
    lab.post("/cluster/ha/status/arm-ha")
    lab.advance(45)
    assert shown(lab, "vm:100") == "started"


def test_disarmed_with_ignore_guests_move_directly_and_are_found_again() -> None:
    lab = make({100: {"node": "pve1", "ha": True}}, ha={"disarmed": "ignore"})
    lab.advance(15)
    assert shown(lab, "vm:100") == "ignore"
    upid = lab.post("/nodes/pve1/qemu/100/migrate", {"target": "pve2", "online": 1})
    assert ":qmigrate:" in upid and lab.wait_task(upid) == "OK"
    lab.post("/cluster/ha/status/arm-ha")
    lab.advance(40)
    assert (service(lab, "vm:100")["node"], shown(lab, "vm:100")) == ("pve2", "started")


# ---------------------------------------------------------------- faults


def test_delayed_commands_are_carried_out_later() -> None:
    guests = {100 + n: {"node": "pve1", "ha": True} for n in range(5)}
    lab = make(guests, faults=[{"ha": {"delay": [20, 90]}}], datacenter={"max_workers": 5})
    lab.advance(15)
    for vmid in guests:
        lab.post(f"/cluster/ha/resources/vm:{vmid}/migrate", {"node": "pve2"})
    lab.advance(180)
    starts = [task.starttime for task in tasks(lab, "qmigrate")]
    assert len(starts) == 5 and starts[0] >= lab.engine.epoch + 35 and starts[-1] - starts[0] >= 10
    assert set(lab.cluster.nodes["pve2"].running) == set(guests)


@pytest.mark.parametrize("fault", ["drop", "never-acts"])
def test_commands_that_come_to_nothing(fault: str) -> None:
    lab = make({100: {"node": "pve1", "ha": True}}, faults=[{"ha": fault, "sid": "vm:100"}])
    lab.advance(15)
    lab.post("/cluster/ha/resources/vm:100/migrate", {"node": "pve2"})
    lab.advance(100)
    assert service(lab, "vm:100").get("cmd") == (["migrate", "pve2"] if fault == "never-acts" else None)
    assert service(lab, "vm:100")["state"] == "started" and not tasks(lab, "qmigrate")
    lab.cluster.faults.clear()
    lab.advance(60)
    assert service(lab, "vm:100")["node"] == ("pve2" if fault == "never-acts" else "pve1")


def test_an_lrm_that_fails_leaves_no_task() -> None:
    lab = make({100: {"node": "pve1", "ha": True}}, faults=[{"ha": "lrm-fails", "count": 1}])
    lab.advance(15)
    lab.post("/cluster/ha/resources/vm:100/migrate", {"node": "pve2"})
    lab.advance(40)
    assert service(lab, "vm:100")["node"] == "pve1" and not tasks(lab, "qmigrate")
    lab.post("/cluster/ha/resources/vm:100/migrate", {"node": "pve2"})
    lab.advance(60)
    assert service(lab, "vm:100")["node"] == "pve2"


# ---------------------------------------------------------------- nodes that go


@pytest.mark.parametrize("policy", ["freeze", "failover", "migrate"])
def test_shutting_a_node_down_follows_the_policy(policy: str) -> None:
    lab = make({100: {"node": "pve2", "ha": True}, 101: {"node": "pve2"}},
               datacenter={"ha": f"shutdown_policy={policy}"})  # fmt: skip
    lab.advance(15)
    assert shell(lab, "reboot" if policy == "freeze" else "poweroff", node="pve2") == (0, "")
    lab.advance(30)
    if policy == "freeze":
        assert service(lab, "vm:100")["state"] == "freeze"
        lab.advance(120)
        assert service(lab, "vm:100")["node"] == "pve2" and shown(lab, "vm:100") == "started"
        assert lab.cluster.nodes["pve2"].powered
        return
    lab.advance(270)
    assert not lab.cluster.nodes["pve2"].powered
    assert service(lab, "vm:100")["node"] != "pve2" and shown(lab, "vm:100") == "started"
    assert len(tasks(lab, "qmigrate")) == (1 if policy == "migrate" else 0)


def test_recovery_removes_the_lock_that_a_dead_node_left() -> None:
    lab = make({100: {"node": "pve2", "ha": True, "lock": "backup"}})
    lab.advance(15)
    lab.cluster.power_off(lab.cluster.nodes["pve2"])
    lab.advance(170)
    entry = lab.cluster.guest(100)
    assert entry is not None and entry.node != "pve2" and "lock" not in lab.cluster.config(entry).current
    assert shown(lab, "vm:100") == "started"


def test_without_a_node_that_may_take_it_a_service_stays_in_recovery() -> None:
    lab = make({100: {"node": "pve2", "ha": True}},
               ha={"rules": {"home": {"type": "node-affinity", "resources": ["vm:100"], "nodes": ["pve2"],
                                      "strict": True}}})  # fmt: skip
    lab.advance(15)
    lab.cluster.power_off(lab.cluster.nodes["pve2"])
    lab.advance(200)
    assert service(lab, "vm:100")["state"] == "recovery"
    lab.cluster.power_on(lab.cluster.nodes["pve2"], 10)
    lab.advance(200)
    assert (service(lab, "vm:100")["node"], shown(lab, "vm:100")) == ("pve2", "started")


def test_a_minority_does_nothing() -> None:
    lab = make({100: {"node": "pve1", "ha": True}})
    lab.advance(15)
    for name in ("pve2", "pve3"):
        lab.cluster.cut_off(lab.cluster.nodes[name])
    lab.advance(20)
    before = lab.get("/cluster/ha/status/manager_status")["manager_status"]["timestamp"]
    lab.advance(20)
    assert lab.get("/cluster/ha/status/manager_status")["manager_status"]["timestamp"] == before
    answer = lab.request("POST", "/cluster/ha/resources/vm:100/migrate", {"node": "pve2"})
    assert (answer.status, answer.reason) == (500, "cfs-lock 'domain-ha' error: no quorum!")


def test_state_survives_in_a_folder(tmp_path: Path) -> None:
    lab = make({100: {"node": "pve1", "ha": True}, 101: {"node": "pve2", "ha": True}})
    lab.advance(15)
    shell(lab, "ha-manager", "crm-command", "node-maintenance", "enable", "pve1")
    lab.advance(45)
    save(lab.cluster, tmp_path)
    again = Lab(load_state(tmp_path))
    assert service(again, "vm:100") == service(lab, "vm:100")
    assert service(again, "vm:100")["maintenance_node"] == "pve1"
    again.advance(30)
    nodes = again.get("/cluster/ha/status/manager_status")["manager_status"]["node_status"]
    assert nodes["pve1"] == "maintenance"
    shell(again, "ha-manager", "crm-command", "node-maintenance", "disable", "pve1")
    again.advance(60)
    assert service(again, "vm:100")["node"] == "pve1"


# ---------------------------------------------------------------- the shell


def test_the_shell_speaks_as_ha_manager_does() -> None:
    lab = make({100: {"node": "pve1"}, 101: {"node": "pve2", "ha": True}})
    lab.advance(15)
    assert shell(lab, "ha-manager", "add", "vm:100", "--max_restart=2", "--comment", "by hand") == (0, "")
    assert lab.get("/cluster/ha/resources/vm:100")["max_restart"] == 2
    assert shell(lab, "ha-manager", "set", "vm:100", "--state", "disabled") == (0, "")
    assert lab.get("/cluster/ha/resources/vm:100")["state"] == "disabled"
    status, text = shell(lab, "ha-manager", "status")
    assert status == 0 and "service vm:101 (pve2, started)\n" in text
    assert shell(lab, "ha-manager", "remove", "vm:100") == (0, "")
    assert shell(lab, "ha-manager", "remove", "vm:100")[0] == 255
    failed = shell(lab, "ha-manager", "crm-command", "node-maintenance", "enable", "nosuch")
    assert failed == (255, "no such cluster node 'nosuch'\n")
    assert shell(lab, "ha-manager", "migrate", "vm:999", "pve1") == (255, "resource 'vm:999' is not HA managed\n")
