# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``follow`` for a disk that is being moved: looks only, so the disks after it wait for ``move_disk``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api import tasks
from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import NodeUnreachable, NoQuorum
from ansible_collections.pve.mobility.plugins.module_utils.api.progress import Progress
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.api.upid import Upid
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_work import DiskWork
from ansible_collections.pve.mobility.plugins.module_utils.execution.progress_row import progress_values


@dataclass(slots=True)
class WatchedDisks:
    """The task that works on a guest just now, by the handle of ``move_disk``."""

    session: Session
    clock: Clock
    work: DiskWork
    progress: Progress = field(default_factory=Progress)
    status: tasks.TaskStatus | None = None
    log: tasks.TaskLog | None = None

    @property
    def task(self) -> str | None:
        work = self.work
        if work.phase == "foreign":
            return work.foreign
        return work.step.task if work.phase == "move" and work.step is not None else work.power_task

    @property
    def over(self) -> bool:
        return self.task is None or (self.status is not None and not self.status.running)

    def look(self) -> None:
        if self.over or self.task is None:
            return
        upid = Upid.parse(self.task)
        try:
            self.status = tasks.status(self.session, upid)
            self.log = self.log or tasks.TaskLog(upid)
            self.progress.feed(self.log.read_on(self.session), self.clock.monotonic())
        except (NodeUnreachable, NoQuorum):
            # The move goes on without its spectators.
            self.session.rotate()

    def values(self) -> dict[str, Any]:
        """One row of ``guests`` in the result."""
        work, step = self.work, self.work.step
        row: dict[str, Any] = {
            "vmid": work.vmid,
            "name": work.name,
            "node": work.node,
            "disk": step.disk if step is not None else None,
            "source": step.source_storage if step is not None else work.storage,
            "target": work.storage,
            "ha": False,
            "task": self.task,
            "elapsed_s": round(max(0.0, self.clock.monotonic() - work.asked_at), 1),
            "follow": work.as_dict(),
        }
        what = f"{row['disk']} of {work.label}" if step is not None else work.label
        if not self.over:
            return row | {
                "state": "running",
                "summary": f"{what} is still moving from {row['source']} to {work.storage}",
                "waiting_for_ha": False,
                "progress": progress_values(self.progress),
            }
        if self.status is not None and self.status.bad:
            lines = self.log.lines if self.log is not None else []
            why = f"The move of {what} to {work.storage} failed: {tasks.cause(lines, self.status.exitstatus)}"
            failure = {"kind": "task_failed", "task": self.task, "log_tail": tasks.tail(lines)}
            return row | {"state": "failed", "msg": why, "summary": why, "failure": failure}
        more = len(work.steps) - work.index - 1
        ahead = f"; {more} more wait for pve.mobility.move_disk" if more > 0 else ""
        return row | {
            "state": "done",
            "summary": f"{what} moved from {row['source']} to {work.storage}{ahead}",
            "warnings": tasks.warnings(self.log.lines if self.log is not None else []),
        }
