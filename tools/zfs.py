# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Genuine ZFS without a kernel module: Debian's zfs-fuse, unpacked beside the build and run in a corner of its own.

Nothing is installed: the packages are unpacked into a folder, and the daemon keeps its sockets, locks and pools in a
mount namespace that ends with it. Where that cannot be, :func:`why_not` says why.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from tools.area import AREA

FOLDER = AREA / "zfs-fuse"
_LIBRARIES = {
    "libfuse.so.2": ("libfuse2", "libfuse2t64"),
    "libaio.so.1": ("libaio1", "libaio1t64"),
    "libaio.so.1t64": ("libaio1t64",),
    "libtirpc.so.3": ("libtirpc3", "libtirpc3t64"),
    "libcrypto.so.3": ("libssl3", "libssl3t64"),
}
"""Packages that have them, by the names that releases of Debian give."""
_STAGE = """
mount -t tmpfs tmpfs /run && mkdir -p /run/lock/zfs /run/zfs /run/pools || exit 1
[ -L /var/lock ] || mount -t tmpfs tmpfs /var/lock && mkdir -p /var/lock/zfs || exit 1
[ -L /var/run ] || mount -t tmpfs tmpfs /var/run && mkdir -p /var/run/zfs || exit 1
mount -t tmpfs tmpfs /var/lib && mkdir -p /var/lib/zfs || exit 1
exec zfs-fuse --no-daemon
"""
_PATIENCE = 30.0


def why_not() -> str:
    """One sentence why genuine ZFS cannot be had here; empty when it can, and then it is ready."""
    if os.geteuid() != 0:
        return "no genuine ZFS: zfs-fuse must run as root"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "no genuine ZFS: /dev/fuse cannot be opened here"
    for program in ("apt-get", "dpkg-deb", "unshare", "nsenter", "ldd"):
        if shutil.which(program) is None:
            return f"no genuine ZFS: {program} is missing, with which zfs-fuse of Debian is unpacked and run"
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode != 0:
        return "no genuine ZFS: mount namespaces are not permitted here"
    return _unpack()


def _unpack() -> str:
    if not (FOLDER / "sbin" / "zfs-fuse").exists() and (problem := _package("zfs-fuse")):
        return problem
    missing = _missing()
    for library in missing:
        for name in _LIBRARIES.get(library, ()):
            if not _package(name):
                break
    left = _missing()
    return f"no genuine ZFS: zfs-fuse needs {', '.join(left)}, which no package here has" if left else ""


def _package(name: str) -> str:
    """Unpack a package; one sentence when it cannot be had."""
    load = AREA / "zfs-load"
    shutil.rmtree(load, ignore_errors=True)
    load.mkdir(parents=True)
    for attempt in ("as it is", "after apt-get update"):
        if attempt != "as it is":
            subprocess.run(["apt-get", "update", "-qq"], capture_output=True, check=False, timeout=180)
        done = subprocess.run(
            ["apt-get", "download", "-qq", name], cwd=load, capture_output=True, text=True, check=False, timeout=180
        )
        found = sorted(load.glob("*.deb"))
        if done.returncode == 0 and found:
            subprocess.run(["dpkg-deb", "-x", str(found[0]), str(FOLDER)], check=True)
            return ""
    why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    return f"no genuine ZFS: the package {name} cannot be had ({why})"


def _missing() -> list[str]:
    told = subprocess.run(
        ["ldd", *(str(FOLDER / "sbin" / name) for name in ("zfs-fuse", "zpool", "zfs"))],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    return sorted({line.split()[0] for line in told.stdout.splitlines() if "not found" in line})


def environment() -> dict[str, str]:
    """What finds the programs and their libraries."""
    libraries = [str(path.parent) for path in FOLDER.rglob("*.so.*")]
    return {
        **os.environ,
        "PATH": f"{FOLDER / 'sbin'}:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": ":".join(dict.fromkeys(libraries)),
        "LC_ALL": "C.UTF-8",
    }


@dataclass(frozen=True, slots=True)
class Corner:
    """A running ZFS. Pools live in files below ``/run/pools``, which only its own programs see."""

    pid: int

    def run(self, *command: str, more: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program where this ZFS is; whether it went well is for the caller to say."""
        return subprocess.run(
            ["nsenter", f"--mount=/proc/{self.pid}/ns/mnt", *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env={**environment(), **(more or {})},
        )

    def do(self, *command: str) -> str:
        """Run a program that must go well, and return what it says."""
        done = self.run(*command)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout


@contextmanager
def corner() -> Iterator[Corner]:
    """Start it, and end it with everything in it."""
    problem = why_not()
    if problem:
        raise RuntimeError(problem)
    process = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", _STAGE],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    try:
        place = Corner(process.pid)
        until = time.monotonic() + _PATIENCE
        while place.run("zpool", "list").returncode != 0:
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("zfs-fuse did not start")
            time.sleep(0.2)
        yield place
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
