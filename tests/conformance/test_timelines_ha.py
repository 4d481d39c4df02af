# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a poller sees of the HA manager: the same values in the same order as recorded, at about the same times."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.conformance.client import Lab
from tests.conformance.poll import TIMELINES, Change, poll, values

CURRENT = "GET /cluster/ha/status/current @"
MANAGER = "GET /cluster/ha/status/manager_status @"
RESOURCES = "GET /cluster/resources @"
PERIOD = 10.0
"""Of CRM and LRMs; no lag is more exact than that."""

_CLUSTER: dict[str, Any] = {
    "nodes": ["pve1", "pve2", "pve3"],
    "storages": {
        "shr": {"type": "dir", "path": "/srv/shared", "content": "images,rootdir", "shared": True},
        "dirb": {"type": "dir", "path": "/srv/dirb", "content": "images", "nodes": ["pve1", "pve2"]},
    },
}
Project = Callable[[Any], Any]


def _lab(guests: Mapping[int, Any], phase: float, **ha: Any) -> Lab:
    """A settled cluster, ``phase`` seconds after a round of the CRM (on pve1; its LRM acts 1.5 s before it)."""
    lab = Lab.from_dict({**_CLUSTER, "guests": dict(guests), "ha": {"master": "pve1", **ha}})
    lab.advance(21.0 + phase)
    return lab


def _vm(node: str = "pve1", **more: Any) -> dict[str, Any]:
    return {"node": node, "memory": 64, "memory_used": "32M", "dirty_rate": 0, "disk": "shr:1G", **more}


# ---------------------------------------------------------------- what is looked at


def _service(sid: str) -> Project:
    def project(rows: Any) -> Any:
        if isinstance(rows, list):
            rows = {row.get("sid"): row for row in rows}
        row = rows.get(sid)
        return None if row is None else (row["state"], row["node"])

    return project


def _row(id: str, *keys: str) -> Project:
    def project(rows: Any) -> Any:
        if isinstance(rows, list):
            rows = {row["id"]: row for row in rows}
        row = rows.get(id, {})
        return tuple(row.get(key) for key in keys)

    return project


def _node_state(node: str) -> Project:
    def project(status: Any) -> Any:
        return status.get("manager_status", status)["node_status"][node]

    return project


def _lrm_word(node: str) -> Project:
    """The text of an LRM without its time."""

    def project(rows: Any) -> Any:
        if isinstance(rows, list):
            text = next(row["status"] for row in rows if row["id"] == f"lrm:{node}")
            return ", ".join(text.rstrip(")").split(", ")[:2]) + ")" if "watchdog" in text else text
        return rows[f"lrm:{node}"]

    return project


def _look(lab: Lab, endpoint: str, node: str, project: Project) -> Callable[[], Any]:
    path = endpoint.removeprefix("GET ").removesuffix(" @")
    return lambda: project(lab.get(path, node=node))


def _recorded(name: str, endpoint: str, project: Project, last: float) -> list[Change]:
    """The changes of what is looked at, from the last one before 0 on."""
    found: list[Change] = []
    state: dict[str, Any] = {}
    file = next(TIMELINES.glob(f"{name}*.jsonl"))
    for line in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
        if not line.get("endpoint", "").startswith(endpoint) or line["t"] > last or line["status"] != 200:
            continue
        value = line["value"]
        state = {**state, **value["delta"]} if "delta" in value else value
        change = Change(max(0.0, line["t"]), project(state))
        if line["t"] < 0 or not found:
            found = [change]
        elif found[-1].value != change.value:
            found.append(change)
    return found


def _same(seen: list[Change], recorded: list[Change], tolerance: float = PERIOD) -> None:
    """Same values in the same order, at the same times give or take ``tolerance`` seconds."""
    assert values(seen) == values(recorded), f"\nlab      {seen}\nrecorded {recorded}"
    for mine, theirs in zip(seen, recorded, strict=True):
        assert abs(mine.at - theirs.at) <= tolerance, f"{mine} instead of {theirs}"


def _replay(
    lab: Lab, name: str, looks: Mapping[str, tuple[str, Project]], seconds: float, tolerance: float = PERIOD,
    node: str = "pve3",
) -> dict[str, list[Change]]:  # fmt: skip
    """Poll, and compare with what was recorded."""
    seen = poll(lab, {key: _look(lab, look[0], node, look[1]) for key, look in looks.items()}, seconds, 0.5)
    for key, (endpoint, project) in looks.items():
        _same(seen[key], _recorded(name, endpoint, project, seconds), tolerance)
    return seen


