# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``GET …/migrate``: what ties a guest to its node, release by release."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.client import Lab

VM = "/nodes/pve1/qemu/100/migrate"
MAPPINGS = {
    "usb": {"stick": {"pve1": "1234:5678", "pve2": "1234:5678"}},
    "pci": {
        "gpu": {"pve1": "0000:01:00.0", "pve2": "0000:01:00.0"},
        "vgpu": {"pve1": "0000:02:00.0", "pve2": "0000:02:00.0", "live-migration-capable": True},
    },
    "dir": {"share": {"pve1": "/srv/share"}},
}


def _lab(vm: dict[str, Any], release: str = "9.2", **more: Any) -> Lab:
    node = {"release": release}
    storages = {
        "tank": {"type": "zfspool", "pool": "tank", "content": ["images", "rootdir"]},
        "two": {"type": "zfspool", "pool": "two", "content": ["images"], "nodes": ["pve1", "pve2"]},
        "nas": {"type": "dir", "path": "/srv/nas", "content": ["images", "iso"], "shared": True},
        "local": {"type": "dir", "path": "/var/lib/vz", "content": ["images", "iso"]},
    }
    guests = {100: {"node": "pve1", "running": False, **vm}, 200: {"node": "pve1", "type": "ct", "rootfs": "tank:1G"}}
    nodes = {name: dict(node) for name in ("pve1", "pve2", "pve3")}
    return Lab.from_dict({"nodes": nodes, "storages": storages, "guests": guests, **more})


def test_releases_differ() -> None:
    old = _lab({"ha": {"state": "stopped"}}, "8.4")
    answer = old.get(VM)
    assert "has-dbus-vmstate" not in answer and "dependent-ha-resources" not in answer
    refused = old.request("GET", "/nodes/pve1/lxc/200/migrate")
    assert (refused.status, refused.reason) == (501, "Method 'GET /nodes/pve1/lxc/200/migrate' not implemented")
    new = _lab({"ha": {"state": "stopped"}})
    answer = new.get(VM)
    assert (answer["has-dbus-vmstate"], answer["dependent-ha-resources"]) == (1, [])
    answer = new.get("/nodes/pve1/lxc/200/migrate")
    assert answer == {"running": 1, "allowed-nodes": ["pve2", "pve3"], "not-allowed-nodes": {}}


def test_a_storage_that_a_node_lacks_keeps_it_out_whatever_state_the_others_are_in() -> None:
    lab = _lab({"scsi0": "two:1G", "scsi1": "nas:1G"})
    lab.cluster.power_off(lab.cluster.nodes["pve2"])
    lab.advance(30)
    answer = lab.get(VM)
    assert answer["allowed_nodes"] == ["pve2"]
    assert answer["not_allowed_nodes"] == {"pve2": {}, "pve3": {"unavailable_storages": ["two"]}}
    assert [disk["drivename"] for disk in answer["local_disks"]] == ["scsi0"]


def test_local_disks_are_all_that_is_not_shared() -> None:
    disks = {
        "scsi0": "tank:vm-100-disk-0,size=1G", "scsi1": "nas:100/vm-100-disk-0.qcow2,size=1G",
        "ide2": "local:iso/a.iso,media=cdrom", "ide3": "none,media=cdrom",
        "sata0": "nas:iso/b.iso,media=cdrom", "unused0": "tank:vm-100-disk-1",
    }  # fmt: skip
    found = {disk["volid"]: disk for disk in _lab({"config": disks}).get(VM)["local_disks"]}
    assert set(found) == {"tank:vm-100-disk-0", "tank:vm-100-disk-1", "local:iso/a.iso"}
    assert (found["local:iso/a.iso"]["cdrom"], found["tank:vm-100-disk-0"]["cdrom"]) == (1, 0)
    assert found["tank:vm-100-disk-1"]["is_unused"] == 1 and "size" not in found["tank:vm-100-disk-1"]


@pytest.mark.parametrize(
    ("key", "value", "stopped", "running"),
    [
        ("usb0", "spice", [], []),
        ("usb0", "host=1234:5678", ["usb0"], ["usb0"]),
        ("usb0", "mapping=stick", ["usb0"], ["usb0"]),
        ("serial0", "socket", [], []),
        ("serial0", "/dev/ttyS0", ["serial0"], ["serial0"]),
        ("hostpci0", "0000:01:00.0", ["hostpci0"], ["hostpci0"]),
        ("hostpci0", "mapping=gpu", [], ["hostpci0"]),
        ("hostpci0", "mapping=vgpu", [], []),
    ],
)
def test_devices(key: str, value: str, stopped: list[str], running: list[str]) -> None:
    for is_running, wanted in ((False, stopped), (True, running)):
        lab = _lab({"config": {key: value}, "running": is_running}, mappings=MAPPINGS)
        answer = lab.get(VM)
        assert (answer["running"], answer["local_resources"]) == (int(is_running), wanted)
        mapped = value.startswith("mapping=")
        assert answer["mapped-resources"] == ([key] if mapped else [])
        if mapped:
            assert answer["not_allowed_nodes"]["pve3"] == {"unavailable-resources": [key]}
            assert answer["allowed_nodes"] == ["pve2"]
            live = answer["mapped-resource-info"][key].get("live-migration")
            assert live == (1 if "vgpu" in value else None)


def test_partners_of_the_ha_manager_block_and_come_along() -> None:
    lab = _lab({"ha": True, "running": True})
    for number, name in ((101, "pve1"), (102, "pve2")):
        lab.post(f"/nodes/{name}/qemu", {"vmid": number, "memory": "64"})
        lab.advance(3)
        lab.post("/cluster/ha/resources", {"sid": f"vm:{number}"})
    lab.advance(60)
    for name, affinity, resources in (("near", "positive", "vm:100,vm:101"), ("far", "negative", "vm:100,vm:102")):
        lab.post("/cluster/ha/rules", {"rule": name, "type": "resource-affinity", "affinity": affinity,
                                       "resources": resources})  # fmt: skip
    lab.advance(30)
    answer = lab.get(VM)
    assert answer["dependent-ha-resources"] == ["vm:101"]
    blocking = [{"sid": "vm:102", "cause": "resource-affinity"}]
    assert answer["not_allowed_nodes"]["pve2"] == {"blocking-ha-resources": blocking}
    assert answer["allowed_nodes"] == ["pve3"]


def test_no_quorum_and_locks_refuse() -> None:
    lab = _lab({"lock": "backup"})
    assert lab.request("GET", VM).reason == "VM is locked (backup)"
    for name in ("pve2", "pve3"):
        lab.cluster.power_off(lab.cluster.nodes[name])
    lab.advance(10)
    assert lab.request("GET", VM).reason == "cluster not ready - no quorum?"
