# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets are in no output, however much is said, and in no file that is written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import certifi
import pytest

from tests.integration.harness import HERE, Lab, play, running_lab

PASSWORD = "Kf7-hush-orchard"
SECRET = "33333333-4444-4555-8666-777777777777"
WRONG = "44444444-5555-4666-8777-888888888888"
TICKET = re.compile(r"PVE:[^\s:]+@\w+:[0-9A-F]{8}::")
CSRF = re.compile(r"\b[0-9A-F]{8}:[A-Za-z0-9+/]{43}=")
CLUSTER: dict[str, Any] = {
    "name": "secrets",
    "nodes": ["pve1", "pve2", "pve3"],
    "storages": {"ceph": {"type": "rbd", "pool": "vms", "content": "images,rootdir", "size": "1T"}},
    "guests": {
        100: {"node": "pve1", "name": "web", "memory": "512M", "disk": "ceph:4G"},
        101: {"node": "pve1", "name": "ha", "memory": "512M", "disk": "ceph:4G", "ha": True},
        102: {"node": "pve2", "name": "bound", "memory": "512M", "disk": "ceph:4G", "serial0": "/dev/ttyS0"},
    },
    "ha": {"settled": True},
    "users": {"admin@pve": {"password": PASSWORD, "tokens": {"deploy": {"secret": SECRET, "privsep": False}}}},
    "acl": [{"path": "/", "who": "admin@pve", "role": "Administrator"}],
}
NO_CREDENTIALS = dict.fromkeys(("PROXMOX_USER", "PROXMOX_TOKEN_ID", "PROXMOX_TOKEN_SECRET"), "")
WAYS: dict[str, dict[str, Any]] = {
    "token-from-environment": {
        "environment": {
            "PROXMOX_USER": "admin@pve",
            "PROXMOX_TOKEN_ID": "deploy",
            "PROXMOX_TOKEN_SECRET": SECRET,
        },
        "variables": {"account": "one@pve", "wrong_secret": WRONG},
    },
    "password-from-variables": {
        "environment": NO_CREDENTIALS,
        "variables": {
            "user": "admin@pve",
            "password": PASSWORD,
            "account": "two@pve",
            "wrong_password": f"not-{PASSWORD}",
        },
    },
}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab(CLUSTER, speed=60.0) as running:
        yield running


def found(texts: Mapping[str, str], secrets: Mapping[str, str]) -> list[str]:
    """Where which secret is."""
    seen = [f"{what} in {where}" for where, text in texts.items() for what, value in secrets.items() if value in text]
    seen += [f"a ticket in {where}" for where, text in texts.items() if TICKET.search(text)]
    return seen + [f"a CSRF token in {where}" for where, text in texts.items() if CSRF.search(text)]


@pytest.mark.parametrize("name", WAYS)
def test_no_secret_is_said_or_written(name: str, lab: Lab, tmp_path: Path) -> None:
    way = WAYS[name]
    (tmp_path / "work").mkdir()
    faults: list[dict[str, Any]] = [
        {"guest": "nobody"},
        {"guest": "bound"},
        {"target": "pve9"},
        {"host": "127.0.0.1:1"},
        {"ca": certifi.where()},
    ]
    outcome = play(
        HERE / "playbooks" / "secrets.yml",
        lab,
        "-vvv",
        "--diff",
        variables={
            "folder": str(tmp_path / "work"),
            "source": "pve1",
            "target": "pve3",
            "wrong": faults,
            **way["variables"],
        },
        environment={
            **way["environment"],
            "ANSIBLE_LOG_PATH": str(tmp_path / "ansible.log"),
            "XDG_STATE_HOME": str(tmp_path / "state"),
            # Options of modules, which newer releases of Ansible show on request only.
            "ANSIBLE_INJECT_INVOCATION": "1",
        },
    )
    assert outcome.code == 0, outcome.text[-3000:]
    account = (tmp_path / "work" / "account.secret").read_text(encoding="utf-8").strip()
    texts = {
        str(path.relative_to(tmp_path)): path.read_text(encoding="utf-8")
        for path in sorted(tmp_path.rglob("*"))
        if path.is_file() and path.name != "account.secret"
    }
    kept = {"ansible.log", *(f"work/{file}" for file in ("audit.json", "plan.json", "state.json", "drain.jsonl"))}
    assert kept <= set(texts)
    texts["the output"] = outcome.text
    secrets = {"the secret": SECRET, "the password": PASSWORD, "the new secret": account, "the wrong secret": WRONG}
    assert found(texts, secrets) == []
    # Everything was really said: the options of modules, with something else where the secrets were.
    assert "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER" in outcome.text
    for words in ("refused the", "nobody", "serial0", "pve9", "No API host answers", "is not trusted"):
        assert words in outcome.text, words


def test_a_secret_would_be_found() -> None:
    ticket = "Cookie: PVEAuthCookie=PVE:admin@pve:65A1B2C3::c2lnbmF0dXJl"
    csrf = f"CSRFPreventionToken: 65A1B2C3:{'a' * 43}="
    texts = {"log": f"x{SECRET}y", "state": ticket, "report": csrf, "plan": "UPID:pve1:00000412:062E0800:6B03D660:"}
    assert found(texts, {"the secret": SECRET}) == ["the secret in log", "a ticket in state", "a CSRF token in report"]
