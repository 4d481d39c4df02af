# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What releases know and lack, what inactive storages say, and who sees what, beyond the recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conformance.client import Lab

MIXED = Path(__file__).parents[2] / "lab/clusters/mixed-releases.yml"


@pytest.fixture
def mixed() -> Lab:
    return Lab.from_file(MIXED)


# ---------------------------------------------------------------- releases (pve-facts §12)


@pytest.mark.parametrize(
    ("path", "since"),
    [("/capabilities/qemu/migration", (9, 0)), ("/capabilities/qemu/cpu-flags", (9, 1))],
)
def test_older_releases_answer_501_for_what_they_lack(mixed: Lab, path: str, since: tuple[int, int]) -> None:
    for node in mixed.cluster.nodes.values():
        answer = mixed.request("GET", f"/nodes/{node.name}{path}", node=node.name)
        assert answer.status == (200 if node.release >= since else 501), node.name


def test_resources_have_what_the_answering_release_knows(mixed: Lab) -> None:
    old, new = (mixed.get("/cluster/resources", node=node) for node in ("old1", "new2"))
    assert {row["type"] for row in old} ^ {row["type"] for row in new} == {"sdn", "network"}
    guest = next(row for row in old if row["type"] == "qemu")
    assert "memhost" not in guest
    assert "memhost" in next(row for row in new if row["id"] == guest["id"])


def test_storage_formats_are_told_in_the_way_of_the_release(mixed: Lab) -> None:
    old = mixed.get("/nodes/old1/storage", params={"format": 1})
    new = mixed.get("/nodes/new2/storage", params={"format": 1})
    assert all("formats" not in row for row in old)
    assert next(row for row in new if row["storage"] == "local-zfs")["formats"]["supported"] == ["raw", "subvol"]
    assert next(row for row in old if row["storage"] == "nas")["format"][1] == "raw"


def test_each_release_lists_the_machines_that_its_qemu_can_run(mixed: Lab) -> None:
    ids = {node: [row["id"] for row in mixed.get(f"/nodes/{node}/capabilities/qemu/machines")]
           for node in mixed.cluster.nodes}  # fmt: skip
    assert ids["old1"][0] == "pc-i440fx-9.2+pve1"
    assert not any("-10." in name for name in ids["old1"])
    assert set(ids["old1"]) < set(ids["mid1"]) < set(ids["new1"]) < set(ids["new2"])
    for node in mixed.cluster.nodes.values():
        for running in node.running.values():
            assert not running.machine or running.machine.removesuffix("+pve0") in ids[node.name]


def test_a_newer_release_than_any_known_behaves_as_the_newest() -> None:
    lab = Lab.from_dict({"nodes": {"pve1": {"release": 10.4}}})
    assert lab.get("/version") == {"release": "10.4", "repoid": "14a22df3", "version": "10.4.1"}
    assert lab.get("/nodes/pve1/capabilities/qemu/migration") == {"has-dbus-vmstate": 1}


# ---------------------------------------------------------------- datacenter.cfg in a mixed cluster (pve-facts §5)


def test_an_older_node_refuses_and_loses_keys_that_it_does_not_know(mixed: Lab) -> None:
    crs = "ha=dynamic,ha-auto-rebalance=1"
    mixed.put(
        "/cluster/options", {"replication": "secure", "crs": crs, "location": "latitude=1,longitude=2"}, node="new2"
    )
    mixed.put("/cluster/options", {"migration": "secure", "keyboard": "de"}, node="new1")
    seen = mixed.get("/cluster/options", node="new2")
    assert {"replication", "migration", "keyboard"} <= set(seen)
    assert not {"crs", "location"} & set(seen)
    answer = mixed.request("PUT", "/cluster/options", {"replication": "secure"}, node="old1")
    assert answer.status == 400
    assert "replication" not in mixed.get("/cluster/options", node="old1")
    mixed.put("/cluster/options", {"keyboard": "fr"}, node="old1")
    assert "replication" not in mixed.get("/cluster/options", node="new2")


def test_a_key_is_replaced_as_a_whole(mixed: Lab) -> None:
    mixed.put("/cluster/options", {"migration": "insecure,network=10.1.0.0/24"}, node="new2")
    mixed.put("/cluster/options", {"migration": "type=secure"}, node="new2")
    assert mixed.get("/cluster/options", node="new2")["migration"] == {"type": "secure"}


@pytest.mark.parametrize("given", ["ha-auto-rebalance-threshold=200", "ha=other", "unknown=1"])
def test_bad_sub_keys_are_refused(mixed: Lab, given: str) -> None:
    answer = mixed.request("PUT", "/cluster/options", {"crs": given}, node="new2")
    assert answer.status == 400
    assert answer.body is not None
    assert answer.body["errors"]["crs"].startswith("invalid format - format error\ncrs.")


# ---------------------------------------------------------------- storages that do not work

INACTIVE: dict[str, tuple[dict[str, Any], str]] = {
    "zfspool": ({"pool": "tank/vm"}, "could not activate storage 's1', zfs error: cannot import 'tank'"),
    "lvmthin": ({"vgname": "pve", "thinpool": "data"}, "no such volume group 'pve'"),
    "nfs": ({"server": "10.0.0.5", "export": "/x"}, "storage 's1' is not online"),
    "rbd": ({"pool": "vms"}, "storage 's1' is not online"),
    "pbs": ({"server": "10.0.0.5", "datastore": "main"}, "s1: error fetching datastores - 500"),
    "dir": ({"path": "/srv/s1"}, "unable to activate storage 's1' - directory '/srv/s1' does not exist"),
}


