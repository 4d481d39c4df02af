# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Timelines 11 (how fresh answers are) and 09b (what is told of a node that died)."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from lab.pve.node import Running
from tests.conformance.client import Lab
from tests.conformance.poll import TIMELINES, Change, poll, values

FRESHNESS = "11-freshness"
DEATH = "09b-death-of-the-ha-master-node-5min"
CYCLE = 10.0
"""Seconds between two reports of a node."""
COPY = 2.0
"""A worker's copy of the reports may be that old."""


def cluster() -> dict[str, Any]:
    return {
        "nodes": ["pve1", "pve2", "pve3"],
        "storages": {"shr": {"type": "dir", "path": "/srv/shr", "content": "images,rootdir", "shared": True}},
        "guests": {
            113: {"node": "pve1", "disk": "shr:1G"},
            102: {"node": "pve1", "disk": "shr:1G", "running": False},
            203: {"node": "pve1", "type": "ct", "disk": "shr:1G", "running": False},
            111: {"node": "pve3", "disk": "shr:1G"},
        },
    }


@pytest.fixture
def lab() -> Lab:
    return Lab.from_dict(cluster())


def row(lab: Lab, id: str, node: str = "pve2", worker: int | None = None) -> dict[str, Any]:
    rows = lab.get("/cluster/resources", node=node, worker=worker)
    found: dict[str, Any] = next(item for item in rows if item["id"] == id)
    return found


# ---------------------------------------------------------------- freshness


def start(lab: Lab) -> None:
    lab.cluster.nodes["pve1"].running[102] = Running(102, "qemu", 4711, lab.engine.now)


def rewrite(lab: Lab, key: str, value: str | None) -> None:
    entry = lab.cluster.guest(102)
    assert entry is not None
    config = lab.cluster.config(entry).copy()
    config.current.pop(key, None)
    if value is not None:
        config.current[key] = value
    lab.cluster.write_config(lab.cluster.nodes["pve1"], entry, config)


LAGGING: dict[str, tuple[Callable[[Lab], None], str, Any]] = {
    "start": (start, "status", "running"),
    "config name": (partial(rewrite, key="name", value="renamed"), "name", "renamed"),
    "config memory (stopped VM)": (partial(rewrite, key="memory", value="1024"), "maxmem", 2**30),
}
CURRENT: dict[str, tuple[Callable[[Lab], None], str, Any]] = {
    "config tags": (partial(rewrite, key="tags", value="new"), "tags", "new"),
    "lock set": (partial(rewrite, key="lock", value="backup"), "lock", "backup"),
}


def lag(change: tuple[Callable[[Lab], None], str, Any], after: float, node: str) -> float:
    """Seconds from a change, made ``after`` seconds of polling, until all workers of ``node`` tell it."""
    act, key, expected = change
    lab = Lab.from_dict(cluster())
    while lab.now < after:
        row(lab, "qemu/102", node)
        lab.advance(0.5)
    act(lab)
    began = lab.now
    while any(row(lab, "qemu/102", node, worker).get(key) != expected for worker in range(3)):
        lab.advance(0.1)
        assert lab.now - began < 60
    return lab.now - began


@pytest.mark.parametrize("kind", LAGGING)
@pytest.mark.parametrize("node", ["pve1", "pve2"])
def test_what_pvestatd_tells_lags_by_its_cycle(kind: str, node: str) -> None:
    lags = [lag(LAGGING[kind], 20 + offset, node) for offset in (0.3, 2.1, 4.6, 6.4, 8.9)]
    assert max(lags) <= CYCLE + COPY
    assert max(lags) >= CYCLE / 2, "a poller must get to see old values"
    assert len(set(lags)) > 1, "the lag depends on when in the cycle it happens"
    genuine = summary(kind, f"resources@{node}")
    assert genuine["max"] <= CYCLE + COPY + 0.5, "the recording itself fits this model"


@pytest.mark.parametrize("kind", CURRENT)
def test_locks_and_tags_are_read_from_the_configuration(kind: str) -> None:
    assert lag(CURRENT[kind], 23.7, "pve2") == 0
    assert summary(kind, "resources@pve2")["median"] < 1


def summary(kind: str, endpoint: str) -> dict[str, float]:
    for line in map(json.loads, (TIMELINES / f"{FRESHNESS}.jsonl").read_text(encoding="utf-8").splitlines()):
        if line["event"] == "summary" and line["kind"] == kind and line["endpoint"] == endpoint:
            return dict(line)
    raise AssertionError(f"not recorded: {kind} {endpoint}")


def test_workers_of_one_host_disagree_for_a_moment(lab: Lab) -> None:
    """03c: running → stopped → running, because requests go to workers whose copies differ in age."""
    lab.advance(20)
    for worker in range(3):
        row(lab, "qemu/102", worker=worker)
        lab.advance(0.7)
    start(lab)
    seen: list[tuple[float, str]] = []
    while lab.now < 45:
        worker = len(seen) % 3
        seen.append((lab.now, row(lab, "qemu/102", worker=worker)["status"]))
        lab.advance(0.2)
    first = next(at for at, value in seen if value == "running")
    last = max(at for at, value in seen if value == "stopped")
    assert last > first, "a value must be able to flip back"
    assert last - first <= COPY


