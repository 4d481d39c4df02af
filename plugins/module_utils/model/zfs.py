# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ZFS as its own commands tell of it: pools, datasets, snapshots, holds (pve-facts §13).

The parsers take what ``zpool`` and ``zfs`` print with ``-H``, with exact numbers (``-p``) or rounded ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone

from ansible_collections.pve.mobility.plugins.module_utils.model.zfs_owner import Owner

_UNITS = {"": 1, "B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50, "E": 2**60}
_NUMBER = re.compile(r"^(\d+(?:[.,]\d+)?)([BKMGTPE]?)$")
_GUEST_VOLUME = re.compile(r"^(vm|base|subvol|basevol)-(\d+)-(\S+)$")
_FIELD = re.compile(
    r"^\s*(pool|state|status|action|see|scan|scrub|remove|checkpoint|expand|dedup|comment|config|errors): ?(.*)$"
)

POOL_COLUMNS = ("name", "size", "allocated", "free", "capacity", "health")
DATASET_COLUMNS = ("name", "type", "used", "available", "referenced", "mountpoint", "volsize", "origin")
SNAPSHOT_COLUMNS = ("name", "used", "referenced", "creation", "userrefs")


@dataclass(frozen=True, slots=True)
class Pool:
    """Bytes; ``capacity`` per cent in use. ``scan`` and ``errors`` in ZFS's own words."""

    name: str
    size: int | None = None
    allocated: int | None = None
    free: int | None = None
    capacity: int | None = None
    health: str = "UNKNOWN"
    status: str | None = None
    scan: str | None = None
    errors: str | None = None

    @property
    def healthy(self) -> bool:
        return self.health == "ONLINE" and (self.errors is None or self.errors == "No known data errors")


@dataclass(frozen=True, slots=True)
class Dataset:
    """A filesystem or volume. ``vmid`` and ``kind`` (vm, base, subvol, basevol) when Proxmox VE named it.

    :ivar origin: the snapshot that it is a clone of.
    """

    name: str
    type: str
    used: int | None = None
    available: int | None = None
    referenced: int | None = None
    mountpoint: str | None = None
    volsize: int | None = None
    origin: str | None = None
    vmid: int | None = None
    kind: str | None = None
    encryption: str | None = None
    refreservation: int | None = None

    @property
    def pool(self) -> str:
        return self.name.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``creation`` is Unix time, None when it cannot be read; ``holds`` the tags that keep it from being removed."""

    dataset: str
    name: str
    owner: Owner
    used: int | None = None
    referenced: int | None = None
    creation: int | None = None
    held: bool = False
    holds: tuple[str, ...] = field(default=())

    @property
    def full_name(self) -> str:
        return f"{self.dataset}@{self.name}"


def number(text: str) -> int | None:
    """``1.5T``, ``1649267441664``, ``45%`` or ``1.00x`` → a whole number; None for ``-`` and ``none``."""
    match = _NUMBER.match(text.strip().rstrip("%x"))
    return int(float(match[1].replace(",", ".")) * _UNITS[match[2]]) if match else None


def moment(text: str) -> int | None:
    """Unix time, or ``Mon Nov 23 20:11 2026``, which says no time zone: taken as UTC."""
    text = " ".join(text.split())
    if text.isdigit():
        return int(text)
    for shape in ("%a %b %d %H:%M %Y", "%a %b %d %H:%M:%S %Y"):
        try:
            return int(datetime.strptime(text, shape).replace(tzinfo=timezone.utc).timestamp())
        except ValueError:
            continue
    return None


def rows(text: str, columns: Iterable[str]) -> Iterator[dict[str, str]]:
    """Lines of ``-H -o columns``; ``-`` stands for nothing. Lines with too few columns are passed over."""
    names = tuple(columns)
    for line in text.splitlines():
        values = line.split("\t")
        if len(values) >= len(names):
            yield {name: value.strip() for name, value in zip(names, values, strict=False)}


def pools(listing: str, status: str = "") -> tuple[Pool, ...]:
    """From ``zpool list`` with :data:`POOL_COLUMNS`, and ``zpool status``."""
    details = pool_details(status)
    found = []
    for row in rows(listing, POOL_COLUMNS):
        more = details.get(row["name"], {})
        found.append(
            Pool(
                row["name"],
                number(row["size"]),
                number(row["allocated"]),
                number(row["free"]),
                number(row["capacity"]),
                row["health"],
                more.get("status"),
                more.get("scan") or more.get("scrub"),
                more.get("errors"),
            )
        )
    return tuple(sorted(found, key=lambda pool: pool.name))


def pool_details(text: str) -> dict[str, dict[str, str]]:
    """Fields of each pool in ``zpool status``; ``config`` is left out. Continued lines are joined."""
    found: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        match = _FIELD.match(line)
        if match:
            name = match[1]
            if name == "pool":
                current = found.setdefault(match[2].strip(), {})
            elif name != "config":
                current[name] = match[2].strip()
        elif name not in ("config", "pool", "") and line.strip():
            current[name] = f"{current[name]} {line.strip()}".strip()
    return found


def datasets(text: str, columns: Iterable[str] = DATASET_COLUMNS) -> tuple[Dataset, ...]:
    """From ``zfs list -t filesystem,volume``."""
    found = []
    for row in rows(text, columns):
        match = _GUEST_VOLUME.match(row["name"].rpartition("/")[2])
        found.append(
            Dataset(
                row["name"],
                row["type"],
                number(row["used"]),
                number(row["available"]),
                number(row["referenced"]),
                _word(row, "mountpoint"),
                number(row["volsize"]),
                _word(row, "origin"),
                int(match[2]) if match else None,
                match[1] if match else None,
                _word(row, "encryption"),
                number(row.get("refreservation", "-")),
            )
        )
    return tuple(sorted(found, key=lambda dataset: dataset.name))


def _word(row: Mapping[str, str], name: str) -> str | None:
    value = row.get(name, "-")
    return None if value in ("-", "none", "") else value


def snapshots(
    text: str, owner_of: Mapping[int, frozenset[str]], holds: Mapping[str, tuple[str, ...]] | None = None
) -> tuple[Snapshot, ...]:
    """From ``zfs list -t snapshot`` with :data:`SNAPSHOT_COLUMNS`.

    :param owner_of: the names of the snapshots in the configuration of each guest. :param holds: tags by full name.
    """
    found = []
    for row in rows(text, SNAPSHOT_COLUMNS):
        dataset, at, name = row["name"].partition("@")
        if not at:
            continue
        match = _GUEST_VOLUME.match(dataset.rpartition("/")[2])
        known = owner_of.get(int(match[2]), frozenset()) if match else frozenset()
        tags = (holds or {}).get(row["name"], ())
        found.append(
            Snapshot(
                dataset,
                name,
                Owner.of(name, known),
                number(row["used"]),
                number(row["referenced"]),
                moment(row["creation"]),
                bool(number(row["userrefs"]) or tags),
                tags,
            )
        )
    return tuple(found)


def held(text: str) -> tuple[str, ...]:
    """Full names of snapshots with holds, from the same listing."""
    return tuple(row["name"] for row in rows(text, SNAPSHOT_COLUMNS) if number(row["userrefs"]))


def holds(text: str) -> dict[str, tuple[str, ...]]:
    """From ``zfs holds -H``: tags by full name of the snapshot."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, *rest = line.split("\t") if "\t" in line else line.split(None, 2)
        if "@" in name and rest:
            found.setdefault(name, []).append(rest[0].strip())
    return {name: tuple(sorted(tags)) for name, tags in found.items()}
