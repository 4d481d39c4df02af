# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tools that snapshot or replicate ZFS beside Proxmox VE: the marks by which they are known (pve-facts §11, §13)."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

PROPERTIES = {
    "com.sun:auto-snapshot": "zfs-auto-snapshot",
    "org.znapzend:enabled": "znapzend",
    "org.znapzend:src_plan": "znapzend",
    "org.znapzend:dst_0": "znapzend",
    "syncoid:sync": "syncoid",
    "zrepl:placeholder": "zrepl",
}
"""Properties of datasets, and whose they are."""

FILES = {
    "etc/sanoid/sanoid.conf": "sanoid",
    "etc/zrepl/zrepl.yml": "zrepl",
    "etc/cron.d/zfs-auto-snapshot": "zfs-auto-snapshot",
    "etc/cron.hourly/zfs-auto-snapshot": "zfs-auto-snapshot",
    "etc/cron.daily/zfs-auto-snapshot": "zfs-auto-snapshot",
    "etc/cron.weekly/zfs-auto-snapshot": "zfs-auto-snapshot",
    "etc/cron.monthly/zfs-auto-snapshot": "zfs-auto-snapshot",
    "etc/systemd/system/multi-user.target.wants/znapzend.service": "znapzend",
}
"""Files whose presence says that a tool is set up, relative to the root."""

ZSYNC_CRON = "etc/cron.d/pve-zsync"
ZSYNC_STATE = "var/lib/pve-zsync/sync_state"

_SECTION = re.compile(r"^\[([^\]]+)\]\s*$", re.MULTILINE)
_ZSYNC = re.compile(r"^(#?)\s*((?:\S+\s+){5})\S+\s+pve-zsync\s+sync\s+(.*)$")
_DATASET = re.compile(r"^([\w.:-]+(?:/[\w.:-]+)*)[<\"]?")


@dataclass(frozen=True, slots=True)
class Marker:
    """``kind`` is file, property, bookmark or section; ``where`` the path or the dataset."""

    tool: str
    kind: str
    where: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ZsyncJob:
    """A job of pve-zsync. ``source`` is a vmid or ``[host:]pool/path``; ``state`` as it was left."""

    name: str
    source: str
    destination: str
    schedule: str
    enabled: bool = True
    maxsnap: int | None = None
    state: str | None = None
    last_sync: str | None = None

    @property
    def vmid(self) -> int | None:
        return int(self.source) if self.source.isdigit() else None


def property_markers(text: str) -> Iterator[Marker]:
    """From ``zfs get -H -o name,property,value``."""
    for line in text.splitlines():
        values = line.split("\t")
        if len(values) >= 3 and values[1] in PROPERTIES and values[2] not in ("-", ""):
            yield Marker(PROPERTIES[values[1]], "property", values[0], f"{values[1]}={values[2]}")


def bookmark_markers(text: str) -> Iterator[Marker]:
    """From ``zfs list -H -t bookmark -o name``: zrepl keeps its place in them."""
    for line in text.splitlines():
        dataset, mark, name = line.strip().partition("#")
        if mark and name.startswith("zrepl_"):
            yield Marker("zrepl", "bookmark", dataset, name)


def sanoid_markers(text: str) -> Iterator[Marker]:
    """Datasets in sanoid.conf; templates are none."""
    for match in _SECTION.finditer(text):
        if not match[1].startswith("template_"):
            yield Marker("sanoid", "section", match[1])


def zrepl_markers(text: str) -> Iterator[Marker]:
    """Datasets in the ``filesystems`` of zrepl.yml, without reading the YAML as a whole."""
    inside: int | None = None
    for line in text.splitlines():
        stripped = line.split("#")[0].rstrip()
        if not stripped:
            continue
        indent = len(stripped) - len(stripped.lstrip())
        if inside is not None and indent > inside:
            name, _colon, wanted = stripped.strip().rpartition(":")
            match = _DATASET.match(name.strip("\"' "))
            if match and wanted.strip() == "true":
                yield Marker("zrepl", "section", match[1], name.strip("\"' "))
            continue
        inside = indent if stripped.strip().lstrip("- ") == "filesystems:" else None


def zsync_jobs(cron: str, state: str = "") -> tuple[ZsyncJob, ...]:
    """From pve-zsync's cron file and state file; a state file that cannot be read tells nothing."""
    states = _states(state)
    found = []
    for line in cron.splitlines():
        match = _ZSYNC.match(line.strip())
        if not match:
            continue
        options = _options(match[3])
        name, source = options.get("name", "default"), options.get("source", "")
        row = states.get(source, {}).get(name, {})
        maxsnap = options.get("maxsnap", "")
        found.append(
            ZsyncJob(
                name,
                source,
                options.get("dest", ""),
                " ".join(match[2].split()),
                not match[1],
                int(maxsnap) if maxsnap.isdigit() else None,
                str(row["state"]) if row.get("state") else None,
                str(row["lsync"]) if row.get("lsync") else None,
            )
        )
    return tuple(sorted(found, key=lambda job: (job.source, job.name)))


def _options(text: str) -> dict[str, str]:
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    return {
        word.removeprefix("--"): following
        for word, following in zip(words, [*words[1:], ""], strict=True)
        if word.startswith("--")
    }


def _states(text: str) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, Mapping) else {}


def config_snapshots(text: str) -> frozenset[str]:
    """Names of the snapshots in a guest's configuration file."""
    names = {match[1] for match in _SECTION.finditer(text)}
    # Others are sections too: [PENDING], [special:cloudinit].
    return frozenset(name for name in names if name != "PENDING" and ":" not in name)


def sorted_markers(markers: Iterable[Marker]) -> tuple[Marker, ...]:
    return tuple(sorted(set(markers), key=lambda item: (item.tool, item.kind, item.where, item.detail)))
