# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting and stopping guests, and what keeps a VM from starting on a node."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.client import Lab

VM = "/nodes/pve1/qemu/100/status"
CT = "/nodes/pve1/lxc/200/status"
TANK = {"type": "zfspool", "pool": "tank", "content": ["images", "rootdir"]}
NAS = {"type": "nfs", "server": "10.0.0.5", "export": "/pve", "content": ["images", "snippets"]}
QEMU_EXITED = "start failed: QEMU exited with code 1"


def _lab(vm: dict[str, Any] | None = None, **more: Any) -> Lab:
    guests = {
        100: {"node": "pve1", "memory": 512, "disk": "tank:4G", "running": False, **(vm or {})},
        200: {"node": "pve1", "type": "ct", "memory": 512, "rootfs": "tank:4G", "running": False},
    }
    return Lab.from_dict({"nodes": {"pve1": {}, "pve2": {}}, "storages": {"tank": TANK}, "guests": guests, **more})


def _log(lab: Lab, upid: str) -> list[str]:
    return [row["t"] for row in lab.get(f"/nodes/pve1/tasks/{upid}/log", {"limit": 0})]


def test_a_vm_starts_once_and_tells_what_it_runs_as() -> None:
    lab = _lab()
    assert lab.get(f"{VM}/current")["status"] == "stopped"
    upid = lab.post(f"{VM}/start")
    assert (lab.wait_task(upid), upid.split(":")[5]) == ("OK", "qmstart")
    lab.advance(60)
    status = lab.get(f"{VM}/current")
    assert (status["status"], status["qmpstatus"]) == ("running", "running")
    assert 59 <= status["uptime"] <= 61
    assert status["running-machine"].startswith("pc-i440fx-") and status["running-qemu"]
    assert lab.wait_task(lab.post(f"{VM}/start")) == "VM 100 already running"


def test_a_guest_that_heeds_no_shutdown_is_stopped_only_by_force() -> None:
    lab = _lab({"running": True, "shutdown": "never"})
    began = lab.now
    assert lab.wait_task(lab.post(f"{VM}/shutdown", {"timeout": 20})) == "VM quit/powerdown failed - got timeout"
    assert lab.now - began == pytest.approx(20, abs=2)
    assert lab.get(f"{VM}/current")["status"] == "running"
    assert lab.wait_task(lab.post(f"{VM}/shutdown", {"timeout": 20, "forceStop": 1})) == "OK"
    assert lab.get(f"{VM}/current")["status"] == "stopped"


def test_who_comes_second_waits_for_the_first() -> None:
    lab = _lab({"running": True, "shutdown": "30s"})
    first = lab.post(f"{VM}/shutdown", {"timeout": 60})
    lab.advance(1)
    second = lab.post(f"{VM}/start")
    assert lab.wait_task(second).endswith("got timeout")
    assert _log(lab, second)[0] == "trying to acquire lock..."
    assert lab.wait_task(first) == "OK"


def test_containers_are_refused_at_once_where_vms_fail_later() -> None:
    lab = _lab()
    refused = lab.request("POST", f"{CT}/stop")
    assert (refused.status, refused.reason) == (500, "CT 200 not running")
    assert lab.wait_task(lab.post(f"{CT}/start")) == "OK"
    refused = lab.request("POST", f"{CT}/start")
    assert (refused.status, refused.reason) == (500, "CT 200 already running")
    assert lab.wait_task(lab.post(f"{CT}/shutdown")) == "OK"
    assert lab.wait_task(lab.post(f"{VM}/stop")) == "OK"


@pytest.mark.parametrize(
    ("vm", "lab_more", "status", "line"),
    [
        ({"net0": "virtio,bridge=vmbr7"}, {}, QEMU_EXITED, "bridge 'vmbr7' does not exist"),
        (
            {"cpu": "x86-64-v4"},
            {"nodes": {"pve1": {"cpu": "xeon-e5-2680v4"}, "pve2": {}}},
            QEMU_EXITED,
            "kvm: Host doesn't support requested features",
        ),
        (
            {"config": {"machine": "pc-i440fx-11.0"}},
            {"nodes": {"pve1": {"release": "8.4"}, "pve2": {"release": "8.4"}}},
            None,
            "is too old to run machine type",
        ),
        ({"memory": "2T"}, {}, QEMU_EXITED, "Cannot allocate memory"),
        (
            {"cores": 4, "sockets": 2},
            {"nodes": {"pve1": {"cpu": "core-i5-8500"}, "pve2": {}}},
            "MAX 6 vcpus allowed per VM on this node",
            "MAX 6 vcpus",
        ),
        (
            {"disk": "nas:4G"},
            {"storages": {"tank": TANK, "nas": {**NAS, "per_node": {"pve1": {"online": False}}}}},
            "storage 'nas' is not online",
            "is not online",
        ),
        (
            {"hookscript": "nas:snippets/hook.pl"},
            {"storages": {"tank": TANK, "nas": {**NAS, "per_node": {"pve1": {"online": False}}}}},
            "hookscript error for 100 on pre-start: script 'nas:snippets/hook.pl' does not exist",
            "hookscript error",
        ),
    ],
)
def test_what_the_node_lacks_keeps_a_vm_from_starting(
    vm: dict[str, Any], lab_more: dict[str, Any], status: str | None, line: str
) -> None:
    lab = _lab(vm, **lab_more)
    upid = lab.post(f"{VM}/start")
    exitstatus = lab.wait_task(upid)
    assert exitstatus != "OK" and status in {None, exitstatus}
    assert any(line in text for text in _log(lab, upid))
    assert lab.get(f"{VM}/current")["status"] == "stopped"


def test_a_mapped_device_must_exist_on_the_node() -> None:
    lab = _lab({"config": {"usb0": "mapping=stick"}}, mappings={"usb": {"stick": {"pve2": "1234:5678"}}})
    assert lab.wait_task(lab.post(f"{VM}/start")) == "USB device mapping not found for 'stick'"


def test_the_ha_manager_is_asked_to_start_what_it_manages() -> None:
    lab = _lab({"ha": {"state": "stopped"}})
    upid = lab.post(f"{VM}/start")
    assert (upid.split(":")[5], lab.wait_task(upid)) == ("hastart", "OK")
    assert lab.get("/cluster/ha/resources/vm:100")["state"] == "started"
    assert lab.get(f"{VM}/current")["status"] == "stopped"
    lab.advance(60)
    assert lab.get(f"{VM}/current")["status"] == "running"
