# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``migrate`` decides before it sends anything, from literal answers of the API."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.connection import Connection, from_options
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    ApiError,
    Blocked,
    Conflict,
    Invalid,
    Locked,
    MobilityError,
    NodeUnreachable,
    NotFound,
    Unsupported,
    from_answer,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution import request as requests
from ansible_collections.pve.mobility.plugins.module_utils.execution.prepare import decide
from ansible_collections.pve.mobility.plugins.module_utils.execution.request import MoveRequest

UPID = "UPID:pve1:00000BB1:0003C646:6B03ABA2:qmigrate:100:root@pam:"


class Answers:
    """A session that knows its answers; counts what it is asked, and refuses to write."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.connection = Connection(("pve1:8006",), "root@pam")
        self.answers = answers
        self.asked: list[str] = []

    def get(self, path: str, params: dict[str, Any] | None = None) -> Any:
        self.asked.append(path)
        answer = self.answers[path]
        if isinstance(answer, MobilityError):
            raise answer
        return answer


def guest(vmid: int = 100, node: str = "pve1", **more: Any) -> dict[str, Any]:
    return {"type": "qemu", "vmid": vmid, "node": node, "name": f"vm{vmid}", "status": "running", **more}


GIB = 2**30
NODES = [{"type": "node", "node": f"pve{number}", "status": "online"} for number in (1, 2, 3)]


def sized(memory: int) -> list[dict[str, Any]]:
    """The nodes, each with so many GiB and 8 threads."""
    return [{**row, "maxmem": memory * GIB, "maxcpu": 8} for row in NODES]


def cluster(*guests: dict[str, Any], nodes: list[dict[str, Any]] | None = None, **more: Any) -> Answers:
    answers: dict[str, Any] = {"/cluster/resources": [*guests, *(NODES if nodes is None else nodes)]}
    for row in guests:
        answers[f"/nodes/{row['node']}/{row['type']}/{row['vmid']}/migrate"] = {"running": 1, "local_disks": []}
        answers[f"/nodes/{row['node']}/{row['type']}/{row['vmid']}/status/current"] = {
            "status": row["status"],
            "lock": row.get("lock"),
        }
        answers[f"/nodes/{row['node']}/replication"] = []
        answers[f"/nodes/{row['node']}/tasks"] = []
    return Answers(answers | more)


def ask(*targets: str, guest: str = "100", **more: Any) -> MoveRequest:
    return MoveRequest(guest, targets or ("pve2",), **more)


def ha(state: str = "started", node: str = "pve1", **more: Any) -> dict[str, Any]:
    return {"manager_status": {"service_status": {"vm:100": {"state": state, "node": node, **more}}}}


def test_there_already_costs_one_request() -> None:
    session = cluster(guest(node="pve2"))
    decision = decide(session, ask("pve2"))
    assert (decision.start, decision.moving) == (False, None)
    assert session.asked == ["/cluster/resources"]


def test_any_of_the_targets_is_fine() -> None:
    assert not decide(cluster(guest(node="pve2")), ask("pve3", "pve2")).start


def test_a_move_costs_at_most_five_reads_before_the_write() -> None:
    plain = cluster(guest())
    assert decide(plain, ask("pve2")).start
    assert len(plain.asked) == 3
    worst = managed()
    worst.answers["/nodes/pve1/qemu/100/migrate"] = {"running": 1, "local_disks": [{"volid": "tank:vm-100-disk-0"}]}
    assert decide(worst, ask("pve2")).start
    assert len(worst.asked) == 5


def test_by_name() -> None:
    assert decide(cluster(guest(name="web"), guest(101)), ask(guest="web")).guest.vmid == 100


@pytest.mark.parametrize(
    ("session", "request_", "kind", "words"),
    [
        (cluster(guest()), ask(guest="999"), NotFound, "no guest 999"),
        (cluster(guest(name="web"), guest(101, name="web")), ask(guest="web"), Invalid, "100 on pve1, 101 on pve1"),
        (cluster(guest(name="web1")), ask(guest="web"), NotFound, "Did you mean web1"),
        (cluster(guest()), ask("pve9"), NotFound, "no node pve9; its nodes are: pve1, pve2, pve3"),
        (cluster(guest(lock="backup")), ask(), Locked, "locked (backup)"),
        (cluster(guest()), ask(mode="offline"), Invalid, "stop it first"),
        (cluster(guest()), ask(mode="restart"), Invalid, "is a VM"),
        (cluster(guest(type="lxc")), ask(mode="online"), Invalid, "restart"),
        (cluster(guest(type="lxc")), ask(with_conntrack_state=True), Unsupported, "is a container"),
        (cluster(guest()), ask(restart_timeout=10), Unsupported, "is a VM"),
        (
            cluster(guest(), **{"/nodes/pve1/version": {"release": "8.4"}}),
            ask(with_conntrack_state=True),
            Unsupported,
            "needs Proxmox VE 9.0, and pve1 runs 8.4",
        ),
        (
            cluster(guest(status="unknown"), nodes=[{**NODES[0], "status": "offline"}, *NODES[1:]]),
            ask(),
            NodeUnreachable,
            "is on pve1, which is offline",
        ),
        (cluster(guest(lock="suspended")), ask(), Locked, "it hibernates"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    session: Answers, request_: MoveRequest, kind: type[MobilityError], words: str
) -> None:
    with pytest.raises(kind) as error:
        decide(session, request_)
    assert words in error.value.message
    assert error.value.message.endswith((".", "?"))


def test_a_refusal_says_where_the_guest_is() -> None:
    with pytest.raises(Locked) as error:
        decide(cluster(guest(lock="backup")), ask())
    assert error.value.failure() == {
        "kind": "locked",
        "guest": 100,
        "node": "pve1",
        "status": "running",
        "lock": "backup",
    }


def test_conntrack_is_known_from_the_precondition() -> None:
    answer = {"running": 1, "has-dbus-vmstate": 1}
    assert decide(cluster(guest(), **{"/nodes/pve1/qemu/100/migrate": answer}), ask(with_conntrack_state=True)).start


def managed(rules: list[dict[str, Any]] | None = None, **service: Any) -> Answers:
    answers = {"/cluster/ha/status/manager_status": ha(**service), "/cluster/ha/rules": rules or []}
    return cluster(guest(hastate="started"), **answers)


def affinity(nodes: str, **more: Any) -> list[dict[str, Any]]:
    return [{"rule": "home", "type": "node-affinity", "resources": "vm:100", "nodes": nodes, **more}]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("storage_map", {"": "tank"}),
        ("bwlimit", 1024),
        ("migration_type", "insecure"),
        ("with_conntrack_state", True),
        ("restart_timeout", 60),
        ("with_local_disks", False),
    ],
)
def test_options_that_ha_would_drop_are_refused(option: str, value: Any) -> None:
    with pytest.raises(Unsupported) as error:
        decide(managed(), ask(**{option: value}))
    assert "HA manager ignores" in error.value.message
    assert error.value.details["options"] == ["target_storage" if option == "storage_map" else option]


def test_ha_moves_are_marked_as_such() -> None:
    decision = decide(managed(), ask())
    assert decision.moving is not None
    assert decision.moving.ha


def test_an_ignored_service_is_no_ha_guest() -> None:
    decision = decide(cluster(guest(hastate="ignored")), ask(bwlimit=1024))
    assert decision.moving is not None
    assert not decision.moving.ha


@pytest.mark.parametrize(
    ("session", "finding"),
    [
        (managed(state="error"), "ha-error"),
        (managed(state="freeze"), "ha-disarmed"),
        (managed(state="recovery"), "ha-recovering"),
        (managed(affinity("pve1,pve3", strict=1)), "ha-node-affinity"),
        (managed(affinity("pve2", affinity="negative")), "ha-node-affinity"),
        (
            cluster(
                guest(hastate="started"),
                **{
                    "/cluster/ha/status/manager_status": {
                        "manager_status": {
                            "service_status": {"vm:100": {"state": "started", "node": "pve1"}},
                            "node_status": {"pve1": "online", "pve2": "unknown", "pve3": "online"},
                        }
                    },
                    "/cluster/ha/rules": [],
                },
            ),
            "ha-node-state",
        ),
        (cluster(guest(), nodes=[NODES[0], {**NODES[1], "status": "offline"}]), "node-offline"),
        (
            cluster(
                guest(hastate="started"),
                nodes=[NODES[0], {**NODES[1], "hastate": "maintenance"}],
                **{"/cluster/ha/status/manager_status": ha(), "/cluster/ha/rules": []},
            ),
            "node-maintenance",
        ),
        (
            cluster(guest(), **{"/nodes/pve1/qemu/100/migrate": {"running": 1, "local_resources": ["hostpci0"]}}),
            "passthrough",
        ),
        (
            cluster(
                guest(),
                **{
                    "/nodes/pve1/qemu/100/migrate": {
                        "running": 1,
                        "not_allowed_nodes": {"pve2": {"unavailable_storages": ["tank"]}, "pve3": {}},
                    }
                },
            ),
            "storage-not-on-target",
        ),
        (
            cluster(
                guest(),
                **{
                    "/nodes/pve1/qemu/100/migrate": {
                        "running": 1,
                        "local_disks": [{"volid": "local:iso/x.iso", "cdrom": 1, "drivename": "ide2"}],
                    }
                },
            ),
            "local-media",
        ),
        (
            cluster(
                guest(),
                **{
                    "/nodes/pve1/qemu/100/migrate": {
                        "running": 1,
                        "local_disks": [{"volid": "tank:vm-100-disk-0", "is_attached": 1, "drivename": "scsi0"}],
                    },
                    "/nodes/pve1/replication": [{"id": "100-0", "guest": 100, "source": "pve1", "target": "pve3"}],
                },
            ),
            "replica-missing",
        ),
        (cluster(guest(maxmem=8 * GIB), nodes=sized(4)), "memory-too-big"),
        (cluster(guest(maxcpu=16), nodes=sized(64)), "cpu-too-many"),
        (cluster(guest(maxmem=8 * GIB), guest(101, "pve2", maxmem=60 * GIB), nodes=sized(64)), "memory"),
    ],
)
def test_a_blocking_finding_stops_the_move(session: Answers, finding: str) -> None:
    with pytest.raises(Blocked) as error:
        decide(session, ask("pve2"))
    assert f"({finding})" in error.value.message
    assert "Nothing was changed." in error.value.message
    assert finding in [item["id"] for item in error.value.details["findings"]]


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        (affinity("pve1,pve3"), ["ha-preferred-node"]),
        (affinity("pve1:2,pve2:1"), ["ha-preferred-node"]),
        (affinity("pve1,pve2", strict=1), []),
        (affinity("pve1,pve3", strict=1, disable=1), []),
        (affinity("pve1,pve3", strict=1, resources="vm:999"), []),
    ],
)
def test_what_the_ha_manager_prefers_is_a_warning(rules: list[dict[str, Any]], found: list[str]) -> None:
    assert [finding.id for finding in decide(managed(rules), ask("pve2")).findings] == found


def test_a_finding_can_be_accepted() -> None:
    session = cluster(guest(), **{"/nodes/pve1/qemu/100/migrate": {"running": 1, "local_resources": ["serial0"]}})
    assert decide(session, ask(accept=frozenset({"passthrough"}))).start


def test_preflight_warn_only_reports() -> None:
    session = cluster(guest(), **{"/nodes/pve1/qemu/100/migrate": {"running": 1, "local_resources": ["serial0"]}})
    decision = decide(session, ask(preflight="warn"))
    assert decision.start
    assert [finding.id for finding in decision.findings] == ["passthrough"]


def test_the_next_target_is_taken_when_the_best_is_blocked() -> None:
    session = cluster(guest(), nodes=[NODES[0], {**NODES[1], "status": "offline"}, NODES[2]])
    assert decide(session, ask("pve2", "pve3")).target == "pve3"


LOG = [{"n": 1, "t": "2026-11-23 02:57:38 starting migration of VM 100 to node 'pve2' (10.99.0.12)"}]
RUNNING = {
    "/nodes/pve1/tasks": [{"upid": UPID, "type": "qmigrate", "id": "100", "status": "RUNNING"}],
    f"/nodes/pve1/tasks/{UPID}/log": LOG,
}


def test_a_move_under_way_to_the_wanted_node_is_adopted() -> None:
    decision = decide(cluster(guest(lock="migrate"), **RUNNING), ask("pve2"))
    assert not decision.start
    assert decision.moving is not None
    assert (decision.moving.adopted, decision.moving.task, decision.moving.target) == (True, UPID, "pve2")


def test_after_the_switchover_the_task_is_found_on_the_old_node() -> None:
    tasks = [{"upid": UPID, "type": "qmigrate", "id": "100", "node": "pve1"}]
    session = cluster(
        guest(node="pve2", lock="migrate"), **RUNNING, **{"/nodes/pve2/tasks": [], "/cluster/tasks": tasks}
    )
    decision = decide(session, ask("pve2"))
    assert decision.moving is not None
    assert decision.moving.source == "pve1"


def test_a_move_under_way_to_another_node_is_a_conflict() -> None:
    with pytest.raises(Conflict) as error:
        decide(cluster(guest(lock="migrate"), **RUNNING), ask("pve3"))
    assert "from pve1 to pve2, not to pve3" in error.value.message


def test_a_container_that_is_shut_down_in_order_to_move_is_adopted() -> None:
    # It runs and holds no lock, but its task does (timeline 03c, the first three seconds).
    upid = UPID.replace("qmigrate:100", "vzmigrate:203")
    session = cluster(
        guest(203, type="lxc"),
        **{
            "/nodes/pve1/tasks": [{"upid": upid, "type": "vzmigrate", "id": "203", "status": "RUNNING"}],
            f"/nodes/pve1/tasks/{upid}/status": {"status": "running"},
            f"/nodes/pve1/tasks/{upid}/log": [{"n": 1, "t": "2026-11-23 03:57:58 shutdown CT 203"}],
        },
    )
    with pytest.raises(Conflict, match="does not say where to"):
        decide(session, ask("pve2", guest="203"))

    class Patience(Clock):
        """While it waits, the container is down and the log goes on."""

        def sleep(self, seconds: float) -> None:
            session.answers[f"/nodes/pve1/tasks/{upid}/log"].append(
                {"n": 2, "t": "2026-11-23 03:58:01 starting migration of CT 203 to node 'pve2' (10.99.0.12)"}
            )

    decision = decide(session, ask("pve2", guest="203"), Patience(1.0))
    assert decision.moving is not None
    assert (decision.moving.target, decision.moving.was_running, decision.mode) == ("pve2", True, "restart")


def test_the_state_to_be_found_again_is_not_taken_from_a_list_that_lags() -> None:
    # Stopped two seconds ago, then moved; the list still says running (timeline 03b).
    session = cluster(guest(lock="migrate"), **RUNNING)
    session.answers["/nodes/pve1/qemu/100/status/current"] = {"status": "stopped", "lock": "migrate"}
    decision = decide(session, ask("pve2"))
    assert decision.moving is not None
    assert (decision.moving.was_running, decision.mode) == (False, "offline")


def test_an_ha_guest_that_is_stopped_in_order_to_move_will_run_again() -> None:
    session = managed(state="relocate", target="pve2")
    session.answers["/cluster/resources"][0]["hastate"] = "relocate"
    session.answers["/nodes/pve1/qemu/100/status/current"] = {
        "status": "stopped",
        "ha": {"managed": 1, "state": "relocate"},
    }
    session.answers["/cluster/ha/resources/vm:100"] = {"sid": "vm:100", "state": "started"}
    decision = decide(session, ask("pve2"))
    assert decision.moving is not None
    assert decision.moving.was_running


def test_a_lock_that_has_just_gone_is_none() -> None:
    session = cluster(guest(lock="migrate"), **{"/cluster/tasks": []})
    session.answers["/nodes/pve1/qemu/100/status/current"] = {"status": "running"}
    assert decide(session, ask("pve2")).start


def test_a_stuck_lock_is_told_from_a_running_move() -> None:
    session = cluster(guest(lock="migrate"), **{"/nodes/pve1/tasks": [], "/cluster/tasks": []})
    with pytest.raises(Locked, match="no migration task runs"):
        decide(session, ask("pve2"))


@pytest.mark.parametrize(
    "service", [{"state": "migrate", "target": "pve2"}, {"state": "started", "cmd": ["migrate", "pve2"]}]
)
def test_an_ha_move_under_way_is_adopted(service: dict[str, Any]) -> None:
    decision = decide(managed(**service), ask("pve2"))
    assert not decision.start
    assert decision.moving is not None
    assert (decision.moving.ha, decision.moving.adopted) == (True, True)


def test_containers_of_8_4_have_no_precondition() -> None:
    session = cluster(guest(type="lxc"))
    session.answers["/nodes/pve1/lxc/100/migrate"] = from_answer(501, "not implemented", None, "GET", "/x", "pve1")
    session.answers["/nodes/pve1/lxc/100/status/current"] = {"status": "running"}
    assert decide(session, ask()).mode == "restart"


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        (None, {}),
        ("tank", {"": "tank"}),
        ("a:b,c", {"a": "b", "": "c"}),
        ({"a": "b"}, {"a": "b"}),
    ],
)
def test_storage_maps(value: Any, parsed: dict[str, str]) -> None:
    assert requests.storage_map(value) == parsed
    assert requests.storage_map(requests.print_storage_map(parsed)) == parsed


@pytest.mark.parametrize("value", ["a:b,a:c", "a,b", "a:", {"a": ""}])
def test_wrong_storage_maps(value: Any) -> None:
    with pytest.raises(Invalid, match="target_storage"):
        requests.storage_map(value)


def test_root_only_options_need_a_root_ticket() -> None:
    token = Connection(("pve1:8006",), "root@pam", token_name="t", token_secret="x")
    options = {"guest": "100", "target": ["pve2"], "migration_type": "insecure"}
    with pytest.raises(Unsupported, match="root@pam with a password"):
        requests.from_options(options, token)
    ticket = Connection(("pve1:8006",), "root@pam", password="x")
    assert requests.from_options(options, ticket).migration_type == "insecure"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"api_host": ["a"]}, "No user"),
        ({"api_host": ["a"], "api_user": "root"}, "no realm"),
        ({"api_host": ["a"], "api_user": "a@pve", "api_token_id": "t"}, "api_token_secret is not"),
        ({"api_host": ["a"], "api_user": "a@pve"}, "No credentials for a@pve"),
        ({"api_host": ["a"], "api_user": "a@pve", "api_token_id": "b@pve!t"}, "belongs to b@pve"),
    ],
)
def test_incomplete_credentials(options: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        from_options(options)


def test_hosts_get_their_ports() -> None:
    options = {"api_host": "pve1, pve2:8007,fe80::1", "api_user": "a@pve!t", "api_password": "x", "api_port": 443}
    connection = from_options(options | {"api_user": "a@pve"})
    assert connection.hosts == ("pve1:443", "pve2:8007", "[fe80::1]:443")


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (403, "Permission check failed (/vms/100, VM.Migrate)", "permission"),
        (401, "Authentication failed!", "permission"),
        (595, "No route to host", "node_unreachable"),
        (500, "VM is locked (backup)", "locked"),
        (500, "cfs-lock 'file-storage_cfg' error: no quorum!", "no_quorum"),
        (500, "cluster not ready - no quorum?", "no_quorum"),
        (500, "no such cluster node 'x'", "not_found"),
        (501, "Method 'GET /x' not implemented", "unsupported"),
        (500, "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout", "locked"),
        (500, "anything else", "invalid"),
    ],
)
def test_answers_become_kinds(status: int, reason: str, kind: str) -> None:
    error = from_answer(status, reason, None, "POST", "/nodes/pve1/qemu/100/migrate", "pve1:8006")
    assert isinstance(error, ApiError)
    assert error.kind == kind
    assert error.message.endswith(".")


def test_a_missing_privilege_is_named_with_its_path() -> None:
    error = from_answer(403, "Permission check failed (/vms/100, VM.Migrate)", None, "POST", "/x", "pve1")
    assert "VM.Migrate on /vms/100" in error.message
    assert (error.details["path"], error.details["privileges"]) == ("/vms/100", ["VM.Migrate"])
