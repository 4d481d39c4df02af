# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Timelines 06c, 06e and 07c: disks that move under a running VM, cancelled, killed, and in each other's way."""

from __future__ import annotations

from typing import Any

from tests.conformance.client import Lab
from tests.conformance.story import Story, View, config, content, current, task, tasks
from tests.conformance.test_timelines_guests import NODES, SECOND_TASK, SMALL, STORAGES

FULL = {"storage": "dira", "size": "1G", "used": "1G", "format": "qcow2"}


def lab(vmid: int, **guest: Any) -> Lab:
    return Lab.from_dict({"nodes": NODES, "storages": STORAGES, "guests": {vmid: SMALL | guest}})


def around(vmid: int) -> dict[str, View]:
    return {
        "GET /nodes/src/tasks/{upid}/status @pve1": task,
        f"GET /nodes/pve1/qemu/{vmid}/status/current @pve1": current,
        f"GET /nodes/pve1/qemu/{vmid}/config @pve1": config,
        f"GET /nodes/pve1/tasks?source=all&vmid={vmid}&limit=20 @pve1": tasks,
        f"GET /nodes/pve1/storage/dirb/content?vmid={vmid} @pve1": content,
    }


def test_a_cancelled_move_leaves_nothing_and_no_lock_is_ever_seen() -> None:
    story = Story("06c-cancel-move-disk", lab(110, scsi0=FULL), around(110)).tell()
    story.check()
    story.check_answers(2)


def test_a_killed_move_leaves_a_volume_and_a_job_that_spoils_the_next_move_but_not_a_migration() -> None:
    views = around(110) | SECOND_TASK
    story = Story("06e-kill9-worker-move-disk", lab(110, scsi0=FULL), views).tell()
    story.check(until=19)
    story.check_answers(3)
    assert [item.exitstatus for item in story.lab.cluster.tasks.of_node("pve1")][-1] == "OK"
    assert story.lab.cluster.storages.find("dirb:110/vm-110-disk-0.qcow2", "pve1") is not None


def test_whoever_comes_second_waits_ten_seconds_and_fails() -> None:
    listed = "GET /nodes/pve1/tasks?source=all&vmid=113&limit=20 @pve1"
    views: dict[str, View] = {
        "GET /nodes/src/tasks/{upid2}/status @pve1": task,
        "GET /nodes/pve1/qemu/113/config @pve1": config,
        listed: tasks,
    }
    place = lab(113, scsi0=FULL | {"storage": "shr"})
    story = Story("07c-backup-lock-and-move-disk-then-migrate", place, views, since=17.0).tell()
    # Of the list only the end: the recorded poller missed the moment between two orders.
    story.check([name for name in views if name != listed])
    assert story.seen[listed][-1].value == story.genuine(listed)[-1].value
    story.check_answers(4)
    (late,) = [answer for answer in story.answers if answer.order.startswith("PUT")]
    assert 10 <= late.took < 11
