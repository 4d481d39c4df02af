# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``ansible-doc`` and the site say is complete: returned values, units, kinds of failures, pages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.area import CHECKOUT

MODULES = sorted((CHECKOUT / "plugins" / "modules").glob("*.py"))
FRAGMENTS = CHECKOUT / "plugins" / "doc_fragments"
SITE = CHECKOUT / "docs" / "docsite"
PAGES = sorted((SITE / "rst").glob("*.rst"))
# Words in the name of an option that say that it is a quantity, and those that say in what.
QUANTITY = re.compile(r"(?<!on_)timeout|bwlimit|(?<!_)rate$|max_age|_after$|start_for|^rpo$")
UNIT = re.compile(r"seconds?|Unix time|KiB/s|MB/s|MiB|per cent|minutes", re.IGNORECASE)


def documented(module: Path) -> dict[str, Any]:
    """DOCUMENTATION and RETURN of a module file."""
    texts = {
        statement.targets[0].id: yaml.safe_load(statement.value.value)
        for statement in ast.parse(module.read_text(encoding="utf-8")).body
        if isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Name)
        and isinstance(statement.value, ast.Constant)
        and statement.targets[0].id in ("DOCUMENTATION", "RETURN")
    }
    return {"RETURN": {}, **texts}


def entries(values: dict[str, Any], above: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, value in values.items():
        yield f"{above}{name}", value
        yield from entries(value.get("contains") or value.get("suboptions") or {}, f"{above}{name}.")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_each_returned_value_says_what_and_when_and_shows_one(module: Path) -> None:
    wrong = []
    for name, value in entries(documented(module)["RETURN"]):
        needed = {"description", "type"}
        if "." not in name:
            needed.add("returned")
        if value.get("type") != "bool" and "contains" not in value:
            needed.add("sample")
        wrong += [f"{name} has no {key}" for key in sorted(needed - set(value))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_each_option_says_what_it_is_and_in_which_unit(module: Path) -> None:
    wrong = []
    for name, value in entries(documented(module)["DOCUMENTATION"].get("options") or {}):
        text = str(value.get("description", ""))
        if not text or "type" not in value:
            wrong.append(f"{name} has no description or no type")
        if QUANTITY.search(name.rpartition(".")[2]) and not UNIT.search(text):
            wrong.append(f"{name}: in which unit?")
    assert not wrong, "\n".join(wrong)


def kinds() -> set[str]:
    """Kinds of failures that the code knows."""
    text = (CHECKOUT / "plugins" / "module_utils" / "api" / "errors.py").read_text(encoding="utf-8")
    return set(re.findall(r'^    kind = "(\w+)"$', text, re.MULTILINE))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_each_module_says_how_it_fails(module: Path) -> None:
    failure = documented(module)["RETURN"].get("failure", {})
    said = set(re.findall(r"V\((\w+)\)", str(failure.get("contains", {}).get("kind", {}).get("description"))))
    assert said, "RETURN has no failure.kind with its values"
    assert said <= kinds(), said - kinds()
    if "pve.mobility.api" in str(documented(module)["DOCUMENTATION"].get("extends_documentation_fragment")):
        assert said >= {"permission", "node_unreachable", "invalid"}, (
            "whatever speaks to the API can fail in these ways"
        )


def test_each_kind_of_failure_is_explained() -> None:
    page = (SITE / "rst" / "errors.rst").read_text(encoding="utf-8")
    explained = set(re.findall(r"^``(\w+)``\n-+$", page, re.MULTILINE))
    assert explained == kinds()


def test_the_site_lists_each_page() -> None:
    sections = yaml.safe_load((SITE / "extra-docs.yml").read_text(encoding="utf-8"))["sections"]
    listed = [page for section in sections for page in section["toctree"]]
    assert sorted(listed) == [page.stem for page in PAGES]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_the_examples_of_a_module_fit_its_options(module: Path) -> None:
    known = set(_options(module))
    text = re.search(r'EXAMPLES = r"""\n(.*?)"""', module.read_text(encoding="utf-8"), re.DOTALL)
    assert text, "no EXAMPLES"
    tasks = [task for task in yaml.safe_load(text[1]) if f"pve.mobility.{module.stem}" in task]
    assert tasks, "no example of the module itself"
    for task in tasks:
        unknown = set(task[f"pve.mobility.{module.stem}"] or {}) - known
        assert not unknown, f"{task['name']}: {unknown}"


def _options(module: Path) -> Iterator[str]:
    yield from documented(module)["DOCUMENTATION"].get("options") or {}
    text = (FRAGMENTS / "api.py").read_text(encoding="utf-8")
    yield from re.findall(r"^  (api_\w+|validate_certs|ca_path):$", text, re.MULTILINE)
