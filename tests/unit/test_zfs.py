# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ZFS from what its commands print: current OpenZFS with exact numbers, and an old one without ``-p``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid
from ansible_collections.pve.mobility.plugins.module_utils.execution.zfs import read_zfs
from ansible_collections.pve.mobility.plugins.module_utils.execution.zfs_result import zfs_result
from ansible_collections.pve.mobility.plugins.module_utils.model import zfs
from ansible_collections.pve.mobility.plugins.module_utils.model.zfs_owner import Owner
from ansible_collections.pve.mobility.plugins.module_utils.model.zfs_tools import (
    bookmark_markers,
    config_snapshots,
    property_markers,
    sanoid_markers,
    zrepl_markers,
    zsync_jobs,
)

POOL_LIST = "backup\t8000000000000\t7200000000000\t800000000000\t90\tDEGRADED\nrpool\t1.81T\t1.10T\t730G\t60%\tONLINE\n"

POOL_STATUS = """\
  pool: backup
 state: DEGRADED
status: One or more devices has experienced an unrecoverable error.  An
\tattempt was made to correct the error.
action: Determine if the device needs to be replaced.
  scan: scrub repaired 0B in 00:10:03 with 0 errors on Sun Nov 15 00:34:04 2026
config:

\tNAME        STATE     READ WRITE CKSUM
\tbackup      DEGRADED     0     0     0
\t  sda       DEGRADED     0     0    12

errors: 2 data errors, use '-v' for a list

  pool: rpool
 state: ONLINE
 scrub: none requested
config:

\tNAME        STATE     READ WRITE CKSUM
\trpool       ONLINE       0     0     0
\t  nvme0n1   ONLINE       0     0     0

errors: No known data errors
"""

DATASETS = """\
rpool\tfilesystem\t1208925819614\t783939005730\t98304\t/rpool\t-\t-\toff\t0
rpool/data/vm-104-disk-0\tvolume\t21474836480\t783939005730\t10737418240\t-\t34359738368\t-\toff\t35433480192
rpool/data/vm-105-disk-0\tvolume\t1024\t783939005730\t1024\t-\t8589934592\trpool/data/base-103-disk-0@__base__\toff\t-
rpool/data/subvol-200-disk-1\tfilesystem\t4096\t783939005730\t4096\t/rpool/data/subvol-200-disk-1\t-\t-\taes-256-gcm\t-
"""

SNAPSHOTS = """\
rpool/data/vm-104-disk-0@__replicate_104-0_1795402800__\t0\t10737418240\t1795402800\t0
rpool/data/vm-104-disk-0@before\t4096\t10737418240\t1795402801\t0
rpool/data/vm-104-disk-0@autosnap_2026-11-23_03:00:00_hourly\t8192\t10737418240\t1795402802\t1
rpool/data/vm-105-disk-0@before\t0\t1024\t1795402803\t0
"""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1649267441664", 1649267441664),
        ("1.5T", 1649267441664),
        ("730G", 783831531520),
        ("512", 512),
        ("60%", 60),
        ("1.00x", 1),
        ("0B", 0),
        ("-", None),
        ("none", None),
    ],
)
def test_numbers_exact_and_rounded(text: str, value: int | None) -> None:
    assert zfs.number(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1795402800", 1795402800),
        ("Mon Nov 23  3:00 2026", 1795402800),
        ("Mon Nov 23 03:00:05 2026", 1795402805),
        ("yesterday", None),
    ],
)
def test_moments(text: str, value: int | None) -> None:
    assert zfs.moment(text) == value


def test_pools_with_health_and_what_ails_them() -> None:
    backup, rpool = zfs.pools(POOL_LIST, POOL_STATUS)
    assert (backup.name, backup.size, backup.capacity, backup.health) == ("backup", 8000000000000, 90, "DEGRADED")
    assert backup.status is not None
    assert backup.status.endswith("An attempt was made to correct the error.")
    assert backup.errors == "2 data errors, use '-v' for a list"
    assert not backup.healthy
    assert (rpool.size, rpool.free, rpool.scan) == (1990116046274, 783831531520, "none requested")
    assert rpool.healthy


