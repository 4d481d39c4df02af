# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Timelines 01 to 03, 06, 07 and 08: migrations and replication as a poller sees them, second by second."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.client import Lab
from tests.conformance.story import Story, View, config, content, current, place, task, tasks

NODES = {name: {"address": f"10.99.0.1{number}"} for number, name in enumerate(("pve1", "pve2", "pve3"), 1)}
STORAGES = {
    "dira": {"type": "dir", "path": "/srv/dira", "content": ["images", "rootdir"]},
    "dirb": {"type": "dir", "path": "/srv/dirb", "content": ["images", "rootdir"], "nodes": ["pve1", "pve2"]},
    "shr": {"type": "dir", "path": "/srv/shared", "content": ["images", "rootdir"], "shared": True},
    "zp": {"type": "zfspool", "pool": "tank", "content": ["images", "rootdir"], "sparse": True, "size": "10G"},
}
SMALL = {"node": "pve1", "memory": 64, "memory_used": "2M", "dirty_rate": "10K"}
REPLICATED = {"storage": "zp", "size": "1G", "used": "20M"}


def lab(vmid: int, guest: dict[str, Any], **more: Any) -> Lab:
    return Lab.from_dict({"nodes": NODES, "storages": STORAGES, "guests": {vmid: guest}, **more})


def around(vmid: int, kind: str = "qemu", source: str = "pve1", target: str = "pve2") -> dict[str, View]:
    """What a client asks during a migration."""
    views: dict[str, View] = {
        f"GET /cluster/resources @{source}": place(f"{kind}/{vmid}"),
        f"GET /nodes/src/tasks/{{upid}}/status @{source}": task,
    }
    for node in (source, target):
        views[f"GET /nodes/{node}/{kind}/{vmid}/status/current @{node}"] = current
        views[f"GET /nodes/{node}/{kind}/{vmid}/config @{node}"] = config
        views[f"GET /nodes/{node}/tasks?source=all&vmid={vmid}&limit=20 @{node}"] = tasks
    return views


SECOND_TASK: dict[str, View] = {"GET /nodes/src/tasks/{upid2}/status @pve1": task}
TARGET_CONTENT: dict[str, View] = {"GET /nodes/pve2/storage/dira/content?vmid=110 @pve2": content}


# ---------------------------------------------------------------- migrations that go well


def test_live_with_shared_storage() -> None:
    story = Story("01-live-shared", lab(113, SMALL | {"scsi0": "shr:1G"}), around(113)).tell()
    story.check()
    story.check_answers()


def test_live_with_local_disks() -> None:
    story = Story("02-live-local-disks", lab(110, SMALL | {"scsi0": "dira:1G"}), around(110)).tell()
    story.check()
    source = story.lab.cluster.storages.volumes("dira", "pve1")
    assert not source, "the source copy is deleted"


def test_offline_with_shared_storage() -> None:
    guest = SMALL | {"scsi0": "shr:1G", "running": False}
    Story("03-offline-shared", lab(113, guest), around(113)).tell().check()


def test_offline_with_a_local_disk() -> None:
    guest = SMALL | {"node": "pve2", "scsi0": "dira:1G", "running": False}
    story = Story("03b-offline-local-disk", lab(110, guest), around(110, source="pve2", target="pve1")).tell()
    story.check()


def test_container_in_restart_mode() -> None:
    root = {"storage": "zp", "size": "1G", "used": "2M"}
    guest = {"type": "ct", "node": "pve1", "memory": 64, "shutdown": "2.6s", "rootfs": root}
    Story("03c-ct-restart-migration", lab(203, guest), around(203, "lxc")).tell().check()


# ---------------------------------------------------------------- cancelled and killed


def test_cancel_while_disks_are_mirrored() -> None:
    views = around(110) | TARGET_CONTENT
    story = Story("06a-cancel-live-disk-phase", lab(110, SMALL | {"scsi0": "dira:1G"}), views).tell()
    story.check()
    story.check_answers(4)


