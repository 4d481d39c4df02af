# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that move in the lab: what is refused, what is left behind, how long it takes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.client import Answer, Lab

STORAGES: dict[str, Any] = {
    "dir": {"type": "dir", "path": "/srv/dir", "content": "images,rootdir"},
    "zfs": {"type": "zfspool", "pool": "tank", "content": "images,rootdir", "sparse": True},
    "nfs": {"type": "nfs", "server": "10.0.0.9", "export": "/x", "content": "images,rootdir,iso", "speed": "100MB/s"},
    "ceph": {"type": "rbd", "pool": "vms", "content": "images,rootdir"},
    "krbd": {"type": "rbd", "pool": "kvms", "content": "images,rootdir", "krbd": 1},
    "lvm": {"type": "lvm", "vgname": "vg0", "content": "images,rootdir", "size": "10G"},
    "cifs": {"type": "cifs", "server": "10.0.0.8", "share": "s", "content": "images"},
    "small": {"type": "lvmthin", "vgname": "pve", "thinpool": "data", "size": "1G"},
    "isos": {"type": "dir", "path": "/srv/iso", "content": "iso"},
}
DISK = {"storage": "dir", "size": "4G", "used": "2G"}
OLD = {"machine": "pc-i440fx-9.2+pve1"}
HANGS = "target storage is known to cause issues with aio=io_uring (used by current drive)"
CHANGED = "detected modified configuration - file changed by other user? Try again."
RUNS = "Cannot move disk to another VM while the source VM is running - detach first"
KEPT = "you can't move a disk with snapshots and delete the source"


def make(guest: dict[str, Any], type: str = "vm", **more: Any) -> Lab:
    guests = {100: {"node": "pve1", "type": type, "memory": "1G", "running": False, **guest}, **more.pop("guests", {})}
    return Lab.from_dict({"nodes": ["pve1", "pve2"], "storages": STORAGES, "guests": guests, **more})


def ask(lab: Lab, disk: str = "scsi0", storage: str = "ceph", vmid: int = 100, **params: Any) -> Answer:
    kind = lab.cluster.fs.vmlist[vmid].type
    path, name = ("move_disk", "disk") if kind == "qemu" else ("move_volume", "volume")
    target = {} if "target-vmid" in params else {"storage": storage}
    return lab.request("POST", f"/nodes/pve1/{kind}/{vmid}/{path}", {name: disk, **target, **params})


def move(lab: Lab, disk: str = "scsi0", storage: str = "ceph", vmid: int = 100, **params: Any) -> tuple[str, list[str]]:
    answer = ask(lab, disk, storage, vmid, **params)
    assert answer.status == 200, answer.reason
    status = lab.wait_task(answer.data)
    task = lab.cluster.tasks.find(answer.data)
    assert task is not None
    return status, task.lines


def config(lab: Lab, vmid: int = 100) -> dict[str, str]:
    return lab.cluster.config(lab.cluster.fs.vmlist[vmid]).current


def volumes(lab: Lab, storage: str, node: str = "pve1") -> list[str]:
    return [volume.name for volume in lab.cluster.storages.volumes(storage, node)]


def to(vmid: int, **more: Any) -> dict[str, Any]:
    """Parameters that give a disk to another guest."""
    return {"target-vmid": vmid, **{f"target-{key}": value for key, value in more.items()}}


def fault(lab: Lab, phase: str, effect: Any, task: str = "qmmove") -> None:
    lab.cluster.faults.add({"task": task, "vmid": 100, "phase": phase, "effect": effect})


# ---------------------------------------------------------------- refused before a task begins


