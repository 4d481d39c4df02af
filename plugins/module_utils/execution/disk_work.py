# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Disks of one guest on their way: all that is needed to go on, also from another process (the ``follow`` handle)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest


@dataclass(slots=True)
class Step:
    """One disk. ``source`` is the volid that it had, ``size`` what the guest sees of it, bytes.

    :ivar format: what it will be; empty for containers, where Proxmox VE decides. :ivar options: the disk's own
        settings, which must survive. :ivar task: UPID of the task that moves it. :ivar since: Unix time of its start.
    :ivar asked_at: clock when it was asked for. :ivar tries: how often somebody else's lock has come first.
    """

    disk: str
    source: str
    format: str
    size: int = 0
    kind: str = "disk"
    options: dict[str, str] = field(default_factory=dict)
    task: str | None = None
    adopted: bool = False
    since: int = 0
    asked_at: float = 0.0
    tries: int = 0
    lines_read: int = 0
    progress: dict[str, Any] | None = None

    @property
    def source_storage(self) -> str:
        return self.source.partition(":")[0]


PHASES = ("look", "foreign", "stop", "move", "start", "over")


@dataclass(slots=True)
class DiskWork:
    """Everything that one call of ``move_disk`` has to do to a guest.

    :ivar phase: ``look`` whether somebody else moves a disk, wait for that ``foreign`` task, ``stop`` a container,
        ``move`` the steps one after the other, ``start`` the container again, ``over``.
    :ivar foreign: UPID of a task that holds the guest's configuration, and does not say what it moves.
    :ivar restart: the container was running and is started at the end. :ivar power_task: UPID of stop or start.
    :ivar trouble: a failure that waits until the container runs again: message, kind and facts.
    :ivar moves: results of the disks that are done. :ivar digest: of the configuration that was judged.
    :ivar known: UPIDs of the guest's newest tasks, to tell by which a write has started.
    :ivar calm_since: clock since when something that should be so is not so yet.
    :ivar silent_since: clock since when nobody has answered. :ivar host: API host that answered last.
    """

    vmid: int
    type: str
    name: str
    node: str
    storage: str
    steps: list[Step] = field(default_factory=list)
    format: str | None = None
    delete: bool = False
    bwlimit: int | None = None
    stop_timeout: int = 180
    phase: str = "move"
    index: int = 0
    foreign: str | None = None
    restart: bool = False
    power_task: str | None = None
    power_since: float | None = None
    trouble: dict[str, Any] | None = None
    moves: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    digest: str = ""
    known: list[str] = field(default_factory=list)
    asked_at: float = 0.0
    calm_since: float | None = None
    silent_since: float | None = None
    host: str = ""

    @property
    def guest(self) -> Guest:
        return Guest(self.vmid, self.type, self.node, self.name)

    @property
    def label(self) -> str:
        return self.guest.label

    @property
    def over(self) -> bool:
        return self.phase == "over"

    @property
    def step(self) -> Step | None:
        """The disk that is being moved, or is next."""
        return self.steps[self.index] if self.index < len(self.steps) else None

    @property
    def task_type(self) -> str:
        return "qmmove" if self.type == "qemu" else "move_volume"

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "work": "disks"}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DiskWork:
        """:raises Invalid: when it is not what ``move_disk`` returned as ``follow``."""
        known, of_step = ({item.name for item in fields(kind)} for kind in (cls, Step))
        try:
            steps = [
                Step(**{name: value for name, value in row.items() if name in of_step})
                for row in values.get("steps", ())
            ]
            found = cls(
                **{name: value for name, value in values.items() if name in known and name != "steps"}, steps=steps
            )
        except (TypeError, AttributeError):
            raise cls.no_handle() from None
        if found.phase not in PHASES:
            raise cls.no_handle()
        return found

    @staticmethod
    def is_handle(values: Mapping[str, Any]) -> bool:
        return values.get("work") == "disks"

    @staticmethod
    def no_handle() -> Invalid:
        """What is said of a value that is no handle."""
        return Invalid("follow: give the follow value that pve.mobility.move_disk returned.")
