# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster survives in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cluster_file import load
from lab.pve.cluster import Cluster
from lab.pve.tasks import Task
from lab.sim.engine import Sim
from lab.state_dir import StateError, is_state, load_state, save
from tests.conformance.client import Lab

CLUSTER = Path(__file__).parents[2] / "lab/clusters/three-nodes.yml"
READS = (
    "/cluster/resources", "/cluster/status", "/cluster/tasks", "/cluster/options", "/storage", "/nodes/pve1/storage",
    "/nodes/pve1/storage/tank/content", "/nodes/pve2/storage/tank/content", "/nodes/pve1/storage/ceph/content",
    "/nodes/pve1/disks/zfs", "/nodes/pve1/network", "/nodes/pve1/status", "/nodes/pve1/apt/versions",
)  # fmt: skip


def _answers(cluster: Cluster) -> dict[str, object]:
    lab = Lab(cluster)
    return {path: lab.get(path) for path in READS}


def _files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_round_trip_loses_nothing(tmp_path: Path) -> None:
    cluster = load(CLUSTER)
    cluster.engine.advance(100)
    save(cluster, tmp_path / "one")
    again = load_state(tmp_path / "one")
    save(again, tmp_path / "two")
    assert _files(tmp_path / "one") == _files(tmp_path / "two")
    assert _answers(load_state(tmp_path / "one")) == _answers(again)


def test_what_is_saved_is_what_proxmox_ve_keeps(tmp_path: Path) -> None:
    cluster = load(CLUSTER)
    save(cluster, tmp_path)
    config = (tmp_path / "etc/pve/nodes/pve1/qemu-server/101.conf").read_text()
    assert "scsi1: tank:vm-101-disk-1,discard=on,iothread=1,size=200G\n" in config
    index = (tmp_path / "pve1/tasks/index").read_text().splitlines()
    assert [line.split(":")[5] for line in index] == ["qmigrate", "vzdump"]


def test_a_guest_that_is_gone_does_not_come_back(tmp_path: Path) -> None:
    cluster = load(CLUSTER)
    save(cluster, tmp_path)
    cluster.fs.delete("nodes/pve1/qemu-server/104.conf")
    save(cluster, tmp_path)
    assert load_state(tmp_path).guest(104) is None
    assert not (tmp_path / "etc/pve/nodes/pve1/qemu-server/104.conf").exists()


def test_a_running_task_is_found_dead(tmp_path: Path) -> None:
    cluster = load(CLUSTER)

    def work(task: Task) -> Sim:
        task.log("working")
        yield cluster.engine.sleep(1000)

    task = cluster.tasks.fork_worker(cluster.nodes["pve1"], "qmigrate", "100", "root@pam", work)
    cluster.engine.advance(5)
    save(cluster, tmp_path)
    found = load_state(tmp_path).tasks.find(task.upid)
    assert found is not None
    assert found.exitstatus == "unexpected status"
    assert found.lines == ["working"]


def test_the_clock_goes_on_where_it_stopped(tmp_path: Path) -> None:
    cluster = load(CLUSTER)
    cluster.engine.advance(1234.5)
    expected = [cluster.engine.random.random() for _time in range(3)]
    cluster = load(CLUSTER)
    cluster.engine.advance(1234.5)
    save(cluster, tmp_path)
    again = load_state(tmp_path)
    assert again.engine.now == cluster.engine.now
    assert [again.engine.random.random() for _time in range(3)] == expected


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(None, "holds no saved state"), ("{", "is damaged"), ('{"format": 99}', "has format 99")],
)
def test_a_folder_without_a_state_gives_one_sentence(tmp_path: Path, content: str | None, complaint: str) -> None:
    if content is not None:
        (tmp_path / "lab.json").write_text(content)
    assert is_state(tmp_path) == (content is not None)
    with pytest.raises(StateError, match=complaint):
        load_state(tmp_path)
