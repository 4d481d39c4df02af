# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Replication jobs of one guest on their way: what is still awaited (also from another process, the handle)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest

WORK = "replication"


@dataclass(slots=True)
class Awaited:
    """A run whose end is awaited.

    :ivar target: the node that gets the copy; what tells the job, whatever its number. :ivar after: the run counts when
        it began later than this (Unix time, 0: any). :ivar ask: it has yet to be asked for. :ivar fails: so far.
    """

    target: str
    after: int = 0
    ask: bool = False
    fails: int = 0


@dataclass(slots=True)
class Superfluous:
    """A job that goes away. ``asked``: it was marked; otherwise it waits for another copy to be complete."""

    id: str
    target: str
    asked: bool = False
    fails: int = 0


@dataclass(slots=True)
class ReplicationWork:
    """Everything that one call of ``replication_job`` waits for.

    :ivar targets: declared nodes with a copy. :ivar runs: runs that are awaited. :ivar going: jobs that go away.
    :ivar created, updated, removed: IDs. :ivar read: lines of the log seen so far, of the run that ``run`` names.
    """

    vmid: int
    type: str
    name: str
    node: str
    targets: list[str] = field(default_factory=list)
    cleanup: str = "full"
    runs: list[Awaited] = field(default_factory=list)
    going: list[Superfluous] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    synced: bool = False
    warnings: list[str] = field(default_factory=list)
    asked_at: float = 0.0
    run: str = ""
    read: int = 0
    progress: dict[str, Any] | None = None

    @property
    def guest(self) -> Guest:
        return Guest(self.vmid, self.type, self.node, self.name)

    @property
    def label(self) -> str:
        return self.guest.label

    @property
    def over(self) -> bool:
        return not self.runs and not self.going

    @property
    def changed(self) -> bool:
        return bool(self.created or self.updated or self.removed or self.synced)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "work": WORK}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ReplicationWork:
        """:raises Invalid: when it is not what ``replication_job`` returned as ``follow``."""
        try:
            if values.get("work") != WORK:
                raise TypeError
            known = {item.name for item in fields(cls)} - {"runs", "going"}
            return cls(
                **{name: value for name, value in values.items() if name in known},
                runs=[Awaited(**row) for row in values.get("runs", ())],
                going=[Superfluous(**row) for row in values.get("going", ())],
            )
        except (TypeError, AttributeError):
            raise Invalid("follow: give the follow value that pve.mobility.replication_job returned.") from None
