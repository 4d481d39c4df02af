# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``cluster_info`` against a simulated cluster: what it reads, with how many requests, and as whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.model.snapshot import from_plain
from ansible_collections.pve.mobility.plugins.module_utils.model.state import PARTS, ClusterState
from tests.bench.adhoc import Cost, call
from tests.integration.clusters import STORAGES
from tests.integration.harness import Lab, running_lab

CLUSTER_REQUESTS = 19
"""For everything, on releases with HA rules: the resources, and 18 others."""
NODE_REQUESTS = 4
"""Status, network, packages, storages; replication besides, where replicated guests are."""

AUDITOR = {"secret": "11111111-2222-4333-8444-555555555555", "privsep": False}
HELPER = {"secret": "11111111-2222-4333-8444-666666666666", "privsep": False}

CLUSTER: dict[str, Any] = {
    "name": "snapshot",
    "nodes": {"pve1": {}, "pve2": {}, "pve3": {"release": "9.1"}, "pve4": {"state": "offline"}},
    "storages": STORAGES,
    "zones": {"lan": {"type": "vlan", "bridge": "vmbr0", "nodes": ["pve1", "pve2"]}},
    "vnets": {"office": {"zone": "lan", "tag": 20}},
    "mappings": {"pci": {"gpu": {"live-migration-capable": 1, "pve1": {"path": "0000:41:00.0", "id": "10de:25b6"}}}},
    "datacenter": {"migration": {"type": "secure", "network": "10.0.0.0/24"}, "bwlimit": {"migration": 512000}},
    "guests": {
        100: {"node": "pve1", "name": "web", "tags": ["a", "b"], "disk": "tank:20G", "replicate": ["pve2"], "ha": True},
        101: {"node": "pve2", "name": "dns", "type": "ct", "disk": "ceph:8G", "net": "office"},
        102: {
            "node": "pve3",
            "name": "old",
            "disk": "ceph:8G",
            "tags": ["b"],
            "running": {"machine": "pc-i440fx-10.0+pve1", "qemu": "10.0.2"},
        },
        103: {"node": "pve1", "name": "golden", "disk": "ceph:8G", "template": True},
        104: {"node": "pve1", "name": "clone", "clone_of": 103, "iso": "local:iso/debian.iso", "cloudinit": "ceph"},
        105: {"node": "pve4", "name": "gone", "disk": "ceph:8G"},
    },
    "backup_jobs": {"nightly": {"schedule": "21:00", "storage": "local", "all": True, "exclude": [101]}},
    "ha": {
        "settled": True,
        "rules": {"home": {"type": "node-affinity", "resources": ["vm:100"], "nodes": ["pve1:2", "pve2"]}},
    },
    "pools": {"shop": {"guests": [100]}},
    "users": {"auditor@pve": {"tokens": {"info": AUDITOR}}, "helper@pve": {"tokens": {"info": HELPER}}},
    "acl": [
        {"path": "/", "who": "auditor@pve", "role": "PVEAuditor"},
        {"path": "/vms/100", "who": "helper@pve", "role": "PVEAuditor"},
    ],
    "tasks": [
        {
            "node": "pve1",
            "type": "qmigrate",
            "id": 101,
            "user": "root@pam",
            "ago": "2d",
            "duration": "40s",
            "status": "OK",
            "log": [
                "2026-11-21 06:00:00 starting migration of VM 101 to node 'pve2' (10.0.0.12)",
                "migration active, transferred 1.0 GiB of 2.0 GiB VM-state, 110.5 MiB/s",
                "average migration speed: 100.0 MiB/s - downtime 55 ms",
                "migration completed, transferred 2.0 GiB VM-state",
                "TASK OK",
            ],
        },
        {"node": "pve1", "type": "qmigrate", "id": 100, "ago": "1d", "duration": "5s", "status": "migration aborted"},
    ],
}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab(CLUSTER, speed=1) as running:
        yield running


def info(lab: Lab, **options: Any) -> Cost:
    return call(lab, "pve.mobility.cluster_info", options)


def snapshot(cost: Cost) -> ClusterState:
    assert not cost.result.get("failed"), cost.result
    return from_plain(cost.result)


def token(user: str, secret: dict[str, Any]) -> dict[str, str]:
    return {"api_user": user, "api_token_id": "info", "api_token_secret": secret["secret"]}


def test_nodes_and_guests_are_one_request(lab: Lab) -> None:
    cost = info(lab, subset=["nodes", "guests"])
    assert cost.requests == 1
    assert {"nodes", "guests"} < set(cost.result)
    assert cost.result["unknown"] == []
    web = next(guest for guest in cost.result["guests"] if guest["vmid"] == 100)
    assert (web["label"], web["node"], web["tags"], web["pool"], web["hastate"]) == (
        "100 web",
        "pve1",
        ["a", "b"],
        "shop",
        "started",
    )
    assert [(node["name"], node["status"]) for node in cost.result["nodes"]] == [
        ("pve1", "online"),
        ("pve2", "online"),
        ("pve3", "online"),
        ("pve4", "offline"),
    ]


def expected(online: int, guests: int, replicating: int, releases: int, newer: int) -> int:
    """The formula of the documentation."""
    return CLUSTER_REQUESTS + NODE_REQUESTS * online + replicating + releases + newer + guests


