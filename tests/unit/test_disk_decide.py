# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``move_disk`` decides before it sends anything, from literal answers of the API."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.connection import Connection
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    ApiError,
    Blocked,
    Conflict,
    Invalid,
    Locked,
    MobilityError,
    NodeUnreachable,
    NotFound,
    PermissionDenied,
    Unsupported,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_prepare import DiskDecision, decide_disks
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_request import DiskRequest, from_options
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_work import DiskWork

GIB = 2**30
UPID = "UPID:pve1:00000BB1:0003C646:6B03ABA2:qmmove:100:root@pam:"
CT_UPID = "UPID:pve1:00000BB1:0003C646:6B03ABA2:move_volume:100:root@pam:"
DIR = {"raw": 1, "qcow2": 1, "vmdk": 1}
STORAGES: list[dict[str, Any]] = [
    {"storage": "nfs", "type": "nfs", "content": "images,rootdir", "format": [DIR, "raw"]},
    {"storage": "dir", "type": "dir", "content": "images,rootdir", "format": [DIR, "raw"]},
    {"storage": "tank", "type": "zfspool", "content": "images,rootdir", "format": [{"raw": 1, "subvol": 1}, "raw"]},
    {"storage": "ceph", "type": "rbd", "content": "images,rootdir", "format": [{"raw": 1}, "raw"]},
    {"storage": "iso", "type": "dir", "content": "iso", "format": [DIR, "raw"]},
]
for _row in STORAGES:
    _row.update(active=1, enabled=1, total=100 * GIB, avail=50 * GIB)

CONFIG = {
    "digest": "d1",
    "efidisk0": "nfs:100/vm-100-disk-0.raw,efitype=4m,size=528K",
    "scsi0": "nfs:100/vm-100-disk-1.qcow2,iothread=1,discard=on,size=8G",
    "scsi1": "tank:vm-100-disk-0,size=4G",
    "ide2": "iso:iso/debian.iso,media=cdrom",
    "scsi5": "/dev/disk/by-id/x,size=1G",
    "unused0": "nfs:100/vm-100-disk-9.raw",
}


