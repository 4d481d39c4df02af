# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``preflight`` and the audit as users meet them, on a cluster that has something of everything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.integration.harness import HERE, Lab, play, running_lab
from tools.area import CHECKOUT

TROUBLED = CHECKOUT / "lab" / "clusters" / "troubled.yml"

TROUBLES: list[tuple[int, str]] = [
    (101, "passthrough"),
    (102, "cpu-vendor"),
    (104, "local-media"),
    (105, "guest-locked"),
    (106, "storage-not-on-target"),
    (111, "replica-failing"),
    (111, "replica-stale"),
    (111, "no-backup"),
]

NONSENSE: list[dict[str, Any]] = [
    {"ask": {"accept": ["replica-stael"]}, "words": "Did you mean replica-stale?"},
    {"ask": {"rules": [{"id": "x", "message": "m", "expression": "guests[?"}]}, "words": "x"},
    {"ask": {"rules": [{"id": "pinned", "message": "m", "expression": "guests"}]}, "words": "pinned"},
    {"ask": {}, "facts": {"schema": 99}, "words": "99"},
    {"ask": {}, "facts": {"schema": 1, "guests": [{"vmid": 100}]}, "words": "guests"},
    {"ask": {"scope": "drain"}, "words": "node"},
    {"ask": {"scope": "drain", "node": "pve9"}, "words": "pve9"},
    {"ask": {"scope": "move", "guest": "wbe", "target": "pve2"}, "words": "Did you mean web?"},
    {"ask": {"scope": "move", "guest": "100", "target": "pve7"}, "words": "pve7"},
    {"ask": {"thresholds": {"memory_headroom": -5}}, "words": "memory_headroom is -5"},
    {"ask": {"report": "report.pdf"}, "words": ".html"},
]


class Page(HTMLParser):
    """The text of a page, and what it would load from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def broken_files(folder: Path) -> list[dict[str, Any]]:
    """Snapshots that are none, any more or yet."""
    texts = {
        "cut-off.json": ('{"schema": 1, "guests": [{"vmid": 10', "cut off"),
        "newer.json": ('{"schema": 2}', "schema 2, and this release reads schemas up to 1"),
        "other.json": ("[1]", "no snapshot of cluster_info"),
    }
    for name, (text, _words) in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    rows = [{"ask": {}, "facts": str(folder / name), "words": words} for name, (_text, words) in texts.items()]
    return [*rows, {"ask": {}, "facts": str(folder / "nowhere.json"), "words": "cannot be read: No such file"}]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab(TROUBLED, speed=1) as running:
        yield running


def test_moves_drains_and_the_cluster_are_judged(lab: Lab, tmp_path: Path) -> None:
    outcome = play(
        HERE / "playbooks" / "preflight.yml",
        lab,
        variables={
            "folder": str(tmp_path),
            "source": "pve1",
            "target": "pve3",
            "safe": "pve2",
            "apart": 120,
            "shared": 107,
            "movable": [107, 200],
            "troubles": TROUBLES,
            "nonsense": [*NONSENSE, *broken_files(tmp_path)],
        },
    )
    assert outcome.code == 0, outcome.text
    assert lab.writes() == []
    # The table, before the result.
    assert " BLOCK   101 gpu " in outcome
    assert "remove hostpci0, or map the device" in outcome

    page = Page()
    page.feed((tmp_path / "drain.html").read_text(encoding="utf-8"))
    assert page.loaded == []
    for text in ("Draining pve1: 12 guests", "101 gpu", "passthrough", "would come", "AMD EPYC 7543"):
        assert text in page.text
    judged = json.loads((tmp_path / "cluster.json").read_text(encoding="utf-8"))
    assert judged["ok"] and judged["accepted"][0]["note"] == "the new switch comes in May"
    assert lab.info["token_secret"] not in (tmp_path / "cluster.json").read_text(encoding="utf-8")
    assert "107 archive" in (tmp_path / "move.md").read_text(encoding="utf-8")


def test_the_example_runs(lab: Lab, tmp_path: Path) -> None:
    """From the file that it keeps, with rules of the house."""
    example = CHECKOUT / "docs" / "examples" / "look_before.yml"
    outcome = play(example, lab, variables={"node": "pve1", "folder": str(tmp_path)})
    assert outcome.code == 0, outcome.text
    assert " warn    100 web " in outcome and "not-at-boot" in outcome and "small-cluster" in outcome
    assert '"msg": "web, gpu, fast' in outcome
    text = (tmp_path / "drain-pve1.html").read_text(encoding="utf-8")
    assert "the storage team saves replicated guests" in text
    assert lab.writes() == []


def test_the_audit_writes_its_report_and_fails_only_when_told(lab: Lab, tmp_path: Path) -> None:
    report = tmp_path / "audit.html"
    audit = CHECKOUT / "playbooks" / "audit.yml"
    outcome = play(audit, lab, variables={"report": str(report)})
    assert outcome.code == 0, outcome.text
    assert "Cluster troubled: 4 nodes, 13 guests" in report.read_text(encoding="utf-8")
    outcome = play(audit, lab, "--check", variables={"report": str(report), "fail_on": "block"})
    assert outcome.code == 2, outcome.text
    assert "network-corosync" in outcome
    assert "Traceback" not in outcome
    assert lab.writes() == []


def test_an_upgrade_does_not_begin_where_the_audit_blocks(lab: Lab) -> None:
    """What is wrong with the cluster itself, and not with a guest, stops it before anything is planned."""
    waived = {"accept_checks": ["quorum", "nodes", "replication", "backups", "ceph"]}
    outcome = play(CHECKOUT / "playbooks" / "rolling_upgrade.yml", lab, "--check", variables=waived)
    assert outcome.code == 2, outcome.text
    assert "The audit found 10.0.1.0/24 is corosync's link 0 of pve1" in outcome, outcome.text
    assert "network-corosync" in outcome
    assert lab.writes() == []
