# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set up everything that a front door of the project needs, then become the wanted command.

``python -m tools.enter PROFILE COMMAND...`` runs under any Python from 3.11 with nothing installed. PROFILE names the
requirements: ``demo`` (requirements-demo.txt) or ``dev`` (requirements-dev.txt, which includes the former).
"""

from __future__ import annotations

import hashlib
import locale
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

from tools.area import AREA, CACHE, CHECKOUT, COLLECTIONS, HOME, link, locked
from tools.tree import sync

PROFILES = ("demo", "dev")
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
VENV = AREA / f"venv-{VERSION}"


def main(arguments: list[str]) -> None:
    if len(arguments) < 2 or arguments[0] not in PROFILES:
        sys.exit(f"usage: python -m tools.enter {'|'.join(PROFILES)} COMMAND...")
    profile, *command = arguments
    _set_up(profile)
    sync()
    environment = _environment()
    # A program replaces this one, so that signals and the exit code are its own.
    sys.stdout.flush()
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        sys.exit(f"Cannot run {command[0]}: {error.strerror}.")


def _set_up(profile: str) -> None:
    """Make the environment, or bring it up to date; does nothing when it already is."""
    with locked("venv"):
        stamps = {name: VENV / f".ready-{name}" for name in PROFILES}
        marks = {name: _mark(f"requirements-{name}.txt") for name in PROFILES}
        if _read(stamps[profile]) != marks[profile] or not (VENV / "bin" / "python").exists():
            started = time.monotonic()
            print(f"Setting up Python {VERSION} with requirements-{profile}.txt in {VENV} …", flush=True)
            if _read(VENV / ".origin") != _origin():
                _create()
            _install(f"requirements-{profile}.txt")
            # The requirements of dev include those of demo.
            for name in PROFILES[: PROFILES.index(profile) + 1]:
                stamps[name].write_text(marks[name], encoding="utf-8")
            print(f"Set up in {time.monotonic() - started:.0f} s.", flush=True)
    link("venv", VENV)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _origin() -> str:
    """Scripts in an environment carry its absolute path, and it belongs to one Python."""
    return f"{VENV}\n{sys.version}\n{os.path.realpath(sys.executable)}\n"


def _mark(name: str) -> str:
    """A digest of a requirements file and all that it includes."""
    digest = hashlib.sha256(_origin().encode())
    waiting = [name]
    while waiting:
        text = (CHECKOUT / waiting.pop()).read_text(encoding="utf-8")
        digest.update(text.encode())
        waiting += [line[3:].strip() for line in text.splitlines() if line.startswith(("-r ", "-c "))]
    return digest.hexdigest()


def _create() -> None:
    shutil.rmtree(VENV, ignore_errors=True)
    try:
        venv.EnvBuilder(with_pip=True, symlinks=True).create(VENV)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"Cannot make a virtual environment in {VENV} with {sys.executable}: {error}")
    (VENV / ".origin").write_text(_origin(), encoding="utf-8")


def _install(requirements: str) -> None:
    command = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-input", "--requirement", str(CHECKOUT / requirements)]
    outcome = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if outcome.returncode:
        print(outcome.stdout, outcome.stderr, sep="", file=sys.stderr)
        sys.exit(
            f"pip could not install {requirements} into {VENV} (its output is above): check that a package index can be"
            " reached, then run the same command again."
        )


def _environment() -> dict[str, str]:
    """The surroundings of each command: this environment first, only this collection, nobody's settings."""
    environment = dict(os.environ)
    for name in list(environment):
        # What a user has set for Ansible or Python at large would make this run differ from the next one's.
        if name.startswith(("ANSIBLE_", "MOLECULE_")) or name in ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"):
            del environment[name]
    empty = AREA / "ansible.cfg"
    if not empty.exists():
        empty.write_text("[defaults]\n", encoding="utf-8")
    environment |= {
        "VIRTUAL_ENV": str(VENV),
        "PATH": f"{VENV / 'bin'}{os.pathsep}{environment.get('PATH', os.defpath)}",
        "PYTHONPYCACHEPREFIX": str(CACHE / "bytecode"),
        "PYTHONUNBUFFERED": "1",
        "ANSIBLE_CONFIG": str(empty),
        "ANSIBLE_HOME": str(HOME / ".ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(CACHE / "hypothesis"),
        "MYPY_CACHE_DIR": str(CACHE / "mypy"),
        "RUFF_CACHE_DIR": str(CACHE / "ruff"),
    }
    if not _utf8():
        # Ansible refuses to start in any other locale.
        environment["LC_ALL"] = "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"
    return environment


def _utf8() -> bool:
    try:
        locale.setlocale(locale.LC_ALL, "")
    except locale.Error:
        return False
    return locale.getencoding().lower().replace("-", "") == "utf8" and locale.getlocale()[0] is not None


if __name__ == "__main__":
    main(sys.argv[1:])