@pytest.mark.parametrize(
    ("guest", "params", "reason"),
    [
        ({"disk": DISK}, {"disk": "scsi7"}, "disk 'scsi7' does not exist"),
        ({"disk": DISK, "ide2": "none,media=cdrom"}, {"disk": "ide2"}, "you can't move a cdrom"),
        ({"disk": DISK, "iso": "nfs:iso/a.iso"}, {"disk": "ide2"}, "you can't move a cdrom"),
        ({"disk": DISK, "lock": "backup"}, {}, "VM is locked (backup)"),
        ({"disk": DISK}, {"digest": "0" * 40}, CHANGED),
        ({"disk": DISK}, {"storage": "dir", "format": "qcow2"}, "you can't move to the same storage with same format"),
        ({"disk": DISK, "snapshots": ["a"]}, {"delete": 1}, KEPT),
    ],
)  # fmt: skip
def test_refused(guest: dict[str, Any], params: dict[str, Any], reason: str) -> None:
    lab = make(guest)
    answer = ask(lab, **params)
    assert (answer.status, answer.reason) == (500, reason)
    assert lab.cluster.tasks.of_node("pve1") == []


def test_a_storage_without_images_is_a_wrong_parameter() -> None:
    answer = ask(make({"disk": DISK}), storage="isos")
    assert answer.status == 400
    assert answer.body is not None and answer.body["errors"] == {"storage": "storage 'isos' does not support vm images"}


# ---------------------------------------------------------------- refused in the task


@pytest.mark.parametrize(
    ("guest", "disk", "storage", "error"),
    [
        ({"disk": DISK, "tpm": "dir"}, "tpmstate0", "ceph", "cannot move TPM state while VM is running"),
        ({"disk": DISK | {"aio": "io_uring"}}, "scsi0", "lvm", HANGS),
        ({"disk": DISK, "running": OLD}, "scsi0", "lvm", HANGS),
        ({"disk": DISK, "running": OLD}, "scsi0", "cifs", HANGS),
        ({"disk": DISK | {"cache": "writeback"}, "running": OLD}, "scsi0", "krbd",
         HANGS),
    ],
)  # fmt: skip
def test_refused_while_it_runs(guest: dict[str, Any], disk: str, storage: str, error: str) -> None:
    lab = make({"running": True, **guest})
    status, _lines = move(lab, disk, storage)
    assert status == f"storage migration failed: {error}"
    assert volumes(lab, storage) == []


def test_the_same_goes_for_stopped_vms_and_for_other_kinds_of_io() -> None:
    assert move(make({"disk": DISK, "tpm": "dir"}), "tpmstate0")[0] == "OK"
    assert move(make({"disk": DISK}), storage="lvm")[0] == "OK"
    assert move(make({"disk": DISK | {"aio": "native"}, "running": True}), storage="cifs")[0] == "OK"
    assert move(make({"disk": DISK, "running": OLD}), storage="krbd")[0] == "OK", "krbd only hangs with a cache"
    assert move(make({"disk": DISK, "running": True}), storage="lvm")[0] == "OK", "the default changes on the way"


# ---------------------------------------------------------------- what the disk becomes


def test_options_survive_and_the_format_follows_the_storage() -> None:
    options = {"discard": "on", "iothread": 1, "ssd": 1, "cache": "none"}
    lab = make({"disk": DISK | options, "running": True})
    status, lines = move(lab, format="qcow2", delete=1)
    assert status == "OK", "an unsupported format is no error"
    assert "format 'qcow2' is not supported by the target storage 'ceph' - using 'raw' instead" in lines
    assert config(lab)["scsi0"] == "ceph:vm-100-disk-0,cache=none,discard=on,iothread=1,size=4G,ssd=1"
    assert volumes(lab, "dir") == []
    assert lab.get("/nodes/pve1/storage/ceph/content", {"vmid": 100})[0]["format"] == "raw"


def test_lvm_offers_qcow2_only_for_chains_of_snapshots() -> None:
    chain = {**STORAGES["lvm"], "vgname": "vg1", "snapshot-as-volume-chain": 1}
    lab = Lab.from_dict({"nodes": ["pve1"], "storages": {**STORAGES, "chain": chain}})
    rows = {row["storage"]: row["formats"] for row in lab.get("/nodes/pve1/storage", {"format": 1}) if "formats" in row}
    assert rows["lvm"] == {"default": "raw", "supported": ["raw"]}
    assert rows["chain"]["supported"] == ["qcow2", "raw"]


