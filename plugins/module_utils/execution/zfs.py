# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read ZFS on a node with its own commands. Releases without ``-p`` or a column are asked again more modestly."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid
from ansible_collections.pve.mobility.plugins.module_utils.model import zfs
from ansible_collections.pve.mobility.plugins.module_utils.model.zfs_tools import (
    FILES,
    PROPERTIES,
    ZSYNC_CRON,
    ZSYNC_STATE,
    Marker,
    ZsyncJob,
    bookmark_markers,
    config_snapshots,
    property_markers,
    sanoid_markers,
    sorted_markers,
    zrepl_markers,
    zsync_jobs,
)

Run = Callable[[Sequence[str]], tuple[int, str, str]]
"""Runs a command: exit code, output, errors."""

_MORE_COLUMNS = ("encryption", "refreservation")
_AT_A_TIME = 200
"""Snapshots whose holds one command asks for: a command line has an end."""
_GUEST_FILE = re.compile(r"^(\d+)\.conf$")


@dataclass(frozen=True, slots=True)
class ZfsFacts:
    """What a node's ZFS holds. ``counts``: snapshots of each dataset by owner."""

    pools: tuple[zfs.Pool, ...] = ()
    datasets: tuple[zfs.Dataset, ...] = ()
    snapshots: tuple[zfs.Snapshot, ...] = ()
    markers: tuple[Marker, ...] = ()
    jobs: tuple[ZsyncJob, ...] = ()

    def counts(self) -> dict[str, dict[str, int]]:
        found: dict[str, Counter[str]] = {}
        for snapshot in self.snapshots:
            found.setdefault(snapshot.dataset, Counter())[snapshot.owner.value] += 1
        return {dataset: dict(sorted(counter.items())) for dataset, counter in found.items()}


def read_zfs(run: Run, root: Path, pools: Sequence[str] = ()) -> ZfsFacts:
    """:param pools: only these; all for none. :param root: where ``etc`` and ``var`` are.

    :raises Invalid: a command of ZFS fails, or a pool does not exist.
    """
    listing = _ask(run, ["zpool", "list", "-H", "-o", ",".join(zfs.POOL_COLUMNS)], pools)
    status = run(["zpool", "status", *pools])[1]
    found = zfs.pools(listing, status)
    if not found:
        return ZfsFacts(markers=sorted_markers(_files(root)), jobs=_jobs(root))
    kept = {pool.name for pool in found}
    snapshots = _ask(
        run,
        ["zfs", "list", "-H", "-r", "-t", "snapshot", "-s", "creation", "-o", ",".join(zfs.SNAPSHOT_COLUMNS)],
        pools,
    )
    properties = run(
        ["zfs", "get", "-H", "-r", "-s", "local,received", "-o", "name,property,value", ",".join(PROPERTIES), *pools]
    )[1]
    bookmarks = run(["zfs", "list", "-H", "-r", "-t", "bookmark", "-o", "name", *pools])[1]
    markers = [*_files(root), *property_markers(properties), *bookmark_markers(bookmarks)]
    return ZfsFacts(
        found,
        tuple(item for item in _datasets(run, pools) if item.pool in kept),
        zfs.snapshots(snapshots, _in_configs(root), _holds(run, zfs.held(snapshots))),
        sorted_markers(markers),
        _jobs(root),
    )


def _ask(run: Run, command: list[str], names: Sequence[str]) -> str:
    """Exact numbers where the release can give them."""
    code, output, _errors = run([*command[:3], "-p", *command[3:], *names])
    if code != 0:
        code, output, errors = run([*command, *names])
        if code != 0:
            raise Invalid(
                f"{command[0]} {command[1]} failed on this node: {' '.join(errors.split()) or f'exit {code}'}."
            )
    return output


def _datasets(run: Run, pools: Sequence[str]) -> tuple[zfs.Dataset, ...]:
    command = ["zfs", "list", "-H", "-r", "-t", "filesystem,volume", "-o"]
    columns = (*zfs.DATASET_COLUMNS, *_MORE_COLUMNS)
    code, output, _errors = run([*command[:3], "-p", *command[3:], ",".join(columns), *pools])
    if code == 0:
        return zfs.datasets(output, columns)
    return zfs.datasets(_ask(run, [*command, ",".join(zfs.DATASET_COLUMNS)], pools))


def _holds(run: Run, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for start in range(0, len(names), _AT_A_TIME):
        found |= zfs.holds(run(["zfs", "holds", "-H", *names[start : start + _AT_A_TIME]])[1])
    return found


def _files(root: Path) -> Iterator[Marker]:
    for name, tool in FILES.items():
        path = root / name
        if path.is_symlink() or path.exists():
            yield Marker(tool, "file", f"/{name}")
    yield from sanoid_markers(_text(root / "etc/sanoid/sanoid.conf"))
    yield from zrepl_markers(_text(root / "etc/zrepl/zrepl.yml"))


def _jobs(root: Path) -> tuple[ZsyncJob, ...]:
    return zsync_jobs(_text(root / ZSYNC_CRON), _text(root / ZSYNC_STATE))


def _in_configs(root: Path) -> dict[int, frozenset[str]]:
    """Snapshots that guests know, of all nodes: replicas belong to guests that are elsewhere."""
    found: dict[int, frozenset[str]] = {}
    for folder in ("qemu-server", "lxc"):
        for path in root.glob(f"etc/pve/nodes/*/{folder}/*.conf"):
            match = _GUEST_FILE.match(path.name)
            if match:
                found[int(match[1])] = config_snapshots(_text(path))
    return found


def _text(path: Path) -> str:
    """Empty when it is not there: guests move while their files are read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
