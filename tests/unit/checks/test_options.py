# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the cluster that interfere with planned work."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.ha import ha_status
from ansible_collections.pve.mobility.plugins.module_utils.model.options import cluster_options

from .fixtures import Fixture, ids, judged
from .made import managed, scope

BALANCING = cluster_options({"crs": {"ha": "dynamic", "ha-auto-rebalance": 1}})
STATIC = cluster_options({"crs": {"ha": "static", "ha-rebalance-on-start": 1}})


def armed(mode: str | None) -> dict[str, Any]:
    """The HA manager's status as the API gives it."""
    disarm = {"disarm": {"mode": mode, "state": "disarmed"}} if mode else {}
    return {"ha": ha_status({"manager_status": {"master_node": "pve1", **disarm}})}


FIXTURES = [
    Fixture(
        "ha-auto-rebalance",
        lambda: scope(options=BALANCING, **managed()),
        lambda: scope(options=STATIC, **managed()),
    ),
    Fixture("ha-auto-rebalance", lambda: scope(options=BALANCING, **managed()), lambda: scope(options=BALANCING)),
    Fixture("ha-off", lambda: scope(**armed("freeze")), lambda: scope(**armed(None))),
]


def test_what_may_move_is_counted() -> None:
    (finding,) = (item for item in judged(scope(options=BALANCING, **managed())) if item.id == "ha-auto-rebalance")
    assert finding.message == (
        "the HA manager rebalances by itself (scheduler dynamic), and may move any of 1 HA resource meanwhile"
    )


def test_without_knowledge_of_ha_it_may_still_move_something() -> None:
    known = scope(options=BALANCING)
    parts = tuple(part for part in known.state.parts if part != "ha")
    assert "ha-auto-rebalance" in ids(replace(known, state=replace(known.state, parts=parts)))
