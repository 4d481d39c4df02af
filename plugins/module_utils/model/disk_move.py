# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One disk to one storage: what is asked, and what is known about it before it is judged (pve-facts §3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import Disk, DiskKind
from ansible_collections.pve.mobility.plugins.module_utils.model.propstring import truth, whole, words
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import ALWAYS_SHARED

MIB = 2**20
FILES = frozenset({"dir", "nfs", "cifs", "btrfs", "cephfs", "glusterfs"})
"""Types that keep volumes as files, which take only what is written to them unless told otherwise."""
SMALL = {DiskKind.CLOUDINIT: 4 * MIB, DiskKind.EFIDISK: 4 * MIB, DiskKind.TPMSTATE: 4 * MIB}
"""Sizes that Proxmox VE gives these whatever their configuration says; some storages round up to 4 MiB."""


@dataclass(frozen=True, slots=True)
class Place:
    """A storage as one node sees it, as source or target of a disk. Bytes.

    :ivar formats: what volumes on it can be, empty when the release does not say. :ivar default: the format that it
        gives a volume whose own it cannot hold. :ivar nodes: where it is defined, None for everywhere.
    :ivar thin: volumes take only what is written to them.
    """

    id: str
    type: str
    content: frozenset[str] = frozenset()
    shared: bool = False
    enabled: bool = True
    active: bool = True
    total: int = 0
    avail: int = 0
    formats: tuple[str, ...] = ()
    default: str = "raw"
    nodes: tuple[str, ...] | None = None
    thin: bool = True
    krbd: bool = False

    def holds(self, form: str) -> bool:
        """Whether a volume can have this format there; block storage holds raw alone."""
        return form in self.formats if self.formats else form == self.default

    def becomes(self, current: str | None, wanted: str | None) -> str:
        """The format that a disk will have: the wanted one, else its own where the storage can hold that (§3.1)."""
        hint = wanted or current
        return hint if hint is not None and self.holds(hint) else self.default

    def on(self, node: str) -> bool:
        return self.nodes is None or node in self.nodes

    @property
    def troubled_by_io_uring(self) -> bool:
        """Proxmox VE refuses a live move of a drive that uses io_uring to these, krbd only for cached drives."""
        return self.type in ("lvm", "cifs") or self.krbd


def places(status: Iterable[Mapping[str, Any]], definitions: Iterable[Mapping[str, Any]]) -> dict[str, Place]:
    """By ID, from ``GET /nodes/{node}/storage?format=1`` and ``GET /storage``."""
    known = {str(row["storage"]): row for row in definitions}
    return {str(row["storage"]): _place(row, known.get(str(row["storage"]), {})) for row in status}


def _place(row: Mapping[str, Any], definition: Mapping[str, Any]) -> Place:
    kind = str(row.get("type", definition.get("type", "")))
    supported, default = _formats(row)
    return Place(
        str(row["storage"]),
        kind,
        frozenset(words(row.get("content"))),
        kind in ALWAYS_SHARED or truth(row.get("shared")),
        truth(row.get("enabled"), True),
        truth(row.get("active")),
        whole(row, "total"),
        whole(row, "avail"),
        supported,
        default,
        words(definition["nodes"]) if definition.get("nodes") else None,
        _thin(kind, definition),
        truth(definition.get("krbd")),
    )


def _formats(row: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """Releases before 9.0 say it as ``[{raw: 1, …}, default]``."""
    new, old = row.get("formats"), row.get("format")
    if isinstance(new, Mapping):
        return tuple(sorted(str(item) for item in new.get("supported") or ())), str(new.get("default") or "raw")
    if isinstance(old, list) and old and isinstance(old[0], Mapping):
        held = tuple(sorted(str(name) for name, yes in old[0].items() if truth(yes)))
        return held, str(old[1]) if len(old) > 1 else "raw"
    return (), "raw"


def _thin(kind: str, definition: Mapping[str, Any]) -> bool:
    if kind in ("zfspool", "zfs"):
        return truth(definition.get("sparse"))
    if kind in FILES:
        return definition.get("preallocation") not in ("full", "falloc")
    return kind not in ("lvm", "iscsi", "iscsidirect")


@dataclass(frozen=True, slots=True)
class StoredVolume:
    """A volume as its storage lists it. Bytes; ``used`` None where the storage does not say."""

    volid: str
    vmid: int | None = None
    size: int = 0
    used: int | None = None
    format: str = "raw"
    content: str = "images"
    parent: str | None = None


def stored_volume(row: Mapping[str, Any]) -> StoredVolume:
    """From a row of ``GET /nodes/{node}/storage/{storage}/content``."""
    return StoredVolume(
        str(row["volid"]),
        whole(row, "vmid") or None,
        whole(row, "size") or whole(row, "approximate-size"),
        whole(row, "used") if row.get("used") not in (None, "") else None,
        str(row.get("format") or "raw"),
        str(row.get("content") or "images"),
        str(row["parent"]) if row.get("parent") else None,
    )


@dataclass(frozen=True, slots=True)
class DiskMove:
    """A disk of a guest to a storage.

    :ivar volume: as its storage lists it; None when that could not be read. :ivar source: None likewise.
    :ivar format: what it will be. :ivar delete: the source goes away when it is copied.
    :ivar running: the guest runs while it is copied. :ivar machine: machine version of the running VM.
    :ivar snapshots: the guest's snapshots that hold this volume. :ivar jobs: the guest's replication jobs.
    :ivar clones: volumes that are linked clones of it.
    """

    guest: Guest
    disk: Disk
    target: Place
    format: str
    delete: bool = False
    running: bool = False
    source: Place | None = None
    volume: StoredVolume | None = None
    machine: str | None = None
    snapshots: tuple[str, ...] = ()
    jobs: tuple[ReplicationJob, ...] = ()
    clones: tuple[str, ...] = ()
    template: bool = False

    @property
    def size(self) -> int:
        """What the guest sees, bytes; 0 when nothing says it."""
        if self.disk.kind in SMALL:
            return SMALL[self.disk.kind]
        return (self.volume.size if self.volume is not None else 0) or self.disk.size or 0

    @property
    def needs(self) -> tuple[int, bool]:
        """Bytes that it takes on the target, and whether that is certain rather than the most that it can be.

        A copy on one node keeps holes (§3.1), so storage that allocates as needed takes what is really used.
        """
        if self.disk.kind in SMALL:
            return SMALL[self.disk.kind], True
        thin = self.target.thin or (self.guest.type == "lxc" and self.target.type == "zfspool")
        if not thin:
            return self.size, True
        # What a linked clone shows as used leaves out what it has from its template.
        if self.volume is not None and self.volume.used is not None and self.disk.base is None:
            return min(self.volume.used, self.size) if self.size else self.volume.used, True
        return self.size, False
