# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the tools put what they make: environments, the collection tree, caches, a home of their own."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
BUILD = CHECKOUT / "build"

# Ansible starts modules with an unquoted interpreter path and splits its search paths at colons.
_HARMLESS = re.compile(r"[\w./+@=,~-]+")


def _area() -> Path:
    """``build/`` in the checkout; where the checkout's own path has blanks or the like, a folder elsewhere."""
    if _HARMLESS.fullmatch(str(CHECKOUT)):
        return BUILD
    name = hashlib.sha256(os.fsencode(CHECKOUT)).hexdigest()[:12]
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if os.path.isabs(cache) and _HARMLESS.fullmatch(cache) and _private(Path(cache, "pve.mobility")):
        return Path(cache, "pve.mobility", name)
    shared = Path(tempfile.gettempdir(), f"pve.mobility-{os.getuid()}")
    if not _private(shared):
        sys.exit(
            f"{shared} belongs to another user or cannot be written: remove it, or set TMPDIR to a folder of yours."
        )
    return shared / name


def _private(folder: Path) -> bool:
    """Make the folder if needed; true when it is this user's own and writable."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder.stat().st_uid == os.getuid() and os.access(folder, os.W_OK)
    except OSError:
        return False


AREA = _area()
COLLECTIONS = AREA / "collections"
TREE = COLLECTIONS / "ansible_collections" / "pve" / "mobility"
CACHE = AREA / "cache"
HOME = AREA / "home"
QUICK = {"PYTHONPATH": str(CHECKOUT / "tests" / "quick")}
"""Environment of programs that tests start: modules are not compiled anew each time, see the file there."""


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Keep two runs in one checkout from setting up the same thing at the same time."""
    AREA.mkdir(parents=True, exist_ok=True)
    with open(AREA / f".{name}.lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def link(name: str, target: Path) -> None:
    """Let ``build/NAME`` lead to the target, so that people find it at the same place in each checkout."""
    place = BUILD / name
    if place == target:
        return
    BUILD.mkdir(exist_ok=True)
    if place.is_symlink() and place.readlink() == target:
        return
    if place.is_symlink() or place.is_file():
        place.unlink()
    if not place.exists():
        place.symlink_to(target)


if __name__ == "__main__":
    print(AREA)
