# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the checks and tests of the project, one heading and one duration a step: ``python -m tools.check [PART...]``.

Parts are ``lint``, ``unit``, ``zfs``, ``sanity``, ``molecule`` and ``package``; none means all. A failed step does not
stop the others; the exit code is 1 when any failed. Nothing is left out silently: what has nothing to do yet says so.
Long steps that leave a processor idle come last, side by side.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from tools.area import AREA, CACHE, CHECKOUT, COLLECTIONS, HOME, QUICK, TREE, locked
from tools.rulebook import why_not as rulebooks_why_not
from tools.tree import sync
from tools.zfs import why_not as zfs_why_not

PACKAGE = "ansible_collections.pve.mobility.plugins"
PARTS = ("lint", "unit", "zfs", "sanity", "molecule", "package")
LANES = 3


@dataclass(frozen=True, slots=True)
class Step:
    """One command. ``nothing`` says why there is nothing to run; ``limit`` is in seconds.

    :ivar beside: of a step that keeps out of the way of others, about how many seconds it takes beside them.
    """

    title: str
    command: tuple[str, ...]
    folder: Path = TREE
    environment: dict[str, str] = field(default_factory=dict)
    nothing: str = ""
    limit: int = 900
    before: Callable[[], None] | None = None
    beside: int = 0


