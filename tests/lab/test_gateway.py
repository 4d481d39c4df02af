# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests without sockets: who is let in, how requests travel between nodes, and what faults do to them."""

from __future__ import annotations

from typing import Any

import pytest

from lab.control import Control
from lab.errors import Die
from lab.http.gateway import Envelope, Fate, Gateway
from lab.http.router import ROOT, Call, Param, Route, Router, check, opt
from lab.pve.cluster import Cluster
from lab.pve.node import Node
from lab.sim.engine import Engine, Sim
from tests.conformance.client import Cut, Lab


def _seen(call: Call) -> dict[str, Any]:
    """Answers what the handler was given."""
    return {"node": call.node.name, "params": dict(call.params), "worker": call.worker}


def _slow(call: Call) -> Sim:
    yield call.cluster.engine.sleep(call["seconds"])
    if call.get("fail"):
        raise Die("two lines\nof text")
    return Envelope.of([], total=7)


def _router() -> Router:
    import re

    def make(method: str, path: str, *params: Param, handler: Any = _seen, **more: Any) -> Route:
        regex = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)
        fields: dict[str, Any] = {"permission": "user", "protected": False, "since": (0, 0), "additional": False}
        proxyto = "node" if "{node}" in path else None
        pattern = re.compile(f"^{regex}$")
        return Route(method, path, handler, params=params, proxyto=proxyto, pattern=pattern, **{**fields, **more})

    return Router(
        [
            make(
                "GET", "/nodes/{node}/see", opt("n", "integer", minimum=1), opt("flag", "boolean"), opt("list", "array")
            ),
            make("PUT", "/nodes/{node}/see", opt("delete", format="pve-configid-list")),
            make("GET", "/nodes/{node}/protected", protected=True),
            make("GET", "/nodes/{node}/slow", Param("seconds", "number"), opt("fail", "boolean"), handler=_slow),
            make("GET", "/nodes/{node}/new", since=(9, 0)),
            make("GET", "/vm/{vmid}", permission=check("/vms/{vmid}", "VM.Audit", "VM.Migrate")),
            make("GET", "/any/{vmid}", permission=check("/vms/{vmid}", "VM.Audit", "VM.Migrate", any_of=True)),
            make("POST", "/only-root", permission=ROOT),
        ]
    )


@pytest.fixture
def lab() -> Lab:
    cluster = Cluster(Engine(1_795_400_000.0))
    for number in (1, 2, 3):
        cluster.add_node(Node(f"pve{number}", number, f"10.0.0.{number}"))
    cluster.nodes["pve3"].release = (8, 4)
    cluster.users.add_user("root@pam", "lab")
    cluster.users.add_token("root@pam", "lab", privsep=False)
    lab = Lab(cluster)
    lab.gateway = Gateway(cluster, _router())
    return lab


def order(lab: Lab, path: str, **fields: Any) -> Any:
    status, body = Control(lab.cluster, lab.gateway).handle("POST", path, fields)
    assert status == 200, body
    return body


# ---------------------------------------------------------------- letting in


def test_a_ticket_ends_after_two_hours(lab: Lab) -> None:
    headers = lab.headers("root-ticket")
    lab.advance(7190)
    assert lab.request("GET", "/nodes/pve1/see", auth="none", headers=headers).status == 200
    lab.advance(20)
    refused = lab.request("GET", "/nodes/pve1/see", auth="none", headers=headers)
    assert (refused.status, refused.reason, refused.body) == (401, "Authentication failed!", None)


def test_every_refusal_to_let_in_takes_three_seconds(lab: Lab) -> None:
    before = lab.now
    assert lab.request("GET", "/nodes/pve1/see", auth="none").reason == "No ticket"
    assert lab.now - before == 3


def test_a_csrf_token_of_another_user_is_refused(lab: Lab) -> None:
    lab.cluster.users.add_user("other@pve", "password")
    headers = {**lab.headers("root-ticket"), "csrfpreventiontoken": lab.cluster.users.issue_csrf("other@pve")}
    answer = lab.request("PUT", "/nodes/pve1/see", auth="none", headers=headers)
    assert answer.reason == "Permission denied - invalid csrf token"
    assert lab.request("GET", "/nodes/pve1/see", auth="none", headers=headers).status == 200