def test_a_guest_that_moved_is_on_its_new_node_at_once_with_its_old_status(lab: Lab) -> None:
    lab.advance(15)
    lab.cluster.fs.rename("nodes/pve1/qemu-server/102.conf", "nodes/pve3/qemu-server/102.conf")
    lab.cluster.nodes["pve3"].running[102] = Running(102, "qemu", 4711, lab.engine.now)
    at_once = row(lab, "qemu/102")
    assert (at_once["node"], at_once["status"]) == ("pve3", "stopped")
    lab.advance(CYCLE + COPY)
    assert row(lab, "qemu/102")["status"] == "running"


# ---------------------------------------------------------------- a dead node

WATCHED = ("qemu/113", "qemu/102", "lxc/203", "node/pve1", "storage/pve1/shr")


def look(lab: Lab, id: str) -> dict[str, Any]:
    """A resource as the recorder noted it down."""
    item = row(lab, id)
    value = {"status": item["status"]}
    if not id.startswith("storage/"):
        uptime = item.get("uptime")
        value["uptime"] = "missing" if uptime is None else 0 if uptime == 0 else ">=15"
        if "maxmem" not in item:
            value["no-metrics"] = 1
        if not id.startswith("node/") and "name" not in item:
            value["no-name"] = 1
    return value


def recorded_values(id: str, endpoint: str = "GET /cluster/resources @pve2") -> list[Change]:
    found: list[Change] = []
    for line in map(json.loads, (TIMELINES / f"{DEATH}.jsonl").read_text(encoding="utf-8").splitlines()):
        if line.get("endpoint") != endpoint:
            continue
        told = line["value"].get("delta", line["value"])
        if id in told:
            value = {
                key: item for key, item in told[id].items() if key in {"status", "uptime", "no-metrics", "no-name"}
            }
            if not found or found[-1].value != value:
                found.append(Change(line["t"], value))
    return found


def test_a_dead_node_goes_offline_and_its_guests_become_unknown_minutes_later(lab: Lab) -> None:
    lab.advance(31)
    node = lab.cluster.nodes["pve1"]
    lab.cluster.power_off(node)
    looks = {id: partial(look, lab, id) for id in WATCHED}

    def nodes() -> str:
        item = next(item for item in lab.get("/nodes", node="pve2") if item["node"] == "pve1")
        return f"{item['status']}{'' if 'maxmem' in item else ' no-metrics'}"

    def online() -> int:
        rows = lab.get("/cluster/status", node="pve2")
        return int(next(item["online"] for item in rows if item["name"] == "pve1"))

    looks |= {"nodes": nodes, "online": online}  # type: ignore[dict-item]
    dead = poll(lab, looks, 335, interval=0.5)
    lab.cluster.power_on(node, boot_seconds=0)
    back = poll(lab, looks, 30, interval=0.5)
    for id in WATCHED:
        seen = dead[id] + [Change(335 + change.at, change.value) for change in back[id]]
        seen = [change for index, change in enumerate(seen) if not index or seen[index - 1].value != change.value]
        genuine = recorded_values(id)
        assert values(seen) == values(genuine), id
        for ours, theirs in zip(seen[1:], genuine[1:], strict=True):
            assert abs(ours.at - theirs.at) <= CYCLE + COPY, (id, ours, theirs)
    assert values(dead["nodes"] + back["nodes"][1:]) == [
        "online", "offline", "offline no-metrics", "unknown no-metrics", "online"
    ]  # fmt: skip
    assert values(dead["online"] + back["online"][1:]) == [1, 0, 1]
    assert abs(dead["online"][1].at - 7) <= 1


def test_a_node_that_is_cut_off_knows_itself_and_loses_the_others(lab: Lab) -> None:
    lab.cluster.cut_off(lab.cluster.nodes["pve3"])
    lab.advance(320)
    view = lab.cluster.statd.view(lab.cluster.nodes["pve3"])
    assert lab.cluster.statd.node_report(view, "pve3", lab.engine.now) is not None
    assert lab.cluster.statd.node_report(view, "pve1", lab.engine.now) is None
    assert row(lab, "qemu/111", "pve1")["status"] == "unknown"
    lab.cluster.reconnect(lab.cluster.nodes["pve3"])
    lab.advance(CYCLE + COPY)
    assert row(lab, "qemu/111", "pve1")["status"] == "running"


# ---------------------------------------------------------------- size


def test_a_report_is_made_again_only_for_guests_that_changed(lab: Lab) -> None:
    """5,000 guests must not be read anew every ten seconds."""
    before = dict(lab.cluster.statd.view(lab.cluster.nodes["pve1"]).guests)
    rewrite(lab, "name", "renamed")
    lab.advance(25)
    after = lab.cluster.statd.view(lab.cluster.nodes["pve1"]).guests
    assert {vmid for vmid in before if after[vmid] is not before[vmid]} == {102}
