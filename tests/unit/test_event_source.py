# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the event source for ansible-rulebook makes of answers: an event when something changes, and only then."""

from __future__ import annotations

import asyncio
import runpy
import ssl
from typing import Any

import pytest

from tools.area import CHECKOUT

SOURCE = runpy.run_path(str(CHECKOUT / "extensions" / "eda" / "plugins" / "event_source" / "cluster.py"))
NOW = 1_000_000.0


def watch(**more: Any) -> Any:
    return SOURCE["Watch"](**{"stale_after": 3600.0, "confirm": 2, **more})


def status(**online: int) -> list[dict[str, Any]]:
    nodes = [{"type": "node", "name": name, "online": value} for name, value in online.items()]
    return [{"type": "cluster", "name": "prod", "quorate": 1}, *nodes]


def job(**more: Any) -> dict[str, Any]:
    return {"id": "100-0", "guest": 100, "source": "pve1", "target": "pve2", "last_sync": NOW - 60, **more}


def test_a_node_is_down_when_two_looks_say_so_and_is_told_once() -> None:
    seen = watch()
    assert seen.nodes(status(pve1=1, pve2=0)) == [], "a node that reboots quickly is no news"
    (event,) = seen.nodes(status(pve1=1, pve2=0))
    assert event == {
        "type": "node_down", "cluster": "prod", "node": "pve2", "online": ["pve1"], "quorate": True,
    }  # fmt: skip
    assert seen.nodes(status(pve1=1, pve2=0)) == []
    (event,) = seen.nodes(status(pve1=1, pve2=1))
    assert (event["type"], event["node"]) == ("node_up", "pve2")
    assert seen.nodes(status(pve1=1, pve2=0)) == [], "the count begins anew"


@pytest.mark.parametrize(
    ("more", "stale"),
    [
        ({}, False),
        ({"last_sync": NOW - 3600}, False),
        ({"last_sync": NOW - 3601}, True),
        ({"fail_count": 1, "error": "no route to host"}, True),
        # The first copy of a new job takes its time; that it fails is told by fail_count.
        ({"last_sync": 0}, False),
        ({"last_sync": NOW - 9999, "disable": 1}, False),
    ],
)
def test_a_copy_is_stale_when_it_is_old_or_its_job_fails(more: dict[str, Any], stale: bool) -> None:
    events = watch().replicas([job(**more)], NOW)
    assert [event["type"] for event in events] == (["replica_stale"] if stale else [])


def test_a_stale_copy_is_told_once_and_again_when_it_is_fresh() -> None:
    seen = watch()
    (event,) = seen.replicas([job(last_sync=NOW - 7200, fail_count=2, error="no route")], NOW)
    assert event == {
        "type": "replica_stale", "cluster": "", "job": "100-0", "guest": 100, "source": "pve1", "target": "pve2",
        "age_s": 7200, "fail_count": 2, "error": "no route",
    }  # fmt: skip
    assert seen.replicas([job(last_sync=NOW - 7200, fail_count=3)], NOW + 60) == []
    assert seen.replicas([], NOW) == [], "a node that does not answer says nothing about its jobs"
    (event,) = seen.replicas([job()], NOW)
    assert (event["type"], event["age_s"]) == ("replica_fresh", 60)


class Api:
    """Answers of a cluster; None is no answer."""

    hosts = ("pve1:8006",)

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers

    async def get(self, path: str) -> Any:
        if self.answers.get(path) is None:
            raise SOURCE["NoAnswer"](path)
        return self.answers[path]


def test_a_look_goes_on_when_a_node_does_not_answer() -> None:
    api = Api(
        {
            "/cluster/status": status(pve1=1, pve2=1),
            "/nodes/pve1/time": None,
            "/nodes/pve2/time": {"time": NOW},
            "/nodes/pve2/replication": [job(fail_count=1)],
        }
    )
    seen = watch()
    assert [event["type"] for event in asyncio.run(SOURCE["look"](api, seen))] == ["replica_stale"]
    api.answers["/cluster/status"] = None
    assert [event["type"] for event in asyncio.run(SOURCE["look"](api, seen))] == ["unreachable"]
    assert asyncio.run(SOURCE["look"](api, seen)) == []


def test_certificates_are_verified_unless_asked_otherwise() -> None:
    trust = SOURCE["_trust"]({})
    assert isinstance(trust, ssl.SSLContext) and trust.verify_mode is ssl.CERT_REQUIRED
    assert SOURCE["_trust"]({"validate_certs": False}) is False


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "USER", "TOKEN_ID", "TOKEN_SECRET"):
        monkeypatch.delenv(f"PROXMOX_{name}", raising=False)
    with pytest.raises(ValueError, match="needs api_user, api_token_id, api_token_secret"):
        asyncio.run(SOURCE["main"](asyncio.Queue(), {"api_host": ["pve1"]}))
