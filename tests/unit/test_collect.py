# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collecting while guests move and vanish, nodes die and privileges are missing: from literal answers."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.connection import Connection
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    NodeUnreachable,
    PermissionDenied,
    from_answer,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution import reader
from ansible_collections.pve.mobility.plugins.module_utils.execution.collect import EVERYTHING, Wanted, collect
from ansible_collections.pve.mobility.plugins.module_utils.execution.rights import Rights
from ansible_collections.pve.mobility.plugins.module_utils.execution.selector import Selector
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest

ALL = {"/": {"Sys.Audit": 1, "VM.Audit": 1, "Datastore.Audit": 1, "SDN.Audit": 1, "Mapping.Audit": 1}}


_OBJECTS = ("/cluster/options", "/cluster/ha/status/manager_status", "/version", "/nodes/pve1/status")


class World:
    """What the API answers, by path: data, an error, or a function of how often it was asked before."""

    def __init__(self, answers: dict[str, Any]) -> None:
        empty: dict[str, Any] = {path: {} for path in _OBJECTS}
        self.answers = {**empty, "/access/permissions": ALL, **answers}
        self.asked: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.timeouts: dict[str, float] = {}


def refusal(status: int, reason: str, path: str) -> Exception:
    return from_answer(status, reason, None, "GET", path, "pve1:8006")


def vm(vmid: int, node: str = "pve1", **more: Any) -> dict[str, Any]:
    return {"type": "qemu", "vmid": vmid, "node": node, "name": f"vm{vmid}", "status": "running", **more}