def test_a_pool_that_is_online_with_errors_is_not_healthy() -> None:
    (pool,) = zfs.pools("t\t1\t1\t1\t1\tONLINE\n", "  pool: t\n state: ONLINE\nerrors: 1 data errors\n")
    assert not pool.healthy


def test_datasets_of_guests() -> None:
    found = {item.name: item for item in zfs.datasets(DATASETS, (*zfs.DATASET_COLUMNS, "encryption", "refreservation"))}
    assert found["rpool"].vmid is None
    disk = found["rpool/data/vm-104-disk-0"]
    assert (disk.vmid, disk.kind, disk.volsize, disk.refreservation) == (104, "vm", 34359738368, 35433480192)
    assert found["rpool/data/vm-105-disk-0"].origin == "rpool/data/base-103-disk-0@__base__"
    subvol = found["rpool/data/subvol-200-disk-1"]
    assert (subvol.vmid, subvol.kind, subvol.encryption) == (200, "subvol", "aes-256-gcm")


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("__replicate_104-0_1795402800__", Owner.REPLICATION),
        ("__migration__", Owner.MIGRATION),
        ("__base__", Owner.TEMPLATE),
        ("vzdump", Owner.VZDUMP),
        ("before", Owner.GUEST),
        ("autodaily260101030000", Owner.CV4PVE),
        ("rep_default_2026-11-23_02:00:00", Owner.PVE_ZSYNC),
        ("autosnap_2026-11-23_03:00:00_hourly", Owner.SANOID),
        ("syncoid_pve9_2026-11-23:03:00:00-GMT01:00", Owner.SYNCOID),
        ("syncoid_daily_pve9_2026-11-23:03:00:00", Owner.SYNCOID),
        ("zfs-auto-snap_daily-2026-11-23-0425", Owner.ZFS_AUTO_SNAPSHOT),
        ("zrepl_20261123_030000_000", Owner.ZREPL),
        ("2026-11-23-030000", Owner.ZNAPZEND),
        ("2026-11-23_03.00.00--1w", Owner.ZFSNAP),
        ("autosnap_2026-11-23", Owner.UNKNOWN),
        ("__replicate_104__", Owner.UNKNOWN),
        ("by-hand", Owner.UNKNOWN),
    ],
)
def test_owners_by_name(name: str, owner: Owner) -> None:
    assert Owner.of(name, frozenset({"before", "autodaily260101030000"})) is owner


def test_what_a_guest_knows_as_its_own_is_no_other_tools() -> None:
    """A user may well call a snapshot as znapzend would; Proxmox VE's reserved names stay reserved."""
    assert Owner.of("rep_x_2026-11-23_02:00:00", frozenset({"rep_x_2026-11-23_02:00:00"})) is Owner.GUEST
    assert not Owner.GUEST.foreign
    assert Owner.of("vzdump", frozenset({"vzdump"})) is Owner.VZDUMP


def test_snapshots_with_owner_and_holds() -> None:
    known = {104: frozenset({"before"})}
    tags = zfs.holds("rpool/data/vm-104-disk-0@autosnap_2026-11-23_03:00:00_hourly\tkeep\tMon Nov 23  3:00 2026\n")
    found = zfs.snapshots(SNAPSHOTS, known, tags)
    assert [item.owner for item in found] == [Owner.REPLICATION, Owner.GUEST, Owner.SANOID, Owner.UNKNOWN]
    assert [item.held for item in found] == [False, False, True, False]
    assert found[2].holds == ("keep",)
    assert found[2].creation == 1795402802
    assert zfs.held(SNAPSHOTS) == ("rpool/data/vm-104-disk-0@autosnap_2026-11-23_03:00:00_hourly",)