def test_even_roots_token_is_not_root(lab: Lab) -> None:
    assert lab.request("POST", "/only-root", auth="root-ticket").status == 200
    answer = lab.request("POST", "/only-root", auth="root-token")
    assert (answer.status, answer.reason) == (403, "Permission check failed (user != root@pam)")


def test_the_first_missing_privilege_is_named_or_all_alternatives(lab: Lab) -> None:
    lab.cluster.users.add_user("some@pve", "password")
    lab.cluster.users.grant("/vms", "some@pve", "PVEAuditor")
    assert lab.request("GET", "/vm/100", auth="ticket:some@pve").reason.endswith("(/vms/100, VM.Migrate)")
    assert lab.request("GET", "/any/100", auth="ticket:some@pve").status == 200
    lab.cluster.users.grant("/vms/101", "some@pve", "NoAccess")
    assert lab.request("GET", "/any/101", auth="ticket:some@pve").reason.endswith("(/vms/101, VM.Audit|VM.Migrate)")


# ---------------------------------------------------------------- parameters


def test_parameters_are_verified_and_converted(lab: Lab) -> None:
    seen = lab.request("GET", "/nodes/pve1/see", {"n": "5", "flag": "1"})
    assert seen.data["params"] == {"node": "pve1", "n": 5, "flag": 1}
    refused = lab.request("GET", "/nodes/pve1/see", {"n": "0", "flag": "yes", "x": "1"})
    assert refused.body is not None
    assert refused.body["errors"] == {
        "n": "value must have a minimum value of 1",
        "flag": "type check ('boolean') failed - got 'yes'",
        "x": "property is not defined in schema and the schema does not allow additional properties",
    }


def test_lists_come_as_text_or_as_arrays(lab: Lab) -> None:
    assert lab.request("GET", "/nodes/pve1/see", {"list": "a,b c"}).data["params"]["list"] == ["a", "b", "c"]
    assert lab.request("PUT", "/nodes/pve1/see", {"delete": ["aa", "bb"]}).data["params"]["delete"] == "aa,bb"


def test_json_booleans_are_booleans_and_nothing_else(lab: Lab) -> None:
    assert lab.request("GET", "/nodes/pve1/see", {"flag": True}).data["params"]["flag"] == 1
    refused = lab.request("GET", "/nodes/pve1/see", {"n": True})
    assert refused.body is not None
    assert refused.body["errors"] == {"n": "type check ('integer') failed - got JSON::PP::Boolean"}


def test_privileges_are_checked_before_parameters(lab: Lab) -> None:
    lab.cluster.users.add_user("some@pve", "password")
    assert lab.request("GET", "/vm/100", {"unknown": 1}, auth="ticket:some@pve").status == 403


def test_a_uri_parameter_cannot_be_contradicted(lab: Lab) -> None:
    answer = lab.request("GET", "/nodes/pve1/see", {"node": "pve2"})
    assert answer.status == 400
    assert "conflicting values" in answer.body["errors"]["node"]


# ---------------------------------------------------------------- between nodes


def test_a_request_runs_on_the_node_in_its_path(lab: Lab) -> None:
    assert lab.get("/nodes/pve2/see", node="pve1")["node"] == "pve2"
    assert lab.get("/nodes/localhost/see", node="pve3")["node"] == "pve3"


def test_each_node_answers_for_its_own_release(lab: Lab) -> None:
    assert lab.request("GET", "/nodes/pve2/new", node="pve1").status == 200
    # The one that is asked must know the path, and so must the one it is about.
    assert lab.request("GET", "/nodes/pve2/new", node="pve3").status == 501
    assert lab.request("GET", "/nodes/pve3/new", node="pve1").status == 501


def test_a_dead_pvedaemon_stops_only_protected_calls(lab: Lab) -> None:
    order(lab, "/lab/node", node="pve2", action="daemon-stop")
    for asked in ("pve1", "pve2"):
        answer = lab.request("GET", "/nodes/pve2/protected", node=asked)
        assert (answer.status, answer.reason, answer.body) == (595, "Connection refused", None)
        assert lab.request("GET", "/nodes/pve2/see", node=asked).status == 200


