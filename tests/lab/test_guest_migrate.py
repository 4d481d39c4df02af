# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migrations in the lab: what goes wrong and what is left then, how long they take, what releases lack."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.client import Lab

STORAGES = {
    "zfs": {"type": "zfspool", "pool": "rpool/data", "sparse": True},
    "thin": {"type": "lvmthin", "vgname": "pve", "thinpool": "data"},
    "nfs": {"type": "nfs", "server": "10.0.0.9", "export": "/x", "content": ["images", "rootdir", "iso"]},
}
LOCAL = {"online": 1, "with-local-disks": 1}


def make(guest: dict[str, Any], **more: Any) -> Lab:
    nodes = more.pop("nodes", {"pve1": {}, "pve2": {}, "pve3": {}})
    guests = {100: {"node": "pve1", "memory": "2G", **guest}, **more.pop("guests", {})}
    return Lab.from_dict({"nodes": nodes, "storages": more.pop("storages", STORAGES), "guests": guests, **more})


def migrate(lab: Lab, target: str = "pve2", kind: str = "qemu", vmid: int = 100, **params: Any) -> str:
    node = lab.cluster.fs.vmlist[vmid].node
    return str(lab.post(f"/nodes/{node}/{kind}/{vmid}/migrate", {"target": target, **params}, auth="root-ticket"))


def finish(lab: Lab, target: str = "pve2", **params: Any) -> tuple[str, list[str]]:
    upid = migrate(lab, target, **params)
    status = lab.wait_task(upid)
    task = lab.cluster.tasks.find(upid)
    assert task is not None
    return status, task.lines


def lock(lab: Lab, vmid: int = 100) -> str | None:
    return lab.cluster.config(lab.cluster.fs.vmlist[vmid]).current.get("lock")


def where(lab: Lab, vmid: int = 100) -> str:
    return lab.cluster.fs.vmlist[vmid].node


def volumes(lab: Lab, storage: str, node: str) -> list[str]:
    return [volume.name for volume in lab.cluster.storages.volumes(storage, node)]


def fault(lab: Lab, phase: str | None, effect: Any, task: str = "qmigrate") -> None:
    lab.cluster.faults.add({"task": task, "vmid": 100, "effect": effect} | ({"phase": phase} if phase else {}))


# ---------------------------------------------------------------- faults on demand


@pytest.mark.parametrize(
    ("phase", "status"), [("prepare", "migration aborted"), ("disks", "migration problems"),
                          ("memory", "migration problems"), ("start", "migration problems")],
)  # fmt: skip
def test_a_failure_before_the_switchover_leaves_the_vm_where_it_was(phase: str, status: str) -> None:
    lab = make({"scsi0": "zfs:4G"})
    fault(lab, phase, {"fail": "no luck today"})
    got, lines = finish(lab, **LOCAL)
    assert got == status
    assert any("no luck today" in line for line in lines)
    assert (where(lab), lock(lab)) == ("pve1", None)
    assert lab.get("/nodes/pve1/qemu/100/status/current")["qmpstatus"] == "running"
    assert 100 not in lab.cluster.nodes["pve2"].running


def test_a_failure_in_memory_removes_the_target_volume() -> None:
    lab = make({"scsi0": "zfs:4G"})
    fault(lab, "memory", {"fail": "no luck"})
    finish(lab, **LOCAL)
    assert volumes(lab, "zfs", "pve2") == []


def test_a_target_disk_can_be_left_behind() -> None:
    lab = make({"scsi0": "zfs:4G"})
    fault(lab, "memory", {"fail": "no luck"})
    fault(lab, None, "leave-target-disk")
    status, lines = finish(lab, **LOCAL)
    assert status == "migration problems"
    assert volumes(lab, "zfs", "pve2") == ["vm-100-disk-0"]
    assert any("pvesm free zfs:vm-100-disk-0" in line for line in lines)


