# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Standards of a cluster: options of the datacenter, ZFS storages, migration networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.bench.adhoc import Cost, call
from tests.integration.harness import HERE, Lab, play, running_lab

KEEPER = {"secret": "11111111-2222-4333-8444-777777777777", "privsep": False}
BLIND = {"secret": "11111111-2222-4333-8444-888888888888", "privsep": False}


def nics(number: int, **more: Any) -> dict[str, Any]:
    return {
        "eno1": {},
        "eno2": {"mtu": 9000},
        "vmbr0": {"address": f"10.0.0.1{number}/24", "ports": ["eno1"]},
        "vmbr1": {"address": f"10.10.0.{number}/24", "ports": ["eno2"], "mtu": 9000},
        "vmbr2": {"address": f"10.20.0.{number}/24"},
        **more,
    }


CLUSTER: dict[str, Any] = {
    "name": "standards",
    "nodes": {
        "pve1": {"network": nics(1, vmbr3="10.30.0.1/24", eno4="10.40.0.1/24")},
        "pve2": {"network": nics(2, vmbr3="10.30.0.2/24", eno4="10.40.0.2/24", eno5="10.40.0.102/24")},
        "pve3": {"network": nics(3, vmbr3={"address": "10.30.0.3/24", "active": False}, eno4="10.40.0.3/24")},
    },
    "storages": {
        "tank": {
            "type": "zfspool",
            "pool": "tank/vm",
            "size": "1T",
            "nodes": ["pve1", "pve2"],
            "sparse": 1,
            "per_node": {"pve3": {"size": "1T"}},
        },
        "files": {"type": "dir", "path": "/srv/files", "content": "iso", "size": "1T"},
    },
    "zfs_pools": {
        "nvme": {"nodes": ["pve1", "pve2"], "size": "500G", "datasets": {"vm": "1G"}},
        "rust": {"nodes": ["pve2"], "size": "500G", "health": "DEGRADED"},
    },
    "guests": {
        100: {"node": "pve2", "name": "web", "disk": "tank:8G"},
        101: {"node": "pve1", "name": "db", "disk": "tank:8G", "running": False},
    },
    "datacenter": {
        "migration": {"type": "secure", "network": "10.20.0.0/24"},
        "replication": {"type": "secure", "network": "10.20.0.0/24"},
        "bwlimit": {"migration": 512000},
        "crs": {"ha": "static"},
        "max_workers": 3,
        "keyboard": "de",
        "description": "Kept by hand",
    },
    "tasks": [
        {
            "node": "pve1",
            "type": "qmigrate",
            "id": 100,
            "ago": "1d",
            "duration": "20s",
            "status": "OK",
            "log": [
                "2026-11-22 06:00:00 starting migration of VM 100 to node 'pve2' (10.0.0.12)",
                "2026-11-22 06:00:03 volume 'old:vm-100-disk-0' is 'tank:vm-100-disk-0' on the target",
                "TASK OK",
            ],
        }
    ],
    "users": {
        "keeper@pve": {"tokens": {"t": KEEPER}},
        "blind@pve": {"tokens": {"t": BLIND}},
    },
    "roles": {
        "Keeper": ["Sys.Audit", "Sys.Modify", "SDN.Audit", "VM.Audit", "Datastore.Allocate", "Datastore.Audit"],
        "Blind": ["Sys.Modify", "Datastore.Allocate"],
    },
    "acl": [
        {"path": "/", "who": "keeper@pve", "role": "Keeper"},
        {"path": "/", "who": "blind@pve", "role": "Blind"},
    ],
}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab(CLUSTER, speed=20) as running:
        yield running


def options(lab: Lab, **wanted: Any) -> Cost:
    return call(lab, "pve.mobility.cluster_options", wanted)


def token(user: str, secret: dict[str, Any]) -> dict[str, str]:
    return {"api_user": user, "api_token_id": "t", "api_token_secret": secret["secret"]}


def test_what_the_roles_would_do_is_shown_line_by_line(lab: Lab) -> None:
    """First of all: the cluster is still as its file says."""
    lab.control("DELETE", "/requests")
    outcome = play(HERE / "playbooks/standards.yml", lab, "--check", "--diff")
    assert outcome.code == 0, outcome.text
    assert lab.writes() == []
    for line in (
        "-migration: type=secure,network=10.20.0.0/24",
        "+migration: type=secure,network=10.10.0.0/24",
        "+replication: type=secure,network=10.10.0.0/24",
        "-\tnodes pve1,pve2",
        "+zfspool: fast",
        "+\tpool nvme/vm",
        "nodes of tank is pve1,pve2, not all",
        "a migration of 100 web took target_storage: disks went from old to tank",
    ):
        assert line in outcome, f"{line} is not in\n{outcome.text}"