def test_only_written_blocks_take_room_and_time() -> None:
    lab = make({"disk": DISK})
    began = lab.now
    move(lab, storage="nfs")
    assert 21 <= lab.now - began <= 23, "2 GiB at 100 MB/s"
    (copy,) = lab.cluster.storages.volumes("nfs", "pve1")
    assert (copy.size, copy.used) == (4 * 2**30, 2 * 2**30)
    began = lab.now
    move(lab, storage="lvm")
    assert 42 <= lab.now - began <= 44, "all 4 GiB at 100 MB/s: what was on LVM before must be overwritten"
    lab = make({"disk": DISK})
    began = lab.now
    move(lab, storage="ceph", bwlimit=20 * 1024)
    assert 102 <= lab.now - began <= 105, "2 GiB at 20 MiB/s"


def test_copies_share_what_a_storage_can_take() -> None:
    lab = make({"disk": DISK}, guests={101: {"node": "pve1", "disk": DISK, "running": False}})
    began = lab.now
    upids = [ask(lab, storage="nfs", vmid=vmid).data for vmid in (100, 101)]
    assert [lab.wait_task(upid) for upid in upids] == ["OK", "OK"]
    assert 42 <= lab.now - began <= 45


def test_cloud_init_and_efi_and_tpm() -> None:
    lab = make({"disk": DISK, "cloudinit": "dir", "efidisk": "dir", "tpm": "dir"})
    for disk in ("ide2", "efidisk0", "tpmstate0"):
        assert move(lab, disk, "zfs", delete=1)[0] == "OK"
    assert config(lab)["ide2"] == "zfs:vm-100-cloudinit,media=cdrom,size=4M"
    assert config(lab)["efidisk0"].startswith("zfs:vm-100-disk-")
    assert volumes(lab, "dir") == ["100/vm-100-disk-0.qcow2"]


def test_snapshots_stay_with_the_source() -> None:
    lab = make({"disk": DISK, "snapshots": ["a"]})
    status, lines = move(lab)
    assert status == "OK"
    assert "moving disk with snapshots, snapshots will not be moved!" in lines
    assert lab.cluster.config(lab.cluster.fs.vmlist[100]).snapshots["a"]["scsi0"].startswith("dir:")
    assert config(lab)["unused0"] == "dir:100/vm-100-disk-0.qcow2"
    answer = lab.request("PUT", "/nodes/pve1/qemu/100/config", {"delete": "unused0"})
    assert answer.reason == "unable to delete 'dir:100/vm-100-disk-0.qcow2' - volume is still in use (snapshot?)"


def test_the_disk_of_a_template_stays_a_base_image() -> None:
    clone = {101: {"node": "pve1", "clone_of": 100, "running": False}}
    lab = make({"disk": DISK, "template": True}, guests=clone)
    status, lines = move(lab, delete=1)
    assert status == "OK", "what cannot be freed is only said"
    assert config(lab)["scsi0"] == "ceph:base-100-disk-0,size=4G"
    assert "base volume '100/base-100-disk-0.qcow2' is still in use by linked cloned" in lines


# ---------------------------------------------------------------- what is left behind


def test_a_source_that_cannot_be_freed_belongs_to_nobody() -> None:
    lab = make({"disk": DISK})
    fault(lab, "cleanup", {"fail": "unlink '/srv/dir/images/100/vm-100-disk-0.qcow2' failed: Text file busy"})
    status, lines = move(lab, delete=1)
    assert status == "OK"
    assert "unlink '/srv/dir/images/100/vm-100-disk-0.qcow2' failed: Text file busy" in lines
    assert volumes(lab, "dir") == ["100/vm-100-disk-0.qcow2"]
    assert not any(key.startswith("unused") for key in config(lab))


