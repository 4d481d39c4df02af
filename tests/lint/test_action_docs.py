# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an action plugin does all the work, nothing else holds its documentation against the options that it takes."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import yaml

from tools.area import CHECKOUT

PLUGINS = "ansible_collections.pve.mobility.plugins"
ALONE = [
    path.stem
    for path in sorted((CHECKOUT / "plugins" / "action").glob("*.py"))
    if "\n_SPEC" in path.read_text(encoding="utf-8")
]
UNSAID = {"type": "str", "required": False, "default": None, "choices": None, "elements": None}


def shape(options: dict[str, Any]) -> dict[str, Any]:
    """What both have to say of each option."""
    found = {}
    for name, row in options.items():
        inner = row.get("suboptions") or row.get("options") or {}
        found[name] = {key: row.get(key, default) for key, default in UNSAID.items()} | {"options": shape(inner)}
    return found


def test_there_are_such_plugins() -> None:
    assert {"preflight", "upgrade_plan"} <= set(ALONE)


@pytest.mark.parametrize("name", ALONE)
def test_the_documentation_has_the_options_that_the_plugin_takes(name: str) -> None:
    said = yaml.safe_load(importlib.import_module(f"{PLUGINS}.modules.{name}").DOCUMENTATION)["options"]
    taken = importlib.import_module(f"{PLUGINS}.action.{name}")._SPEC
    told, takes = shape(said), shape(taken)
    # Rules are checked one by one, so that each mistake is a sentence of its own.
    for rows in (told, takes):
        rows.get("rules", {}).pop("options", None)
    assert told == takes