def test_an_audit_that_cannot_see_everything_is_refused(lab: Lab) -> None:
    storages = {"tank": {"pool": "tank/vm"}}
    blind = call(lab, "pve.mobility.zfs_storage_info", {"storages": storages, **token("blind@pve", BLIND)}).result
    assert blind["failure"]["kind"] == "permission"
    assert "Datastore.Audit on /storage" in blind["msg"]
    unknown = call(
        lab, "pve.mobility.zfs_storage_info", {"storages": {"tank": {"pool": "tank", "nodes": "pve9"}}}
    ).result
    assert unknown["failure"]["kind"] == "invalid"
    assert "no node pve9" in unknown["msg"]


def test_networks_are_proven_without_being_set(lab: Lab) -> None:
    cost = call(lab, "pve.mobility.migration_network_info", {"networks": ["10.10.0.0/24", "10.30.0.0/24"], "recent": 0})
    result = cost.result
    assert [(item["network"], item["ok"], len(item["nodes"])) for item in result["networks"]] == [
        ("10.10.0.0/24", True, 3),
        ("10.30.0.0/24", False, 2),
    ]
    assert [(item["id"], item["node"]) for item in result["findings"]] == [("network-no-address", "pve3")]
    # One a host for its release; five for the cluster; one a node.
    assert cost.requests == 3 + 6 + 3
    wrong = call(lab, "pve.mobility.migration_network_info", {"networks": ["10.10.0.1/24"]}).result
    assert "host bits set" in wrong["msg"]


def test_options_are_set_kept_removed_and_refused(lab: Lab) -> None:
    outcome = play(
        HERE / "playbooks/cluster_options.yml",
        lab,
        variables={"fast_network": "10.10.0.0/24"},
        environment=environment(lab, "keeper@pve", KEEPER),
    )
    assert outcome.code == 0, outcome.text
    assert "+migration: type=secure,network=10.10.0.0/24" in outcome
    left = lab.api("/cluster/options")
    assert (left["keyboard"], left["description"].strip()) == ("de", "Kept by hand")


def environment(lab: Lab, user: str, secret: dict[str, Any]) -> dict[str, str]:
    """Exactly the privileges that the documentation names."""
    return {"PROXMOX_USER": user, "PROXMOX_TOKEN_ID": "t", "PROXMOX_TOKEN_SECRET": secret["secret"]}


def test_missing_privileges_are_named(lab: Lab) -> None:
    unseen = options(lab, max_workers=7, **token("blind@pve", BLIND)).result
    assert unseen["failure"]["kind"] == "permission"
    assert "Sys.Audit on /" in unseen["msg"]
    assert lab.api("/cluster/options").get("max_workers") != "7"


def test_nothing_to_do_costs_little(lab: Lab) -> None:
    """One request a host to find the newest, and one to read."""
    cost = options(lab, migration={"type": "secure"})
    assert cost.result["changed"] is False
    assert cost.requests == len(lab.info["hosts"]) + 1


def test_a_write_by_somebody_else_is_noticed(lab: Lab) -> None:
    """The answer is lost, and meanwhile the file says something else."""
    fault = {"match": {"method": "PUT", "path": "/cluster/options", "count": 1}, "effect": {"cut": "before"}}
    lab.control("POST", "/fault", fault)
    lost = options(lab, max_workers=5).result
    assert lost["failure"]["kind"] == "node_unreachable"
    assert lab.api("/cluster/options").get("max_workers") != "5"
    lab.control("POST", "/fault", {**fault, "effect": {"cut": "after"}})
    assert options(lab, max_workers=5).result["changed"] is True, "it was written, only the answer was lost"
    assert lab.api("/cluster/options")["max_workers"] == "5"


def storage(lab: Lab, **wanted: Any) -> Cost:
    return call(lab, "pve.mobility.zfs_storage", {"storage": "tank", **wanted})


def test_storages_are_created_changed_removed_and_refused(lab: Lab) -> None:
    outcome = play(HERE / "playbooks/zfs_storage.yml", lab, environment=environment(lab, "keeper@pve", KEEPER))
    assert outcome.code == 0, outcome.text
    assert "+\tnodes pve1,pve2,pve3" in outcome.text.replace("    ", "\t"), outcome.text
    assert {row["storage"] for row in lab.api("/storage")} == {"tank", "files"}


def test_the_pool_is_never_sent_again(lab: Lab) -> None:
    before = len(lab.writes())
    assert storage(lab, pool="tank/vm", sparse=False).result["changed"] is True
    sent = lab.writes()[before:] or lab.writes()
    assert [sorted(row["params"]) for row in sent] == [["digest", "sparse"]]
    assert storage(lab, pool="tank/vm", sparse=True).result["changed"] is True


