# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the lab's HA manager puts services: rules, groups, usage; and what older releases do differently."""

from __future__ import annotations

from typing import Any

import pytest

from lab.ha.rules import Rule, compile_rules, infeasible
from tests.conformance.client import Lab
from tests.lab.test_ha import make, service, shell, shown, tasks

NODES = ["pve1", "pve2", "pve3"]


def place(id: str, sids: str, nodes: dict[str, int], **more: Any) -> Rule:
    return Rule(id, "node-affinity", frozenset(sids.split()), nodes, **more)


def bond(id: str, sids: str, affinity: str, **more: Any) -> Rule:
    return Rule(id, "resource-affinity", frozenset(sids.split()), {}, affinity=affinity, **more)


def rules(*items: Rule) -> dict[str, Rule]:
    return {item.id: item for item in items}


# ---------------------------------------------------------------- feasibility


@pytest.mark.parametrize(
    ("wrong", "complaints"),
    [
        (rules(bond("a", "vm:1 vm:2 vm:3 vm:4", "negative")),
         {"a": "rule defines more resources than available nodes"}),
        (
            rules(bond("p", "vm:1 vm:2", "positive"), bond("n", "vm:1 vm:2", "negative")),
            {
                "p": "rule shares two or more resources with a negative resource affinity rule",
                "n": "rule shares two or more resources with a positive resource affinity rule",
            },
        ),
        (
            rules(bond("p", "vm:1 vm:2", "positive"), bond("q", "vm:2 vm:3", "positive"),
                  bond("n", "vm:1 vm:3", "negative")),
            dict.fromkeys("pq", "rule shares two or more resources with a negative resource affinity rule")
            | {"n": "rule shares two or more resources with a positive resource affinity rule"},
        ),
        (
            rules(bond("p", "vm:1 vm:2", "positive"), place("x", "vm:1", {"pve1": 0}), place("y", "vm:2", {"pve2": 0})),
            {
                "p": "resources are in multiple node affinity rules",
                "x": "at least one resource is in a positive resource affinity rule and there are other resources in "
                     "at least one other node affinity rule already",
                "y": "at least one resource is in a positive resource affinity rule and there are other resources in "
                     "at least one other node affinity rule already",
            },
        ),
        (
            rules(bond("n", "vm:1 vm:2", "negative"), place("x", "vm:1 vm:2", {"pve1": 0}, strict=True)),
            {
                "n": "two or more resources are restricted to less nodes than available to the resources",
                "x": "at least one resource is in a negative resource affinity rule and this rule would restrict "
                     "these to less nodes than available to the resources",
            },
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_dropped_with_a_reason(wrong: dict[str, Rule], complaints: dict[str, str]) -> None:
    assert infeasible(wrong, NODES) == {id: [text] for id, text in complaints.items()}
    _compiled, messages = compile_rules(wrong, NODES)
    assert messages == [f"Drop rule '{id}', because {complaints[id]}." for id in sorted(complaints)]


def test_disabled_rules_are_never_infeasible() -> None:
    twice = rules(place("x", "vm:1", {"pve1": 0}), place("y", "vm:1", {"pve2": 0}, disable=True))
    assert infeasible(twice, NODES) == {}
    assert compile_rules(twice, NODES)[0].places["vm:1"]["pve1"] == 0


def test_partners_share_what_applies_to_one_of_them() -> None:
    compiled, _messages = compile_rules(
        rules(bond("p", "vm:1 vm:2", "positive"), bond("q", "vm:2 vm:3", "positive"),
              bond("n", "vm:1 vm:9", "negative"), place("x", "vm:3", {"pve1": 0}, strict=True)), NODES,
    )  # fmt: skip
    assert compiled.together["vm:1"] == {"vm:2", "vm:3"}
    assert compiled.apart["vm:3"] == {"vm:9"} and compiled.apart["vm:9"] == {"vm:1", "vm:2", "vm:3"}
    assert compiled.places["vm:1"] == {"pve1": 0}


def test_negative_node_affinity_avoids_nodes() -> None:
    for strict in (False, True):
        avoid = rules(place("x", "vm:1", {"pve1": 0}, strict=strict, affinity="negative"))
        wanted = {"pve2": 0, "pve3": 0} | ({} if strict else {"pve1": -1})
        compiled, messages = compile_rules(avoid, NODES)
        assert (compiled.places["vm:1"], compiled.together, messages) == (wanted, {}, [])


# ---------------------------------------------------------------- placement


def settle(lab: Lab, seconds: float = 60) -> dict[str, str]:
    """Where the services are after a while."""
    lab.advance(seconds)
    status = lab.get("/cluster/ha/status/manager_status", node="pve3")["manager_status"]["service_status"]
    return {sid: values["node"] for sid, values in status.items()}


def test_services_return_to_the_node_of_the_highest_priority() -> None:
    lab = make(
        {100: {"node": "pve3", "ha": True}, 101: {"node": "pve3", "ha": {"failback": 0}}},
        ha={"rules": {"home": {"type": "node-affinity", "resources": ["vm:100", "vm:101"],
                               "nodes": ["pve1:2", "pve2:1"]}}},
    )  # fmt: skip
    assert settle(lab) == {"vm:100": "pve1", "vm:101": "pve3"}, "without failback it stays where it is allowed"
    lab.cluster.power_off(lab.cluster.nodes["pve1"])
    assert settle(lab, 180)["vm:100"] == "pve2"
    lab.cluster.power_on(lab.cluster.nodes["pve1"], 10)
    assert settle(lab, 120)["vm:100"] == "pve1"


def test_services_in_negative_affinity_are_separated() -> None:
    lab = make({100 + n: {"node": "pve1", "ha": True} for n in range(3)})
    lab.post("/cluster/ha/rules", {"rule": "apart", "type": "resource-affinity", "affinity": "negative",
                                   "resources": "vm:100,vm:101,vm:102"})  # fmt: skip
    assert sorted(settle(lab, 90).values()) == NODES


def test_services_in_positive_affinity_are_brought_together_and_recovered_together() -> None:
    lab = make({100 + n: {"node": "pve2" if n else "pve1", "ha": True} for n in range(3)},
               ha={"rules": {"near": {"type": "resource-affinity", "affinity": "positive",
                                      "resources": ["vm:100", "vm:101", "vm:102"]}}})  # fmt: skip
    assert settle(lab) == dict.fromkeys(("vm:100", "vm:101", "vm:102"), "pve2")
    lab.cluster.power_off(lab.cluster.nodes["pve2"])
    assert len(set(settle(lab, 200).values())) == 1


def test_static_usage_puts_services_where_memory_is() -> None:
    nodes = {"pve1": {"memory": "32G"}, "pve2": {"memory": "16G"}, "pve3": {"memory": "256G"}}
    guests = {100 + n: {"node": "pve1", "memory": 4096, "ha": True} for n in range(4)}
    guests |= {200: {"node": "pve3", "memory": 512, "ha": True}, 201: {"node": "pve3", "memory": 512, "ha": True}}
    wanted = {"basic": {"pve2", "pve3"}, "static": {"pve3"}}
    for mode, targets in wanted.items():
        lab = make(guests, nodes=nodes, datacenter={"crs": {"ha": mode}})
        lab.advance(15)
        shell(lab, "ha-manager", "crm-command", "node-maintenance", "enable", "pve1")
        assert {node for sid, node in settle(lab, 90).items() if sid < "vm:2"} == targets
        text = next(row["status"] for row in lab.get("/cluster/ha/status/current") if row["type"] == "master")
        assert text.endswith(" - static load CRS") == (mode == "static")


def test_rebalance_on_start_moves_before_starting() -> None:
    guests = {100 + n: {"node": "pve1", "running": False, "ha": "stopped"} for n in range(3)}
    lab = make(guests, datacenter={"crs": {"ha": "basic", "ha-rebalance-on-start": 1}})
    lab.advance(15)
    for vmid in guests:
        lab.put(f"/cluster/ha/resources/vm:{vmid}", {"state": "started"})
    assert sorted(settle(lab, 90).values()) == NODES
    assert {shown(lab, f"vm:{vmid}") for vmid in guests} == {"started"}
    assert all(task.node == settle(lab, 0)[f"vm:{task.id}"] for task in tasks(lab, "qmstart"))


# ---------------------------------------------------------------- releases


def _old(**more: Any) -> Lab:
    return make(
        {100: {"node": "pve1", "ha": {"group": "g1"}}, 101: {"node": "pve2", "ha": True}},
        nodes={name: {"release": 8.4} for name in NODES},
        ha={"groups": {"g1": {"nodes": ["pve1:2", "pve2:1"], "restricted": True, "nofailback": True}}}, **more,
    )  # fmt: skip


def test_84_has_groups_and_no_rules() -> None:
    lab = _old()
    lab.advance(15)
    assert lab.request("GET", "/cluster/ha/rules").status == 501
    assert lab.request("POST", "/cluster/ha/status/arm-ha").status == 501
    (row,) = lab.get("/cluster/ha/groups")
    assert row["group"] == "g1" and row["nodes"] == "pve1:2,pve2:1" and (row["restricted"], row["nofailback"]) == (1, 1)
    lab.post("/cluster/ha/groups", {"group": "g2", "nodes": "pve3"})
    lab.put("/cluster/ha/groups/g2", {"comment": "spare", "nodes": "pve3,pve1"})
    assert lab.get("/cluster/ha/groups/g2")["comment"] == "spare"
    lab.put("/cluster/ha/resources/vm:101", {"group": "g2"})
    in_use = lab.request("DELETE", "/cluster/ha/groups/g2")
    assert in_use.reason == "delete ha group failed: ha group is used by service 'vm:101'"
    lab.put("/cluster/ha/resources/vm:101", {"delete": "group"})
    lab.delete("/cluster/ha/groups/g2")
    unknown = lab.request("PUT", "/cluster/ha/resources/vm:101", {"group": "none"})
    assert unknown.reason == "HA group 'none' does not exist"
    assert lab.request("PUT", "/cluster/ha/resources/vm:101", {"failback": 0}).status == 400


def test_84_answers_a_request_to_move_with_nothing() -> None:
    lab = _old()
    lab.advance(15)
    assert lab.post("/cluster/ha/resources/vm:100/migrate", {"node": "pve2"}) is None
    assert settle(lab)["vm:100"] == "pve2", "the group does not bring it back"
    rows = lab.get("/cluster/ha/status/current")
    assert {row["type"] for row in rows} == {"quorum", "master", "lrm", "service"}
    assert not any("watchdog" in row["status"] for row in rows)
    assert not any("failback" in row for row in rows)
    assert [row["id"] for row in lab.get("/cluster/ha")] == ["status", "resources", "groups"]


def test_84_restricted_groups_restrict() -> None:
    lab = _old()
    lab.advance(15)
    for name in ("pve1", "pve2"):
        shell(lab, "ha-manager", "crm-command", "node-maintenance", "enable", name, node="pve3")
    assert settle(lab, 90)["vm:100"] in {"pve1", "pve2"}, "it has nowhere to go"
    assert settle(lab, 0)["vm:101"] == "pve3"


def test_groups_go_on_while_one_node_is_old_and_become_rules_after() -> None:
    mixed = make(
        {100: {"node": "pve2", "ha": {"group": "g1"}}},
        nodes={"pve1": {"release": 8.4}, "pve2": {"release": 9.1}, "pve3": {"release": 9.2}},
        ha={"master": "pve3", "groups": {"g1": {"nodes": ["pve2"], "restricted": True, "nofailback": True}}},
    )  # fmt: skip
    mixed.advance(120)
    assert [row["group"] for row in mixed.get("/cluster/ha/groups", node="pve3")] == ["g1"]
    assert [row["rule"] for row in mixed.get("/cluster/ha/rules", node="pve3")] == ["ha-group-g1"]
    refused = mixed.request("POST", "/cluster/ha/rules", {"rule": "r1", "type": "node-affinity", "resources": "vm:100",
                                                          "nodes": "pve1"}, node="pve3")  # fmt: skip
    assert refused.reason == "cannot create ha rule: ha groups have not been migrated yet"

    mixed.cluster.nodes["pve1"].release = (9, 0)
    mixed.advance(120)
    assert mixed.request("GET", "/cluster/ha/groups", node="pve3").status == 500
    (rule,) = mixed.get("/cluster/ha/rules", node="pve3")
    assert rule["rule"] == "ha-group-g1" and rule["nodes"] == "pve2" and rule["strict"] == 1
    assert rule["comment"] == "Generated from HA group 'g1'."
    resource = mixed.get("/cluster/ha/resources/vm:100", node="pve3")
    assert resource["failback"] == 0 and "group" not in resource


@pytest.mark.parametrize("release", [9.0, 9.1, 9.2])
def test_a_service_moves_on_every_release(release: float) -> None:
    lab = make({100: {"node": "pve1", "ha": True}}, nodes={name: {"release": release} for name in NODES})
    lab.advance(15)
    assert lab.post("/cluster/ha/resources/vm:100/migrate", {"node": "pve2"})["requested-node"] == "pve2"
    assert settle(lab) == {"vm:100": "pve2"} and service(lab, "vm:100")["running"] == 1
    fencing = [row for row in lab.get("/cluster/ha/status/current") if row["type"] == "fencing"]
    assert bool(fencing) == (release >= 9.2)