def test_a_failure_after_the_switchover_has_moved_the_vm() -> None:
    lab = make({"scsi0": "nfs:4G"})
    fault(lab, "switchover", {"fail": "resume failed"})
    status, _lines = finish(lab, online=1)
    assert status == "migration problems"
    assert (where(lab), lock(lab)) == ("pve2", None)
    assert lab.get("/nodes/pve2/qemu/100/status/current")["qmpstatus"] != "running"


def test_a_lock_can_stay() -> None:
    lab = make({"scsi0": "nfs:4G"})
    fault(lab, None, "leave-lock")
    assert finish(lab, online=1)[0] == "migration problems"
    assert (where(lab), lock(lab)) == ("pve2", "migrate")


def test_warnings_are_counted_and_the_vm_has_moved() -> None:
    lab = make({"scsi0": "nfs:4G"})
    fault(lab, None, {"warnings": 2})
    status, lines = finish(lab, online=1)
    assert status == "WARNINGS: 2"
    assert len([line for line in lines if line.startswith("WARN: ")]) == 2
    assert where(lab) == "pve2"


@pytest.mark.parametrize("phase", ["prepare", "disks", "memory"])
def test_a_killed_worker_cleans_nothing_up(phase: str) -> None:
    lab = make({"scsi0": "zfs:4G"})
    fault(lab, phase, "kill")
    status, lines = finish(lab, **LOCAL)
    assert status == "unexpected status"
    assert not lines[-1].startswith("TASK")
    left = phase != "prepare"
    assert lock(lab) == ("migrate" if left else None)
    assert (100 in lab.cluster.nodes["pve2"].running) is left
    assert lab.request("GET", "/nodes/pve2/qemu/100/status/current").status == 500


def test_a_container_starts_again_where_it_was_when_the_copy_fails() -> None:
    lab = make({"type": "ct", "memory": 512, "rootfs": "zfs:4G"})
    fault(lab, "disks", {"fail": "no luck"}, "vzmigrate")
    status, lines = finish(lab, kind="lxc", restart=1)
    assert status == "migration aborted"
    assert (where(lab), lock(lab), 100 in lab.cluster.nodes["pve1"].running) == ("pve1", None, True)
    assert any("start container on source node" in line for line in lines)


def test_starting_fails_on_demand_too() -> None:
    lab = make({"scsi0": "nfs:4G", "running": False})
    fault(lab, "start", {"fail": "no luck"}, "qmstart")
    assert lab.wait_task(lab.post("/nodes/pve1/qemu/100/status/start")) == "no luck"
    assert 100 not in lab.cluster.nodes["pve1"].running


# ---------------------------------------------------------------- interrupted


def test_a_cancel_after_the_flip_comes_too_late() -> None:
    lab = make({"scsi0": "nfs:4G"})
    upid = migrate(lab, online=1)
    while where(lab) == "pve1":
        lab.advance(0.1)
    assert lab.delete(f"/nodes/pve1/tasks/{upid}") is None
    assert lab.wait_task(upid) == "OK"
    task = lab.cluster.tasks.find(upid)
    assert task is not None and any("received interrupt - delayed" in line for line in task.lines)
    assert (where(lab), lock(lab)) == ("pve2", None)


@pytest.mark.parametrize("local", [False, True])
def test_a_target_that_dies_fails_the_migration_in_bounded_time(local: bool) -> None:
    lab = make({"scsi0": "zfs:64G" if local else "nfs:4G", "memory": "32G"})
    upid = migrate(lab, **(LOCAL if local else {"online": 1}))
    lab.advance(12)
    lab.cluster.power_off(lab.cluster.nodes["pve2"])
    before = lab.now
    assert lab.wait_task(upid) == "migration problems"
    assert lab.now - before < 60
    assert (where(lab), lock(lab)) == ("pve1", None)
    assert lab.get("/nodes/pve1/qemu/100/status/current")["qmpstatus"] == "running"


# ---------------------------------------------------------------- what the target cannot start