def test_cancel_and_kill_while_memory_moves() -> None:
    guest = SMALL | {"scsi0": "shr:1G", "memory_used": "60M"}
    story = Story("06b-cancel-live-ram-phase-shared", lab(113, guest), around(113) | SECOND_TASK).tell()
    names = [name for name in story.views if name != "GET /nodes/pve1/qemu/113/status/current @pve1"]
    story.check(names)
    story.check_answers(5)


def test_kill_while_disks_are_mirrored_leaves_lock_process_and_volume() -> None:
    views = around(110) | TARGET_CONTENT | SECOND_TASK
    story = Story("06d-kill9-worker-live-disk-phase", lab(110, SMALL | {"scsi0": "dira:1G"}), views).tell(40)
    story.check(until=40)
    story.check_answers(4)


def test_partial_volumes_stay_on_the_target() -> None:
    guest = SMALL | {"scsi0": "dirb:1G", "running": False, "unused0": {"storage": "dira", "size": "1G"}}
    place_for = lab(110, guest)
    leftover = place_for.cluster.storages.find("dira:110/vm-110-disk-0.qcow2", "pve1")
    there = place_for.cluster.storages.backing("dira", "pve2")
    assert leftover is not None and there is not None
    there.volumes[leftover.name] = leftover
    story = Story("06f-cancel-offline-local-disk-then-kill9", place_for, around(110) | TARGET_CONTENT | SECOND_TASK)
    story.tell().check()
    story.check_answers(3)
    sizes = [volume.used for volume in there.volumes.values() if volume is not leftover]
    assert all(0 < used < leftover.used for used in sizes), "the copies are not complete"


# ---------------------------------------------------------------- collisions


def test_two_migrations_at_once() -> None:
    guest = SMALL | {"scsi0": "shr:1G", "memory_used": "60M"}
    story = Story("07a-two-migrates-at-once", lab(113, guest), around(113) | SECOND_TASK).tell(60)
    story.check(["GET /cluster/resources @pve1", *SECOND_TASK, "GET /nodes/pve1/qemu/113/config @pve1"], until=15)
    story.check_answers(4)


def test_the_second_of_two_migrations_finds_the_guest_gone() -> None:
    guest = SMALL | {"scsi0": "shr:1G", "memory_used": "220K"}
    story = Story("07b-two-migrates-first-finishes", lab(113, guest), around(113) | SECOND_TASK).tell()
    story.check()
    story.check_answers(5)


def test_a_backup_lock_stops_everything() -> None:
    guest = SMALL | {"scsi0": "shr:1G", "lock": "backup"}
    story = Story("07d-backup-lock", lab(113, guest), {"GET /nodes/pve1/qemu/113/config @pve1": config}).tell(4)
    story.check_answers(3)


# ---------------------------------------------------------------- replication


def jobs(status: int, data: Any) -> Any:
    """Direction, running, fail_count, error, last_try = 0, last_sync = 0."""
    return [
        (row["source"], row["target"], "pid" in row, row["fail_count"], "error" in row, not row["last_try"],
         not row["last_sync"])
        for row in data
    ]  # fmt: skip


def directions(status: int, data: Any) -> Any:
    return [(row["source"], row["target"]) for row in data]


def replicas(*nodes: str) -> dict[str, View]:
    views: dict[str, View] = {f"GET /nodes/{node}/replication @{node}": jobs for node in nodes}
    return views | {f"GET /nodes/{node}/storage/zp/content?vmid=103 @{node}": content for node in nodes}


def with_job(last_sync: str, node: str = "pve2", target: str = "pve1", **guest: Any) -> Lab:
    disk = REPLICATED | guest.pop("disk", {})
    job = {"target": target, "rate": 2, "schedule": "*/15", "last_sync": last_sync}
    return lab(103, {"node": node, "memory": 64, "scsi0": disk, **guest}, replication={"103-0": job})


