# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write constraints*.txt: the newest versions that fit together, for each tested Python.

``constraints.txt`` is for the tools and tests, ``constraints-field.txt`` for the environment of requirements-field.txt,
and ``constraints-2.20.txt`` says what is different under that ansible-core, which no Python takes as its newest.

Asks the package index through pip, once with each Python, so all of them must be installed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.area import CHECKOUT

PYTHONS = ("3.11", "3.12", "3.13")
MIDDLE = ("2.20", "3.12")
"""The ansible-core that must be asked for, and the Python that it is tested with."""
HEAD = """\
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# {}. Written by make pins.
"""


def main() -> int:
    _write("constraints.txt", "Exact versions of everything that make test installs", _all("requirements-dev.txt"))
    _write(
        "constraints-field.txt", "Exact versions of what requirements-field.txt brings", _all("requirements-field.txt")
    )
    core, python = MIDDLE
    found = _resolve("requirements-core.txt", python, f"ansible-core=={core}.*")["ansible-core"]
    _write(f"constraints-{core}.txt", f"What is different under ansible-core {core}", [f"ansible-core=={found}"])
    return 0


def _write(name: str, title: str, lines: list[str]) -> None:
    (CHECKOUT / name).write_text(HEAD.format(title) + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"{name}: {len(lines)} lines")


def _all(requirements: str) -> list[str]:
    """A line for each name and version, with the Pythons that it is for."""
    found = {python: _resolve(requirements, python) for python in PYTHONS}
    lines = []
    for name in sorted({name for versions in found.values() for name in versions}):
        by_version: dict[str, list[str]] = {}
        for python in PYTHONS:
            if name in found[python]:
                by_version.setdefault(found[python][name], []).append(python)
        for version, pythons in sorted(by_version.items()):
            lines.append(f"{name}=={version}{_marker(pythons)}")
    return lines


def _marker(pythons: list[str]) -> str:
    """The marker for a run of Pythons; a newer one than those tested is treated as the newest."""
    parts = []
    if pythons[0] != PYTHONS[0]:
        parts.append(f'python_version >= "{pythons[0]}"')
    if pythons[-1] != PYTHONS[-1]:
        parts.append(f'python_version <= "{pythons[-1]}"')
    return f" ; {' and '.join(parts)}" if parts else ""


def _resolve(requirements: str, python: str, *more: str) -> dict[str, str]:
    """Name and version of all that the requirements bring under one Python."""
    command = ["sh", "tools/python.sh", python]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON"}
    interpreter = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout.strip()
    with tempfile.TemporaryDirectory() as folder:
        # The same requirements, without the old pins.
        for path in CHECKOUT.glob("requirements*.txt"):
            text = re.sub(r"^-c .*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            Path(folder, path.name).write_text(text, encoding="utf-8")
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "pip", "--python", interpreter, "install", "--quiet", "--dry-run"]
        command += ["--ignore-installed", "--break-system-packages", "--report", str(report)]
        command += ["--requirement", str(Path(folder, requirements)), *more]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        installs = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {item["metadata"]["name"].lower(): item["metadata"]["version"] for item in installs}


if __name__ == "__main__":
    sys.exit(main())
