# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of disks that have moved, and how their progress is shown."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.progress import Phase, Progress
from ansible_collections.pve.mobility.plugins.module_utils.api.tasks import TaskStatus
from ansible_collections.pve.mobility.plugins.module_utils.execution import disk_outcome
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_underway import said
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_work import DiskWork, Step
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import vm_disk
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import guest_config
from ansible_collections.pve.mobility.plugins.plugin_utils.disks import follow_disks, true

SOURCE = "old:100/vm-100-disk-0.raw"
STEP = Step("scsi0", SOURCE, "raw", options={"iothread": "1", "cache": "writeback"}, task="UPID:x")
GOOD = TaskStatus("UPID:x", False, "OK")


def work(**more: Any) -> DiskWork:
    return DiskWork(100, "qemu", "web", "pve1", "ceph", [STEP], **more)


def config(**more: Any) -> Any:
    return guest_config(100, "qemu", "pve1", {"scsi0": "ceph:vm-100-disk-0,iothread=1,cache=writeback", **more})


def warned(value: str, status: TaskStatus = GOOD, lines: list[str] | None = None, **more: Any) -> list[str]:
    options = {key: more.pop(key) for key in ("delete", "format") if key in more}
    after = config(scsi0=value, **more)
    disk = after.disk("scsi0")
    assert disk is not None
    return disk_outcome.warnings(work(**options), STEP, disk, after, status, lines or [])


def test_settings_that_survive_are_no_matter() -> None:
    assert warned("ceph:vm-100-disk-0,cache=writeback,iothread=1,size=9G") == []


def test_settings_that_are_lost_are_named() -> None:
    (text,) = warned("ceph:vm-100-disk-0,cache=none")
    assert text == (
        "scsi0 of 100 web has not kept its settings: cache=writeback is now none, iothread=1 is now default."
        " Set them again."
    )


def test_another_format_than_was_asked_for() -> None:
    value = "ceph:vm-100-disk-0,iothread=1,cache=writeback"
    assert warned(value, format="qcow2") == ["scsi0 of 100 web became raw, not qcow2."]


def test_an_adopted_move_may_keep_the_source() -> None:
    value = "ceph:vm-100-disk-0,iothread=1,cache=writeback"
    (text,) = warned(value, delete=True, unused3=SOURCE)
    assert f"The source {SOURCE} of scsi0 remains as unused3" in text
    assert warned(value, unused3=SOURCE) == []


def test_a_problem_after_the_disk_had_arrived() -> None:
    value = "ceph:vm-100-disk-0,iothread=1,cache=writeback"
    failed = TaskStatus("UPID:x", False, "unexpected status")
    (text,) = warned(value, failed)
    assert "ended with a problem after the disk had arrived: the task was killed" in text


def test_the_properties_of_an_efi_disk_are_written_by_the_move() -> None:
    step = Step("efidisk0", SOURCE, "raw", options={"efitype": "4m"})
    moved = vm_disk("efidisk0", "ceph:vm-100-disk-0,efitype=4m,pre-enrolled-keys=1,size=1M")
    assert disk_outcome.changed_options(step, moved) == []


def test_the_key_under_which_a_source_is_kept() -> None:
    assert disk_outcome.kept_as(config(unused1=SOURCE), SOURCE) == "unused1"
    assert disk_outcome.kept_as(config(), SOURCE) is None


@pytest.mark.parametrize("kind", ["conflict", "task_failed", "locked", "permission", "node_unreachable"])
def test_a_failure_that_waited_for_the_container_keeps_its_kind(kind: str) -> None:
    error = disk_outcome.revived({"message": "It failed.", "kind": kind, "details": {"disk": "rootfs"}})
    assert error.failure() == {"kind": kind, "disk": "rootfs"}
    assert error.message == "It failed."


# ---------------------------------------------------------------- logs

