# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What would be lost if a node failed: against a lab in the same process, also when it has failed already."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid, NotFound
from ansible_collections.pve.mobility.plugins.module_utils.execution import failover_info, replication_info
from tests.conformance.client import Lab
from tests.integration.inprocess import LabSession, reading
from tests.integration.replicas import control

ZFS = {"storage": "tank", "size": "4G", "used": "1G"}
CLUSTER: dict[str, Any] = {
    "name": "failover",
    "nodes": ["pve1", "pve2", "pve3"],
    "storages": {
        "tank": {"type": "zfspool", "pool": "tank", "content": "images", "size": "1T"},
        "ceph": {"type": "rbd", "pool": "vms", "content": "images", "size": "2T"},
        "lvm": {"type": "lvmthin", "vgname": "vg", "thinpool": "data", "content": "images", "size": "1T"},
        "nas": {"type": "nfs", "server": "10.0.0.5", "export": "/pve", "content": "backup", "size": "10T"},
    },
    "guests": {
        100: {
            "node": "pve1",
            "name": "db",
            "tags": ["db"],
            "disk": ZFS,
            "replicate": {"pve2": {"last_sync": "2m"}, "pve3": {"last_sync": "14m"}},
            "ha": True,
        },
        101: {"node": "pve1", "name": "stale", "disk": ZFS, "replicate": {"pve2": {"last_sync": "50m"}}},
        102: {"node": "pve1", "name": "shared", "disk": "ceph:4G", "ha": True},
        103: {"node": "pve1", "name": "alone", "disk": ZFS},
        104: {"node": "pve1", "name": "new", "disk": ZFS, "replicate": {"pve2": {"last_sync": "never"}}},
        105: {
            "node": "pve1",
            "name": "partly",
            "disks": {"scsi0": ZFS, "scsi1": {"storage": "lvm", "size": "4G", "replicate": 0}},
            "replicate": {"pve2": {"last_sync": "2m"}},
        },
        106: {"node": "pve2", "name": "elsewhere", "disk": ZFS, "replicate": {"pve1": {"last_sync": "1m"}}},
        107: {"node": "pve1", "name": "model", "disk": ZFS, "template": True},
    },
    "ha": {
        "settled": True,
        "rules": {
            "near": {"type": "node-affinity", "resources": ["vm:100"], "nodes": ["pve1", "pve2"], "strict": True},
        },
    },
    "volumes": [
        {"storage": "nas", "volume": "backup/vzdump-qemu-100-2026_11_22-02_00_00.vma.zst", "size": "3G", "age": "12h"},
    ],
    "backup_jobs": {"nightly": {"schedule": "21:00", "storage": "nas", "vmid": "100,101"}},
}  # fmt: skip


def start(**more: Any) -> Lab:
    lab = Lab.from_dict({**CLUSTER, "guest_defaults": {"memory": "512M"}, **more})
    lab.advance(2.0)
    return lab


def look(lab: Lab, session: LabSession | None = None, **options: Any) -> dict[str, Any]:
    session = session or LabSession(lab)
    with reading(session):
        return failover_info.run(session, failover_info.from_options(options))


def rows(result: dict[str, Any]) -> dict[int, dict[str, Any]]:
    return {row["vmid"]: row for row in result["guests"]}


def test_each_guest_says_who_has_it_and_what_would_be_lost() -> None:
    found = rows(look(start(), node="pve1"))
    assert set(found) == {100, 101, 102, 103, 104, 105}
    assert [(copy["node"], copy["witness"]) for copy in found[100]["copies"]] == [("pve2", "job"), ("pve3", "job")]
    assert found[100]["best"] == "pve2"
    assert found[100]["expected_loss_s"] == pytest.approx(122, abs=3)
    assert {vmid: row["data"] for vmid, row in found.items()} == {
        100: "copied",
        101: "copied",
        102: "shared",
        103: "local",
        104: "copied",
        105: "copied",
    }
    assert (found[102]["expected_loss_s"], found[102]["copies"]) == (0, [])
    assert found[103]["expected_loss_s"] is None


def test_without_a_demand_nobody_is_found_wanting() -> None:
    result = look(start(), node="pve1")
    assert result["ok"]
    assert any("on pve1 alone" in text for text in rows(result)[103]["warnings"])