def _tasks(lab: Lab, node: str, type: str) -> list[Any]:
    return [task for task in lab.cluster.tasks.of_node(node) if task.type == type]


# ---------------------------------------------------------------- 04: commands


def test_04a_adding_a_resource() -> None:
    lab = _lab({111: _vm()}, 3.0)
    lab.post("/cluster/ha/resources", {"sid": "vm:111", "state": "started"})
    assert lab.get("/nodes/pve1/qemu/111/status/current")["ha"] == {"managed": 1, "state": None}
    row = next(row for row in lab.get("/cluster/resources") if row["id"] == "qemu/111")
    assert row["hastate"] == "started", "it is the request, not the state"
    seen = poll(lab, {"state": _look(lab, CURRENT, "pve3", _service("vm:111"))}, 30, 0.5)
    _same(seen["state"], _recorded("04a", CURRENT, _service("vm:111"), 30)[-3:], 5.0)


_MOVE = {
    "service": (CURRENT, _service("vm:111")),
    "guest": (RESOURCES, _row("qemu/111", "node", "lock", "hastate")),
}


def test_04b_migrating_by_the_guest_s_own_path() -> None:
    lab = _lab({111: _vm(ha=True)}, 4.0)
    upid = lab.post("/nodes/pve1/qemu/111/migrate", {"target": "pve2", "online": 1})
    began = lab.now
    _replay(lab, "04b", _MOVE, 50)
    request = lab.cluster.tasks.find(upid)
    assert request is not None and request.type == "hamigrate" and request.exitstatus == "OK"
    assert request.endtime is not None and request.endtime - request.starttime < 1.5, "it is over before anything moved"
    (move,) = _tasks(lab, "pve1", "qmigrate")
    assert move.lines[0] == "task started by HA resource agent" and move.user == "root@pam"
    assert abs(move.starttime - lab.engine.epoch - began - 15) <= 5


def test_04c_migrating_by_the_ha_path() -> None:
    lab = _lab({111: _vm("pve2", ha=True)}, 4.0)
    answer = lab.post("/cluster/ha/resources/vm:111/migrate", {"node": "pve1"})
    assert answer == {"sid": "vm:111", "requested-node": "pve1"}
    _replay(lab, "04c", {"service": _MOVE["service"]}, 45)


def test_04d_the_last_command_of_a_round_wins_and_one_under_way_drops_the_next() -> None:
    lab = _lab({111: _vm(ha=True)}, 4.0)

    def command(target: str) -> None:
        lab.post("/cluster/ha/resources/vm:111/migrate", {"node": target})

    def service() -> dict[str, Any]:
        status: dict[str, Any] = lab.get("/cluster/ha/status/manager_status")["manager_status"]["service_status"]
        return dict(status["vm:111"])

    command("pve2")
    lab.advance(1.2)
    command("pve3")
    lab.advance(5)
    assert service()["target"] == "pve3" and service()["state"] == "migrate"
    command("pve2")
    lab.advance(10)
    assert service()["cmd"] == ["migrate", "pve2"], "accepted"
    lab.advance(60)
    assert service().keys() == {"state", "node", "uid", "running"} and service()["node"] == "pve3", "and dropped"
    assert len(_tasks(lab, "pve1", "qmigrate")) == 1 and not _tasks(lab, "pve3", "qmigrate")


def test_04e_own_and_unknown_node_are_accepted_and_ignored() -> None:
    lab = _lab({111: _vm("pve3", ha=True)}, 4.0)
    for target in ("pve3", "nosuch"):
        assert lab.request("POST", "/cluster/ha/resources/vm:111/migrate", {"node": target}).status == 200
    refused = lab.request("POST", "/nodes/pve3/qemu/111/migrate", {"target": "pve3", "online": 1})
    assert refused.status == 400
    assert refused.body is not None and refused.body["errors"] == {"target": "target is local node."}
    seen = poll(lab, {"service": _look(lab, CURRENT, "pve3", _service("vm:111"))}, 40, 0.5)
    assert values(seen["service"]) == [("started", "pve3")]
    texts = [text for _when, _node, _daemon, text in lab.cluster.ha.journal]
    assert "ignore crm command - service already on target node: migrate vm:111 pve3" in texts
    assert "crm command error - node not online: migrate vm:111 nosuch" in texts