def test_the_same_of_a_container_becomes_unused() -> None:
    lab = make({"disk": DISK}, "ct")
    fault(lab, "cleanup", {"fail": "dataset is busy"}, "move_volume")
    status, lines = move(lab, "rootfs", "zfs", delete=1)
    assert (status, config(lab)["unused0"]) == ("OK", "dir:100/vm-100-disk-0.raw")
    assert "dataset is busy" in lines


@pytest.mark.parametrize("running", [False, True])
def test_a_failed_move_takes_its_copy_away(running: bool) -> None:
    lab = make({"disk": DISK, "running": running})
    fault(lab, "disks", {"fail": "no luck"})
    status, _lines = move(lab)
    assert status == "storage migration failed: no luck"
    assert (volumes(lab, "ceph"), volumes(lab, "dir")) == ([], ["100/vm-100-disk-0.qcow2"])
    lab.cluster.faults.clear()
    assert move(lab)[0] == "OK"


@pytest.mark.parametrize("running", [False, True])
def test_no_room(running: bool) -> None:
    lab = make({"disk": DISK, "running": running})
    status, _lines = move(lab, storage="small")
    assert status.startswith("storage migration failed: ")
    assert volumes(lab, "small") == []
    assert config(lab)["scsi0"].startswith("dir:")
    big = make({"disk": DISK | {"size": "20G"}})
    assert "out of space" in move(big, storage="lvm")[0], "LVM takes all of it at once"


def test_a_cancelled_copy_leaves_nothing() -> None:
    lab = make({"disk": DISK})
    upid = ask(lab, bwlimit=1024).data
    lab.advance(5)
    assert volumes(lab, "ceph") == ["vm-100-disk-0"]
    lab.delete(f"/nodes/pve1/tasks/{upid}")
    assert lab.wait_task(upid).endswith("failed: interrupted by signal")
    assert volumes(lab, "ceph") == []


# ---------------------------------------------------------------- containers


def test_a_container_shows_that_its_volume_moves() -> None:
    lab = make({"disk": DISK}, "ct")
    upid = ask(lab, "rootfs", "zfs", bwlimit=1024).data
    lab.advance(3)
    assert config(lab)["lock"] == "disk"
    assert lab.request("POST", "/nodes/pve1/lxc/100/status/start").status == 200
    lab.delete(f"/nodes/pve1/tasks/{upid}")
    lab.wait_task(upid)
    assert "lock" not in config(lab)
    assert volumes(lab, "zfs") == []


def test_a_killed_worker_leaves_the_lock_of_a_container() -> None:
    lab = make({"disk": DISK}, "ct")
    fault(lab, "disks", "kill", "move_volume")
    assert move(lab, "rootfs", "zfs")[0] == "unexpected status"
    assert config(lab)["lock"] == "disk"
    assert volumes(lab, "zfs") == ["subvol-100-disk-0"]
    assert ask(lab, "rootfs", "zfs").reason == "CT is locked (disk)"


def test_what_containers_are_refused() -> None:
    lab = make({"disk": DISK, "mp0": "/mnt/bind,mp=/bind", "unused0": "dir:1G"}, "ct")
    reason = "cannot move volume 'unused0', only configured volumes can be moved to another storage"
    assert ask(lab, "unused0", "zfs").reason == reason
    assert move(lab, "mp0", "zfs")[0] == "cannot copy volumes of type bind"
    assert "lock" not in config(lab)


# ---------------------------------------------------------------- to another guest, and away


def pair(**more: Any) -> Lab:
    other = {101: {"node": "pve1", "memory": "1G", "running": False, "disk": "dir:1G", **more.pop("other", {})}}
    return make({"disk": DISK, "scsi1": "dir:2G", **more.pop("guest", {})}, guests=other, **more)