@pytest.mark.parametrize("kind", INACTIVE)
def test_an_inactive_storage_has_zeros_and_a_complaint_of_its_plugin(kind: str) -> None:
    options, complaint = INACTIVE[kind]
    lab = Lab.from_dict({"nodes": ["pve1", "pve2"], "storages": {"s1": {"type": kind, "online": False, **options}}})
    state = lab.get("/nodes/pve2/storage/s1/status")
    assert (state["enabled"], state["active"], state["total"], state["avail"]) == (1, 0, 0, 0)
    answer = lab.request("GET", "/nodes/pve2/storage/s1/content")
    assert answer.status == 500
    assert complaint in answer.reason
    row = next(row for row in lab.get("/cluster/resources", params={"type": "storage"}) if row["node"] == "pve2")
    assert row["status"] == "unknown"


def test_a_shared_storage_may_be_out_of_reach_of_one_node() -> None:
    nas = {"type": "nfs", "server": "10.0.0.5", "export": "/x", "per_node": {"pve2": {"online": False}}}
    lab = Lab.from_dict({"nodes": ["pve1", "pve2"], "storages": {"nas": nas}})
    assert [lab.get(f"/nodes/{node}/storage/nas/status")["active"] for node in ("pve1", "pve2")] == [1, 0]


def test_a_pool_that_storages_share_is_told_once() -> None:
    storages = {name: {"type": "zfspool", "pool": f"tank/{name}", "size": "100G"} for name in ("a1", "b1")}
    guests = {100: {"node": "pve1", "disk": {"storage": "a1", "size": "50G", "used": "20G"}}}
    lab = Lab.from_dict({"nodes": ["pve1"], "storages": storages, "guests": guests})
    (pool,) = lab.get("/nodes/pve1/disks/zfs")
    assert (pool["name"], pool["size"], pool["alloc"]) == ("tank", 100 * 2**30, 20 * 2**30)
    assert [row["pool"] for row in lab.get("/nodes/pve1/scan/zfs")] == ["tank", "tank/a1", "tank/b1"]
    used = {row["storage"]: row for row in lab.get("/nodes/pve1/storage")}
    assert (used["a1"]["used"], used["b1"]["used"]) == (20 * 2**30, 0)
    assert used["a1"]["avail"] == used["b1"]["avail"] == 80 * 2**30


@pytest.mark.parametrize("storage", ["local-zfs", "shared"])
def test_a_free_name_respects_linked_clones_and_templates(storage: str) -> None:
    guests = {
        900: {"node": "pve1", "disk": f"{storage}:4G", "template": True}, 101: {"node": "pve1", "clone_of": 900}
    }  # fmt: skip
    storages = Lab.from_dict({"nodes": ["pve1"], "guests": guests}).cluster.storages
    for vmid in (900, 101):
        assert storages.free_name(storage, "pve1", vmid, "raw").endswith((f"vm-{vmid}-disk-1", f"vm-{vmid}-disk-1.raw"))
    assert storages.free_name(storage, "pve1", 102, "raw").endswith(("vm-102-disk-0", "vm-102-disk-0.raw"))


# ---------------------------------------------------------------- who sees what


@pytest.fixture
def people() -> Lab:
    return Lab.from_dict({
        "nodes": ["pve1", "pve2"],
        "guests": {100: {"node": "pve1", "disk": "4G"}, 101: {"node": "pve1", "disk": "4G", "tags": "secret"}},
        "mappings": {"usb": {"stick": {"pve1": "1234:5678"}, "other": {"pve1": "1:2"}}},
        "users": {
            "one@pve": {"tokens": {"t": {"privsep": False}}}, "store@pve": {"tokens": {"t": {"privsep": False}}},
            "map@pve": {"tokens": {"t": {"privsep": False}}},
        },
        "acl": [
            {"path": "/vms/100", "who": "one@pve", "role": "PVEVMAdmin"},
            {"path": "/storage/local-zfs", "who": "one@pve", "role": "PVEDatastoreUser"},
            {"path": "/storage/local-zfs", "who": "store@pve", "role": "PVEDatastoreAdmin"},
            {"path": "/mapping/usb/stick", "who": "map@pve", "role": "PVEMappingUser"},
        ],
    })  # fmt: skip


def test_guests_volumes_tags_and_mappings_are_filtered(people: Lab) -> None:
    one, store, maps = (f"token:{name}@pve!t" for name in ("one", "store", "map"))
    assert [row["vmid"] for row in people.get("/cluster/resources", params={"type": "vm"}, auth=one)] == [100]
    path = "/nodes/pve1/storage/local-zfs/content"
    assert [row["vmid"] for row in people.get(path, auth=one)] == [100]
    assert [row["vmid"] for row in people.get(path, auth=store)] == [100, 101]
    assert people.request("GET", path, auth=maps).reason == (
        "Permission check failed (/storage/local-zfs, Datastore.Audit|Datastore.AllocateSpace)"
    )
    assert [row["storage"] for row in people.get("/storage", auth=one)] == ["local-zfs"]
    assert people.get("/cluster/options", auth=one) == {"allowed-tags": []}
    assert [row["id"] for row in people.get("/cluster/mapping/usb", auth=maps)] == ["stick"]


def test_who_may_not_audit_a_node_sees_no_numbers_of_it(people: Lab) -> None:
    rows = people.get("/nodes", auth="token:one@pve!t")
    assert {row["status"] for row in rows} == {"online"}
    assert not any("maxmem" in row for row in rows)
    for path in ("/nodes/pve1/status", "/nodes/pve1/apt/versions", "/cluster/status", "/nodes/pve1/disks/zfs"):
        assert people.request("GET", path, auth="token:one@pve!t").status == 403, path
