# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples in the documentation of each module and each role run as they stand, on a cluster with all they name."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.examples import Reader
from tools.area import CHECKOUT
from tools.tree import sync

MODULES = sorted((CHECKOUT / "plugins" / "modules").glob("*.py"))
ROLES = sorted((CHECKOUT / "roles").glob("*/README.md"))
LAB = CHECKOUT / "docs" / "labs" / "reference.yml"

LVM = {104: {"node": "pve1", "name": "mail", "memory": "4G", "disk": "local-lvm:20G"}}
RAW = {
    103: {"node": "pve1", "name": "billing-db", "memory": "8G", "disk": "local-lvm:32G"},
    104: {"node": "pve1", "name": "mail", "memory": "4G", "disks": {"scsi0": "nfs:20G", "scsi1": "nfs:8G"}},
    200: {"node": "pve3", "type": "ct", "name": "dns", "memory": "512M", "disk": "nfs-old:4G"},
}
OTHERWISE: dict[str, dict[int, Any]] = {"migrate": LVM, "move_disk": RAW}
"""Guests that are otherwise for the examples of a module."""

BEFORE: dict[str, str] = {
    "follow": """
- name: A move to follow
  pve.mobility.migrate: {guest: billing-db, target: pve2, wait: false}
""",
    "preflight": """
- name: A snapshot
  pve.mobility.cluster_info: {subset: [all, history]}
  register: snapshot
""",
    "upgrade_plan": """
- name: A snapshot
  pve.mobility.cluster_info: {subset: [all, history]}
  register: snapshot
""",
    "upgrade_report": """
- name: The first drain
  pve.mobility.drain: {node: pve1}
  register: first
- name: The second drain
  pve.mobility.drain: {node: pve2}
  register: second
""",
}
"""Tasks whose results the examples of a module use."""

HOSTS = {"node_maintenance": "pve3", "zfs_info": "pve1:pve2:pve3:pve4"}
"""Where modules run that look at a node itself."""

SSH = """#!/bin/sh
cat >/dev/null
echo "536870912 bytes (537 MB, 512 MiB) copied, 0.4 s, 1.3 GB/s"
"""
"""What a node hears from the next one to which it sends zeros, over a link of 10 Gbit/s."""


@pytest.fixture(scope="module", autouse=True)
def collection() -> None:
    sync()


def examples_of(module: Path) -> str:
    for item in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(item, ast.Assign) and ast.unparse(item.targets[0]) == "EXAMPLES":
            return str(ast.literal_eval(item.value))
    raise AssertionError(f"{module.name} has no examples")


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_examples_of_modules(module: Path, tmp_path: Path) -> None:
    name = module.stem
    cluster = yaml.safe_load(LAB.read_text(encoding="utf-8"))
    cluster["guests"] |= OTHERWISE.get(name, {})
    (tmp_path / "lab.yml").write_text(yaml.safe_dump(cluster), encoding="utf-8")
    tasks = yaml.safe_load(BEFORE.get(name, "")) or []
    play = {"name": name, "hosts": HOSTS.get(name, "localhost"), "gather_facts": False}
    play["tasks"] = [*tasks, *yaml.safe_load(examples_of(module))]
    page = tmp_path / f"{name}.md"
    text = yaml.safe_dump([play], sort_keys=False)
    page.write_text(f"<!-- lab: {tmp_path / 'lab.yml'} -->\n\n```yaml\n{text}```\n", encoding="utf-8")
    Reader(page, tmp_path).read()


@pytest.mark.parametrize("page", ROLES, ids=lambda page: page.parent.name)
def test_examples_of_roles(page: Path, tmp_path: Path) -> None:
    (tmp_path / page.name).write_text(f"<!-- lab: {LAB} -->\n\n{page.read_text(encoding='utf-8')}", encoding="utf-8")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ssh").write_text(SSH, encoding="utf-8")
    (tmp_path / "bin" / "ssh").chmod(0o755)
    Reader(tmp_path / page.name, tmp_path).read()
