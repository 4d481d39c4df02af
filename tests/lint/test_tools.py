# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools in a checkout of their own: any folder, any name, with git or without it."""

from __future__ import annotations

import contextlib
import marshal
import os
import select
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools import check
from tools.area import QUICK

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["plain", "with a blank's name"])
def checkout(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A small project with the real tools."""
    folder = tmp_path / request.param
    shutil.copytree(CHECKOUT / "tools", folder / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / ".gitignore", folder)
    write(folder, "galaxy.yml", "plugins/module.py", "plugins/sub folder/data.json")
    write(folder, "build/old", ".idea/x", "lab/__pycache__/x.pyc", "lab/x.pyc", "again.retry", "tests/output/x")
    return folder


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name, encoding="utf-8")


def run(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), "TMPDIR": str(folder.parent)} | variables
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def sync(folder: Path) -> tuple[Path, set[str]]:
    outcome = run(folder, sys.executable, "-m", "tools.tree")
    assert outcome.returncode == 0, outcome.stderr
    tree = Path(outcome.stdout.strip())
    assert tree.parts[-3:] == ("ansible_collections", "pve", "mobility")
    names = {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()}
    return tree, {name for name in names if not name.startswith("tools/")}


FILES = {".gitignore", "galaxy.yml", "plugins/module.py", "plugins/sub folder/data.json"}


@pytest.mark.parametrize("versioned", [False, True])
def test_the_tree_holds_the_files_of_the_project_only(checkout: Path, versioned: bool) -> None:
    if versioned:
        assert run(checkout, "git", "init", "--quiet").returncode == 0
        assert run(checkout, "git", "add", "galaxy.yml").returncode == 0
    assert sync(checkout)[1] == FILES


def test_an_archive_unpacked_inside_another_repository_is_itself(checkout: Path) -> None:
    run(checkout.parent, "git", "init", "--quiet")
    (checkout.parent / ".gitignore").write_text("*\n", encoding="utf-8")
    assert sync(checkout)[1] == FILES


def test_the_tree_follows_the_checkout(checkout: Path) -> None:
    sync(checkout)
    (checkout / "plugins" / "module.py").write_text("new", encoding="utf-8")
    (checkout / "galaxy.yml").unlink()
    shutil.rmtree(checkout / "plugins" / "sub folder")
    write(checkout, "roles/new.yml")
    tree, names = sync(checkout)
    assert names == {".gitignore", "plugins/module.py", "roles/new.yml"}
    assert (tree / "plugins" / "module.py").read_text(encoding="utf-8") == "new"


def test_no_path_that_ansible_starts_has_blanks(checkout: Path) -> None:
    tree, _names = sync(checkout)
    assert " " not in str(tree)
    assert (checkout / "build" / "collections" / "ansible_collections").resolve() == tree.parent.parent.resolve()


def test_a_machine_without_python_is_told_what_to_install(checkout: Path) -> None:
    outcome = run(checkout, "/bin/sh", "tools/python.sh", PATH="/nonexistent")
    assert (outcome.returncode, outcome.stdout) == (2, "")
    assert outcome.stderr.startswith("No suitable Python was found: install Python 3.11")
    assert outcome.stderr.count("\n") == 1


def test_a_python_that_only_pretends_is_passed_over(checkout: Path) -> None:
    """Version managers put stand-ins on the path for versions that are not selected."""
    for name, text in (("a", "#!/bin/sh\nexit 127\n"), ("b", f"#!/bin/sh\nexec '{sys.executable}' \"$@\"\n")):
        write(checkout, f"{name}/python3")
        (checkout / name / "python3").write_text(text, encoding="utf-8")
        (checkout / name / "python3").chmod(0o755)
    path = os.pathsep.join(str(checkout / name) for name in "ab")
    outcome = run(checkout, "/bin/sh", "tools/python.sh", PATH=path)
    assert outcome.stdout == f"{checkout / 'b' / 'python3'}\n"


def test_a_step_that_does_not_end_is_stopped_with_all_that_it_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = tmp_path / "held open by every process of the step"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        step = check.Step("endless", ("sh", "-c", f"exec 9>'{pipe}'; sleep 60 & wait"), folder=tmp_path, limit=3)
        assert check._call(step) == 124
        assert "endless was stopped: it had not ended after 3 s." in capsys.readouterr().out
        # The pipe ends when the last of them is gone.
        assert select.select([reader], [], [], 30)[0] == [reader]
    finally:
        os.close(reader)


def test_a_step_fails_when_its_command_fails(tmp_path: Path) -> None:
    assert check._call(check.Step("bad", ("sh", "-c", "exit 3"), folder=tmp_path)) == 3
    assert check._call(check.Step("missing", ("no-such-tool",), folder=tmp_path)) == 127


def test_steps_beside_each_other_are_each_told_with_what_they_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "_tidy", lambda steps: None)
    # The step that this test is part of holds the lock.
    monkeypatch.setattr(check, "locked", lambda name: contextlib.nullcontext())
    meeting = tmp_path / "meeting"
    os.mkfifo(meeting)
    steps = [
        # Neither ends before the other has begun.
        check.Step("one", ("sh", "-c", f"echo from one; : > '{meeting}'"), folder=tmp_path, limit=30),
        check.Step("two", ("sh", "-c", f"read x < '{meeting}'; echo from two >&2; exit 3"), folder=tmp_path, limit=30),
        check.Step("three", ("false",), folder=tmp_path, nothing="nothing to do here"),
    ]
    assert sorted(check._run_beside(steps)) == [("one", True), ("three", True), ("two", False)]
    said = capsys.readouterr().out
    assert "from one\n\nok: one" in said and "from two\n\nFAILED: two" in said and "nothing to do here" in said


def test_the_bytecode_of_an_archive_is_remembered_as_long_as_its_source_is_the_same(tmp_path: Path) -> None:
    where = "def where(): return where.__code__.co_filename\n"

    def value(name: str, source: str) -> str:
        with zipfile.ZipFile(tmp_path / name, "w") as opened:
            opened.writestr("part.py", source + where)
        program = f"import sys; sys.path.insert(0, {name!r}); import part; print(part.VALUE, part.where())"
        outcome = run(tmp_path, sys.executable, "-c", program, PYTHONPYCACHEPREFIX=str(tmp_path / "cache"), **QUICK)
        assert outcome.returncode == 0, outcome.stderr
        return outcome.stdout.strip()

    assert value("first.zip", "VALUE = 1\n") == f"1 {Path('first.zip', 'part.py')}"
    (kept,) = (tmp_path / "cache" / "zipped").iterdir()
    kept.write_bytes(marshal.dumps(compile("VALUE = 'remembered'\n" + where, "elsewhere", "exec")))
    assert value("second.zip", "VALUE = 1\n") == f"remembered {Path('second.zip', 'part.py')}"
    assert value("first.zip", "VALUE = 2\n") == f"2 {Path('first.zip', 'part.py')}"
