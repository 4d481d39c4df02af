# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive holds what belongs to a collection, and works with nothing of the repository around it."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.clusters import STORAGES
from tests.integration.harness import Lab, running_lab
from tests.package.outside import Outside

BELONGS = {
    *("CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "COPYING", "FILES.json", "LICENSES", "MANIFEST.json", "README.md"),
    *(
        "REUSE.toml",
        "SECURITY.md",
        "changelogs",
        "docs",
        "extensions",
        "meta",
        "playbooks",
        "plugins",
        "requirements.txt",
    ),
    "roles",
}
PLAYBOOK = """\
- name: Everything that a collection brings
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Judge a move
      pve.mobility.preflight:
        scope: move
        guest: web
        target: pve2
    - name: Move a guest
      pve.mobility.migrate:
        guest: web
        target: pve2
      register: moved
    - name: It is there
      ansible.builtin.assert:
        that: moved is changed and moved.node == 'pve2'
    - name: Empty the other node
      ansible.builtin.include_role:
        name: pve.mobility.drain_node
      vars:
        drain_node_name: pve1
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    guests = {
        100: {"node": "pve1", "name": "web", "memory": "1G", "disk": "ceph:8G"},
        200: {"node": "pve1", "type": "ct", "name": "dns", "memory": "512M", "disk": "ceph:4G"},
    }
    nodes = ["pve1", "pve2", "pve3"]
    with running_lab({"name": "alone", "nodes": nodes, "storages": STORAGES, "guests": guests}) as running:
        yield running


def test_the_archive_holds_what_belongs_to_a_collection(archive: Path) -> None:
    with tarfile.open(archive) as opened:
        names = opened.getnames()
    assert {name.partition("/")[0] for name in names} == BELONGS
    assert {name.split("/")[1] for name in names if name.startswith("extensions/")} == {"eda"}


def test_modules_a_role_and_a_playbook_work_without_the_repository(outside: Outside, lab: Lab) -> None:
    outside.write("site.yml", PLAYBOOK)
    done = outside.run("ansible-playbook", "site.yml", environment=lab.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    nodes = {row["vmid"]: row["node"] for row in lab.api("/cluster/resources?type=vm")}
    assert "pve1" not in nodes.values(), "the role has emptied the node"
    done = outside.run("ansible-playbook", "pve.mobility.audit", environment=lab.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (outside.folder / "audit-localhost.html").is_file()
