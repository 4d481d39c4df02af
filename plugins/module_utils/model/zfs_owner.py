# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who made a snapshot: told by its name (the table in pve-facts §13)."""

from __future__ import annotations

import enum
import re

_STAMP = r"\d{4}-\d\d-\d\d"


class Owner(enum.Enum):
    """The tool that made a snapshot and will remove it."""

    REPLICATION = "replication"
    MIGRATION = "migration"
    """Left over from a copy that broke off, unless one is under way."""
    TEMPLATE = "template"
    VZDUMP = "vzdump"
    GUEST = "guest"
    """A snapshot of the guest, in its configuration."""
    CV4PVE = "cv4pve-autosnap"
    """In the configuration too, but made and removed by a schedule."""
    PVE_ZSYNC = "pve-zsync"
    SANOID = "sanoid"
    SYNCOID = "syncoid"
    ZFS_AUTO_SNAPSHOT = "zfs-auto-snapshot"
    ZREPL = "zrepl"
    ZNAPZEND = "znapzend"
    ZFSNAP = "zfsnap"
    UNKNOWN = "unknown"

    @property
    def foreign(self) -> bool:
        """Not made by Proxmox VE itself."""
        return self not in _OWN

    @classmethod
    def of(cls, name: str, in_config: frozenset[str] = frozenset()) -> Owner:
        """:param in_config: names of the guest's own snapshots, which no other tool can have made."""
        for owner, pattern in _RESERVED:
            if pattern.match(name):
                return owner
        if name in in_config:
            return cls.CV4PVE if _CV4PVE.match(name) else cls.GUEST
        return next((owner for owner, pattern in _NAMES if pattern.match(name)), cls.UNKNOWN)


_OWN = frozenset({Owner.REPLICATION, Owner.MIGRATION, Owner.TEMPLATE, Owner.VZDUMP, Owner.GUEST, Owner.CV4PVE})

_RESERVED = (
    (Owner.REPLICATION, re.compile(r"^__replicate_\d+-\d+_\d+__$")),
    (Owner.MIGRATION, re.compile(r"^__migration__$")),
    (Owner.TEMPLATE, re.compile(r"^__base__$")),
    (Owner.VZDUMP, re.compile(r"^vzdump$")),
)
_CV4PVE = re.compile(r"^auto\w*?\d{12,}$")
_NAMES = (
    (Owner.PVE_ZSYNC, re.compile(rf"^rep_.+_{_STAMP}_\d\d:\d\d:\d\d$")),
    (
        Owner.SANOID,
        re.compile(rf"^autosnap_{_STAMP}_\d\d:\d\d:\d\d_(?:frequently|hourly|daily|weekly|monthly|yearly)$"),
    ),
    (Owner.SYNCOID, re.compile(rf"^syncoid_.+_{_STAMP}:\d\d:\d\d:\d\d(?:-GMT[+-]?\d\d:\d\d)?$")),
    (
        Owner.ZFS_AUTO_SNAPSHOT,
        re.compile(rf"^zfs-auto-snap_(?:frequent|hourly|daily|weekly|monthly)-{_STAMP}-\d{{4}}$"),
    ),
    (Owner.ZREPL, re.compile(r"^(?:.+_)?\d{8}_\d{6}_\d{3}$")),
    (Owner.ZNAPZEND, re.compile(rf"^{_STAMP}-\d{{6}}$")),
    (Owner.ZFSNAP, re.compile(rf"^.*{_STAMP}_\d\d\.\d\d\.\d\d--(?:\d+[ymwdhMs])+$")),
)