def test_what_is_worse_than_demanded_blocks() -> None:
    result = look(start(), node="pve1", rpo=900)
    assert result["blocked"] == [101, 103, 104, 105]
    found = rows(result)
    assert "more than 900 s" in found[101]["blocks"][0]
    assert "all of it would be lost" in found[103]["blocks"][0]
    assert "no copy is complete yet" in found[104]["blocks"][0]
    assert "scsi1 (lvm:vm-105-disk-0) is on pve1 alone" in found[105]["blocks"][0]
    assert "4 of 6 guests of pve1" in result["summary"]
    strict = look(start(), node="pve1", rpo=900, rpo_by_tag={"db": 60})
    assert 100 in strict["blocked"]
    assert look(start(), guests={"vmids": [106]}, rpo=900)["ok"]


def test_ha_must_know_the_nodes() -> None:
    found = rows(look(start()))
    assert found[100]["ha"] == {"managed": True, "nodes": ["pve1", "pve2"], "ok": True}
    assert found[102]["ha"]["ok"], "on shared storage every node will do"
    loose = start(ha={"settled": True})
    row = rows(look(loose))[100]
    assert (row["ha"]["nodes"], row["ha"]["ok"]) == (None, False)
    assert any("also where no copy is" in text for text in row["warnings"])
    assert rows(look(loose, require_ha=True))[100]["blocks"] != []


def test_backups_are_looked_for() -> None:
    found = rows(look(start()))
    assert found[100]["backup"]["age_s"] == pytest.approx(12 * 3600, abs=5)
    assert found[101]["backup"] == {"last": None, "age_s": None, "planned": True}
    assert any("though a backup job covers it" in text for text in found[101]["warnings"])
    assert any("no backup job covers it" in text for text in found[103]["warnings"])
    assert 101 in look(start(), require_backup=True)["blocked"]


def test_a_copy_on_a_node_that_is_off_does_not_help() -> None:
    lab = start()
    control(lab, "POST", "/lab/node", node="pve2", action="power-off")
    lab.advance(20.0)
    found = rows(look(lab, node="pve1", rpo=1800))
    assert found[100]["best"] == "pve3"
    assert "pve2, which has the copy, is offline" in found[101]["blocks"][0]


def test_when_the_node_is_dead_already_others_are_witnesses() -> None:
    lab = start(ha={"settled": True}, guests={**CLUSTER["guests"], 100: {**CLUSTER["guests"][100], "ha": False}})
    with reading(session := LabSession(lab)):
        before = replication_info.run(session, replication_info.from_options({}))
    control(lab, "POST", "/lab/node", node="pve1", action="power-off")
    lab.advance(60.0)
    away = LabSession(lab, node="pve2")
    blind = rows(look(lab, away, node="pve1", rpo=1800))[100]
    assert not blind["node_online"]
    assert "does not tell how old its copies are" in blind["blocks"][0]
    known = rows(look(lab, away, node="pve1", rpo=1800, previous=before))[100]
    assert (known["best"], known["copies"][0]["witness"]) == ("pve2", "previous")
    assert known["expected_loss_s"] == pytest.approx(182, abs=5)
    now = int(lab.engine.now)
    facts = {
        "pve2": {
            "snapshots": [
                {"dataset": "tank/vm-100-disk-0", "name": f"__replicate_100-0_{now - 500}__"},
                {"dataset": "tank/vm-100-disk-0", "name": f"__replicate_100-0_{now - 90}__"},
                {"dataset": "tank/vm-100-disk-1", "name": f"__replicate_100-0_{now - 120}__"},
                {"dataset": "tank/vm-100-disk-0", "name": "autosnap_2026-11-23_03:00:00_hourly"},
            ]
        }
    }
    seen = rows(look(lab, away, node="pve1", rpo=1800, node_facts=facts))[100]
    assert (seen["best"], seen["copies"][0]["witness"]) == ("pve2", "snapshot")
    assert seen["expected_loss_s"] == pytest.approx(120, abs=5), "volumes are only complete together"


def test_bad_values_are_one_sentence() -> None:
    lab = start()
    with pytest.raises(NotFound, match="no node pve9"):
        look(lab, node="pve9")
    with pytest.raises(Invalid, match="rpo is -1"):
        look(lab, rpo=-1)
    with pytest.raises(Invalid, match="rpo_by_tag of db"):
        look(lab, rpo_by_tag={"db": "soon"})
    with pytest.raises(Invalid, match="previous"):
        look(lab, previous={"jobs": [1]})