def test_first_runs_of_a_job() -> None:
    place_for = lab(103, {"node": "pve2", "memory": 64, "scsi0": REPLICATED | {"write_rate": "340K"}})
    place_for.advance(55)
    story = Story("08a-replication-create-first-run", place_for, replicas("pve1", "pve2")).tell()
    names = [name for name in story.views if "/replication" not in name or "pve1" in name]
    story.check(names, tolerance=12)
    mine = [change.value for change in story.seen["GET /nodes/pve2/replication @pve2"]]
    theirs = [change.value for change in story.genuine("GET /nodes/pve2/replication @pve2")]
    assert theirs == mine


def test_runs_that_fail_and_recover() -> None:
    place_for = with_job("2m", disk={"write_rate": "100K"})
    place_for.advance(54.5)
    pool = place_for.cluster.storages.backing("zp", "pve1")
    assert pool is not None
    pool.online = False

    def back() -> None:
        pool.online = True

    views = {"GET /nodes/pve2/replication @pve2": jobs}
    story = Story("08b-replication-fails-target-storage-gone-and-recovers", place_for, views).tell(before={70.5: back})
    endpoint = next(iter(views))
    mine = [change.value for change in story.seen[endpoint]]
    theirs = [change.value for change in story.genuine(endpoint)]
    # A poller may miss the moment between the end of the transfer and the end of the run.
    assert [value for value in mine if value in theirs] == theirs
    story.check_answers(3)


def test_migration_during_a_run() -> None:
    place_for = with_job("1s", disk={"write_rate": "500K"})
    place_for.advance(20)
    views = replicas("pve1", "pve2") | {"GET /nodes/src/tasks/{upid}/status @pve2": task}
    story = Story("08d-migrate-while-replication-runs", place_for, views).tell()
    story.check(["GET /nodes/src/tasks/{upid}/status @pve2"])
    story.check_answers(3)


def test_job_turns_round_when_the_guest_moves_to_its_replica() -> None:
    place_for = with_job("1s", running=False)
    source = place_for.cluster.storages.find("zp:vm-103-disk-0", "pve2")
    assert source is not None
    source.dirty = 34_000_000
    source.used = 36_000_000
    views = replicas("pve1", "pve2") | {"GET /cluster/replication @pve1": directions}
    views |= {f"GET /nodes/{node}/qemu/103/status/current @{node}": current for node in ("pve1", "pve2")}
    story = Story("08e2-offline-migrate-to-replica-target-job-flip", place_for, views).tell(30)
    story.check(until=30)
    story.check_answers(3)
    assert place_for.cluster.nodes["pve1"].replication_state["103-0"]["last_try"] == 0


def test_job_stays_when_the_guest_moves_to_a_third_node() -> None:
    place_for = with_job("1s", "pve1", "pve2", running=False, disk={"used": "8K"})
    place_for.advance(25)
    views = replicas("pve1", "pve3")
    views |= {f"GET /nodes/{node}/qemu/103/status/current @{node}": current for node in ("pve1", "pve3")}
    story = Story("08f-offline-migrate-to-third-node-with-replication", place_for, views).tell()
    story.check(tolerance=3)
    story.check_answers(2)


@pytest.mark.parametrize("name", ["pve1", "pve2"])
def test_live_migration_to_the_replica_carries_the_delta_only(name: str) -> None:
    place_for = lab(103, {"node": "pve2", "memory": 64, "scsi0": {**REPLICATED, "size": "8G", "used": "6G"}},
                    replication={"103-0": {"target": "pve1", "last_sync": "1s"}})  # fmt: skip
    upid = place_for.post("/nodes/pve2/qemu/103/migrate", {"target": "pve1", "online": 1, "with-local-disks": 1})
    began = place_for.now
    assert place_for.wait_task(upid) == "OK"
    assert place_for.now - began < 20, "6 GiB through 700 MB/s would take longer with the RAM around it"
    assert place_for.get("/cluster/replication")[0]["target"] == "pve2"
    volumes = place_for.cluster.storages.volumes("zp", name)
    assert [volume.name for volume in volumes] == ["vm-103-disk-0"], "replicas stay on both sides"