class Answers:
    """A session that knows its answers, notes what it is asked, and refuses to write."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.connection = Connection(("pve1:8006",), "root@pam")
        self.answers = answers
        self.asked: list[str] = []

    def get(self, path: str, params: dict[str, Any] | None = None) -> Any:
        self.asked.append(path)
        key = f"{path}?{params['snapshot']}" if params and params.get("snapshot") else path
        answer = self.answers[key]
        if isinstance(answer, MobilityError):
            raise answer
        return answer


def cluster(config: dict[str, Any] | None = None, kind: str = "qemu", **more: Any) -> Answers:
    guest = {"type": kind, "vmid": 100, "node": "pve1", "name": "web", "status": "stopped"}
    path = f"/nodes/pve1/{kind}/100"
    answers: dict[str, Any] = {
        "/cluster/resources": [guest, {"type": "node", "node": "pve1", "status": "online"}],
        f"{path}/config": CONFIG if config is None else config,
        f"{path}/snapshot": [{"name": "current"}],
        f"{path}/status/current": {"status": "stopped"},
        "/nodes/pve1/tasks": [],
        "/nodes/pve1/replication": [],
        "/nodes/pve1/storage": STORAGES,
        "/storage": [{"storage": row["storage"], "type": row["type"]} for row in STORAGES],
        **{f"/nodes/pve1/storage/{row['storage']}/content": [] for row in STORAGES},
    }
    return Answers(answers | more)


def decide(session: Answers, *disks: str, storage: str = "ceph", **more: Any) -> DiskDecision:
    return decide_disks(session, DiskRequest("100", storage, disks, **more), Clock(1000.0))  # type: ignore[arg-type]


def work(decision: DiskDecision) -> DiskWork:
    assert decision.work is not None
    return decision.work


def steps(decision: DiskDecision) -> list[tuple[str, str]]:
    return [(step.disk, step.format) for step in work(decision).steps]


# ---------------------------------------------------------------- nothing to do


def test_there_already_sends_nothing_that_could_fail() -> None:
    session = cluster()
    decision = decide(session, "scsi0", storage="nfs", preflight="skip")
    assert (decision.work, [disk.key for disk in decision.there]) == (None, ["scsi0"])
    assert session.asked == ["/cluster/resources", "/nodes/pve1/qemu/100/config"]


def test_a_storage_that_may_not_be_looked_at_does_not_fail_what_is_there_already() -> None:
    session = cluster(**{"/nodes/pve1/storage": PermissionDenied("no"), "/nodes/pve1/qemu/100/snapshot": ApiError("x")})
    assert decide(session, "scsi0", storage="nfs").orphans.volumes == ()


def test_orphans_are_seen_although_nothing_is_to_be_done() -> None:
    content = [
        {"volid": "tank:vm-100-disk-0", "vmid": 100, "content": "images", "format": "raw", "size": 4},
        {"volid": "tank:vm-100-disk-7", "vmid": 100, "content": "images", "format": "raw", "size": 5},
        {"volid": "tank:vm-100-disk-8", "vmid": 100, "content": "images", "format": "raw", "size": 6},
        {"volid": "tank:vm-100-state-before", "vmid": 100, "content": "images", "format": "raw", "size": 6},
    ]
    session = cluster(
        **{
            "/nodes/pve1/storage/tank/content": content,
            "/nodes/pve1/qemu/100/snapshot": [{"name": "before"}, {"name": "current"}],
            "/nodes/pve1/qemu/100/config?before": {
                "scsi0": "tank:vm-100-disk-8,size=4G",
                "vmstate": "tank:vm-100-state-before",
            },
        }
    )
    decision = decide(session, "scsi0", storage="nfs")
    # Disk 0 is attached, disk 8 and the state of the memory belong to a snapshot.
    assert [volume.volid for volume in decision.orphans.volumes] == ["tank:vm-100-disk-7"]


def test_only_the_format_differs() -> None:
    assert steps(decide(cluster(), "scsi0", storage="nfs", format="raw")) == [("scsi0", "raw")]
    assert decide(cluster(), "scsi0", storage="nfs", format="qcow2").work is None


# ---------------------------------------------------------------- which disks


def test_all_leaves_out_media_devices_and_what_is_kept_aside() -> None:
    assert steps(decide(cluster())) == [("efidisk0", "raw"), ("scsi0", "raw"), ("scsi1", "raw")]


def test_all_from_one_storage() -> None:
    assert steps(decide(cluster(), from_storage="tank")) == [("scsi1", "raw")]
    assert decide(cluster(), from_storage="dir").work is None


def test_a_list_is_kept_in_its_order_and_what_is_there_is_left_alone() -> None:
    decision = decide(cluster(), "unused0", "scsi1", "scsi0", storage="tank")
    assert steps(decision) == [("unused0", "raw"), ("scsi0", "raw")]
    assert [disk.key for disk in decision.there] == ["scsi1"]


def test_the_state_of_the_tpm_keeps_its_format() -> None:
    config = {"digest": "d1", "tpmstate0": "nfs:100/vm-100-disk-0.raw,size=4M,version=v2.0", "scsi0": "nfs:100/a.raw"}
    assert steps(decide(cluster(config), storage="dir", format="qcow2")) == [("scsi0", "qcow2"), ("tpmstate0", "raw")]


# ---------------------------------------------------------------- refusals

RUNNING_CT = {"/nodes/pve1/lxc/100/status/current": {"status": "running"}}
CT = {"digest": "d1", "rootfs": "nfs:100/vm-100-disk-0.raw,size=4G", "mp0": "/srv/x,mp=/x", "unused0": "nfs:100/y.raw"}
OFFLINE = [
    {"type": "qemu", "vmid": 100, "node": "pve1", "name": "web", "status": "unknown"},
    {"type": "node", "node": "pve1", "status": "offline"},
]


@pytest.mark.parametrize(
    ("session", "disks", "options", "kind", "words"),
    [
        (cluster(), ("scsi7",), {}, NotFound, "has no disk scsi7. Did you mean"),
        (cluster(), ("ide2",), {}, Invalid, "is a CD drive (it holds iso:iso/debian.iso)"),
        (cluster(), ("scsi5",), {}, Invalid, "lies on no storage"),
        (cluster(), ("scsi0",), {"storage": "cehp"}, NotFound, "Did you mean ceph?"),
        (cluster(), ("scsi1",), {"format": "qcow2"}, Unsupported, "cannot hold qcow2 (it holds raw)"),
        (cluster(), ("scsi0",), {"storage": "iso"}, Blocked, "is not meant for disks of VMs"),
        (cluster({**CONFIG, "lock": "backup"}), ("scsi0",), {}, Locked, "locked (backup)"),
        (cluster(**{"/cluster/resources": OFFLINE}), ("scsi0",), {}, NodeUnreachable, "which is offline"),
        (cluster(CT, "lxc", **RUNNING_CT), ("rootfs",), {}, Invalid, "allow_stop: true"),
        (cluster(CT, "lxc"), ("unused0",), {}, Unsupported, "attach it as a mount point first"),
        (cluster(CT, "lxc"), ("mp0",), {}, Invalid, "lies on no storage"),
        (cluster(CT, "lxc"), ("rootfs",), {"format": "raw"}, Unsupported, "Leave format out"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    session: Answers, disks: tuple[str, ...], options: dict[str, Any], kind: type[MobilityError], words: str
) -> None:
    with pytest.raises(kind) as error:
        decide(session, *disks, **options)
    assert words in error.value.message
    assert error.value.message.endswith((".", "?"))
    assert error.value.details["node"] == "pve1"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"disk": []}, "disk is empty"),
        ({"disk": ["all", "scsi0"]}, "either all or a list"),
        ({"disk": ["scsi0"], "from_storage": "nfs"}, "goes with disk: all"),
        ({"disk": ["all"], "from_storage": "ceph"}, "nothing to move"),
        ({"disk": ["disk0"]}, "disk0 is no disk"),
        ({"disk": ["scsi0"], "bwlimit": -1}, "bwlimit"),
        ({"disk": ["scsi0"], "timeout": -1}, "timeout"),
        ({"disk": ["scsi0"], "storage": " "}, "storage is empty"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid) as error:
        from_options({"guest": "100", "storage": "ceph", **options})
    assert words in error.value.message


def test_a_finding_blocks_unless_it_is_accepted() -> None:
    job = {"id": "100-0", "guest": 100, "source": "pve1", "target": "pve2"}
    session = cluster(**{"/nodes/pve1/replication": [job]})
    with pytest.raises(Blocked) as error:
        decide(session, "scsi1")
    assert "scsi1 of 100 web is replicated (100-0)" in error.value.message
    assert "(disk-leaves-replication)" in error.value.message
    assert work(decide(session, "scsi1", accept=frozenset({"disk-leaves-replication"})))
    warned = decide(session, "scsi1", preflight="warn")
    assert [finding.id for finding in warned.findings] == ["disk-leaves-replication"]


def test_snapshots_keep_a_source_from_being_deleted() -> None:
    held = {
        "/nodes/pve1/qemu/100/snapshot": [{"name": "before"}, {"name": "current"}],
        "/nodes/pve1/qemu/100/config?before": {"scsi0": CONFIG["scsi0"]},
    }
    with pytest.raises(Blocked) as error:
        decide(cluster(**held), "scsi0", delete=True)
    assert "is held by 1 snapshot (before) (disk-snapshots)" in error.value.message
    assert work(decide(cluster(**held), "scsi1", delete=True)), "the snapshot does not hold this one"


def test_a_template_with_linked_clones() -> None:
    config = {"digest": "d1", "template": 1, "scsi0": "tank:base-100-disk-0,size=4G"}
    content = [
        {"volid": "tank:base-100-disk-0", "vmid": 100, "size": 4 * GIB, "format": "raw"},
        {"volid": "tank:base-100-disk-0/vm-7-disk-0", "vmid": 7, "size": 4 * GIB, "format": "raw"},
    ]
    with pytest.raises(Blocked) as error:
        decide(cluster(config, **{"/nodes/pve1/storage/tank/content": content}), "scsi0", delete=True)
    assert "disk-has-clones" in error.value.message


# ---------------------------------------------------------------- under way already


def running(upid: str, log: list[str]) -> dict[str, Any]:
    return {
        "/nodes/pve1/tasks": [{"upid": upid, "type": upid.split(":")[5], "id": "100", "status": "RUNNING"}],
        f"/nodes/pve1/tasks/{upid}/log": [{"n": n, "t": text} for n, text in enumerate(log, 1)],
    }


LOG = [
    "copying volume 'tank:vm-100-disk-0' from current storage 'tank' to target storage 'ceph'",
    "create full clone of drive scsi1 (tank:vm-100-disk-0)",
]


def test_a_move_under_way_is_adopted_and_goes_first() -> None:
    decision = decide(cluster(**running(UPID, LOG)), "scsi0", "scsi1")
    first, second = work(decision).steps
    assert (first.disk, first.task, first.adopted) == ("scsi1", UPID, True)
    assert (second.disk, second.task) == ("scsi0", None)
    assert work(decision).phase == "move"


def test_a_move_of_another_disk_is_waited_for() -> None:
    decision = decide(cluster(**running(UPID, LOG)), "scsi0")
    assert (work(decision).phase, work(decision).foreign) == ("foreign", UPID)


def test_a_move_of_the_same_disk_to_elsewhere_is_a_conflict() -> None:
    with pytest.raises(Conflict) as error:
        decide(cluster(**running(UPID, LOG)), "scsi1", storage="nfs")
    assert "scsi1 of 100 web is being moved to ceph, not to nfs" in error.value.message


def test_a_container_does_not_say_which_of_its_volumes_moves() -> None:
    session = cluster({**CT, "lock": "disk"}, "lxc", **running(CT_UPID, [""]))
    decision = decide(session, "rootfs")
    assert (work(decision).phase, work(decision).foreign) == ("foreign", CT_UPID)


def test_a_lock_that_nobody_holds() -> None:
    with pytest.raises(Locked) as error:
        decide(cluster({**CT, "lock": "disk"}, "lxc"), "rootfs")
    assert "pct unlock 100" in error.value.message


def test_a_running_container_is_stopped_and_started_when_that_is_allowed() -> None:
    decided = work(decide(cluster(CT, "lxc", **RUNNING_CT), "rootfs", allow_stop=True))
    assert (decided.phase, decided.restart) == ("stop", True)
    assert not work(decide(cluster(CT, "lxc"), "rootfs", allow_stop=True)).restart


STOPPED_AT = 0x6B03AB00


def stopped(user: str = "root@pam", moved_after: int | None = None) -> list[dict[str, Any]]:
    """The newest tasks of a container that was shut down, and perhaps moved so many seconds later."""
    stop = f"UPID:pve1:00000BB0:0003C640:{STOPPED_AT - 4:08X}:vzshutdown:100:{user}:"
    rows = [{"upid": stop, "type": "vzshutdown", "status": "OK", "endtime": STOPPED_AT}]
    if moved_after is not None:
        move = f"UPID:pve1:00000BB1:0003C646:{STOPPED_AT + moved_after:08X}:move_volume:100:root@pam:"
        rows.insert(0, {"upid": move, "type": "move_volume", "status": "OK", "endtime": STOPPED_AT + 100})
    return rows


@pytest.mark.parametrize(
    ("rows", "minutes_ago", "restart"),
    [
        (stopped(moved_after=5), 0, True),
        (stopped(moved_after=1000), 0, False),
        (stopped("other@pam", moved_after=5), 0, False),
        (stopped(), 5, True),
        (stopped(), 20, False),
        ([], 0, False),
    ],
)
def test_a_container_that_an_interrupted_run_has_stopped_is_started_again(
    rows: list[dict[str, Any]], minutes_ago: int, restart: bool
) -> None:
    now = {"/nodes/pve1/tasks": rows, "/nodes/pve1/time": {"time": STOPPED_AT + 60 * minutes_ago}}
    assert work(decide(cluster(CT, "lxc", **now), "rootfs", allow_stop=True)).restart is restart


def test_a_container_whose_volumes_are_all_there_is_started_when_a_run_was_broken_off_just_before() -> None:
    there = {"/nodes/pve1/tasks": stopped(moved_after=5)}
    decided = work(decide(cluster(CT, "lxc", **there), "rootfs", storage="nfs", allow_stop=True))
    assert (decided.phase, decided.steps) == ("start", [])
    # Somebody who stops it later means it.
    later = {"/nodes/pve1/tasks": stopped(), "/nodes/pve1/time": {"time": STOPPED_AT}}
    assert decide(cluster(CT, "lxc", **later), "rootfs", storage="nfs", allow_stop=True).work is None


def test_the_handle_survives_another_process() -> None:
    decided = work(decide(cluster(), "scsi0", "scsi1", delete=True))
    assert DiskWork.from_dict(decided.as_dict()) == decided
    with pytest.raises(Invalid):
        DiskWork.from_dict({"work": "disks", "steps": [3]})
    with pytest.raises(Invalid):
        DiskWork.from_dict({**decided.as_dict(), "phase": "elsewhere"})
