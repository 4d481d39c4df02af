# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Releases of nodes, and what an older one loses when it writes a cluster-wide file (pve-facts §5, §12).

A node drops what it cannot read, and the next write of the file makes the loss permanent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Release = tuple[int, int]

NEWEST_KNOWN: Release = (9, 2)
"""What comes after it may have brought keys that nobody here has heard of."""


@dataclass(frozen=True, slots=True)
class CommonFile:
    """A file below ``/etc/pve``. ``steps``: the releases that brought it keys which older ones drop."""

    name: str
    steps: tuple[Release, ...]

    def loses(self, writer: Release, reader: Release) -> bool:
        """Whether a write through ``writer`` can drop something that ``reader`` has put there."""
        unknown = reader > NEWEST_KNOWN and writer < reader
        return unknown or any(writer < step <= reader for step in self.steps)


DATACENTER = CommonFile("datacenter.cfg", ((9, 0), (9, 2)))
"""9.0: ``replication``; 9.2: ``location`` and the dynamic values of ``crs``."""
USERS = CommonFile("user.cfg", ((9, 0),))
"""9.0: privileges such as ``VM.Replicate``."""
STORAGE = CommonFile("storage.cfg", ((9, 0),))
"""9.0: ``snapshot-as-volume-chain``, ``zfs-base-path``."""


def release_of(answer: Mapping[str, Any] | None) -> Release | None:
    """From ``GET /version`` or ``GET /nodes/{node}/version``: ``9.2.11`` → (9, 2)."""
    match = re.match(r"(\d+)\.(\d+)", str((answer or {}).get("version", "")))
    return (int(match[1]), int(match[2])) if match else None


def text(release: Release) -> str:
    """(9, 2) → ``9.2``."""
    return f"{release[0]}.{release[1]}"


def newest(releases: Iterable[Release]) -> Release | None:
    return max(releases, default=None)