def test_04f_relocating() -> None:
    lab = _lab({111: _vm("pve3", ha=True, shutdown="never")}, 5.0)
    lab.post("/cluster/ha/resources/vm:111/relocate", {"node": "pve2"})
    seen = _replay(lab, "04f", {"service": _MOVE["service"]}, 97)
    assert values(seen["service"])[1] == ("relocate", "pve3")
    (shutdown,) = _tasks(lab, "pve3", "qmshutdown")
    assert 60 <= shutdown.endtime - shutdown.starttime < 63
    (start,) = _tasks(lab, "pve2", "qmstart")
    assert start.starttime > shutdown.endtime


def test_04g_the_guest_s_own_path_checks_first() -> None:
    lab = _lab({111: _vm(disk="dirb:1G", ha=True)}, 4.0)
    answer = lab.request("POST", "/nodes/pve1/qemu/111/migrate", {"target": "pve3", "online": 1, "with-local-disks": 1})
    assert (answer.status, answer.reason) == (500, "storage 'dirb' is not available on node 'pve3'")


def test_04h_a_migration_that_cannot_start_leaves_only_an_exit_code() -> None:
    lab = _lab({111: _vm(disk="dirb:1G", ha=True)}, 4.0)

    def codes() -> list[int]:
        lrm = lab.get("/cluster/ha/status/manager_status")["lrm_status"]["pve1"]
        return [result["exit_code"] for result in lrm["results"].values()]

    lab.post("/cluster/ha/resources/vm:111/migrate", {"node": "pve3"})
    looks = {"codes": codes, "service": _look(lab, CURRENT, "pve3", _service("vm:111"))}
    seen = poll(lab, looks, 45, 0.5)
    service = [change.value for change in _recorded("04h", CURRENT, _service("vm:111"), 45)]
    assert values(seen["service"])[:2] == service[:2] == [("started", "pve1"), ("migrate", "pve1")]
    assert values(seen["service"])[-1] == service[-1] == ("started", "pve1")
    (failed,) = [change for change in seen["codes"] if change.value == [255]]
    after = seen["codes"][seen["codes"].index(failed) + 1]
    assert 8 <= after.at - failed.at <= 12, "for about ten seconds"
    assert not _tasks(lab, "pve1", "qmigrate"), "no task at all"


def test_04h_a_relocation_that_cannot_start_restarts_the_guest_in_place() -> None:
    lab = _lab({111: _vm(disk="dirb:1G", ha=True, shutdown="never")}, 9.0)
    lab.post("/cluster/ha/resources/vm:111/relocate", {"node": "pve3"})
    running = _look(lab, "GET /nodes/pve1/qemu/111/status/current @", "pve1", lambda status: status["status"])
    seen = poll(lab, {"service": _look(lab, CURRENT, "pve3", _service("vm:111")), "status": running}, 110, 0.5)
    states = [value for value in values(seen["service"]) if value != ("started", "pve1")]
    assert states == [("relocate", "pve1"), ("starting", "pve1")]
    assert values(seen["status"]) == ["running", "stopped", "running"]
    down, up = seen["status"][1].at, seen["status"][2].at
    assert 60 <= down <= 80 and 5 <= up - down <= 25


# ---------------------------------------------------------------- 05: maintenance

_THREE = {
    111: _vm(ha=True), 120: _vm(ha=True), 113: _vm(),
    203: {"node": "pve1", "type": "ct", "memory": 64, "disk": "shr:1G", "shutdown": "2s", "ha": True},
}  # fmt: skip


def _maintenance(lab: Lab, what: str, node: str = "pve1") -> None:
    from lab.control import Control

    argv = ["ha-manager", "crm-command", "node-maintenance", what, node]
    status, body = Control(lab.cluster, lab.gateway).handle("POST", "/lab/shell", {"node": node, "argv": argv})
    assert (status, body) == (200, {"exit": 0, "output": ""})


def _home(lab: Lab) -> Callable[[], Any]:
    """Which services are started, and where."""

    def look() -> dict[str, tuple[str, str]]:
        rows = lab.get("/cluster/ha/status/current", node="pve2")
        return {row["sid"]: (row["state"], row["node"]) for row in rows if row["type"] == "service"}

    return look


