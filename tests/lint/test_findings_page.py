# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of findings says what the checks say, and leaves none out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tools.area import CHECKOUT
from tools.findings import ELSEWHERE, PAGE, kinds, page

CODE = CHECKOUT / "plugins" / "module_utils"
ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+")


def ids() -> Iterator[str]:
    """Every id that code and roles give a finding outside of the kinds of the checks."""
    for path in CODE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            statement.targets[0].id: statement.value.value
            for statement in tree.body
            if isinstance(statement, ast.Assign)
            and isinstance(statement.targets[0], ast.Name)
            and isinstance(statement.value, ast.Constant)
        }
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and call.args and ast.unparse(call.func).endswith(("Finding", "work.find")):
                for node in ast.walk(call.args[0]):
                    value = constants.get(node.id) if isinstance(node, ast.Name) else getattr(node, "value", None)
                    if isinstance(value, str) and ID.fullmatch(value):
                        yield value
    for path in (CHECKOUT / "roles").rglob("tasks/*.yml"):
        yield from re.findall(r"'id': '([a-z-]+)'", path.read_text(encoding="utf-8"))


def test_the_page_is_what_the_checks_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tools.findings"


def test_no_finding_is_left_out() -> None:
    known = {name for rows in ELSEWHERE.values() for name in rows}
    of_checks = {kind.id for _text, some in kinds() for kind in some}
    assert set(ids()) - of_checks == known, "tools/findings.py lists them"