def failing_start(lab: Lab, **params: Any) -> list[str]:
    status, lines = finish(lab, **({"online": 1} | params))
    assert status == "migration problems"
    assert (where(lab), lock(lab)) == ("pve1", None)
    assert 100 not in lab.cluster.nodes["pve2"].running
    return [line.partition("[pve2] ")[2] for line in lines if "[pve2] " in line]


def test_cpu_flags_that_the_target_lacks() -> None:
    nodes = {"pve1": {"cpu": "xeon-gold-6338"}, "pve2": {"cpu": "xeon-e5-2680v2"}}
    lines = failing_start(make({"scsi0": "nfs:4G", "cpu": "x86-64-v3"}, nodes=nodes))
    assert lines[-2:] == ["kvm: Host doesn't support requested features", "start failed: QEMU exited with code 1"]
    assert "avx2" in " ".join(lines)
    again = make({"scsi0": "nfs:4G", "cpu": "host"}, nodes=nodes)
    assert finish(again, online=1)[0] == "OK", "host has no enforce"


def test_a_bridge_that_the_target_lacks() -> None:
    nodes = {"pve1": {"network": {"vmbr0": "10.0.0.11/24", "vmbr7": {}}}, "pve2": {}}
    lines = failing_start(make({"scsi0": "nfs:4G", "net": "vmbr7"}, nodes=nodes))
    assert lines[0] == "bridge 'vmbr7' does not exist"


def test_a_machine_version_that_the_target_lacks() -> None:
    nodes = {"pve1": {"release": "9.2"}, "pve2": {"release": "9.0"}}
    lines = failing_start(make({"scsi0": "nfs:4G", "config": {"memory": 512}}, nodes=nodes))
    assert len(lines) == 1
    assert lines[0].startswith("Installed QEMU version '10.0.2' is too old to run machine type 'pc-i440fx-11.0+pve0'")
    assert lines[0].endswith(", please upgrade node 'pve2'")


def test_an_old_target_does_not_know_the_mtu_of_virtio_devices() -> None:
    lab = make({"scsi0": "nfs:4G"}, nodes={"pve1": {"release": "9.2"}, "pve2": {"release": "8.4"}})
    _status, lines = finish(lab, online=1)
    assert any("target node pve2 is too old for preserving VirtIO-net MTU, please upgrade" in line for line in lines)
    assert where(lab) == "pve1"


def test_memory_that_the_target_does_not_have() -> None:
    nodes = {"pve1": {"memory": "64G"}, "pve2": {"memory": "8G"}}
    lines = failing_start(make({"scsi0": "nfs:4G", "memory": "16G"}, nodes=nodes))
    assert lines[0] == "kvm: cannot set up guest memory 'pc.ram': Cannot allocate memory"


# ---------------------------------------------------------------- physics


def duration(lab: Lab, *upids: str) -> float:
    began = lab.now
    for upid in upids:
        assert lab.wait_task(upid) == "OK"
    return lab.now - began


def test_transfers_share_a_link() -> None:
    nodes = {name: {"link_speed": "1Gbit"} for name in ("pve1", "pve2", "pve3")}
    guest = {"scsi0": "nfs:4G", "memory": "8G", "memory_used": "8G", "dirty_rate": 0}
    alone = make(guest, nodes=nodes)
    one = duration(alone, migrate(alone, online=1))
    both = make(guest, nodes=nodes, guests={101: {"node": "pve1", **guest}})
    two = duration(both, migrate(both, online=1), migrate(both, online=1, vmid=101))
    apart = make(guest, nodes=nodes, guests={101: {"node": "pve3", **guest}})
    far = duration(apart, migrate(apart, "pve2", online=1), migrate(apart, "pve1", online=1, vmid=101))
    assert 60 < one < 90, "8 GiB through 125 MB/s"
    assert 1.8 * (one - 7) < two - 7 < 2.2 * (one - 7)
    assert far < 1.1 * one, "ports are full duplex"


