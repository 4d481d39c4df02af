# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A wanted ``zfspool`` definition against the one that is there (pve-facts §4).

``pool`` and the type are fixed once a storage exists: Proxmox VE refuses them in a change even when they stay the
same, so they are never sent again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.propstring import properties, truth, words
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import limits

CONTENT = ("images", "rootdir")
CLASSES = ("clone", "default", "migration", "move", "restore")
_LISTS = frozenset({"content", "nodes"})
_BOOLEANS = frozenset({"sparse", "disable"})
_ORDER = ("pool", "content", "nodes", "sparse", "blocksize", "mountpoint", "disable", "bwlimit")
_BLOCKSIZE = re.compile(r"^(\d+)([kKmM]?)$")
_DATASET = re.compile(r"^[A-Za-z][\w.:-]*(?:/[\w.:-]+)*$")


class BadStorage(ValueError):
    """What is wanted makes no sense; one sentence."""


class Fixed(ValueError):
    """What is wanted differs in something that cannot change.

    :ivar key: which one. :ivar found, wanted: its values.
    """

    def __init__(self, key: str, found: str, wanted: str) -> None:
        super().__init__(key)
        self.key, self.found, self.wanted = key, found, wanted


@dataclass(frozen=True, slots=True)
class Wanted:
    """A definition as it should be; None: as it is.

    :ivar nodes: empty: on every node. :ivar bwlimit: KiB/s by class, merged with those that are there.
    """

    id: str
    pool: str | None = None
    content: tuple[str, ...] | None = None
    nodes: tuple[str, ...] | None = None
    sparse: bool | None = None
    blocksize: str | None = None
    mountpoint: str | None = None
    disable: bool | None = None
    bwlimit: Mapping[str, float] = field(default_factory=dict)


def wanted(options: Mapping[str, Any]) -> Wanted:
    """From a module's options.

    :raises BadStorage: with one sentence.
    """
    pool, blocksize = options.get("pool"), options.get("blocksize")
    if pool is not None and not _DATASET.match(pool):
        raise BadStorage(f"pool: '{pool}' is not a ZFS dataset: write it as rpool/data, without a leading slash.")
    if blocksize is not None and not 512 <= (block_bytes(blocksize) or 0) <= 16 * 2**20:
        raise BadStorage(f"blocksize: '{blocksize}' is not a power of 2 from 512 to 16M (16k is the default of ZFS).")
    content = options.get("content")
    if content is not None and not content:
        raise BadStorage("content: name images, rootdir or both; to switch a storage off use disable.")
    nodes = options.get("nodes")
    given = {name: value for name, value in (options.get("bwlimit") or {}).items() if value is not None}
    return Wanted(
        str(options["storage"]),
        pool,
        tuple(sorted(set(content))) if content is not None else None,
        tuple(sorted(set(nodes))) if nodes is not None else None,
        options.get("sparse"),
        blocksize,
        options.get("mountpoint"),
        options.get("disable"),
        given,
    )


def block_bytes(text: str | None) -> int | None:
    """``16k`` → 16384; None when it is not a power of 2."""
    match = _BLOCKSIZE.match(str(text or ""))
    if not match:
        return None
    size = int(match[1]) * {"": 1, "k": 2**10, "m": 2**20}[match[2].lower()]
    return size if size > 0 and size & (size - 1) == 0 else None


@dataclass(frozen=True, slots=True)
class Change:
    """``before`` and ``after``: the definition's values as text, None when there is none.

    Lists are sorted, so that the order in which the API gives them does not count.
    """

    id: str
    before: Mapping[str, str] | None
    after: Mapping[str, str] | None
    digest: str = ""

    @property
    def changed(self) -> bool:
        return self.before != self.after

    @property
    def creates(self) -> bool:
        return self.before is None and self.after is not None

    @property
    def removes(self) -> bool:
        return self.before is not None and self.after is None

    @property
    def put(self) -> dict[str, str]:
        """Values to send; never those that are fixed."""
        before, after = self.before or {}, self.after or {}
        return {key: value for key, value in after.items() if before.get(key) != value and key != "pool"}

    @property
    def delete(self) -> list[str]:
        return sorted(set(self.before or {}) - set(self.after or {}))

    def lines(self, which: Mapping[str, str] | None) -> str:
        """The definition as storage.cfg has it."""
        if which is None:
            return ""
        known = [key for key in _ORDER if key in which]
        rest = sorted(set(which) - set(known))
        return f"zfspool: {self.id}\n" + "".join(f"\t{key} {which[key]}\n" for key in (*known, *rest))


def plan(row: Mapping[str, Any] | None, want: Wanted, absent: bool = False) -> Change:
    """:param row: from ``GET /storage``, None when there is no such storage.

    :raises Fixed: what differs cannot change. :raises BadStorage: the pool of a new storage is missing.
    """
    if row is None:
        if absent:
            return Change(want.id, None, None)
        if want.pool is None:
            raise BadStorage(f"There is no storage {want.id} yet: say which dataset it is on (pool: rpool/data).")
        after = {"pool": want.pool, "content": ",".join(CONTENT)}
        return Change(want.id, None, _merged(after, want))
    digest = str(row.get("digest") or "")
    if str(row.get("type")) != "zfspool":
        raise Fixed("type", str(row.get("type")), "zfspool")
    before = values_of(row)
    if absent:
        return Change(want.id, before, None, digest)
    if want.pool is not None and want.pool.rstrip("/") != before.get("pool", "").rstrip("/"):
        raise Fixed("pool", before.get("pool", ""), want.pool)
    return Change(want.id, before, _merged(before, want), digest)


def values_of(row: Mapping[str, Any]) -> dict[str, str]:
    """A definition's own options as text."""
    found: dict[str, str] = {}
    for key, value in row.items():
        if key in ("storage", "type", "digest", "shared") or value in (None, ""):
            continue
        if key in _LISTS:
            found[key] = ",".join(words(value))
        elif key in _BOOLEANS:
            if truth(value) or key == "sparse":
                found[key] = str(int(truth(value)))
        else:
            found[key] = str(value)
    return found


def _merged(before: Mapping[str, str], want: Wanted) -> dict[str, str]:
    after = dict(before)
    if want.content is not None:
        after["content"] = ",".join(want.content)
    if want.nodes is not None:
        after["nodes"] = ",".join(want.nodes)
        if not want.nodes:
            del after["nodes"]
    if want.sparse is not None and want.sparse != truth(before.get("sparse")):
        after["sparse"] = str(int(want.sparse))
    if want.disable is not None:
        after.pop("disable", None)
        if want.disable:
            after["disable"] = "1"
    if want.blocksize is not None and block_bytes(want.blocksize) != block_bytes(before.get("blocksize")):
        after["blocksize"] = want.blocksize
    if want.mountpoint is not None:
        after["mountpoint"] = want.mountpoint
    if want.bwlimit:
        _limit(after, want.bwlimit)
    return after


def _limit(after: dict[str, str], wished: Mapping[str, float]) -> None:
    there = properties(after.get("bwlimit", ""), "default")
    if all(limits(after.get("bwlimit")).get(name) == float(value) for name, value in wished.items()):
        return
    there |= {name: f"{value:g}" if value != int(value) else str(int(value)) for name, value in wished.items()}
    after["bwlimit"] = ",".join(f"{name}={there[name]}" for name in sorted(there))
