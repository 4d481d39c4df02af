# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Running tasks: who works on a guest at this moment?"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.scope import Scope
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts

RUNNING = Kind(
    "task-running",
    Severity.BLOCK,
    "A task works on the guest: a backup, a clone, the move of a disk, a snapshot, another move.",
    "It holds a lock of the guest. A move waits ten seconds for that and then fails; while a disk is being moved, no"
    " lock is shown in the configuration.",
    "wait until the task has ended",
    "the task, its type and user, Unix time of its start",
    enforced=True,
)
POWER = Kind(
    "guest-in-transition",
    Severity.WARN,
    "The guest is being started, stopped or configured.",
    "Whether it runs, and so how it would move, is decided by what comes of that.",
    "wait until the task has ended, then judge it again",
    "the task, its type and user, Unix time of its start",
)
BACKUP = Kind(
    "backup-running",
    Severity.WARN,
    "A backup of several guests runs on a node.",
    "Each guest is locked while its turn lasts, and which guests are still to come is not known; a guest that has moved"
    " away meanwhile is missing from the backup.",
    "wait until the backup has ended, or stop it",
    "the task, Unix time of its start",
)

_BRIEF = frozenset(
    {"config", "create_pass", "reboot", "reset", "resume", "shutdown", "start", "stop", "suspend", "unlock"}
)
_LABELS = {
    "vzdump": "a backup",
    "clone": "a clone",
    "move": "the move of a disk",
    "move_volume": "the move of a volume",
    "resize": "the resizing of a disk",
    "snapshot": "a snapshot",
    "delsnapshot": "the deletion of a snapshot",
    "rollback": "a rollback",
    "restore": "a restore",
    "create": "the creation",
    "destroy": "the destruction",
    "template": "the conversion to a template",
    "igrate": "a move",
    "migrate": "a move",
}
_OF_GUESTS = ("qm", "vz", "ha")
_OTHERS = frozenset({"move_volume", "resize"})


def guest_tasks(move: MoveFacts) -> Iterator[Finding]:
    """Of the guest itself; consoles do not matter."""
    guest = move.guest
    for task in move.state.tasks_of(guest.vmid):
        if task.node != guest.node or not (task.type.startswith(_OF_GUESTS) or task.type in _OTHERS):
            continue
        deed = task.type[2:] if task.type.startswith(_OF_GUESTS) and task.type != "vzdump" else task.type
        kind = POWER if deed in _BRIEF else RUNNING
        yield kind.found(
            f"{_LABELS.get(deed, f'task {task.type}')} of {guest.label} runs on {task.node}",
            guest=guest.vmid,
            node=task.node,
            upid=task.upid,
            type=task.type,
            user=task.user,
            start=task.start,
        )


def backups(scope: Scope) -> Iterator[Finding]:
    """Of several guests: the task does not name them."""
    for task in scope.state.tasks:
        if task.type == "vzdump" and task.vmid is None and (scope.only_nodes is None or task.node in scope.only_nodes):
            yield BACKUP.found(
                f"a backup of several guests runs on {task.node}", node=task.node, upid=task.upid, start=task.start
            )