def test_the_lowest_limit_counts() -> None:
    guest = {"scsi0": "nfs:4G", "memory": "1G", "memory_used": "1G", "dirty_rate": 0}
    lab = make(guest, datacenter={"bwlimit": "migration=102400"})
    limited = duration(lab, migrate(lab, online=1))
    assert 10 <= limited < 20
    upid = migrate(lab, "pve1", online=1, bwlimit=0)
    assert duration(lab, upid) < limited - 5, "root may exceed the limits"


def test_a_vm_that_dirties_fast_is_slowed_down_until_it_converges() -> None:
    lab = make({"scsi0": "nfs:4G", "memory": "8G", "dirty_rate": "3G", "working_set": "2G"})
    status, lines = finish(lab, online=1)
    assert status == "OK"
    assert any("VM dirties lots of memory" in line for line in lines)
    assert any("auto-increased downtime to continue migration: 200 ms" in line for line in lines)


def test_a_live_mirror_makes_thin_volumes_thick_but_not_on_sparse_zfs() -> None:
    disk = {"size": "8G", "used": "1G"}
    lab = make({"scsi0": {"storage": "thin", **disk}, "scsi1": {"storage": "zfs", **disk}})
    assert finish(lab, **LOCAL)[0] == "OK"
    used = {name: lab.cluster.storages.find(volid, "pve2") for name, volid in
            (("thin", "thin:vm-100-disk-0"), ("zfs", "zfs:vm-100-disk-0"))}  # fmt: skip
    assert used["thin"] is not None and used["thin"].used == 8 * 2**30
    assert used["zfs"] is not None and used["zfs"].used == 2**30


def test_a_container_is_down_for_the_time_of_the_copy() -> None:
    root = {"storage": "zfs", "size": "40G", "used": "30G"}
    lab = make({"type": "ct", "memory": 512, "rootfs": root})
    upid = migrate(lab, kind="lxc", restart=1)
    lab.advance(20)
    assert lab.get("/nodes/pve1/lxc/100/status/current")["status"] == "stopped"
    assert lab.wait_task(upid) == "OK"
    assert lab.get("/nodes/pve2/lxc/100/status/current")["status"] == "running"


# ---------------------------------------------------------------- volumes that cannot move


@pytest.mark.parametrize(
    ("guest", "reason"),
    [
        ({"scsi0": "zfs:4G", "ide2": "local:iso/x.iso,media=cdrom"}, "local cdrom image"),
        ({"scsi0": "zfs:4G", "snapshots": ["one"]}, "online storage migration not possible if non-replicated snapshot"),
        ({"scsi0": "zfs:4G", "ide2": "cdrom,media=cdrom"}, "can't migrate local cdrom drive"),
    ],
)
def test_what_blocks_a_live_migration(guest: dict[str, Any], reason: str) -> None:
    local = {"local": {"type": "dir", "path": "/var/lib/vz", "content": ["images", "iso"]}}
    lab = make(guest, storages=STORAGES | local)
    status, lines = finish(lab, **LOCAL)
    assert status == "migration aborted"
    assert any(reason in line for line in lines)
    assert (where(lab), lock(lab)) == ("pve1", None)


@pytest.mark.parametrize(("disk", "to", "why"), [
    ("disks:4G,format=qcow2", "thin", "unsupported format 'qcow2' for storage type lvmthin"),
    ("disks:4G,format=raw", "zfs", "cannot migrate from storage type 'dir' to 'zfspool'"),
    ("disks:4G,format=raw", "thin", None),
])  # fmt: skip
def test_formats_that_a_storage_does_not_have(disk: str, to: str, why: str | None) -> None:
    disks = {"disks": {"type": "dir", "path": "/srv/disks", "content": ["images"]}}
    lab = make({"scsi0": disk, "running": False}, storages=STORAGES | disks)
    status, lines = finish(lab, targetstorage=to)
    assert status == ("migration aborted" if why else "OK")
    assert why is None or any(why in line for line in lines)


