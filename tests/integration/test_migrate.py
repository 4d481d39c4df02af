# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``migrate`` as users meet it: playbooks against a cluster that is simulated here and genuine elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.bench.adhoc import call
from tests.integration.clusters import VARIABLES, cluster
from tests.integration.harness import HERE, Lab, Outcome, play, running_lab


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A cluster in good health; playbooks bring back what they move."""
    with running_lab(cluster()) as running:
        yield running


def run(name: str, lab: Lab, *arguments: str, environment: dict[str, str] | None = None, **variables: Any) -> Outcome:
    path = HERE / "playbooks" / f"{name}.yml"
    return play(path, lab, *arguments, variables={**VARIABLES, **variables}, environment=environment)


@pytest.mark.parametrize("name", ["vm_online", "vm_offline", "container_restart", "ha_move", "ha_options_refused"])
def test_playbook(lab: Lab, name: str) -> None:
    outcome = run(name, lab)
    assert outcome.code == 0, outcome.text


def test_check_mode_writes_nothing(lab: Lab) -> None:
    lab.control("DELETE", "/requests")
    outcome = run("check_only", lab)
    assert outcome.code == 0, outcome.text
    assert lab.writes() == []
    assert "→" not in outcome, "progress is not shown in check mode"


REFUSED: dict[str, dict[str, Any]] = {
    "unknown guest": {"move": {"guest": 999, "target": "pve2"}, "kind": "not_found", "words": ["999"]},
    "unknown name": {
        "move": {"guest": "wep", "target": "pve2"},
        "kind": "not_found",
        "words": ["wep", "Did you mean web"],
    },
    "ambiguous name": {
        "move": {"guest": "twin", "target": "pve2"},
        "kind": "invalid",
        "words": ["104 on pve1", "105 on pve2"],
    },
    "unknown node": {
        "move": {"guest": 100, "target": "pve9"},
        "kind": "not_found",
        "words": ["pve9", "pve1, pve2, pve3"],
    },
    "empty target": {"move": {"guest": 100, "target": []}, "kind": "invalid", "words": ["target"]},
    "wrong mode": {
        "move": {"guest": 100, "target": "pve2", "mode": "offline"},
        "kind": "invalid",
        "words": ["stop it"],
    },
    "storage missing": {
        "move": {"guest": 103, "target": "pve2"},
        "kind": "blocked",
        "words": ["storage-not-on-target", "only1", "Nothing was changed"],
    },
    "bad storage map": {
        "move": {"guest": 102, "target": "pve2", "target_storage": "a:b,a:c"},
        "kind": "invalid",
        "words": ["mapped twice"],
    },
    "token and migration_type": {
        "move": {"guest": 100, "target": "pve2", "migration_type": "insecure"},
        "kind": "unsupported",
        "words": ["root@pam"],
    },
    "ha rule": {
        "move": {"guest": 111, "target": "pve2"},
        "kind": "blocked",
        "words": ["ha-rule", "vm:112", "negative resource affinity"],
    },
    "wrong token": {
        "move": {"guest": 100, "target": "pve2", "api_token_secret": "00000000-0000-0000-0000-000000000000"},
        "kind": "permission",
        "words": ["refused the credentials"],
    },
    "untrusted certificate": {
        "move": {"guest": 100, "target": "pve2", "ca_path": "/etc/ssl/certs/ca-certificates.crt"},
        "kind": "permission",
        "words": ["not trusted", "ca_path"],
    },
    "unreachable host": {
        "move": {"guest": 100, "target": "pve2", "api_host": "127.0.0.1:9"},
        "kind": "node_unreachable",
        "words": ["127.0.0.1:9", "refused"],
    },
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusal(lab: Lab, case: str) -> None:
    lab.control("DELETE", "/requests")
    outcome = run("refused", lab, **REFUSED[case])
    assert outcome.code == 0, outcome.text
    assert lab.writes() == [], "a refusal comes before anything is sent"


def test_a_wrong_type_is_told_by_ansible_itself(lab: Lab) -> None:
    result = call(lab, "pve.mobility.migrate", {"guest": 100, "target": "pve2", "bwlimit": "fast"}).result
    assert "bwlimit" in result["msg"]
    assert "unable to convert to int" in result["msg"]


def test_a_ca_bundle_of_the_environment_does_not_get_in_the_way(lab: Lab) -> None:
    # requests prefers this variable to a session's own setting; each request must say what it trusts.
    outcome = run("check_only", lab, environment={"REQUESTS_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt"})
    assert outcome.code == 0, outcome.text
