# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no linter knows: the rules of this house, each a list that must be empty."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Set
from pathlib import Path

import pytest
import yaml

from tools.tree import sync

TREE = sync()
PYTHON = frozenset({".py"})
TEXT = frozenset({".cfg", ".in", ".j2", ".json", ".md", ".py", ".rst", ".sh", ".toml", ".txt", ".yaml", ".yml"})
ROOT_FILES = {"Makefile", "run", ".gitignore", ".yamllint", ".ansible-lint"}
# One letter of each word stands in brackets, so that this file keeps the rules that it states.
MACHINE = re.compile(r"(?<![\w.}\]])/(?:w[o]rk|r[o]ot|f[a]rm|tmp/b[r]ief|tmp/v[e]nv)(?=/|\b)")
LEFT_OVER = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X])\b|NotImplemented[E]rror|mark\.s[k]ip|unittest\.s[k]ip")
# Texts of other hands: the licence, and what genuine clusters answered.
FOREIGN = ("LICENSES/", "tests/conformance/recorded/", "tests/conformance/timelines/")
CLOCK_CALLS = {"sleep", "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "now", "utcnow", "today"}
CLOCK_MODULES = {"time", "datetime", "date", "asyncio"}
MODULE_CODE_LINES = 160


def files(*folders: str, suffixes: Set[str] = PYTHON) -> Iterator[tuple[str, str]]:
    """Name and text of the project's files under the folders; all of them for none."""
    for path in sorted(TREE.rglob("*")):
        name = path.relative_to(TREE).as_posix()
        if "__pycache__" in path.parts or not path.is_file() or name.startswith(FOREIGN):
            continue
        if folders and not name.startswith(tuple(f"{folder}/" for folder in folders)):
            continue
        if path.suffix in suffixes or (suffixes is TEXT and path.name in ROOT_FILES):
            yield name, path.read_text(encoding="utf-8")


def lines_with(pattern: re.Pattern[str], texts: Iterator[tuple[str, str]]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def nodes_with(test: Callable[[ast.AST], bool], texts: Iterator[tuple[str, str]]) -> list[str]:
    return [
        f"{name}:{node.lineno}: {ast.unparse(node).splitlines()[0][:100]}"  # type: ignore[attr-defined]
        for name, text in texts
        for node in ast.walk(ast.parse(text))
        if test(node)
    ]


def catches_everything(node: ast.AST) -> bool:
    if not isinstance(node, ast.ExceptHandler):
        return False
    kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(kind is None or ast.unparse(kind).rpartition(".")[2] in ("Exception", "BaseException") for kind in kinds)


def reads_the_clock(node: ast.AST) -> bool:
    """``time.sleep(...)`` and the like, and importing such a function by name."""
    if isinstance(node, ast.ImportFrom):
        return node.module == "time" and any(alias.name in CLOCK_CALLS for alias in node.names)
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLOCK_CALLS
        and ast.unparse(node.func.value).rpartition(".")[2] in CLOCK_MODULES
    )


def code_lines(text: str) -> int:
    """Lines of code, without comments, blank lines and the documentation strings of a module file."""
    tree = ast.parse(text)
    counted: set[int] = set()
    for statement in tree.body:
        is_text = isinstance(statement, (ast.Assign, ast.Expr)) and isinstance(statement.value, ast.Constant)
        if not is_text:
            counted |= {node.lineno for node in ast.walk(statement) if hasattr(node, "lineno")}
    return len(counted)


def nothing(found: list[str]) -> None:
    """Fail with one line for each thing found."""
    assert not found, "\n" + "\n".join(found)


def test_no_path_of_one_machine() -> None:
    nothing(lines_with(MACHINE, files(suffixes=TEXT)))


def test_no_left_overs() -> None:
    folders = ("plugins", "lab", "roles", "playbooks", "extensions", "tests", "tools")
    nothing(lines_with(LEFT_OVER, files(*folders, suffixes={".py", ".yml", ".yaml", ".md"})))


def test_no_handler_catches_everything() -> None:
    nothing(nodes_with(catches_everything, files("plugins", "lab", "tools")))


def test_only_the_clock_reads_the_clock() -> None:
    texts = ((name, text) for name, text in files("plugins") if Path(name).name != "clock.py")
    nothing(nodes_with(reads_the_clock, texts))


def test_a_file_holds_one_idea() -> None:
    long = [f"{name}: {text.count(chr(10))} lines" for name, text in files() if text.count("\n") > 500]
    nothing(long)


def test_a_module_file_is_thin() -> None:
    thick = {name: code_lines(text) for name, text in files("plugins/modules")}
    nothing([f"{name}: {count} lines of code" for name, count in thick.items() if count > MODULE_CODE_LINES])


def test_every_python_file_names_its_licence_first() -> None:
    head = re.compile(
        r"(#!.*\n)?(# -\*-.*\n)?"
        r"# SPDX-FileCopyrightText: 2026 pve\.mobility contributors\n# SPDX-License-Identifier: GPL-3\.0-or-later\n"
    )
    nothing([name for name, text in files() if text and not head.match(text)])


def test_every_plugin_names_the_licence_as_ansible_wants_it() -> None:
    line = "# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)"
    nothing([name for name, text in files("plugins") if text and line not in text[:600]])


def test_the_action_group_holds_every_module_that_speaks_to_the_api() -> None:
    """An action plugin has its documentation in the module file of the same name, so modules stand for both."""
    runtime = yaml.safe_load((TREE / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    speaking = {
        Path(name).stem
        for name, text in files("plugins/modules", suffixes=PYTHON | {".yml"})
        if re.search(r"^\s*- pve\.mobility\.api\b", text, re.M)
    }
    assert set(runtime["action_groups"]["api"]) == speaking


def test_sanity_ignores_nothing() -> None:
    assert sorted((TREE / "tests").glob("sanity/ignore*")) == []


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (catches_everything, "try:\n    pass\nexcept Exception:\n    pass"),
        (catches_everything, "try:\n    pass\nexcept (OSError, Exception) as e:\n    pass"),
        (catches_everything, "try:\n    pass\nexcept:\n    pass"),
        (reads_the_clock, "import time\ntime.sleep(1)"),
        (reads_the_clock, "from time import monotonic"),
        (reads_the_clock, "import datetime\ndatetime.datetime.now()"),
    ],
)
def test_a_rule_sees_what_it_forbids(rule: Callable[[ast.AST], bool], text: str) -> None:
    assert len(nodes_with(rule, iter([("file.py", text)]))) == 1


@pytest.mark.parametrize(
    ("pattern", "line"),
    [(MACHINE, "cd /wo" + "rk/main"), (MACHINE, '"/ro' + 'ot/.ssh"'), (LEFT_OVER, "# TO" + "DO: later")],
)
def test_a_pattern_sees_what_it_forbids(pattern: re.Pattern[str], line: str) -> None:
    assert len(lines_with(pattern, iter([("file", line)]))) == 1


@pytest.mark.parametrize("line", ["https://host/path/wo" + "rk/x", "zfs: rpool/ro" + "ot", "the wo" + "rk of /etc/pve"])
def test_a_pattern_passes_what_is_harmless(line: str) -> None:
    assert lines_with(MACHINE, iter([("file", line)])) == []
