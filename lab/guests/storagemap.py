# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``targetstorage``: which storage each storage of a guest becomes (pve-common JSONSchema.pm:parse_idmap)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StorageMap:
    """``identity``: every storage becomes itself; ``default``: what all others become."""

    entries: dict[str, str] = field(default_factory=dict)
    default: str | None = None
    identity: bool = False

    def target(self, storage: str) -> str:
        return storage if self.identity else self.entries.get(storage, self.default or storage)


def parse_storage_map(text: str) -> StorageMap:
    """:raises ValueError: with Proxmox VE's words."""
    entries: dict[str, str] = {}
    default: str | None = None
    identity = False
    for entry in filter(None, re.split(r"[,; \0]+", text)):
        if entry == "1":
            if default is not None or entries:
                raise ValueError("identity mapping cannot be combined with other mappings")
            identity = True
            continue
        if identity:
            raise ValueError("identity mapping cannot be combined with other mappings")
        source, colon, target = entry.partition(":")
        if not colon:
            if default is not None:
                raise ValueError("default target ID can only be provided once")
            default = entry
            continue
        if source in entries:
            raise ValueError(f"duplicate mapping for source '{source}'")
        entries[source] = target
    return StorageMap(entries, default, identity)