def test_a_change_by_somebody_else_is_read_again_once(lab: Lab) -> None:
    modified = "update storage failed: detected modified configuration - file changed by other user? Try again."
    match = {"method": "PUT", "path": "/storage/tank"}
    effect = {"status": 500, "reason": modified}
    lab.control("POST", "/fault", {"match": {**match, "count": 1}, "effect": effect})
    assert storage(lab, blocksize="8k").result["changed"] is True
    lab.control("POST", "/fault", {"match": {**match, "count": 2}, "effect": effect})
    refused = storage(lab, blocksize="16k").result
    assert refused["failure"]["kind"] == "conflict"
    assert "was changed by somebody else 2 times" in refused["msg"]
    assert storage(lab, blocksize="8k").result["changed"] is False


def test_a_lost_answer_is_looked_up(lab: Lab) -> None:
    fault = {"match": {"method": "PUT", "path": "/storage/tank", "count": 1}, "effect": {"cut": "after"}}
    lab.control("POST", "/fault", fault)
    assert storage(lab, bwlimit={"move": 1000}).result["changed"] is True
    assert lab.api("/storage/tank")["bwlimit"] == "move=1000"


def test_privileges_of_storages(lab: Lab) -> None:
    refused = storage(lab, sparse=False, **token("blind@pve", BLIND)).result
    assert refused["failure"]["kind"] == "permission"
    assert "Datastore.Audit on /storage" in refused["msg"], "one may write what one cannot see"


def test_the_role_sets_only_what_is_proven_and_unencrypted_only_where_nobody_listens(lab: Lab, tmp_path: Path) -> None:
    silent = tmp_path / "ssh"
    silent.write_text("#!/bin/sh\nexit 255\n", encoding="utf-8")
    silent.chmod(0o755)
    before = len(lab.writes())
    outcome = play(HERE / "playbooks/migration_network.yml", lab, variables={"silent_ssh": str(silent)})
    assert outcome.code == 0, outcome.text
    sent = [row["params"] for row in lab.writes()[before:] if row["path"].endswith("/cluster/options")]
    assert [item.get("migration") for item in sent] == [
        "type=insecure,network=10.10.0.0/24",
        "type=secure,network=10.10.0.0/24",
    ]


MIXED: dict[str, Any] = {
    "name": "mixed",
    "nodes": {"old": {"release": "8.4"}, "new": {"release": "9.2"}, "mid": {"release": "9.1"}},
    "storages": {"vg": {"type": "lvm", "vgname": "vg", "snapshot-as-volume-chain": 1, "size": "1T"}},
    "datacenter": {"replication": {"type": "secure"}, "crs": {"ha": "dynamic"}, "max_workers": 2},
}


@pytest.fixture(scope="module")
def mixed() -> Iterator[Lab]:
    with running_lab(MIXED, speed=20) as running:
        yield running


def newest(mixed: Lab) -> Lab:
    """The same lab, seen through the node that can read everything."""
    host = mixed.info["hosts"][list(MIXED["nodes"]).index("new")]
    return replace(mixed, info={**mixed.info, "hosts": [host]})


def test_an_older_api_host_alone_is_refused(mixed: Lab) -> None:
    for name in ("old", "mid"):
        host = mixed.info["hosts"][list(MIXED["nodes"]).index(name)]
        refused = options(mixed, max_workers=3, api_host=[host]).result
        assert refused["failure"]["kind"] == "unsupported", refused
        assert "new (9.2) can read: add the address of such a node to api_host" in refused["msg"]
    hidden = options(mixed, absent=["replication"], api_host=[mixed.info["hosts"][0]]).result
    assert hidden["failure"]["kind"] == "unsupported", "through an old host it only looks absent"
    assert mixed.writes() == []


def test_the_newest_of_the_hosts_is_written_through(mixed: Lab) -> None:
    done = options(mixed, max_workers=3).result
    assert done["changed"] is True
    assert done["through"]["release"] == "9.2"
    vg = {"storage": "new", "pool": "tank", "preflight": "skip", "nodes": ["new"]}
    old = call(mixed, "pve.mobility.zfs_storage", {**vg, "api_host": [mixed.info["hosts"][0]]}).result
    assert old["failure"]["kind"] == "unsupported"
    assert newest(mixed).api("/storage/vg")["snapshot-as-volume-chain"] == 1
    left = newest(mixed).api("/cluster/options")
    assert (left["max_workers"], left["replication"]["type"], left["crs"]["ha"]) == ("3", "secure", "dynamic")


def test_what_older_nodes_will_forget_is_said(mixed: Lab) -> None:
    warned = options(mixed, replication={"type": "insecure"}).result
    assert warned["changed"] is True
    assert [(item["id"], item["evidence"].get("nodes", [])) for item in warned["findings"]] == [
        ("network-insecure", []),
        ("options-forgotten", ["old"]),
    ]


def test_without_quorum_nothing_is_written(mixed: Lab) -> None:
    for name in ("old", "mid"):
        mixed.control("POST", "/node", {"node": name, "action": "power-off"})
    mixed.control("POST", "/advance", {"seconds": 120})
    refused = options(mixed, max_workers=9).result
    assert refused["failure"]["kind"] == "no_quorum"
    assert newest(mixed).api("/cluster/options")["max_workers"] == "3"
