# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run programs as a user does who never saw the repository: another folder, another home, no variable of this one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tools.area import AREA, CHECKOUT

_KEPT = ("LANG", "LC_ALL", "TMPDIR", "JAVA_HOME")
FIELD = AREA / f"field-{sys.version_info.major}.{sys.version_info.minor}"
"""The environment of requirements-field.txt."""


@dataclass(frozen=True, slots=True)
class Outside:
    """:param folder: where programs run, with ``collections`` in it. :param path: where programs are found."""

    folder: Path
    path: str

    @property
    def collection(self) -> Path:
        return self.folder / "collections" / "ansible_collections" / "pve" / "mobility"

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            "PATH": self.path,
            "HOME": str(self.folder),
            # As a shell says it.
            "PWD": str(self.folder),
            "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
            "COLUMNS": "160",
            **(more or {}),
        }

    def run(
        self, *command: str, environment: Mapping[str, str] | None = None, limit: float = 300
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def in_field(self) -> Outside:
        """The same place with the programs of requirements-field.txt, which are set up if need be."""
        _set_up_field()
        return Outside(self.folder, f"{FIELD / 'bin'}{os.pathsep}{self.path}")


@cache
def _set_up_field() -> None:
    command = [sys.executable, "-m", "tools.enter", "field", "true"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
