# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing a guest's configuration: locks, privileges, pending changes, disks that are taken off."""

from __future__ import annotations

import pytest

from lab.guests.locks import config_lock
from tests.conformance.client import Lab

VM = "/nodes/pve1/qemu/100"
CT = "/nodes/pve1/lxc/200"


@pytest.fixture
def lab() -> Lab:
    return Lab.from_dict(
        {
            "nodes": ["pve1", "pve2", "pve3"],
            "storages": {
                "tank": {"type": "zfspool", "pool": "tank", "content": ["images", "rootdir"], "sparse": True},
                "files": {"type": "dir", "path": "/srv/files", "content": ["images"]},
            },
            "guests": {
                100: {"node": "pve1", "memory": 512, "scsi0": "tank:4G", "scsi1": "files:2G", "running": False},
                101: {"node": "pve1", "memory": 512, "scsi0": "tank:4G"},
                200: {"node": "pve1", "type": "ct", "memory": 512, "rootfs": "tank:4G", "running": False},
            },
        }
    )


def _grant(lab: Lab, *privileges: str) -> str:
    """A user who has these privileges on VM 100 and container 200 only; how it authenticates."""
    users = lab.cluster.users
    users.add_user("op@pve", "secret")
    lab.post("/access/roles", {"roleid": "Op", "privs": ",".join(privileges)})
    users.grant("/vms/100", "op@pve", "Op")
    users.grant("/vms/200", "op@pve", "Op")
    return "ticket:op@pve"


def _lock(lab: Lab, vmid: int, lock: str | None) -> None:
    entry = lab.cluster.guest(vmid)
    assert entry is not None
    lab.cluster.set_lock(entry, lock)


def test_a_lock_goes_only_by_root_itself_and_only_when_locks_are_skipped(lab: Lab) -> None:
    _lock(lab, 100, "migrate")
    wanted = {"delete": "lock", "skiplock": 1}
    refused = lab.request("PUT", f"{VM}/config", wanted)
    assert (refused.status, (refused.body or {})["errors"]) == (400, {"skiplock": "Only root may use this option."})
    refused = lab.request("PUT", f"{VM}/config", {"delete": "lock"})
    assert (refused.status, refused.reason) == (500, "only root can set 'lock' config")
    refused = lab.request("PUT", f"{VM}/config", {"delete": "lock"}, auth="root-ticket")
    assert (refused.status, refused.reason) == (500, "VM is locked (migrate)")
    lab.put(f"{VM}/config", wanted, auth="root-ticket")
    assert "lock" not in lab.get(f"{VM}/config")


@pytest.mark.parametrize(
    ("path", "values", "privilege"),
    [
        (VM, {"cores": 2}, "VM.Config.CPU"),
        (VM, {"memory": "1024"}, "VM.Config.Memory"),
        (VM, {"net0": "virtio,bridge=vmbr0"}, "VM.Config.Network"),
        (VM, {"delete": "onboot"}, "VM.Config.Options"),
        (CT, {"memory": 1024}, "VM.Config.Memory"),
        (CT, {"hostname": "web"}, "VM.Config.Network"),
        (CT, {"delete": "unused0"}, "VM.Config.Disk"),
    ],
)
def test_each_key_has_its_privilege(lab: Lab, path: str, values: dict[str, str], privilege: str) -> None:
    other = "VM.Config.Options" if privilege != "VM.Config.Options" else "VM.Config.CPU"
    auth = _grant(lab, other)
    refused = lab.request("PUT", f"{path}/config", values, auth=auth)
    vmid = path.rpartition("/")[2]
    assert (refused.status, refused.reason) == (403, f"Permission check failed (/vms/{vmid}, {privilege})")
    lab.put("/access/roles/Op", {"privs": f"{other},{privilege}"})
    lab.put(f"{path}/config", values, auth=auth)


def test_devices_of_the_host_are_given_away_by_root_alone(lab: Lab) -> None:
    refused = lab.request("PUT", f"{VM}/config", {"usb0": "host=1234:5678"})
    assert refused.status == 500 and "only root can set 'usb0' config" in refused.reason
    lab.put(f"{VM}/config", {"usb0": "spice", "serial0": "socket"})
    lab.put(f"{VM}/config", {"usb1": "host=1234:5678"}, auth="root-ticket")


def test_who_waits_too_long_for_the_file_is_told_its_name(lab: Lab) -> None:
    path = config_lock("qemu", 100)
    owner = object()
    list(lab.cluster.locks.acquire("pve1", path, 10, owner))
    began = lab.now
    refused = lab.request("PUT", f"{VM}/config", {"onboot": 1})
    assert refused.reason == f"can't lock file '{path}' - got timeout"
    assert lab.now - began == pytest.approx(10.0)
    lab.cluster.locks.release("pve1", path, owner)
    lab.put(f"{VM}/config", {"onboot": 1})


def test_what_a_running_vm_cannot_take_over_waits_until_it_starts_afresh(lab: Lab) -> None:
    path = "/nodes/pve1/qemu/101"
    before = lab.get(f"{path}/config", {"current": 1})["memory"]
    lab.put(f"{path}/config", {"memory": "1024", "onboot": 1, "delete": "ostype"})
    assert lab.get(f"{path}/config")["memory"] == "1024"
    current = lab.get(f"{path}/config", {"current": 1})
    assert (current["memory"], current["onboot"]) == (before, 1)
    rows = {row["key"]: row for row in lab.get(f"{path}/pending")}
    assert (rows["memory"]["value"], rows["memory"]["pending"]) == (before, "1024")
    assert rows["ostype"]["delete"] == 1 and "pending" not in rows["onboot"]
    assert lab.wait_task(lab.post(f"{path}/status/stop")) == "OK"
    assert lab.wait_task(lab.post(f"{path}/status/start")) == "OK"
    current = lab.get(f"{path}/config", {"current": 1})
    assert current["memory"] == "1024" and "ostype" not in current


def test_a_disk_taken_off_stays_until_it_is_deleted_too(lab: Lab) -> None:
    volid = lab.get(f"{VM}/config")["scsi1"].partition(",")[0]
    lab.put(f"{VM}/config", {"delete": "scsi1"})
    config = lab.get(f"{VM}/config")
    assert config["unused0"] == volid and "scsi1" not in config
    assert lab.cluster.storages.find(volid, "pve1") is not None
    lab.put(f"{VM}/config", {"delete": "unused0"})
    assert "unused0" not in lab.get(f"{VM}/config")
    assert lab.cluster.storages.find(volid, "pve1") is None


def test_the_digest_of_another_state_is_refused_in_each_kinds_words(lab: Lab) -> None:
    for path, text in ((VM, "checksum mismatch (file change by other user?)"),
                       (CT, "detected modified configuration - file changed by other user? Try again.")):  # fmt: skip
        digest = lab.get(f"{path}/config")["digest"]
        lab.put(f"{path}/config", {"onboot": 1, "digest": digest})
        refused = lab.request("PUT", f"{path}/config", {"onboot": 0, "digest": digest})
        assert (refused.status, refused.reason) == (500, text)
        assert lab.get(f"{path}/config")["onboot"] == 1


def test_nothing_is_written_without_quorum(lab: Lab) -> None:
    for name in ("pve2", "pve3"):
        lab.cluster.power_off(lab.cluster.nodes[name])
    lab.advance(10)
    refused = lab.request("PUT", f"{VM}/config", {"onboot": 1})
    assert refused.status == 500 and refused.reason.endswith("- Permission denied")