def test_storage_types_that_do_not_fit_together() -> None:
    lab = make({"scsi0": "zfs:4G", "running": False})
    status, lines = finish(lab, targetstorage="thin")
    assert status == "migration aborted"
    assert any("cannot migrate from storage type 'zfspool' to 'lvmthin'" in line for line in lines)
    live = make({"scsi0": "zfs:4G"})
    assert finish(live, targetstorage="thin", **LOCAL)[0] == "OK"
    assert volumes(live, "thin", "pve2") == ["vm-100-disk-0"] and volumes(live, "zfs", "pve1") == []


# ---------------------------------------------------------------- releases


def test_what_8_4_lacks() -> None:
    lab = make({"scsi0": "nfs:4G"}, nodes={"pve1": {"release": "8.4"}, "pve2": {"release": "8.4"}},
               guests={200: {"type": "ct", "node": "pve1"}})  # fmt: skip
    answer = lab.request("POST", "/nodes/pve1/qemu/100/migrate", {"target": "pve2", "with-conntrack-state": 1})
    assert answer.status == 400
    assert "has-dbus-vmstate" not in lab.get("/nodes/pve1/qemu/100/migrate")
    assert lab.request("GET", "/nodes/pve1/lxc/200/migrate").status == 501
    status, lines = finish(lab, online=1)
    assert status == "OK" and not any("conntrack" in line for line in lines)


# ---------------------------------------------------------------- replication


def test_a_long_job_delays_the_others_of_its_node() -> None:
    disk = {"storage": "zfs", "size": "200G", "used": "150G"}
    lab = make({"scsi0": disk, "running": False}, guests={101: {"node": "pve1", "scsi0": "zfs:1G", "running": False}})
    for vmid in (100, 101):
        lab.post("/cluster/replication", {"id": f"{vmid}-0", "type": "local", "target": "pve2", "schedule": "*/1"})
    lab.advance(130)
    rows = {row["guest"]: row for row in lab.get("/nodes/pve1/replication")}
    assert "pid" in rows[100] and rows[101]["last_try"] == 0
    lab.advance(300)
    rows = {row["guest"]: row for row in lab.get("/nodes/pve1/replication")}
    assert rows[101]["last_sync"] > rows[100]["last_sync"] > 0


def test_retries_wait_while_the_target_is_offline() -> None:
    lab = make({"scsi0": "zfs:1G", "running": False, "replicate": {"pve2": {"schedule": "*/1"}}})
    lab.cluster.power_off(lab.cluster.nodes["pve2"])
    lab.advance(130)
    row = lab.get("/nodes/pve1/replication")[0]
    assert row["fail_count"] == 1 and row["next_sync"] == 0
    lab.cluster.power_on(lab.cluster.nodes["pve2"])
    lab.advance(120)
    row = lab.get("/nodes/pve1/replication")[0]
    assert row["next_sync"] == row["last_try"] + 300
    lab.advance(400)
    row = lab.get("/nodes/pve1/replication")[0]
    assert row["fail_count"] == 0 and "error" not in row


def test_jobs_of_a_stolen_guest_turn_round() -> None:
    lab = make({"scsi0": "zfs:1G", "running": False, "replicate": ["pve2"]})
    lab.cluster.fs.rename("nodes/pve1/qemu-server/100.conf", "nodes/pve2/qemu-server/100.conf")
    row = lab.get("/nodes/pve2/replication")[0]
    assert (row["source"], row["target"], row["last_sync"]) == ("pve2", "pve1", 0)
    lab.advance(900)
    row = lab.get("/nodes/pve2/replication")[0]
    assert row["fail_count"] == 0 and row["last_sync"] > 0
    log = lab.get("/nodes/pve2/replication/100-0/log")
    assert any("incremental sync" in line["t"] for line in log), "the common snapshot is found by its GUID"