def node(name: str, status: str = "online") -> dict[str, Any]:
    return {"type": "node", "node": name, "status": status}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Collect from a world; sessions of all threads ask the same one."""

    def run(world: World, *parts: str, **more: Any) -> Any:
        class Fake:
            def __init__(self, connection: Connection) -> None:
                self.connection = connection
                self.host = "pve1:8006"
                self.sent = 0

            def get(self, path: str, params: dict[str, Any] | None = None) -> Any:
                with world.lock:
                    before = world.asked[path]
                    world.asked[path] += 1
                    world.timeouts[path] = self.connection.timeout
                answer = world.answers.get(path, [])
                answer = answer(before) if callable(answer) else answer
                if isinstance(answer, Exception):
                    raise answer
                return answer

        monkeypatch.setattr(reader, "Session", Fake)
        session: Any = Fake(Connection(("pve1:8006", "pve2:8006"), "a@pve", timeout=30.0))
        return collect(session, Wanted(frozenset(parts) or EVERYTHING, **more))

    return run


GONE = refusal(
    500, "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist", "/nodes/pve1/qemu/100/config"
)


def test_a_guest_that_moved_meanwhile_is_read_where_it_is_now(read: Callable[..., Any]) -> None:
    world = World(
        {
            "/cluster/resources": lambda before: [
                node("pve1"),
                node("pve2"),
                vm(100, "pve1" if before == 0 else "pve2"),
            ],
            "/nodes/pve1/qemu/100/config": GONE,
            "/nodes/pve2/qemu/100/config": {"memory": "1024"},
        }
    )
    state = read(world, "guests", "guest_configs")
    assert [guest.node for guest in state.guests] == ["pve2"]
    assert state.config(100).node == "pve2"
    assert state.unknown == ()


def test_a_guest_that_vanished_is_left_out(read: Callable[..., Any]) -> None:
    world = World(
        {
            "/cluster/resources": lambda before: [node("pve1"), vm(101), *([vm(100)] if before == 0 else [])],
            "/nodes/pve1/qemu/100/config": GONE,
            "/nodes/pve1/qemu/101/config": {"memory": "1024"},
        }
    )
    state = read(world, "guests", "guest_configs")
    assert [guest.vmid for guest in state.guests] == [101]
    assert [config.vmid for config in state.guest_configs] == [101]
    assert state.unknown == ()


def test_a_guest_that_cannot_be_caught_is_unknown(read: Callable[..., Any]) -> None:
    world = World(
        {
            "/cluster/resources": lambda before: [
                node("pve1"),
                node("pve2"),
                vm(100, "pve1" if before == 0 else "pve2"),
            ],
            "/nodes/pve1/qemu/100/config": GONE,
            "/nodes/pve2/qemu/100/config": GONE,
        }
    )
    state = read(world, "guests", "guest_configs")
    assert state.config(100) is None
    assert [(item.part, item.vmid) for item in state.unknown] == [("guest_configs", 100)]


def test_many_guests_that_moved_together_are_looked_up_together(read: Callable[..., Any]) -> None:
    answers: dict[str, Any] = {
        "/cluster/resources": lambda before: [
            node("pve1"),
            node("pve2"),
            *(vm(vmid, "pve1" if before == 0 else "pve2") for vmid in range(100, 150)),
        ]
    }
    for vmid in range(100, 150):
        answers[f"/nodes/pve1/qemu/{vmid}/config"] = GONE
        answers[f"/nodes/pve2/qemu/{vmid}/config"] = {"memory": "1024"}
    world = World(answers)
    state = read(world, "guests", "guest_configs")
    assert len(state.guest_configs) == 50
    assert world.asked["/cluster/resources"] == 2


DEAD = refusal(595, "Connection timed out", "/nodes/pve2/status")


def test_a_node_that_does_not_answer_costs_one_wait(read: Callable[..., Any]) -> None:
    guests = [vm(vmid, "pve2") for vmid in range(100, 150)]
    world = World(
        {
            "/cluster/resources": [node("pve1"), node("pve2"), *guests],
            "/nodes/pve1/status": {"pveversion": "pve-manager/9.2.11/x"},
            "/nodes/pve2/status": DEAD,
        }
    )
    state = read(world)
    assert [path for path in world.asked if path.startswith("/nodes/pve2/")] == ["/nodes/pve2/status"]
    assert world.timeouts["/nodes/pve2/status"] == reader.PROBE_TIMEOUT
    assert world.timeouts["/nodes/pve1/storage"] == 30.0
    assert not state.knows("node_facts", "pve2")
    assert not state.knows("guest_configs", "pve2")
    assert state.knows("node_facts", "pve1")
    assert [facts.online for facts in state.node_facts] == [True, False]
    assert "pve2 does not answer (Connection timed out)." in {item.why for item in state.unknown}


def test_a_node_that_is_off_is_not_asked(read: Callable[..., Any]) -> None:
    world = World({"/cluster/resources": [node("pve1"), node("pve2", "offline"), vm(100, "pve2")]})
    state = read(world)
    assert not [path for path in world.asked if path.startswith("/nodes/pve2/")]
    assert {item.why for item in state.unknown if item.node == "pve2"} == {"pve2 is offline."}


def test_no_api_host_at_all_is_an_error(read: Callable[..., Any]) -> None:
    with pytest.raises(NodeUnreachable):
        read(World({"/cluster/resources": [node("pve1")], "/storage": NodeUnreachable("No API host answers.")}))


def test_refused_credentials_are_an_error(read: Callable[..., Any]) -> None:
    world = World({"/cluster/resources": [node("pve1")], "/storage": refusal(401, "", "/storage")})
    with pytest.raises(PermissionDenied):
        read(world)


def test_a_missing_privilege_is_said_with_path_and_name(read: Callable[..., Any]) -> None:
    reason = "Permission check failed (/nodes/pve1, Sys.Audit)"
    world = World(
        {
            "/cluster/resources": [node("pve1")],
            "/nodes/pve1/apt/versions": refusal(403, reason, "/nodes/pve1/apt/versions"),
        }
    )
    state = read(world, "node_facts")
    (item,) = state.unknown
    assert (item.part, item.node, item.path, item.privileges) == (
        "node_facts.packages",
        "pve1",
        "/nodes/pve1",
        ("Sys.Audit",),
    )
    assert state.facts("pve1").packages == {}


def test_options_that_are_shortened_silently_are_unknown(read: Callable[..., Any]) -> None:
    world = World(
        {"/cluster/resources": [], "/access/permissions": {"/": {}}, "/cluster/options": {"mac_prefix": "BC:24:11"}}
    )
    state = read(world, "options")
    assert state.options is None
    assert [(item.part, item.privileges) for item in state.unknown] == [("options", ("Sys.Audit",))]


def test_releases_with_groups(read: Callable[..., Any]) -> None:
    world = World(
        {
            "/cluster/resources": [],
            "/cluster/ha/resources": [{"sid": "vm:100", "group": "fast"}],
            "/cluster/ha/status/manager_status": {},
            "/cluster/ha/rules": refusal(501, "Method 'GET /cluster/ha/rules' not implemented", "/cluster/ha/rules"),
            "/cluster/ha/groups": [{"group": "fast", "nodes": "pve1"}],
        }
    )
    state = read(world, "ha")
    assert [(rule.id, rule.sids) for rule in state.rules_of("vm:100")] == [("fast", ("vm:100",))]
    assert state.unknown == ()


def versions(qemu: str) -> list[dict[str, str]]:
    return [{"Package": name, "Version": qemu, "OldVersion": qemu} for name in ("pve-qemu-kvm", "qemu-server")]


def test_machine_versions_are_asked_once_for_each_qemu_and_processes_where_they_matter(
    read: Callable[..., Any],
) -> None:
    names = ("pve1", "pve2", "pve3", "pve4")
    answers: dict[str, Any] = {
        "/cluster/resources": [
            *(node(name) for name in names),
            *(vm(100 + number, name) for number, name in enumerate(names)),
        ],
        "/nodes/pve4/qemu/103/config": {"vga": "std,clipboard=vnc"},
    }
    for name, qemu in zip(names, ("10.1.2-1", "10.1.2-1", "11.0.0-1", "10.1.2-1"), strict=True):
        answers[f"/nodes/{name}/status"] = {}
        answers[f"/nodes/{name}/apt/versions"] = versions(qemu)
        answers[f"/nodes/{name}/capabilities/qemu/machines"] = [{"id": f"pc-q35-{qemu[:4]}"}]
        answers.setdefault(f"/nodes/{name}/qemu/{99 + int(name[3])}/config", {})
        answers[f"/nodes/{name}/qemu"] = [{"vmid": 99 + int(name[3]), "status": "running", "running-machine": "m"}]
    world = World(answers)
    state = read(world, "node_facts", "guest_configs", "running")
    assert sum(count for path, count in world.asked.items() if path.endswith("/machines")) == 2
    assert [facts.machines for facts in state.node_facts] == [("pc-q35-10.1",)] * 2 + [
        ("pc-q35-11.0",),
        ("pc-q35-10.1",),
    ]
    # Newer than the others, and a clipboard.
    assert [item.vmid for item in state.running] == [102, 103]


def test_a_replication_job_is_seen_where_its_guest_is(read: Callable[..., Any]) -> None:
    job = {"id": "100-0", "guest": 100, "source": "pve9", "target": "pve2"}
    world = World(
        {
            "/cluster/resources": [node("pve1"), node("pve2"), vm(100)],
            "/cluster/replication": [job, job | {"id": "999-0", "guest": 999}],
            "/nodes/pve1/replication": [job | {"source": "pve1", "last_sync": 7}],
        }
    )
    state = read(world, "replication")
    assert [(item.id, item.last_sync, item.seen) for item in state.replication_jobs] == [("100-0", 7, True)]
    assert world.asked["/nodes/pve2/replication"] == 0


@pytest.mark.parametrize(
    ("selector", "vmids"),
    [
        (Selector(), [1, 2, 3]),
        (Selector(names=("web*",)), [1, 2]),
        (Selector(names=("web*",), tags=frozenset({"a"})), [1]),
        (Selector(pools=frozenset({"p"})), [2]),
        (Selector(vmids=frozenset({1, 3}), nodes=frozenset({"pve2"})), [3]),
    ],
)
def test_choosing_guests(selector: Selector, vmids: list[int]) -> None:
    guests = [
        Guest(1, "qemu", "pve1", "web1", tags=("a",)),
        Guest(2, "qemu", "pve1", "web2", pool="p"),
        Guest(3, "qemu", "pve2", "db"),
    ]
    assert [guest.vmid for guest in selector.chosen(guests)] == vmids


@pytest.mark.parametrize(
    ("paths", "path", "may"),
    [
        ({"/": {"VM.Audit": 1}}, "/vms", True),
        ({"/": {"VM.Audit": 0}}, "/vms", False),
        ({"/vms": {"VM.Audit": 0}}, "/vms", True),
        ({"/": {"VM.Audit": 1}, "/vms": {}}, "/vms", False),
        ({"/vms/100": {"VM.Audit": 1}}, "/vms", False),
        ({}, "/", False),
    ],
)
def test_rights_go_down_unless_something_nearer_says_otherwise(
    paths: dict[str, dict[str, int]], path: str, may: bool
) -> None:
    assert Rights(paths).may(path, "Sys.Audit", "VM.Audit") is may


def test_cloud_init_drives_and_hook_scripts_are_looked_for_where_they_would_matter(read: Callable[..., Any]) -> None:
    """On local storage, on every node; shared storage and what nobody looks for is left out."""
    local = {"storage": "tank", "type": "zfspool", "content": "images"}
    world = World(
        {
            "/cluster/resources": [node("pve1"), node("pve2"), node("pve3", "offline"), vm(100), vm(101)],
            "/storage": [
                local,
                {"storage": "local", "type": "dir", "content": "snippets,iso"},
                {"storage": "ceph", "type": "rbd", "content": "images"},
            ],
            **{
                f"/nodes/{name}/storage": [
                    {"storage": storage, "enabled": 1, "active": int((name, storage) != ("pve2", "local"))}
                    for storage in ("tank", "local", "ceph")
                ]
                for name in ("pve1", "pve2")
            },
            "/nodes/pve1/qemu/100/config": {
                "ide2": "tank:vm-100-cloudinit,media=cdrom", "hookscript": "local:snippets/a.pl"
            },
            "/nodes/pve1/qemu/101/config": {"ide2": "ceph:vm-101-cloudinit,media=cdrom"},
            "/nodes/pve1/storage/tank/content": [{"volid": "tank:vm-100-cloudinit"}],
            "/nodes/pve2/storage/tank/content": [{"volid": "tank:vm-100-cloudinit"}, {"volid": "tank:vm-7-disk-0"}],
            "/nodes/pve1/storage/local/content": [{"volid": "local:snippets/a.pl"}, {"volid": "local:snippets/b.pl"}],
        }
    )  # fmt: skip
    state = read(world, "guests", "guest_configs", "storages")
    assert [(item.node, item.volid) for item in state.volumes] == [
        ("pve1", "local:snippets/a.pl"), ("pve2", "tank:vm-100-cloudinit")
    ]  # fmt: skip
    assert state.seen_on("pve2", "tank:vm-100-cloudinit")
    assert not state.seen_on("pve1", "tank:vm-100-cloudinit")
    asked = sorted(path for path in world.asked if path.endswith("/content"))
    assert asked == [
        f"/nodes/{name}/content" for name in ("pve1/storage/local", "pve1/storage/tank", "pve2/storage/tank")
    ]


def test_disks_of_guests_that_ha_keeps_stopped_are_looked_for_at_home(read: Callable[..., Any]) -> None:
    """Which takes privileges that an auditor has not, and then it is said."""
    world = World(
        {
            "/cluster/resources": [node("pve1"), node("pve2"), vm(100, status="stopped"), vm(101)],
            "/cluster/ha/resources": [{"sid": "vm:100", "state": "stopped"}, {"sid": "vm:101"}],
            "/storage": [{"storage": "tank", "type": "zfspool", "content": "images"}],
            **{f"/nodes/{name}/storage": [{"storage": "tank", "enabled": 1, "active": 1}] for name in ("pve1", "pve2")},
            "/nodes/pve1/qemu/100/config": {"scsi0": "tank:vm-100-disk-0", "unused0": "tank:vm-100-disk-1"},
            "/nodes/pve1/qemu/101/config": {"scsi0": "tank:vm-101-disk-0"},
            "/nodes/pve1/storage/tank/content": [{"volid": f"tank:vm-{vmid}-disk-0"} for vmid in (100, 101)],
        }
    )
    state = read(world, "guests", "guest_configs", "storages", "ha")
    assert [(item.node, item.volid) for item in state.volumes] == [("pve1", "tank:vm-100-disk-0")]
    assert world.asked["/nodes/pve2/storage/tank/content"] == 0
    assert not state.knows("storages.volumes", "pve1")
    assert state.knows("storages", "pve1")
    world.answers["/access/permissions"] = {"/": {**ALL["/"], "Datastore.Allocate": 1}}
    assert read(world, "guests", "guest_configs", "storages", "ha").knows("storages.volumes", "pve1")