def test_a_stopped_pveproxy_resets_the_kept_connection_then_refuses(lab: Lab) -> None:
    lab.get("/nodes/pve2/see", node="pve1")
    order(lab, "/lab/node", node="pve2", action="proxy-stop")
    assert lab.request("GET", "/nodes/pve2/see", node="pve1").status == 596
    answer = lab.request("GET", "/nodes/pve2/see", node="pve1")
    assert (answer.status, answer.reason) == (595, "Connection refused")
    with pytest.raises(Cut) as cut:
        lab.request("GET", "/nodes/pve2/see", node="pve2")
    assert cut.value.fate is Fate.REFUSED


def test_a_node_just_cut_off_times_out_and_later_has_no_route(lab: Lab) -> None:
    order(lab, "/lab/node", node="pve2", action="cut")
    before = lab.now
    assert lab.request("GET", "/nodes/pve2/see", node="pve1").reason == "Connection timed out"
    assert lab.now - before == 30
    before = lab.now
    assert lab.request("GET", "/nodes/pve2/see", node="pve1").reason == "No route to host"
    assert lab.now - before == 3
    with pytest.raises(Cut) as cut:
        lab.request("GET", "/nodes/pve2/see", node="pve2")
    assert cut.value.fate is Fate.HANG


def test_a_proxied_call_is_given_up_after_thirty_seconds(lab: Lab) -> None:
    assert lab.request("GET", "/nodes/pve1/slow", {"seconds": 40}, node="pve1").body == {"data": [], "total": 7}
    answer = lab.request("GET", "/nodes/pve2/slow", {"seconds": 40}, node="pve1")
    assert (answer.status, answer.reason) == (596, "Connection timed out")


def test_a_request_does_not_survive_a_restart_of_its_pveproxy(lab: Lab) -> None:
    order(lab, "/lab/node", node="pve1", action="proxy-restart")
    with pytest.raises(Cut):
        lab.request("GET", "/nodes/pve1/slow", {"seconds": 10}, node="pve1")
    assert lab.request("GET", "/nodes/pve1/see", node="pve1").status == 200


def test_the_status_line_has_one_line_and_the_body_all(lab: Lab) -> None:
    answer = lab.request("GET", "/nodes/pve1/slow", {"seconds": 1, "fail": 1})
    assert answer.reason == "two lines"
    assert answer.body == {"data": None, "message": "two lines\nof text\n"}


def test_workers_of_a_node_take_turns(lab: Lab) -> None:
    assert [lab.get("/nodes/pve1/see")["worker"] for _time in range(4)] == [0, 1, 2, 0]


# ---------------------------------------------------------------- faults and log


def test_a_fault_can_refuse_delay_cut_and_count(lab: Lab) -> None:
    order(lab, "/lab/fault", match={"path": "/see$"}, effect={"status": 503, "reason": "Later"}, nth=2)
    order(lab, "/lab/fault", match={"method": "GET", "node": "pve3"}, effect={"latency": 4}, count=1)
    order(lab, "/lab/fault", match={"method": "PUT"}, effect={"cut": "after"})
    assert [lab.request("GET", "/nodes/pve1/see").status for _time in range(3)] == [200, 503, 200]
    before = lab.now
    lab.get("/nodes/pve1/see", node="pve3")
    assert lab.now - before == 4
    with pytest.raises(Cut):
        lab.request("PUT", "/nodes/pve1/see")


def test_only_a_cut_after_lets_the_request_act(lab: Lab) -> None:
    lab.gateway = Gateway(lab.cluster)
    for when, expected in (("before", False), ("after", True)):
        order(lab, "/lab/fault", match={"method": "POST"}, effect={"cut": when}, count=1)
        with pytest.raises(Cut):
            lab.request("POST", "/access/groups", {"groupid": when})
        assert (when in lab.cluster.users.cfg.groups) is expected


def test_the_log_counts_writes_and_hides_secrets(lab: Lab) -> None:
    lab.gateway = Gateway(lab.cluster)
    lab.request("POST", "/access/ticket", {"username": "root@pam", "password": "lab"}, auth="none")
    lab.get("/version")
    lab.request("PUT", "/access/password", {"userid": "root@pam", "password": "new-password"})
    log = lab.gateway.log
    assert (log.requests, log.writes) == (3, 1)
    assert [entry.write for entry in log.since(0)] == [False, False, True]
    assert "new-password" not in str([entry.as_dict() for entry in log.since(0)])
    assert [entry.path for entry in log.since(2)] == ["/access/password"]
