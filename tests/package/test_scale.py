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
import textwrap
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from tests.package.outside import Outside
from tools.area import CHECKOUT

PAGE = CHECKOUT / "docs" / "docsite" / "rst" / "scale.rst"
EXAMPLES = CHECKOUT / "docs" / "examples" / "clusters"
BROKEN = "cluster07"


@dataclass(frozen=True, slots=True)
class Labs:
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


def blocks(language: str) -> list[str]:
    """What the page shows in a language."""
    found = re.findall(
        rf"^( *)\.\. code-block:: {re.escape(language)}\n\n((?:\1 +.*\n|\n)+)",
        PAGE.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    return [textwrap.dedent(text).strip() for _indent, text in found]


def command(beginning: str) -> tuple[str, ...]:
    """The one command of the page that begins so, as words."""
    (found,) = (text for text in blocks("bash") if text.startswith(beginning))
    return "sh", "-c", found


@pytest.fixture(scope="module")
def labs(outside: Outside) -> Iterator[Labs]:
    """Twenty clusters, one of which does not answer, and the inventory of the page with their addresses."""
    inventory = outside.folder / "labs.yml"
    process = subprocess.Popen(
        [sys.executable, "-m", "lab.many", "--count", "20", "--inventory", str(inventory)],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        running = Labs(json.loads(process.stdout.readline())["clusters"])
        running.switch_off(BROKEN)
        for folder in (outside.folder, outside.folder / "job" / "inventory"):
            (folder / "host_vars").mkdir(parents=True)
            shutil.copy(EXAMPLES / "inventory.yml", folder)
            for name, given in yaml.safe_load(inventory.read_text(encoding="utf-8"))["clusters"]["hosts"].items():
                (folder / "host_vars" / f"{name}.yml").write_text(yaml.safe_dump(given), encoding="utf-8")
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def test_the_page_shows_the_files_that_are_tried() -> None:
    shown = [yaml.safe_load(text) for text in blocks("yaml+jinja")]
    files = ("inventory.yml", "execution-environment.yml", "credential_type.yml")
    assert shown == [yaml.safe_load((EXAMPLES / name).read_text(encoding="utf-8")) for name in files]
    # Each of its commands is run here, the last one in tests/rulebooks.
    assert len(blocks("bash")) == 7


def test_a_broken_cluster_does_not_hold_up_the_others(outside: Outside, labs: Labs) -> None:
    done = outside.run(
        *command("ansible-playbook -i inventory.yml -e pve_hosts=clusters --forks"), environment=labs.environment
    )
    assert done.returncode == 2, done.stdout + done.stderr
    recap = dict(re.findall(r"^(cluster\d\d) .*failed=(\d)", done.stdout, re.MULTILINE))
    assert recap == {name: str(int(name == BROKEN)) for name in labs.clusters}
    assert done.stdout.count("2 copies: 2 ok") == len(labs.clusters) - 1
    for info in labs.clusters.values():
        assert info["token_secret"] not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("beginning", "clusters"),
    [
        ("ansible-playbook -i inventory.yml -e pve_hosts=clusters --limit", 4),
        ("ansible-navigator run", 1),
        ("ansible-runner run", 1),
    ],
)
def test_a_part_of_the_clusters(outside: Outside, labs: Labs, beginning: str, clusters: int) -> None:
    done = outside.in_field().run(*command(beginning), environment=labs.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("2 copies: 2 ok") == clusters


def test_an_execution_environment_brings_what_the_modules_need(outside: Outside) -> None:
    place = outside.in_field()
    told = place.run(*command("ansible-builder introspect"))
    assert told.returncode == 0, told.stdout + told.stderr
    for wanted in ("proxmoxer", "requests", "jmespath", "openssh-clients"):
        assert re.search(rf"{wanted}\b.*from collection pve\.mobility", told.stdout), told.stdout
    shutil.copy(EXAMPLES / "execution-environment.yml", place.folder)
    done = place.run(*command("ansible-builder create"))
    assert done.returncode == 0, done.stdout + done.stderr
    # Its name depends on what is installed: Containerfile for podman, Dockerfile for docker.
    (recipe,) = (place.folder / "context").glob("*file")
    assert "ansible-galaxy collection install" in recipe.read_text(encoding="utf-8")
    requirements = (place.folder / "context" / "_build" / "requirements.yml").read_text(encoding="utf-8")
    assert "pve.mobility" in requirements
