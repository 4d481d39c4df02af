# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set up everything that a front door of the project needs, then become the wanted command.

``python -m tools.enter PROFILE COMMAND...`` runs under any Python from 3.11 with nothing installed. PROFILE names the
requirements: ``demo`` (requirements-demo.txt) or ``dev`` (requirements-dev.txt, which includes the former), which share
an environment; ``core`` (requirements-core.txt), what tests of modules need, with the ansible-core of constraints.txt;
``core-2.20``, the same with what constraints-2.20.txt says instead; ``field`` (requirements-field.txt), the programs
that a collection meets elsewhere, whose own requirements do not go together with those of the tools.
"""

from __future__ import annotations

import hashlib
import locale
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from venv import EnvBuilder

from tools.area import AREA, CACHE, CHECKOUT, COLLECTIONS, HOME, link, locked
from tools.tree import sync

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True)
class Profile:
    """:ivar includes: a profile whose requirements this one's include, and whose environment it shares."""

    name: str
    requirements: str
    folder: str = "venv"
    includes: str = ""
    instead: str = ""
    """A file of constraints that go before those of constraints.txt."""

    @property
    def venv(self) -> Path:
        return AREA / f"{self.folder}-{VERSION}"

    @property
    def stamp(self) -> Path:
        return self.venv / f".ready-{self.name}"


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("demo", "requirements-demo.txt"),
        Profile("dev", "requirements-dev.txt", includes="demo"),
        Profile("core", "requirements-core.txt", "core"),
        Profile("core-2.20", "requirements-core.txt", "core-2.20", instead="constraints-2.20.txt"),
        Profile("field", "requirements-field.txt", "field"),
    )
}


def main(arguments: list[str]) -> None:
    if len(arguments) < 2 or arguments[0] not in PROFILES:
        sys.exit(f"usage: python -m tools.enter {'|'.join(PROFILES)} COMMAND...")
    profile = PROFILES[arguments[0]]
    _set_up(profile)
    sync()
    command, environment = arguments[1:], _environment(profile.venv)
    # A program replaces this one, so that signals and the exit code are its own.
    sys.stdout.flush()
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        sys.exit(f"Cannot run {command[0]}: {error.strerror}.")


def _set_up(profile: Profile) -> None:
    """Make the environment, or bring it up to date; does nothing when it already is."""
    with locked(profile.folder):
        if _read(profile.stamp) != _mark(profile) or not (profile.venv / "bin" / "python").exists():
            started = time.monotonic()
            print(f"Setting up Python {VERSION} with {profile.requirements} in {profile.venv} …", flush=True)
            if _read(profile.venv / ".origin") != _origin(profile):
                _create(profile)
            _install(profile)
            for done in (profile, PROFILES.get(profile.includes)):
                if done is not None:
                    done.stamp.write_text(_mark(done), encoding="utf-8")
            print(f"Set up in {time.monotonic() - started:.0f} s.", flush=True)
    if profile.folder == "venv":
        link("venv", profile.venv)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _origin(profile: Profile) -> str:
    """Scripts in an environment carry its absolute path, and it belongs to one Python."""
    return f"{profile.venv}\n{sys.version}\n{os.path.realpath(sys.executable)}\n"


def _mark(profile: Profile) -> str:
    """A digest of the requirements and all that they include."""
    digest = hashlib.sha256(_origin(profile).encode())
    waiting = [profile.requirements, *([profile.instead] if profile.instead else [])]
    while waiting:
        text = (CHECKOUT / waiting.pop()).read_text(encoding="utf-8")
        digest.update(text.encode())
        waiting += [line[3:].strip() for line in text.splitlines() if line.startswith(("-r ", "-c "))]
    return digest.hexdigest()


def _create(profile: Profile) -> None:
    shutil.rmtree(profile.venv, ignore_errors=True)
    try:
        EnvBuilder(with_pip=True, symlinks=True).create(profile.venv)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"Cannot make a virtual environment in {profile.venv} with {sys.executable}: {error}")
    (profile.venv / ".origin").write_text(_origin(profile), encoding="utf-8")


def _install(profile: Profile) -> None:
    folder = _rewritten(profile.instead) if profile.instead else CHECKOUT
    command = [str(profile.venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-input", "--requirement", str(folder / profile.requirements)]
    outcome = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if outcome.returncode:
        print(outcome.stdout, outcome.stderr, sep="", file=sys.stderr)
        sys.exit(
            f"pip could not install {profile.requirements} into {profile.venv} (its output is above): check that a"
            " package index can be reached, then run the same command again."
        )


def _rewritten(instead: str) -> Path:
    """A copy of all requirements with other constraints: pip lets no constraint go before another."""
    folder = AREA / f"requirements-{VERSION}-{Path(instead).stem}"
    folder.mkdir(parents=True, exist_ok=True)
    for path in CHECKOUT.glob("requirements*.txt"):
        shutil.copy(path, folder)
    other = (CHECKOUT / instead).read_text(encoding="utf-8")
    names = {line.partition("==")[0] for line in other.splitlines() if re.match(r"\w", line)}
    lines = (CHECKOUT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line.partition("==")[0] not in names]
    (folder / "constraints.txt").write_text("\n".join(kept) + "\n" + other, encoding="utf-8")
    return folder


def _environment(venv: Path) -> dict[str, str]:
    """The surroundings of each command: this environment first, only this collection, nobody's settings."""
    environment = dict(os.environ)
    for name in list(environment):
        # What a user has set for Ansible or Python at large would make this run differ from the next one's.
        if name.startswith(("ANSIBLE_", "MOLECULE_")) or name in ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"):
            del environment[name]
    # Some images set this. Bytecode is kept out of the tree anyway, and without any each of the thousands of Pythons
    # that the tests start would compile all that it imports, the standard library included.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    empty = AREA / "ansible.cfg"
    if not empty.exists():
        empty.write_text("[defaults]\n", encoding="utf-8")
    environment |= {
        "VIRTUAL_ENV": str(venv),
        "PATH": f"{venv / 'bin'}{os.pathsep}{environment.get('PATH', os.defpath)}",
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