def test_everything_in_as_many_requests_as_the_documentation_says(lab: Lab) -> None:
    cost = info(lab, subset=["all"])
    state = snapshot(cost)
    assert set(state.parts) == set(PARTS) - {"history"}
    # Of the nodes with running VMs, pve1 alone has a newer QEMU than another.
    assert cost.requests == expected(online=3, guests=5, replicating=1, releases=2, newer=1)
    assert {(item.part, item.node) for item in state.unknown} == {
        (part, "pve4") for part in ("node_facts", "guest_configs", "storages", "running", "replication")
    }


def test_what_the_snapshot_holds(lab: Lab) -> None:
    state = snapshot(info(lab, subset=["all"]))
    assert (state.name, state.quorate, state.version, state.local) == ("snapshot", True, "9.2.11", "pve1")
    assert state.collected_at is not None
    facts = state.facts("pve1")
    assert facts is not None
    assert facts.cpu is not None
    assert facts.newest_machine("q35") is not None
    assert (facts.release, facts.cpu.vendor, facts.address, facts.clock_offset) == (
        "9.2",
        "GenuineIntel",
        "10.0.0.11",
        pytest.approx(0, abs=15),
    )
    assert "qemu-server" in facts.packages
    assert state.bridges("pve1") == {"vmbr0", "office"}
    assert state.bridges("pve3") == {"vmbr0"}
    clone = state.config(104)
    assert clone is not None
    assert (clone.bases, {disk.kind.value for disk in clone.disks}) == (
        ("base-103-disk-0",),
        {"disk", "cdrom", "cloudinit"},
    )
    assert state.process(100) is not None
    (job,) = state.jobs_of(100)
    assert (job.source, job.target, job.seen) == ("pve1", "pve2", True)
    assert [rule.id for rule in state.rules_of("vm:100")] == ["home"]
    assert state.ha is not None
    assert state.ha.services["vm:100"].node == "pve1"
    assert state.options is not None
    assert (state.options.migration_network, state.options.bwlimit) == ("10.0.0.0/24", {"migration": 512000.0})
    tank = state.storage_on("tank", "pve2")
    assert tank is not None
    assert tank.active
    only = state.storage("only1")
    assert only is not None
    assert not only.on("pve2")
    gpu = state.mapping("pci", "gpu")
    assert gpu is not None
    assert (gpu.live, gpu.on("pve1"), gpu.on("pve2")) == (True, True, False)
    assert [job.covers(101, "pve2", None) for job in state.backup_jobs] == [False]


def test_an_auditor_sees_the_same(lab: Lab) -> None:
    full = snapshot(info(lab, subset=["all", "history"]))
    seen = snapshot(info(lab, subset=["all", "history"], **token("auditor@pve", AUDITOR)))
    # Time passes between the two; everything else is equal.
    assert {item.name for item in seen.nodes} == {item.name for item in full.nodes}
    moving = dict.fromkeys(("collected_at", "nodes", "guests", "node_facts", "ha", "replication_jobs"), None)
    assert replace(seen, **moving) == replace(full, **moving)
    assert seen.guests and len(seen.guest_configs) == len(full.guest_configs)


def test_who_may_see_little_is_told_what_is_missing(lab: Lab) -> None:
    state = snapshot(info(lab, subset=["all"], **token("helper@pve", HELPER)))
    assert [guest.vmid for guest in state.guests] == [100]
    assert state.config(100) is not None
    assert state.options is None
    missing = {(item.part, item.path, item.privileges) for item in state.unknown}
    assert ("options", "/", ("Sys.Audit",)) in missing
    assert ("guests", "/vms", ("VM.Audit",)) in missing
    assert ("node_facts", "/nodes/pve1", ("Sys.Audit",)) in missing
    assert ("storages", "/storage", ("Datastore.Audit", "Datastore.AllocateSpace")) in missing
    for part in ("guests", "ha", "storages", "options", "backup", "network"):
        assert not state.knows(part), part


def test_chosen_guests_cost_no_others(lab: Lab) -> None:
    cost = info(lab, subset=["guest_configs"], guests={"tags": ["b"], "names": ["w*", "o*"]})
    assert [config.vmid for config in snapshot(cost).guest_configs] == [100, 102]
    assert cost.requests == 2 + 2


def test_what_recent_migrations_have_shown(lab: Lab) -> None:
    cost = info(lab, subset=["history"], history_limit=5)
    (move,) = snapshot(cost).history
    assert (move.vmid, move.source, move.target, move.seconds, move.downtime_ms) == (101, "pve1", "pve2", 40, 55)
    assert move.rate == pytest.approx(2 * 2**30 / 40)
    assert cost.requests == 2 + 2 * 3 + 1


def test_an_anonymous_snapshot_names_nothing(lab: Lab) -> None:
    cost = info(lab, subset=["all", "history"], anonymize=True)
    state = snapshot(cost)
    assert [node.name for node in state.nodes] == ["node1", "node2", "node3", "node4"]
    text = str({key: value for key, value in cost.result.items() if key != "invocation"})
    for name in ("'pve1'", ":pve1:", "pve4", "'web'", "'tank'", "'shop'", "office", "10.0.0.", "golden"):
        assert name not in text, name