@pytest.mark.parametrize(
    ("more", "params", "reason"),
    [
        ({}, {"target-vmid": 999}, "could not find target VM 999"),
        ({"other": {"node": "pve2"}}, {}, "Both VMs need to be on the same node (pve1 != pve2)"),
        ({"other": {"lock": "backup"}}, {}, "VM is locked (backup)"),
        ({}, {"target-disk": "scsi0"}, "Target disk key 'scsi0' is already in use for VM '101'"),
        ({"guest": {"snapshots": ["a"]}}, {}, "Can't move disk used by a snapshot to another VM"),
        ({"guest": {"running": True}}, {}, RUNS),
        ({"other": {"template": True}}, {}, "Can't move disks from or to template VMs"),
        ({"other": {"disk": "zfs:1G"}, "replication": {"101-0": {"target": "pve2"}}}, {},
         "Cannot move disk to a replicated VM. Storage does not support replication!"),
    ],
)  # fmt: skip
def test_a_disk_is_not_given_away(more: dict[str, Any], params: dict[str, Any], reason: str) -> None:
    answer = ask(pair(**more), "scsi1", **(to(101, disk="scsi5") | params))
    assert (answer.status, answer.reason) == (500, reason)


def test_a_disk_given_to_itself_is_a_wrong_parameter() -> None:
    answer = ask(pair(), "scsi1", **to(100))
    assert answer.body is not None and answer.body["errors"] == {
        "target-vmid": "must be different than source VMID to reassign disk"
    }


def test_a_disk_in_the_boot_order_is_given_away() -> None:
    lab = pair()
    status, lines = move(lab, **to(101, disk="unused3"))
    assert status == "OK"
    assert "removing disk 'scsi0' from boot order config" in lines
    assert config(lab, 101)["unused3"] == "dir:101/vm-101-disk-1.qcow2"
    assert "scsi0" not in config(lab) and "scsi0" not in config(lab)["boot"]


def test_a_volume_of_a_container_is_given_away() -> None:
    other = {101: {"node": "pve1", "type": "ct", "running": False, "disk": "dir:1G"}}
    lab = make({"disk": DISK, "mp0": "dir:2G,mp=/srv"}, "ct", guests=other)
    assert ask(lab, "rootfs", **to(101)).reason == "Cannot move to/from 'rootfs'"
    status, lines = move(lab, "mp0", **to(101, volume="mp3"))
    assert status == "OK"
    assert lines[-2] == "target container '101' updated with 'mp3'"
    assert config(lab, 101)["mp3"] == "dir:101/vm-101-disk-1.raw,mp=/srv,size=2G"


def test_unused_disks_are_destroyed_by_removing_them() -> None:
    lab = make({"disk": DISK, "unused0": "dir:1G", "protection": 1})
    refused = lab.request("PUT", "/nodes/pve1/qemu/100/config", {"delete": "unused0"})
    assert "protection mode enabled" in refused.reason
    lab.put("/nodes/pve1/qemu/100/config", {"protection": 0})
    lab.put("/nodes/pve1/qemu/100/config", {"delete": "unused0"})
    assert volumes(lab, "dir") == ["100/vm-100-disk-0.qcow2"]


def test_a_volume_is_deleted_on_its_storage_whoever_names_it() -> None:
    stray = [{"storage": "dir", "node": "pve1", "volume": "999/vm-999-disk-0.qcow2", "size": "8G", "used": "1G"}]
    lab = make({"disk": DISK}, volumes=stray)
    (row,) = lab.get("/nodes/pve1/storage/dir/content", {"vmid": 999})
    assert (row["volid"], row["format"], row["content"]) == ("dir:999/vm-999-disk-0.qcow2", "qcow2", "images")
    for volid in (row["volid"], "dir:100/vm-100-disk-0.qcow2"):
        upid = lab.delete(f"/nodes/pve1/storage/dir/content/{volid}")
        assert upid.split(":")[5:7] == ["imgdel", f"{volid[4:7]}@dir"]
        assert lab.wait_task(upid) == "OK"
    assert volumes(lab, "dir") == []
    assert lab.delete("/nodes/pve1/storage/dir/content/dir:100/x.raw", {"delay": 5}) is not None
