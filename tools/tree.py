# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a copy of the checkout where Ansible looks for a collection: ``ansible_collections/pve/mobility``.

The checkout may lie anywhere under any name, with or without git. Only what git tracks or would track is copied, only
what changed is copied again, and what is gone from the checkout goes from the copy.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tools.area import AREA, CHECKOUT, COLLECTIONS, TREE, link, locked

_MANIFEST = AREA / ".tree"


def sync(clean: bool = False) -> Path:
    """Bring the copy up to date and return its folder; ``clean`` also removes what tools left there."""
    with locked("tree"):
        wanted = set(_files())
        before = set(_MANIFEST.read_text(encoding="utf-8").split("\0")) if _MANIFEST.exists() else set()
        for name in before - wanted:
            (TREE / name).unlink(missing_ok=True)
        # Written before the copying: a file of a run that was cut short is then known to the next one.
        TREE.mkdir(parents=True, exist_ok=True)
        _MANIFEST.write_text("\0".join(sorted(wanted)), encoding="utf-8")
        if clean:
            _remove_others(wanted)
        for name in sorted(wanted):
            _copy(CHECKOUT / name, TREE / name)
    link("collections", COLLECTIONS)
    return TREE


def _files() -> Iterator[str]:
    """The files of the project, relative to the checkout."""
    names = _from_git() if (CHECKOUT / ".git").exists() else None
    for name in _from_folder() if names is None else names:
        path = CHECKOUT / name
        if AREA not in path.parents and (path.is_symlink() or path.is_file()):
            yield name


def _from_git() -> list[str] | None:
    """What git tracks or would track; None when git is missing or refuses."""
    command = ["git", "-C", str(CHECKOUT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    # A hook that runs make has these set, for another folder perhaps.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        listing = subprocess.run(command, capture_output=True, check=True, env=environment)
    except (OSError, subprocess.CalledProcessError):
        return None
    return [os.fsdecode(name) for name in listing.stdout.split(b"\0") if name]


def _from_folder() -> Iterator[str]:
    """All files but those that .gitignore names, for an unpacked archive."""
    lines = (CHECKOUT / ".gitignore").read_text(encoding="utf-8").splitlines()
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]

    def ignored(name: str, folder: bool) -> bool:
        for pattern in patterns:
            if pattern.endswith("/") and not folder:
                continue
            bare = pattern.rstrip("/")
            subject = "/" + name if bare.startswith("/") else os.path.basename(name)
            if fnmatch.fnmatchcase(subject, bare):
                return True
        return False

    for folder, folders, files in os.walk(CHECKOUT):
        base = os.path.relpath(folder, CHECKOUT)
        base = "" if base == "." else base + "/"
        folders[:] = [name for name in folders if name != ".git" and not ignored(base + name, True)]
        yield from (base + name for name in files if not ignored(base + name, False))


def _remove_others(wanted: set[str]) -> None:
    """Delete what does not belong to the copy, and the folders that are empty then."""
    for folder, folders, files in os.walk(TREE, topdown=False):
        base = os.path.relpath(folder, TREE)
        base = "" if base == "." else base + "/"
        for name in files:
            if base + name not in wanted:
                os.unlink(os.path.join(folder, name))
        for name in folders:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                if base + name not in wanted:
                    os.unlink(path)
            elif not os.listdir(path):
                os.rmdir(path)


def _copy(source: Path, target: Path) -> None:
    if source.is_symlink():
        if not (target.is_symlink() and target.readlink() == source.readlink()):
            target.unlink(missing_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source.readlink())
        return
    new = source.stat()
    if target.is_file() and not target.is_symlink():
        old = target.stat()
        if (old.st_size, old.st_mtime_ns, old.st_mode) == (new.st_size, new.st_mtime_ns, new.st_mode):
            return
    target.parent.mkdir(parents=True, exist_ok=True)
    # By way of a second name: a playbook that runs meanwhile never reads half a file.
    draft = target.with_name(f".{target.name}.sync")
    shutil.copy2(source, draft)
    draft.replace(target)


if __name__ == "__main__":
    print(sync())