def test_05a_draining_and_returning() -> None:
    lab = _lab(_THREE, 3.0)
    looks = {
        "node": _look(lab, RESOURCES, "pve2", _row("node/pve1", "status", "hastate")),
        "lrm": _look(lab, CURRENT, "pve2", _lrm_word("pve1")),
        "plain": _look(lab, RESOURCES, "pve2", _row("qemu/113", "node", "lock")),
        "services": _home(lab),
    }
    _maintenance(lab, "enable")
    seen = poll(lab, looks, 75, 0.5)
    assert values(seen["node"]) == [("online", "online"), ("online", "maintenance")]
    assert 10 <= seen["node"][1].at <= 20, "invisible until then"
    assert values(seen["lrm"]) == ["pve1 (active, watchdog active)", "pve1 (maintenance mode, watchdog active)"]
    assert values(seen["plain"]) == [("pve1", None)], "what HA does not manage stays"
    states = {sid: [change.value[sid] for change in seen["services"]] for sid in ("vm:111", "vm:120", "ct:203")}
    for sid, moves in states.items():
        word = "relocate" if sid.startswith("ct") else "migrate"
        assert [state for state, _node in dict.fromkeys(moves)] == ["started", word, "starting", "started"]
        assert moves[-1][1] != "pve1"
    assert abs(seen["services"][-1].at - 48) <= PERIOD, "drained"
    assert {status["maintenance_node"] for status in _manager(lab).values()} == {"pve1"}

    lab.post("/cluster/ha/resources/vm:111/migrate", {"node": "pve1"})
    _maintenance(lab, "disable")
    seen = poll(lab, looks, 70, 0.5)
    assert values(seen["services"])[-1] == dict.fromkeys(("ct:203", "vm:111", "vm:120"), ("started", "pve1"))
    moving = next(change.at for change in seen["services"] if change.value["vm:120"][0] == "migrate")
    assert 5 <= moving <= 22 and abs(seen["services"][-1].at - 41) <= PERIOD + 2
    assert not any("maintenance_node" in status for status in _manager(lab).values())


def _manager(lab: Lab) -> dict[str, Any]:
    status: dict[str, Any] = lab.get("/cluster/ha/status/manager_status")["manager_status"]["service_status"]
    return status


def test_a_service_that_was_moved_before_stays_where_it_was_sent() -> None:
    lab = _lab({111: _vm(ha=True)}, 4.0)
    lab.post("/cluster/ha/resources/vm:111/migrate", {"node": "pve3"})
    lab.advance(60)
    _maintenance(lab, "enable")
    lab.advance(40)
    _maintenance(lab, "disable")
    lab.advance(60)
    assert _home(lab)() == {"vm:111": ("started", "pve3")}


def test_05b_what_cannot_leave_is_tried_again_and_again() -> None:
    lab = _lab({111: _vm(ha=True), 120: _vm(ha=True)}, 3.0)
    lab.cluster.faults.add({"task": "qmigrate", "vmid": 111, "phase": "memory", "effect": {"fail": "it does not work"}})
    _maintenance(lab, "enable")
    lab.advance(30)
    looks = {
        "service": _look(lab, CURRENT, "pve2", _service("vm:111")),
        "guest": _look(lab, RESOURCES, "pve2", _row("qemu/111", "hastate")),
        "lrm": _look(lab, CURRENT, "pve2", _lrm_word("pve1")),
    }
    before = len(_tasks(lab, "pve1", "qmigrate"))
    seen = poll(lab, looks, 100, 0.5)
    assert values(seen["service"]) == [("migrate", "pve1")] and values(seen["guest"]) == [("migrate",)]
    assert values(seen["lrm"]) == ["pve1 (maintenance mode, watchdog active)"]
    tries = [task for task in _tasks(lab, "pve1", "qmigrate")[before:] if task.id == "111"]
    assert 8 <= len(tries) <= 11 and {task.exitstatus for task in tries} - {None} == {"migration problems"}
    assert _manager(lab)["vm:120"]["node"] != "pve1"

    _maintenance(lab, "disable")
    lab.advance(60)
    row = next(row for row in lab.get("/cluster/ha/status/current") if row["id"] == "lrm:pve1")
    assert row["status"].startswith("pve1 (maintenance, watchdog active"), "left over until the LRM runs empty"
    assert _node_state("pve1")(lab.get("/cluster/ha/status/manager_status")) == "online"
    assert _home(lab)() == {"vm:111": ("started", "pve1"), "vm:120": ("started", "pve1")}


# ---------------------------------------------------------------- 09: a node dies


