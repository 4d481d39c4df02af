# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``zfs_info`` and the shell parts of the roles against genuine ZFS. See :mod:`tools.zfs` for how it comes here."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid
from ansible_collections.pve.mobility.plugins.module_utils.execution.zfs import read_zfs
from ansible_collections.pve.mobility.plugins.module_utils.execution.zfs_result import zfs_result
from tools.area import COLLECTIONS
from tools.zfs import Corner, corner

HERE = Path(__file__).parent
SNAPSHOTS = {
    "__replicate_100-0_1795402800__": "replication",
    "autosnap_2026-11-23_03:00:00_hourly": "sanoid",
    "before-upgrade": "unknown",
}


@pytest.fixture(scope="module")
def zfs() -> Iterator[Corner]:
    with corner() as place:
        for name in ("one", "two", "three"):
            place.do("truncate", "-s", "128M", f"/run/pools/{name}")
        place.do("zpool", "create", "-m", "/run/pools/tank", "tank", "mirror", "/run/pools/one", "/run/pools/two")
        place.do("zpool", "create", "-m", "/run/pools/backup", "backup", "/run/pools/three")
        place.do("zfs", "create", "tank/vm")
        # There are no volumes in zfs-fuse: containers' filesystems stand for guests.
        place.do("zfs", "create", "tank/vm/subvol-100-disk-0")
        place.do("dd", "if=/dev/urandom", "of=/run/pools/tank/vm/subvol-100-disk-0/data", "bs=1M", "count=8")
        for name in SNAPSHOTS:
            place.do("zfs", "snapshot", f"tank/vm/subvol-100-disk-0@{name}")
        place.do("zfs", "hold", "keep-me", "tank/vm/subvol-100-disk-0@before-upgrade")
        place.do("zfs", "set", "com.sun:auto-snapshot=true", "tank/vm")
        yield place


def facts(zfs: Corner, root: Path, *pools: str, which: str = "all") -> dict[str, Any]:
    def command(arguments: Sequence[str]) -> tuple[int, str, str]:
        done = zfs.run(*arguments)
        return done.returncode, done.stdout, done.stderr

    return zfs_result(read_zfs(command, root, list(pools)), which)


def environment() -> dict[str, str]:
    return {
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_NOCOLOR": "1",
        "HOME": os.environ["HOME"],
    }


def test_the_module_as_a_user_runs_it(zfs: Corner) -> None:
    done = zfs.run("ansible", "localhost", "-m", "pve.mobility.zfs_info", more=environment())
    assert "SUCCESS" in done.stdout, done.stdout + done.stderr
    result = json.JSONDecoder().raw_decode(done.stdout.partition("=> ")[2])[0]
    assert result["available"] is True
    assert [pool["name"] for pool in result["pools"]] == ["backup", "tank"]
    assert {item["owner"] for item in result["snapshots"]} == {"sanoid", "unknown"}


def test_pools(zfs: Corner, tmp_path: Path) -> None:
    tank = next(pool for pool in facts(zfs, tmp_path)["pools"] if pool["name"] == "tank")
    assert tank["health"] == "ONLINE"
    assert tank["healthy"] is True
    assert 100 * 2**20 < tank["size"] < 128 * 2**20
    assert 8 * 2**20 < tank["allocated"] < tank["size"]
    # The sizes are rounded where a release cannot say them exactly.
    assert abs(tank["size"] - tank["allocated"] - tank["free"]) < 2 * 2**20


def test_datasets_of_guests(zfs: Corner, tmp_path: Path) -> None:
    found = {item["name"]: item for item in facts(zfs, tmp_path)["datasets"]}
    disk = found["tank/vm/subvol-100-disk-0"]
    assert (disk["type"], disk["vmid"], disk["kind"]) == ("filesystem", 100, "subvol")
    assert disk["used"] >= 8 * 2**20
    assert disk["mountpoint"] == "/run/pools/tank/vm/subvol-100-disk-0"
    assert disk["snapshots"] == {"replication": 1, "sanoid": 1, "unknown": 1}


def test_snapshots_holds_and_marks(zfs: Corner, tmp_path: Path) -> None:
    found = facts(zfs, tmp_path)
    snapshots = {item["name"]: item for item in found["snapshots"]}
    assert {name: item["owner"] for name, item in snapshots.items()} == SNAPSHOTS
    assert snapshots["before-upgrade"]["held"] is True
    # zfs-fuse knows that there are holds, but Debian's package lacks the program that lists their tags.
    lists = zfs.run("zfs", "holds", "tank/vm/subvol-100-disk-0@before-upgrade").returncode == 0
    assert snapshots["before-upgrade"]["holds"] == (["keep-me"] if lists else [])
    assert snapshots["autosnap_2026-11-23_03:00:00_hourly"]["held"] is False
    assert all(item["creation"] and item["creation"] > 1_700_000_000 for item in snapshots.values())
    marks = [(mark["tool"], mark["kind"], mark["where"]) for mark in found["tools"]]
    assert ("zfs-auto-snapshot", "property", "tank/vm") in marks


def test_what_a_guest_knows_is_its_own(zfs: Corner, tmp_path: Path) -> None:
    folder = tmp_path / "etc/pve/nodes/pve1/lxc"
    folder.mkdir(parents=True)
    (folder / "100.conf").write_text(
        "rootfs: tank:subvol-100-disk-0\n\n[before-upgrade]\nsnaptime: 1\n", encoding="utf-8"
    )
    owners = {item["name"]: item["owner"] for item in facts(zfs, tmp_path)["snapshots"]}
    assert owners == {**SNAPSHOTS, "before-upgrade": "guest"}


def test_what_was_received_is_found_again(zfs: Corner, tmp_path: Path) -> None:
    name = "tank/vm/subvol-100-disk-0@before-upgrade"
    zfs.do("sh", "-c", f"zfs send {name} | zfs receive backup/subvol-100-disk-0")
    copied = facts(zfs, tmp_path, "backup")
    assert [pool["name"] for pool in copied["pools"]] == ["backup"]
    assert [(item["dataset"], item["name"]) for item in copied["snapshots"]] == [
        ("backup/subvol-100-disk-0", "before-upgrade")
    ]
    assert {item["name"] for item in copied["datasets"]} == {"backup", "backup/subvol-100-disk-0"}


def test_a_pool_that_is_not_there(zfs: Corner, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no such pool"):
        facts(zfs, tmp_path, "gone")


def test_the_shell_parts_of_the_role(zfs: Corner) -> None:
    done = zfs.run("ansible-playbook", "-i", "localhost,", "-c", "local", str(HERE / "create.yml"), more=environment())
    assert done.returncode == 0, done.stdout + done.stderr
    assert zfs.do("zfs", "get", "-H", "-o", "value", "compression,atime", "tank/deep/vm").split() == ["on", "off"]


def test_a_pool_in_trouble(zfs: Corner, tmp_path: Path) -> None:
    zfs.do("zpool", "offline", "tank", "/run/pools/two")
    tank = next(pool for pool in facts(zfs, tmp_path)["pools"] if pool["name"] == "tank")
    assert (tank["health"], tank["healthy"]) == ("DEGRADED", False)
    assert "offline" in tank["status"].lower()
    zfs.do("zpool", "online", "tank", "/run/pools/two")
