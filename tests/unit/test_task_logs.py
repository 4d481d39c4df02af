# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What recorded logs of genuine tasks say: the cause of a failure, and how far a move is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api import tasks
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid
from ansible_collections.pve.mobility.plugins.module_utils.api.progress import Phase, Progress
from ansible_collections.pve.mobility.plugins.module_utils.api.upid import Upid

RECORDED = Path(__file__).parents[1] / "conformance" / "recorded"


def log(name: str) -> list[str]:
    rows = json.loads((RECORDED / f"{name}.task-log.json").read_text(encoding="utf-8"))["body"]["data"]
    return [row["t"] for row in rows]


@pytest.mark.parametrize(
    ("name", "exitstatus", "cause"),
    [
        (
            "migrate-live-local-without-flag",
            "migration aborted",
            (
                "can't migrate local disk 'dirb:110/vm-110-disk-0.qcow2': can't live migrate attached local disks"
                " without with-local-disks option"
            ),
        ),
        ("lxc-migrate-running-online", "migration aborted", "lxc live migration is currently not implemented"),
        (
            "migrate-mapped-missing-on-target",
            "migration aborted",
            "can't migrate to 'pve3': missing mapped devices usb0",
        ),
        ("offline-migrate-to-shared", "migration aborted", "Can't connect to destination address using public key"),
        (
            "migrate-no-ip-in-network",
            "command '/usr/bin/ssh …' failed: exit code 255",
            "could not get migration ip: no IP address configured on local node for network '172.31.0.0/24'",
        ),
        (
            "ha-affinity-migrate-blocked",
            "command 'ha-manager migrate vm:111 pve1' failed: exit code 2",
            (
                "cannot migrate resource 'vm:111' to node 'pve1': resource 'vm:102' on target node 'pve1' in negative"
                " affinity with resource 'vm:111'"
            ),
        ),
    ],
)
def test_the_cause_is_the_line_that_says_most(name: str, exitstatus: str, cause: str) -> None:
    assert tasks.cause(log(name), exitstatus) == cause


def test_a_failure_at_the_target_names_what_the_target_said() -> None:
    lines = [
        "2026-11-23 04:04:43 [pve2] VM 110 already running",
        "2026-11-23 04:04:43 ERROR: online migrate failure - remote command failed with exit code 255",
        "2026-11-23 04:04:44 ERROR: migration finished with problems (duration 00:00:02)",
        "TASK ERROR: migration problems",
    ]
    assert tasks.cause(lines, "migration problems") == "[pve2] VM 110 already running"


def test_a_killed_task_and_a_silent_one() -> None:
    assert "was killed" in tasks.cause(["starting"], "unexpected status")
    assert tasks.cause([], "some error") == "some error"


def test_warnings_are_carried() -> None:
    lines = ["WARN: no agent", "2026-11-23 03:00:00 WARNING: old machine", "migration active", "TASK WARNINGS: 2"]
    assert tasks.warnings(lines) == ["no agent", "old machine"]


def test_leftovers_are_named_with_their_node() -> None:
    lines = ["found stale volume copy 'zp:subvol-203-disk-0' on node 'pve2'", "TASK ERROR: migration aborted"]
    assert tasks.leftovers(lines, "pve2") == ["zp:subvol-203-disk-0 on pve2"]


def fed(lines: list[str], now: float = 0.0) -> Progress:
    progress = Progress()
    progress.feed(lines, now)
    return progress


def test_a_live_migration_with_disks_adds_up() -> None:
    progress = fed(log("migrate-live-with-local-disks"))
    assert progress.phase is Phase.FINISHING
    assert progress.downtime_ms == 30
    assert progress.target == "pve2"
    assert progress.carried == 2**30 + int(3.1 * 2**20)


def test_both_ends_of_an_offline_copy_count_once() -> None:
    assert fed(log("migrate-offline-local-ok")).carried == 1074135040


def test_several_disks_add_up_and_memory_follows() -> None:
    progress = fed(
        [
            "mirror-scsi0: transferred 16.0 GiB of 32.0 GiB (50.00%) in 1m",
            "mirror-scsi1: transferred 16.0 GiB of 96.0 GiB (16.67%) in 1m",
        ]
    )
    assert (progress.phase, progress.percent, progress.total) == (Phase.DISKS, 25, 128 * 2**30)
    progress.feed(["2026-11-23 02:57:43 migration active, transferred 6.5 GiB of 8.0 GiB VM-state, 640.0 MiB/s"], 60.0)
    assert (progress.phase, progress.percent) == (Phase.MEMORY, 81)
    assert progress.rate == 640 * 2**20
    assert progress.eta == pytest.approx(2.4, abs=0.05)


def test_the_older_job_name_is_known_too() -> None:
    assert fed(["drive-virtio0: transferred 1.0 GiB of 4.0 GiB (25.00%) in 10s"]).percent == 25


def test_more_than_everything_is_a_hundred_percent() -> None:
    line = (
        "migration active, transferred 91.0 MiB of 80.6 MiB VM-state, 320.0 KiB/s, VM dirties lots of memory: 1.9 MiB/s"
    )
    assert fed([line]).percent == 100


def test_the_rate_of_a_mirror_is_read_from_its_line() -> None:
    progress = fed(["mirror-scsi0: transferred 6.0 GiB of 10.0 GiB (60.00%) in 1m 0s"])
    assert progress.rate == pytest.approx(6 * 2**30 / 60)
    assert progress.eta == pytest.approx(40)


def test_a_rate_is_measured_where_the_log_gives_none() -> None:
    progress = fed(["12:00:01   1.00G   rpool/vm-100-disk-0@__migration__"], 0.0)
    progress.feed(["12:00:11   2.00G   rpool/vm-100-disk-0@__migration__"], 10.0)
    assert progress.rate == pytest.approx(2**30 / 10)


def test_a_zfs_stream() -> None:
    progress = fed(
        [
            "full send of rpool/vm-100-disk-0@__migration__ estimated size is 4.51G",
            "total estimated size is 4.51G",
            "TIME        SENT   SNAPSHOT rpool/vm-100-disk-0@__migration__",
            "12:00:01   1.23G   rpool/vm-100-disk-0@__migration__",
        ]
    )
    assert (progress.phase, progress.percent) == (Phase.DISKS, 27)


def test_a_upid() -> None:
    upid = Upid.parse("UPID:pve1:00000BB1:0003C646:6B03ABA2:qmigrate:110:root@pam!test:")
    assert (upid.node, upid.type, upid.id, upid.user, upid.start) == (
        "pve1",
        "qmigrate",
        "110",
        "root@pam!test",
        1795402658,
    )
    with pytest.raises(Invalid, match="is not a UPID"):
        Upid.parse("UPID:pve1")