def test_marks_on_datasets() -> None:
    text = (
        "rpool/data\tcom.sun:auto-snapshot\ttrue\n"
        "rpool/data\torg.znapzend:src_plan\t1week=>1day\n"
        "rpool\tcom.sun:auto-snapshot\t-\n"
        "rpool\tcompression\tlz4\n"
    )
    assert [(item.tool, item.where, item.detail) for item in property_markers(text)] == [
        ("zfs-auto-snapshot", "rpool/data", "com.sun:auto-snapshot=true"),
        ("znapzend", "rpool/data", "org.znapzend:src_plan=1week=>1day"),
    ]
    marks = list(bookmark_markers("rpool/data/vm-1-disk-0#zrepl_CURSOR_G_1_J_push\nrpool#mine\n"))
    assert [(item.tool, item.where) for item in marks] == [("zrepl", "rpool/data/vm-1-disk-0")]


def test_sections_of_configuration_files() -> None:
    sanoid = "[rpool/data]\n  use_template = production\n[template_production]\n  hourly = 36\n"
    assert [item.where for item in sanoid_markers(sanoid)] == ["rpool/data"]
    zrepl = (
        "jobs:\n  - name: push\n    type: push\n    filesystems: {}\n"
        '  - type: snap\n    filesystems:\n      "rpool/data<": true\n      "rpool/data/tmp": false  # not this\n'
        "    snapshotting:\n      type: periodic\n"
    )
    assert [(item.where, item.detail) for item in zrepl_markers(zrepl)] == [("rpool/data", "rpool/data<")]


ZSYNC = """\
# comment
*/15 * * * * root pve-zsync sync --source 104 --dest 10.0.0.9:backup/vm --name nightly --maxsnap 7 --method ssh
#0 3 * * *  root pve-zsync sync --source rpool/data --dest backup --name default --maxsnap 1 --method local
"""
ZSYNC_STATE = '{"104": {"nightly": {"state": "error", "lsync": "2026-11-23_03:00:01"}}}'


def test_pve_zsync_jobs() -> None:
    first, second = zsync_jobs(ZSYNC, ZSYNC_STATE)
    assert (first.vmid, first.name, first.destination, first.maxsnap) == (104, "nightly", "10.0.0.9:backup/vm", 7)
    assert (first.schedule, first.enabled, first.state) == ("*/15 * * * *", True, "error")
    assert (second.vmid, second.source, second.enabled, second.state) == (None, "rpool/data", False, None)
    assert zsync_jobs(ZSYNC, '{"104": {"nigh')[0].state is None


def test_snapshots_of_a_guests_configuration() -> None:
    text = "memory: 512\n\n[PENDING]\nmemory: 1024\n\n[before]\nmemory: 512\n\n[special:cloudinit]\nname: x\n"
    assert config_snapshots(text) == {"before"}


