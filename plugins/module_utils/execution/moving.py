# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A move under way: all that is needed to watch it, also from another process (the ``follow`` handle)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest


@dataclass(slots=True)
class Moving:
    """:ivar task: UPID of the task that moves the guest; for HA guests None until the HA manager has started it.
    :ivar request_task: UPID of ``hamigrate``, which only queues the request.
    :ivar since: Unix time on the node when it was asked for, seconds.
    :ivar asked_at: the clock of the machine that asked, for time limits.
    :ivar was_running: the state to be found again on the target.
    :ivar seen_moving: the HA manager was seen to act on it.
    :ivar calm_since: clock when an HA move was last seen to come to rest without having succeeded.
    :ivar storage_map: source storage → target storage, key ``""`` for the default; tells where disks may be left.
    :ivar master_stamp: last round of the HA master that was seen, Unix seconds. :ivar master_seen: clock at that time.
    :ivar silent_since: clock since when nobody has answered; None while the cluster answers.
    :ivar host: API host that answered last, to be asked first next time.
    :ivar lines_read: lines of the task's log that ``progress`` already contains.

    What only one process remembers would be forgotten between the short calls by which a controller follows a move.
    """

    vmid: int
    type: str
    name: str
    source: str
    target: str
    mode: str
    was_running: bool
    ha: bool = False
    adopted: bool = False
    task: str | None = None
    request_task: str | None = None
    since: int = 0
    asked_at: float = 0.0
    seen_moving: bool = False
    calm_since: float | None = None
    storage_map: dict[str, str] = field(default_factory=dict)
    master_stamp: int = 0
    master_seen: float | None = None
    silent_since: float | None = None
    host: str = ""
    lines_read: int = 0
    progress: dict[str, Any] | None = None

    @property
    def label(self) -> str:
        return f"{self.vmid} {self.name}" if self.name else str(self.vmid)

    @property
    def guest(self) -> Guest:
        """As a guest on its source."""
        return Guest(self.vmid, self.type, self.source, self.name)

    @property
    def sid(self) -> str:
        return self.guest.sid

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Moving:
        """:raises Invalid: when it is not what ``migrate`` returned as ``follow``."""
        known = {item.name for item in fields(cls)}
        try:
            return cls(**{name: value for name, value in values.items() if name in known})
        except TypeError:
            raise cls.no_handle() from None

    @staticmethod
    def no_handle() -> Invalid:
        """What is said of a value that is no handle."""
        return Invalid("guests: give a vmid, a name, or the follow value that pve.mobility.migrate returned.")
