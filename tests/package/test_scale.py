# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many clusters from one controller, and the programs that start playbooks elsewhere, as the page "At scale" says."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.package.outside import Outside
from tools.area import CHECKOUT

EXAMPLES = CHECKOUT / "docs" / "examples" / "clusters"
BROKEN = "cluster07"


@dataclass(frozen=True, slots=True)
class Labs:
    inventory: Path
    clusters: dict[str, dict[str, Any]]

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PROXMOX_TOKEN_SECRETS": json.dumps({name: info["token_secret"] for name, info in self.clusters.items()})
        }

    def switch_off(self, cluster: str) -> None:
        info = self.clusters[cluster]
        for node in info["nodes"]:
            body = json.dumps({"node": node, "action": "power-off"}).encode()
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(f"{info['control']}/node", body, headers)
            with urllib.request.urlopen(request, timeout=60) as answer:
                assert answer.status == 200


@pytest.fixture(scope="module")
def labs(outside: Outside) -> Iterator[Labs]:
    """Twenty clusters, one of which does not answer."""
    inventory = outside.folder / "labs.yml"
    process = subprocess.Popen(
        [sys.executable, "-m", "lab.many", "--count", "20", "--inventory", str(inventory)],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        running = Labs(inventory, json.loads(process.stdout.readline())["clusters"])
        running.switch_off(BROKEN)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


@pytest.fixture(scope="module")
def inventories(outside: Outside, labs: Labs) -> tuple[str, ...]:
    """The example, and after it what the labs have different: addresses, user, CA."""
    shutil.copy(EXAMPLES / "inventory.yml", outside.folder / "inventory.yml")
    return "-i", str(outside.folder / "inventory.yml"), "-i", str(labs.inventory), "-e", "pve_hosts=clusters"


def test_a_broken_cluster_does_not_hold_up_the_others(
    outside: Outside, labs: Labs, inventories: tuple[str, ...]
) -> None:
    command = ("ansible-playbook", *inventories, "--forks", "10", "pve.mobility.replication_audit")
    done = outside.run(*command, environment=labs.environment)
    assert done.returncode == 2, done.stdout + done.stderr
    recap = dict(re.findall(r"^(cluster\d\d) .*failed=(\d)", done.stdout, re.MULTILINE))
    assert recap == {name: str(int(name == BROKEN)) for name in labs.clusters}
    assert done.stdout.count("2 copies: 2 ok") == len(labs.clusters) - 1
    for info in labs.clusters.values():
        assert info["token_secret"] not in done.stdout + done.stderr


def test_ansible_navigator_runs_a_playbook(outside: Outside, labs: Labs, inventories: tuple[str, ...]) -> None:
    place = outside.in_field()
    command = ("ansible-navigator", "run", "pve.mobility.audit", "--ee", "false", "--mode", "stdout", "--pae", "false")
    done = place.run(*command, *inventories, "--limit", "cluster01", environment=labs.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (place.folder / "audit-cluster01.html").is_file()


def test_ansible_runner_runs_a_playbook(outside: Outside, labs: Labs, inventories: tuple[str, ...]) -> None:
    place = outside.in_field()
    (place.folder / "job").mkdir()
    command = ("ansible-runner", "run", "job", "-p", "pve.mobility.replication_audit")
    words = f"--cmdline={' '.join(inventories)} --limit cluster02"
    done = place.run(*command, words, environment=labs.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 copies: 2 ok" in done.stdout


def test_an_execution_environment_brings_what_the_modules_need(outside: Outside) -> None:
    place = outside.in_field()
    told = place.run("ansible-builder", "introspect", str(place.folder / "collections"))
    assert told.returncode == 0, told.stdout + told.stderr
    for wanted in ("proxmoxer", "requests", "jmespath", "openssh-clients"):
        assert re.search(rf"{wanted}\b.*from collection pve\.mobility", told.stdout), told.stdout
    shutil.copy(EXAMPLES / "execution-environment.yml", place.folder)
    done = place.run("ansible-builder", "create")
    assert done.returncode == 0, done.stdout + done.stderr
    # Its name depends on what is installed: Containerfile for podman, Dockerfile for docker.
    (recipe,) = (place.folder / "context").glob("*file")
    assert "ansible-galaxy collection install" in recipe.read_text(encoding="utf-8")
    requirements = (place.folder / "context" / "_build" / "requirements.yml").read_text(encoding="utf-8")
    assert "pve.mobility" in requirements
