# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resource pools as PVE/API2/Pool.pm creates and deletes them."""

from __future__ import annotations

from typing import Any

import pytest

from lab.control import Control
from tests.conformance.client import Lab

CLUSTER = {
    "nodes": ["pve1"],
    "storages": {"shared": {"type": "rbd", "pool": "vms", "content": "images", "size": "1T"}},
    "guests": {100: {"node": "pve1", "disk": "shared:1G"}},
    "pools": {"shop": {"guests": [100]}, "empty": {}},
}


@pytest.fixture
def lab() -> Lab:
    return Lab.from_dict(CLUSTER)


def test_a_pool_comes_and_goes(lab: Lab) -> None:
    lab.post("/pools", {"poolid": "mark", "comment": "at work"})
    assert {"poolid": "mark", "comment": "at work"} in lab.get("/pools")
    lab.request("DELETE", "/pools", {"poolid": "mark"})
    assert [row["poolid"] for row in lab.get("/pools")] == ["empty", "shop"]


@pytest.mark.parametrize(
    ("method", "pool", "reason"),
    [
        ("POST", "shop", "create pool failed: pool 'shop' already exists"),
        ("POST", "none/inner", "create pool failed: parent 'none' of pool 'none/inner' does not exist"),
        ("POST", "1st", "create pool failed: pool name must start with a letter"),
        ("DELETE", "none", "delete pool failed: pool 'none' does not exist"),
        ("DELETE", "shop", "delete pool failed: pool 'shop' is not empty (contains VM 100)"),
    ],
)
def test_what_is_refused(lab: Lab, method: str, pool: str, reason: str) -> None:
    answer = lab.request(method, "/pools", {"poolid": pool})
    assert (answer.status, answer.reason) == (500, reason)


def test_root_on_a_node_makes_one_too(lab: Lab) -> None:
    assert _typed(lab, "create") == {"exit": 0, "output": ""}
    assert {"poolid": "mark"} in lab.get("/pools")
    assert "create pool failed: pool 'mark' already exists" in _typed(lab, "create")["output"]
    assert _typed(lab, "delete") == {"exit": 0, "output": ""}
    assert {"poolid": "mark"} not in lab.get("/pools")


def _typed(lab: Lab, order: str) -> dict[str, Any]:
    argv = ["pvesh", order, "/pools", "--poolid", "mark"]
    _status, said = Control(lab.cluster, lab.gateway).handle("POST", "/lab/shell", {"node": "pve1", "argv": argv})
    return dict(said)