def test_09_death_of_a_node() -> None:
    lab = _lab({111: _vm("pve2", ha=True), 120: _vm("pve2")}, 3.5)
    lab.cluster.power_off(lab.cluster.nodes["pve2"])
    looks = {
        "service": (CURRENT, _service("vm:111")),
        "node": (MANAGER, _node_state("pve2")),
        "lrm": (CURRENT, _lrm_word("pve2")),
    }
    seen = poll(lab, {key: _look(lab, look[0], "pve1", look[1]) for key, look in looks.items()}, 26, 0.5)
    lab.post("/cluster/ha/resources/vm:111/migrate", {"node": "pve1"}, node="pve1")
    more = poll(lab, {key: _look(lab, look[0], "pve1", look[1]) for key, look in looks.items()}, 150, 0.5)
    for key, (endpoint, project) in looks.items():
        shifted = [Change(change.at + 26, change.value) for change in more[key]]
        joined = seen[key] + [change for change in shifted if change.value != seen[key][-1].value or change.at > 26.5]
        recorded = _recorded("09-node", endpoint, project, 176)
        if key == "service":
            # Where it goes is the manager's choice among two nodes with the same number of services.
            joined = [Change(change.at, (change.value[0], change.value[1] == "pve2")) for change in joined]
            recorded = [Change(change.at, (change.value[0], change.value[1] == "pve2")) for change in recorded]
        _same(joined, recorded, 12.0)
    assert "cmd" not in _manager(lab)["vm:111"], "a command sent before fencing is lost"
    row = _row("qemu/120", "node", "status")(lab.get("/cluster/resources", node="pve1"))
    assert row == ("pve2", "running"), "the others do not know better"


def test_09b_death_of_the_master() -> None:
    lab = _lab({111: _vm("pve3", ha=True)}, 9.0)
    master = lab.cluster.nodes["pve1"]
    lab.cluster.cut_off(master)
    lab.cluster.power_off(master)
    lab.advance(53)
    assert lab.request("POST", "/cluster/ha/resources/vm:111/migrate", {"node": "pve2"}, node="pve3").status == 200
    rows = lab.get("/cluster/ha/status/current", node="pve3")
    texts = {row["id"]: row["status"] for row in rows}
    assert texts["master"].startswith("pve1 (old timestamp - dead?")
    assert texts["fencing"] == "standby (CRM watchdog standby)"
    looks = {"service": _look(lab, CURRENT, "pve3", _service("vm:111"))}
    seen = poll(lab, looks, 110, 0.5)["service"]
    assert values(seen) == [("started", "pve3"), ("migrate", "pve3"), ("starting", "pve2"), ("started", "pve2")]
    recorded = _recorded("09b", CURRENT, _service("vm:111"), 165)
    for mine, theirs in zip(seen[1:], recorded[1:], strict=True):
        assert mine.value == theirs.value and abs(mine.at + 53 - theirs.at) <= 12
    status = lab.get("/cluster/ha/status/manager_status", node="pve3")["manager_status"]
    assert status["master_node"] in {"pve2", "pve3"} and status["node_status"]["pve1"] == "unknown"


def test_a_master_that_dies_with_services_is_fenced_by_its_successor() -> None:
    lab = _lab({111: _vm("pve1", ha=True)}, 5.0)
    lab.cluster.power_off(lab.cluster.nodes["pve1"])
    looks = {"service": _look(lab, CURRENT, "pve3", _service("vm:111"))}
    seen = poll(lab, looks, 230, 1.0)["service"]
    states = [change.value[0] for change in seen]
    assert states[0] == "started" and states[-2:] == ["starting", "started"]
    assert seen[-1].value[1] != "pve1" and 160 <= seen[-2].at <= 200, "the successor waits its own minute"


def test_a_node_that_is_cut_off_resets_itself_before_its_services_start_elsewhere() -> None:
    lab = _lab({111: _vm("pve2", ha=True)}, 4.0)
    node = lab.cluster.nodes["pve2"]
    lab.cluster.cut_off(node)
    lab.advance(50)
    assert 111 in node.running
    lab.advance(30)
    assert 111 not in node.running, "the watchdog has reset it"
    lab.advance(100)
    service = _manager(lab)["vm:111"]
    assert service["node"] != "pve2" and service["running"] == 1
    assert 111 in lab.cluster.nodes[service["node"]].running and 111 not in node.running
