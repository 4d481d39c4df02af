# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Moves of disks that are under way already, whoever has started them, and containers that wait to be started again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api import tasks
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Conflict
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.api.upid import Upid
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_work import DiskWork
from ansible_collections.pve.mobility.plugins.module_utils.execution.start import is_own
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest

MOVE_TASKS = frozenset({"qmmove", "move_volume"})
STOP_TASKS = frozenset({"vzshutdown", "hashutdown", "hastop", "vzstop"})
LATELY = 900
"""Seconds after a stop in which a move, of this run or of the next one, shows what the stop was for."""

_COPYING = re.compile(r"^copying volume '([^']+)' from current storage '[^']+' to target storage '([^']+)'")
_CLONE = re.compile(r"^create full clone of drive (\w+) \(")


@dataclass(frozen=True, slots=True)
class Said:
    """What the log of a move tells: containers' logs tell nothing."""

    disk: str | None = None
    volid: str | None = None
    storage: str | None = None


def said(lines: Sequence[str]) -> Said:
    disk = volid = storage = None
    for line in lines:
        if match := _COPYING.match(line):
            volid, storage = match[1], match[2]
        elif match := _CLONE.match(line):
            disk = match[1]
            break
    return Said(disk, volid, storage)


def running_move(session: Session, guest: Guest) -> tuple[list[dict[str, Any]], Upid | None]:
    """The guest's newest tasks, and the one that moves a disk just now.

    No lock shows it, because Proxmox VE only locks the file (pve-facts §3.1). Of two, one waits for the other's lock.
    """
    rows = tasks.listed(session, guest.node, vmid=guest.vmid, limit=20)
    going = [
        Upid.parse(str(row["upid"]))
        for row in rows
        if row.get("type") in MOVE_TASKS and row.get("status", "RUNNING") == "RUNNING"
    ]
    return rows, min(going, key=lambda upid: upid.start, default=None)


def take_up(session: Session, work: DiskWork, upid: Upid) -> None:
    """Adopt the task when it does what is wanted; otherwise wait for its end, because it holds the configuration.

    :raises Conflict: it takes one of the disks elsewhere.
    """
    told = said(tasks.TaskLog(upid).read_on(session)[:20])
    for number, step in enumerate(work.steps):
        if step.source != told.volid or number < work.index:
            continue
        if told.storage != work.storage:
            raise Conflict(
                f"{step.disk} of {work.label} is being moved to {told.storage}, not to {work.storage}: wait until that"
                " has ended. Nothing was changed.",
                task=upid.text,
            )
        step.task, step.adopted, step.since = upid.text, True, upid.start
        # Its lock keeps the others waiting, so it goes first.
        work.steps.insert(work.index, work.steps.pop(number))
        work.phase = "move"
        return
    work.foreign, work.phase = upid.text, "foreign"


def was_stopped(session: Session, guest: Guest, rows: Sequence[Mapping[str, Any]], *, unmoved: bool) -> bool:
    """Whether a run that was interrupted has stopped the container: this user stopped it, and moved soon after.

    :param rows: the container's newest tasks, newest first. :param unmoved: volumes have yet to move, so that a stop
        without any move after it may be that of a run that came no further.
    """
    moved_at: int | None = None
    for row in rows:
        upid = Upid.parse(str(row["upid"]))
        if upid.type in MOVE_TASKS:
            moved_at = upid.start
            continue
        if upid.type == "vzstart" and row.get("status") not in ("OK", "RUNNING"):
            # That run, or somebody, has tried in vain.
            continue
        if upid.type == "vzshutdown" and upid.user == "root@pam" and not is_own(session, upid):
            # The HA manager carries out what the task before it has asked for.
            continue
        ended = int(row.get("endtime") or 0)
        if upid.type not in STOP_TASKS or not ended or not is_own(session, upid):
            return False
        if moved_at is not None:
            return moved_at - ended <= LATELY
        return unmoved and int(session.get(f"/nodes/{guest.node}/time")["time"]) - ended <= LATELY
    return False
