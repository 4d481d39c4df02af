# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What contributors record of their clusters can be replayed, and has no secrets in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conformance import scene
from tests.conformance.record import main
from tests.conformance.scene import Replay, Scene
from tests.integration.harness import running_lab

CLUSTER = {"nodes": ["pve1"], "guests": {100: {"node": "pve1", "name": "web", "memory": "1G", "running": False}}}


def test_what_was_recorded_is_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_lab(CLUSTER) as lab:
        for name, value in lab.environment.items():
            monkeypatch.setenv(name, value)
        folder = ["--folder", str(tmp_path)]
        assert main(["config", "GET", "/nodes/pve1/qemu/100/config", "current=1", *folder]) == 0
        assert main(["start", "POST", "/nodes/pve1/qemu/100/status/start", *folder]) == 0
        assert main(["unknown", "GET", "/nodes/pve1/qemu/999/config", *folder]) == 0
        assert main(["token", "POST", "/access/users/root@pam/token/new", *folder]) == 0
        secret = lab.info["token_secret"]
    assert json.loads((tmp_path / "unknown.json").read_text())["status"] == 500
    assert "SCRUBBED" in (tmp_path / "token.json").read_text()
    texts = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    kept = {"config", "start", "start.task-status", "start.task-log", "unknown", "token"}
    assert set(texts) == {"INDEX.tsv", *(f"{name}.json" for name in kept)}
    assert len(texts["INDEX.tsv"].splitlines()) == len(kept)
    assert not [name for name, text in texts.items() if secret in text]
    monkeypatch.setattr(scene, "RECORDED", tmp_path)
    replay = Replay(Scene("mine", CLUSTER, ["config", {"name": "start", "follow": False}, "unknown"]))
    assert replay.run() == []
