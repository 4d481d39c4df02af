# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``node_maintenance`` on the shell of a lab's node: it returns when the node is really empty, and not before."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    Conflict,
    NodeUnreachable,
    NoQuorum,
    NotFound,
    TimedOut,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.maintenance import Request, run
from lab.control import Control
from tests.conformance.client import Lab
from tests.integration.inprocess import LabClock

CLUSTER: dict[str, Any] = {
    "nodes": {"pve1": {}, "pve2": {}, "pve3": {}},
    "storages": {"ceph": {"type": "rbd", "pool": "vms", "content": "images,rootdir", "size": "1T"}},
    "guests": {
        100: {"node": "pve1", "name": "web", "memory": "4G", "disk": "ceph:8G", "ha": True},
        101: {"node": "pve1", "name": "rests", "disk": "ceph:8G", "running": False, "ha": {"state": "stopped"}},
        102: {"node": "pve1", "name": "not-managed", "disk": "ceph:8G"},
        200: {"node": "pve1", "type": "ct", "name": "ct", "disk": "ceph:8G", "ha": True},
    },
    "ha": {"settled": True},
}


class Shell:
    """The shell of a node of the lab; remembers what was typed."""

    def __init__(self, lab: Lab, node: str = "pve1") -> None:
        self.lab, self.node = lab, node
        self.control = Control(lab.cluster, lab.gateway)
        self.typed: list[str] = []

    def __call__(self, words: Sequence[str]) -> tuple[int, str, str]:
        self.typed.append(" ".join(words))
        status, body = self.control.handle("POST", "/lab/shell", {"node": self.node, "argv": list(words)})
        assert status == 200, body
        return (0, body["output"], "") if body["exit"] == 0 else (body["exit"], "", body["output"])

    @property
    def writes(self) -> list[str]:
        return [line for line in self.typed if not line.startswith("pvesh get")]


@pytest.fixture
def lab() -> Lab:
    return start()


def start(**more: Any) -> Lab:
    lab = Lab.from_dict({**copy.deepcopy(CLUSTER), **more})
    lab.advance(30.0)
    return lab


def switch(shell: Shell, active: bool, **more: Any) -> dict[str, Any]:
    check = more.pop("check", False)
    return run(shell, LabClock(shell.lab), Request(more.pop("node", ""), active, **more), check)


def where(lab: Lab) -> dict[int, str]:
    return {row["vmid"]: row["node"] for row in lab.get("/cluster/resources", params={"type": "vm"})}


def test_there_and_back_again_each_once(lab: Lab) -> None:
    shell = Shell(lab)
    foretold = switch(shell, True, check=True)
    assert (foretold["changed"], foretold["state"], shell.writes) == (True, "active", [])
    result = switch(shell, True)
    now = where(lab)
    assert now[100] != "pve1" != now[200], "what runs under HA has left when it returns"
    assert (now[101], now[102]) == ("pve1", "pve1"), "what does not run, or is not under HA, stays"
    assert (result["changed"], result["node"], result["state"]) == (True, "pve1", "active")
    assert result["services"] == [{"sid": "vm:101", "state": "stopped", "target": None}]
    assert result["to_return"] == ["ct:200", "vm:100"]
    assert result["duration_s"] > 10
    again = switch(shell, True)
    assert (again["changed"], again["state"], len(shell.writes)) == (False, "active", 1)

    back = switch(shell, False)
    assert (back["changed"], back["state"], back["to_return"]) == (True, "inactive", [])
    assert where(lab) == dict.fromkeys((100, 101, 102, 200), "pve1")
    assert switch(shell, False)["changed"] is False
    assert [line.split()[-2:] for line in shell.writes] == [["enable", "pve1"], ["disable", "pve1"]]


def test_another_node_will_do_and_a_second_run_waits_as_the_first(lab: Lab) -> None:
    shell = Shell(lab, "pve3")
    assert switch(shell, True, node="pve1", wait=False)["changed"] is True
    lab.advance(15.0)
    assert switch(shell, True, node="pve1")["changed"] is False
    assert "pve1" not in {where(lab)[vmid] for vmid in (100, 200)}
    assert len(shell.writes) == 1


def test_a_service_that_cannot_move_is_named_when_the_time_is_up() -> None:
    lab = start(faults=[{"task": "qmigrate", "vmid": 100, "effect": {"fail": "no luck"}}])
    with pytest.raises(TimedOut) as error:
        switch(Shell(lab), True, timeout=120)
    assert "still there: vm:100" in error.value.message
    assert [row["sid"] for row in error.value.details["services"]] == ["vm:100"]


def test_nothing_is_switched_where_nothing_is_under_ha() -> None:
    guests = {vmid: {**guest, "ha": False} for vmid, guest in CLUSTER["guests"].items()}
    for guest in guests.values():
        guest.pop("ha")
    shell = Shell(start(guests=guests, ha={}))
    result = switch(shell, True)
    assert (result["changed"], result["managed"], result["state"]) == (False, False, "inactive")
    assert shell.writes == []


def test_what_the_manager_would_drop_without_a_word_is_refused() -> None:
    lab = start(ha={"settled": True, "disarmed": "freeze"})
    shell = Shell(lab)
    lab.advance(30.0)
    with pytest.raises(Conflict, match="HA is disarmed"):
        switch(shell, True)
    lab = start()
    shell = Shell(lab)
    lab.cluster.power_off(lab.cluster.nodes["pve2"])
    lab.advance(60.0)
    with pytest.raises(NodeUnreachable, match=r"pve2 is (unknown|fence) for the HA manager"):
        switch(shell, True, node="pve2")
    with pytest.raises(NotFound, match="knows no node pve9"):
        switch(shell, True, node="pve9")
    lab.cluster.power_off(lab.cluster.nodes["pve3"])
    lab.advance(30.0)
    with pytest.raises(NoQuorum):
        switch(shell, True)
    assert shell.writes == []