LIVE = [
    "copying volume 'dirb:101/vm-101-disk-0.qcow2' from current storage 'dirb' to target storage 'dira'",
    "create full clone of drive scsi1 (dirb:101/vm-101-disk-0.qcow2)",
    "drive mirror is starting for drive-scsi1",
    "mirror-scsi1: transferred 256.0 MiB of 1.0 GiB (25.00%) in 2s",
]
OFFLINE = [
    "copying volume 'zp:vm-101-disk-0' from current storage 'zp' to target storage 'dira'",
    "create full clone of drive scsi0 (zp:vm-101-disk-0)",
    "transferred 0.0 B of 1.0 GiB (0.00%)",
    "transferred 96.1 MiB of 1.0 GiB (9.38%)",
]


def test_a_log_says_what_moves_where() -> None:
    told = said(LIVE)
    assert (told.disk, told.volid, told.storage) == ("scsi1", "dirb:101/vm-101-disk-0.qcow2", "dira")
    assert said(["", "Number of files: 12 (reg: 3, dir: 9)"]).volid is None, "those of containers say nothing"


@pytest.mark.parametrize(("lines", "percent"), [(LIVE, 25), (OFFLINE, 9)])
def test_progress_of_both_ways_of_copying(lines: list[str], percent: int) -> None:
    progress = Progress()
    progress.feed(lines[:-1], 10.0)
    progress.feed(lines[-1:], 12.0)
    assert (progress.phase, progress.percent, progress.total) == (Phase.DISKS, percent, 2**30)
    assert progress.rate > 0


# ---------------------------------------------------------------- display


class Screen:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def display(self, text: str) -> None:
        self.lines.append(text)


def row(key: str, to: str | None) -> dict[str, Any]:
    return {"disk": key, "from": f"old:{key}", "to": to, "storage": "ceph", "duration_s": 12.0}


def test_a_line_for_each_step_and_each_disk_that_has_arrived() -> None:
    guest = {"guest": {"vmid": 100, "name": "web"}}
    going = {"vmid": 100, "name": "web", "state": "running", "disk": "scsi0", "source": "old", "target": "ceph"}
    values = {"phase": "disks", "percent": 25, "done_bytes": 2**28, "total_bytes": 2**30, "rate_bytes_s": 0}
    first = {**guest, "moves": [row("scsi0", None)], "there": ["scsi9"], "findings": [{"id": "x"}], "diff": {}}
    answers = [
        {**first, "progress": {**going, "progress": values}, "follow": {"n": 1}},
        {**guest, "moves": [row("scsi0", None)], "progress": {**going, "progress": values}, "follow": {"n": 2}},
        {**guest, "moves": [row("scsi0", "ceph:a")], "there": [], "findings": [], "changed": True},
    ]
    asked: list[dict[str, Any]] = []

    def call(arguments: dict[str, Any]) -> dict[str, Any]:
        asked.append(arguments)
        return answers[len(asked) - 1]

    screen = Screen()
    result = follow_disks(call, {"guest": 100}, screen)  # type: ignore[arg-type]
    assert screen.lines == [
        "  100 web  scsi0  old → ceph  disks 25 %  0.2 of 1 GiB",
        "  100 web  scsi0  old → ceph  done in 12 s",
    ]
    assert [item.get("follow") for item in asked] == [None, {"n": 1}, {"n": 2}]
    assert (asked[0]["wait"], asked[1]["wait"]) == (False, True)
    # What only the first call knew is in the result.
    assert (result["there"], result["findings"], result["changed"]) == (["scsi9"], [{"id": "x"}], True)


def test_nothing_to_do_costs_one_call() -> None:
    calls: list[dict[str, Any]] = []

    def call(arguments: dict[str, Any]) -> dict[str, Any]:
        calls.append(arguments)
        return {"changed": False, "guest": {"vmid": 1, "name": "x"}, "moves": []}

    assert follow_disks(call, {}, Screen()) == {  # type: ignore[arg-type]
        "changed": False,
        "guest": {"vmid": 1, "name": "x"},
        "moves": [],
    }
    assert len(calls) == 1


def test_booleans_as_ansible_reads_them() -> None:
    assert [true(value) for value in (True, "yes", 1, "no", False, "off", 0)] == [True] * 3 + [False] * 4
