# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What runs at the moment: QEMU processes and tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.names import NodeName, TaskId, TaskSubject, UserName


@dataclass(frozen=True, slots=True)
class RunningVm:
    """A VM's process. ``machine`` and ``qemu`` are those that it was started with, which a move keeps."""

    vmid: int
    node: NodeName
    machine: str | None = None
    qemu: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class RunningTask:
    """A task that has not ended. ``id`` is mostly the number of a guest; ``start`` Unix time on its node."""

    upid: TaskId
    node: NodeName
    type: str
    id: TaskSubject
    user: UserName
    start: int

    @property
    def vmid(self) -> int | None:
        return int(self.id) if self.id.isdigit() else None


def running_vm(node: str, row: Mapping[str, Any]) -> RunningVm | None:
    """From a row of ``GET /nodes/{node}/qemu?full=1``; None when the VM does not run."""
    if row.get("status") != "running":
        return None
    machine, qemu = row.get("running-machine"), row.get("running-qemu")
    return RunningVm(int(row["vmid"]), node, machine, None if qemu == "unknown" else qemu, row.get("qmpstatus"))


def running_task(row: Mapping[str, Any]) -> RunningTask | None:
    """From a row of ``GET /cluster/tasks``; None when the task has ended."""
    if row.get("endtime"):
        return None
    return RunningTask(
        str(row["upid"]),
        str(row["node"]),
        str(row.get("type", "")),
        str(row.get("id", "")),
        str(row.get("user", "")),
        int(row.get("starttime", 0) or 0),
    )