def main(arguments: list[str]) -> int:
    unknown = [part for part in arguments if part not in PARTS]
    if unknown:
        print(f"There is no part {unknown[0]}: choose from {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    started = time.monotonic()
    _furnish_home()
    if not sys.stdout.isatty():
        os.environ |= {"NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1"}
    steps = [step for part in arguments or PARTS for step in _STEPS[part]()]
    outcomes = [(step.title, _run(step)) for step in steps if not step.beside]
    # The longest first, so that no lane is left alone with one at the end.
    outcomes += _run_beside(sorted(filter(lambda step: step.beside, steps), key=lambda step: -step.beside))
    failed = [title for title, good in outcomes if not good]
    print(f"\n{len(outcomes)} steps in {time.monotonic() - started:.0f} s: ", end="")
    print(f"these failed: {', '.join(failed)}" if failed else "all good")
    return 1 if failed else 0


def _head(step: Step) -> None:
    print(f"\n── {step.title} {'─' * max(3, 76 - len(step.title))}", flush=True)


def _run_beside(steps: Sequence[Step]) -> list[tuple[str, bool]]:
    """Several at a time, in one clean tree; each is told when it has ended."""
    outcomes: list[tuple[str, bool]] = []
    with locked("step"), tempfile.TemporaryDirectory() as folder:
        _tidy(steps)

        def call(number: int, step: Step) -> tuple[Step, Path, int, float]:
            said, started = Path(folder) / str(number), time.monotonic()
            with said.open("wb") as output:
                return step, said, 0 if step.nothing else _call(step, output), time.monotonic() - started

        with ThreadPoolExecutor(LANES) as lanes:
            for done in as_completed([lanes.submit(call, number, step) for number, step in enumerate(steps)]):
                step, said, code, seconds = done.result()
                _head(step)
                print(step.nothing or said.read_text(encoding="utf-8", errors="replace"), flush=True)
                outcomes.append((step.title, _told(step, code, seconds)))
    return outcomes


def _tidy(steps: Iterable[Step]) -> None:
    """Tools leave files in the tree, which the next tool, or one of another run, would take for the project's."""
    sync(clean=True)
    shutil.rmtree(HOME / ".ansible" / "collections", ignore_errors=True)
    for step in steps:
        if step.before and not step.nothing:
            step.before()


def _told(step: Step, code: int, seconds: float) -> bool:
    print(f"{'ok' if code == 0 else 'FAILED'}: {step.title} ({seconds:.1f} s)", flush=True)
    return code == 0


def _run(step: Step) -> bool:
    _head(step)
    if step.nothing:
        print(step.nothing, flush=True)
        return True
    with locked("step"):
        _tidy([step])
        started = time.monotonic()
        code = _call(step)
    return _told(step, code, time.monotonic() - started)


def _call(step: Step, output: IO[bytes] | None = None) -> int:
    """The exit code; the step runs in a group of its own, so that all of it ends when its time is up."""
    if shutil.which(step.command[0]) is None:
        print(f"{step.command[0]} is missing from the environment: remove {AREA} and run make again.")
        return 127
    environment = dict(os.environ) | step.environment
    process = subprocess.Popen(
        step.command,
        cwd=step.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        start_new_session=True,
    )
    try:
        return process.wait(step.limit)
    except subprocess.TimeoutExpired:
        print(f"{step.title} was stopped: it had not ended after {step.limit} s.")
        return 124
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _lint() -> Iterator[Step]:
    yield Step("ruff check", ("ruff", "check", "--quiet", "."))
    yield Step("ruff format", ("ruff", "format", "--check", "--quiet", "."))
    yield Step("yamllint", ("yamllint", "--strict", "."))
    yield Step("reuse: every file says its licence", ("reuse", "lint", "--lines"), environment=_in_tree())
    yield Step("antsibull-changelog", ("antsibull-changelog", "lint"), environment=_in_tree())
    yield Step(
        "mypy: module_utils",
        ("mypy", "--config-file", str(TREE / "pyproject.toml"), "-p", f"{PACKAGE}.module_utils"),
        folder=AREA,
        environment={"MYPYPATH": str(COLLECTIONS)},
        nothing=_unless("plugins/module_utils", "*.py"),
    )
    yield Step("mypy: lab and tools", ("mypy", "--config-file", "pyproject.toml", "-p", "tools", "-p", "lab"))
    yield _pytest("house rules", "lint")
    yield Step(
        "antsibull-docs",
        ("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs=self", "."),
        environment=_in_tree(),
        nothing=_unless("plugins/modules", "*.py"),
    )
    yield Step(
        "ansible-lint",
        ("ansible-lint", "--nocolor", "--offline", "--strict", "--profile", "production"),
        environment=_in_tree(),
        beside=90,
    )


def _unit() -> Iterator[Step]:
    # The longest first, so that no worker is left alone with one at the end.
    longest = tuple(
        f"integration/test_{name}.py" for name in ("rolling_upgrade", "docs_examples", "reference_examples")
    )
    names = (*longest, "integration", "agreement", "unit", "lab", "conformance")
    # Tests wait for labs as much as they compute. Which of them share a lab, and stay together, is in conftest.py.
    spread = ("--numprocesses", "4", "--dist", "loadfile", "--no-loadscope-reorder")
    command = (sys.executable, "-m", "pytest", "-q", *spread, "--durations", "25")
    yield Step("pytest", (*command, *(f"tests/{name}" for name in names)), folder=CHECKOUT, limit=1800)


def _pytest(title: str, name: str) -> Step:
    return Step(
        title,
        (sys.executable, "-m", "pytest", "-q", f"tests/{name}"),
        folder=CHECKOUT,
        nothing=_unless(f"tests/{name}", "test_*.py"),
        limit=1800,
    )


def _zfs() -> Iterator[Step]:
    yield replace(_pytest("genuine ZFS: pytest tests/zfs", "zfs"), nothing=zfs_why_not())


def _sanity() -> Iterator[Step]:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    yield Step(
        "ansible-test sanity",
        ("ansible-test", "sanity", "--venv", "--python", version, "--color", "no"),
        # By itself it would list the files of the repository around the tree, which ignores the tree.
        environment=_in_tree() | {"ANSIBLE_TEST_CONTENT_ROOT": str(TREE)},
        limit=1800,
        before=_stand_in_for_get_pip,
        beside=240,
    )


def _molecule() -> Iterator[Step]:
    for file in sorted((CHECKOUT / "extensions" / "molecule").glob("*/molecule.yml")):
        name = file.parent.name
        yield Step(
            f"molecule: {name}",
            ("molecule", "test", "-s", name),
            environment=_in_tree() | QUICK,
            limit=900,
            beside={"rolling_upgrade": 120, "zfs_storage": 80, "migration_network": 70}.get(name, 40),
        )


def _package() -> Iterator[Step]:
    archive = _pytest("the archive: pytest tests/package", "package")
    yield replace(archive, command=(*archive.command, "--numprocesses", "2", "--dist", "loadfile"), beside=100)
    rulebooks = _pytest("ansible-rulebook: pytest tests/rulebooks", "rulebooks")
    yield replace(rulebooks, nothing=rulebooks_why_not(), beside=45)
    yield Step(
        "ansible-galaxy collection build",
        ("ansible-galaxy", "collection", "build", "--force", "--output-path", str(AREA / "package")),
    )


_STEPS: dict[str, Callable[[], Iterator[Step]]] = {
    "lint": _lint,
    "unit": _unit,
    "zfs": _zfs,
    "sanity": _sanity,
    "molecule": _molecule,
    "package": _package,
}


def _unless(folder: str, pattern: str) -> str:
    """Empty when the folder has such a file, else the sentence to say."""
    return "" if any((CHECKOUT / folder).rglob(pattern)) else f"nothing to do: {folder} has no {pattern} yet"


def _in_tree() -> dict[str, str]:
    """For tools that look for a repository around them, or that write to the home folder."""
    return {"HOME": str(HOME), "XDG_CACHE_HOME": str(CACHE), "GIT_CEILING_DIRECTORIES": str(TREE.parent)}


def _furnish_home() -> None:
    """Give the other home pip's settings: ansible-test hands no variable on, so they must be in a file."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    settings = {"global": {"cache-dir": str(Path.home() / ".cache" / "pip")}}
    for line in listing.splitlines():
        key, _equals, value = line.partition("=")
        section, _dot, name = key.rpartition(".")
        section = "global" if section == ":env:" else section
        settings.setdefault(section, {})[name] = str(ast.literal_eval(value)).strip().replace("\n", "\n    ")
    settings["global"] |= {"quiet": "2", "progress-bar": "off"}
    settings["global"].pop("config-file", None)
    text = "".join(
        f"[{section}]\n" + "".join(f"{name} = {value}\n" for name, value in values.items())
        for section, values in settings.items()
    )
    for folder in (HOME / ".config" / "pip", HOME / ".pip"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pip.conf").write_text(text, encoding="utf-8")
        # An index address may carry a password.
        (folder / "pip.conf").chmod(0o600)


def _stand_in_for_get_pip() -> None:
    """Spare ansible-test the download of pip from a host of its own: pip comes from Python and the package index."""
    package = importlib.util.find_spec("ansible_test")
    if package is None or package.origin is None:
        sys.exit("ansible_test is missing from the environment: run make test, which sets it up.")
    source = Path(package.origin).with_name("_internal").joinpath("python_requirements.py").read_text(encoding="utf-8")
    cache = HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for version in set(re.findall(r"pip=['\"]([\d.]+)['\"]", source)):
        script = cache / f"get_pip_{version.replace('.', '_')}.py"
        if not script.exists():
            shutil.copy(CHECKOUT / ".ci" / "get_pip.py", script)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