class Commands:
    """A node's zpool and zfs. ``old``: without exact numbers, newer columns and bookmarks."""

    def __init__(self, old: bool = False) -> None:
        self.old = old
        self.calls: list[list[str]] = []

    def __call__(self, command: Sequence[str]) -> tuple[int, str, str]:
        self.calls.append(list(command))
        what = command[:2]
        if self.old and ("-p" in command or "bookmark" in command or "encryption" in str(command)):
            return 2, "", "invalid option 'p'\nusage:\n"
        match what:
            case ["zpool", "list"]:
                return (1, "", "cannot open 'nope': no such pool") if "nope" in command else (0, POOL_LIST, "")
            case ["zpool", "status"]:
                return 0, POOL_STATUS, ""
            case ["zfs", "holds"]:
                return 0, "".join(f"{name}\tkeep\tMon Nov 23  3:00 2026\n" for name in command[3:]), ""
            case ["zfs", "get"]:
                return 0, "rpool/data\tcom.sun:auto-snapshot\ttrue\n", ""
            case ["zfs", "list"] if "snapshot" in command:
                return 0, SNAPSHOTS, ""
            case ["zfs", "list"] if "bookmark" in command:
                return 0, "rpool#zrepl_CURSOR_x\n", ""
        rows = DATASETS.splitlines(keepends=True)
        return 0, "".join(rows if not self.old else (row.rsplit("\t", 2)[0] + "\n" for row in rows)), ""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A node's files."""
    for name, text in {
        "etc/pve/nodes/pve2/qemu-server/104.conf": "memory: 512\n[before]\nmemory: 512\n",
        "etc/pve/nodes/pve2/qemu-server/notes.conf": "[no]\n",
        "etc/cron.d/pve-zsync": ZSYNC,
        "etc/sanoid/sanoid.conf": "[rpool/data]\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("old", [False, True])
def test_a_node_is_read(root: Path, old: bool) -> None:
    facts = read_zfs(Commands(old), root)
    assert [pool.name for pool in facts.pools] == ["backup", "rpool"]
    assert facts.counts()["rpool/data/vm-104-disk-0"] == {"guest": 1, "replication": 1, "sanoid": 1}
    assert {item.tool for item in facts.markers} == {"sanoid", "zfs-auto-snapshot"} | (set() if old else {"zrepl"})
    assert len(facts.jobs) == 2
    assert any(item.encryption for item in facts.datasets) is not old


def test_which_snapshots_are_listed(root: Path) -> None:
    facts = read_zfs(Commands(), root)
    assert [item["owner"] for item in zfs_result(facts, "foreign")["snapshots"]] == ["sanoid", "unknown"]
    assert len(zfs_result(facts, "all")["snapshots"]) == 4
    assert "snapshots" not in zfs_result(facts, "none")
    disk = next(item for item in zfs_result(facts, "none")["datasets"] if item["name"].endswith("104-disk-0"))
    assert disk["snapshots"] == {"guest": 1, "replication": 1, "sanoid": 1}


def test_an_unknown_pool_is_one_sentence(root: Path) -> None:
    with pytest.raises(Invalid, match=r"^zpool list failed on this node: cannot open 'nope': no such pool\.$"):
        read_zfs(Commands(), root, ["nope"])


def test_holds_are_asked_for_in_one_command(root: Path) -> None:
    commands = Commands()
    read_zfs(commands, root)
    assert len([call for call in commands.calls if call[:2] == ["zfs", "holds"]]) == 1


OPENZFS_STATUS = """\
  pool: tank
 state: ONLINE
status: Some supported and requested features are not enabled on the pool.
\tThe pool can still be used, but some features are unavailable.
action: Enable all features using 'zpool upgrade'.
comment: bay 3
  scan: resilver in progress since Mon Nov 23 20:00:01 2026
\t1.21T / 1.81T scanned at 1.1G/s, 412G / 1.81T issued at 380M/s
\t101G resilvered, 22.24% done, 01:04:40 to go
remove: Removal of vdev 2 copied 1.02G in 0h0m, completed on Mon Nov 23 19:00:00 2026
\t24.1K memory used for removed device mappings
expand: expanded raidz1-0 copied 21.0G in 00:02:13, on Mon Nov 23 18:00:00 2026
checkpoint: created Mon Nov 23 17:00:00 2026, consumes 12.5M
config:

\tNAME                                      STATE     READ WRITE CKSUM
\ttank                                      ONLINE       0     0     0
\t  raidz1-0                                ONLINE       0     0     0
\t    ata-INTEL_SSDSC2KB480G8_PHYF1-part3   ONLINE       0     0     0
\t    replacing-1                           ONLINE       0     0     0
\t      ata-INTEL_SSDSC2KB480G8_PHYF2-part3 ONLINE       0     0     0
\t      ata-INTEL_SSDSC2KB480G8_PHYF3-part3 ONLINE       0     0     0  (resilvering)
\tspecial
\t  nvme0n1p1                               ONLINE       0     0     0
\tlogs
\t  nvme1n1p1                               ONLINE       0     0     0
\tspares
\t  sdf                                     AVAIL

dedup: DDT entries 11, size 0B on disk, 1.68K in core

errors: No known data errors
"""


def test_the_status_of_a_busy_pool_of_current_openzfs() -> None:
    (tank,) = zfs.pools("tank\t1992864825344\t1208925819614\t783939005730\t60\tONLINE\n", OPENZFS_STATUS)
    assert tank.healthy
    assert tank.errors == "No known data errors"
    assert tank.scan is not None
    assert tank.scan.endswith("101G resilvered, 22.24% done, 01:04:40 to go")
    assert tank.status is not None
    assert tank.status.endswith("some features are unavailable.")
