# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a migration was asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.guests.storagemap import StorageMap
from lab.pve.users import Identity


@dataclass(slots=True)
class Options:
    """Parameters of ``POST …/migrate`` of both kinds; ``bwlimit`` in KiB/s.

    ``type`` and ``network`` None: as datacenter.cfg says. ``by_ha``: the HA manager asks.
    """

    user: Identity
    online: bool = False
    restart: bool = False
    timeout: float = 180.0
    force: bool = False
    with_local_disks: bool = False
    with_conntrack_state: bool = False
    storages: StorageMap = field(default_factory=StorageMap)
    bwlimit: float | None = None
    type: str | None = None
    network: str | None = None
    by_ha: bool = False
