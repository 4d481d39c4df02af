# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sending the one write of a move, and never sending it twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api import tasks
from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    ApiError,
    MaybeSent,
    NodeUnreachable,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.api.upid import Upid
from ansible_collections.pve.mobility.plugins.module_utils.execution.moving import Moving
from ansible_collections.pve.mobility.plugins.module_utils.execution.request import MoveRequest, print_storage_map
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest

LOOK_FOR = 15.0
"""Seconds to look for a task that may have been started by a request without an answer."""
LOOK_EVERY = 2.0


def start(session: Session, clock: Clock, request: MoveRequest, moving: Moving, known: frozenset[str]) -> Moving:
    """Ask for the move and note its task.

    :param known: UPIDs of the guest's newest tasks before, to tell a new one by after an unanswered request; where
        ``moving.since`` is set, only tasks from then on count.
    :raises MobilityError: it was refused, or it is unknown whether it was accepted.
    """
    path = f"{moving.guest.path}/migrate"
    moving.asked_at = clock.monotonic()
    params = parameters(request, moving)
    try:
        upid = Upid.parse(str(session.post(path, params)))
    except MaybeSent as doubt:
        wanted = Wanted(frozenset({"hamigrate", moving.guest.task_type}), known, moving.since)
        upid = find_started(session, clock, moving.guest, wanted, doubt)
    moving.since = upid.start
    if upid.type == "hamigrate":
        moving.ha, moving.request_task = True, upid.text
    else:
        moving.task = upid.text
    return moving


def parameters(request: MoveRequest, moving: Moving) -> dict[str, Any]:
    """The parameters of ``POST …/migrate`` for this kind of guest; only what differs from Proxmox VE's defaults."""
    params: dict[str, Any] = {"target": moving.target}
    online = moving.was_running
    if moving.type == "lxc":
        if online:
            params["restart"] = True
            params["timeout"] = request.restart_timeout
        if request.storage_map:
            params["target-storage"] = print_storage_map(request.storage_map)
        params["bwlimit"] = request.bwlimit
        return params if not moving.ha else {"target": moving.target, **({"restart": True} if online else {})}
    if online:
        params["online"] = True
    if moving.ha:
        return params
    if online and request.with_local_disks:
        params["with-local-disks"] = True
    if request.storage_map:
        params["targetstorage"] = print_storage_map(request.storage_map)
    if request.with_conntrack_state:
        params["with-conntrack-state"] = True
    return params | {
        "bwlimit": request.bwlimit,
        "migration_type": request.migration_type,
        "migration_network": request.migration_network,
    }


@dataclass(frozen=True, slots=True)
class Wanted:
    """By what a new task is told: its types, UPIDs that were there before, Unix time before which none counts."""

    types: frozenset[str]
    known: frozenset[str] = frozenset()
    since: int = 0


def find_started(session: Session, clock: Clock, guest: Guest, wanted: Wanted, doubt: MaybeSent) -> Upid:
    """The task of ``guest`` that the unanswered request has started on its node, on any host that answers.

    :raises NodeUnreachable: it cannot be found, so it is not known whether the move was started.
    """
    deadline = clock.monotonic() + LOOK_FOR
    while True:
        try:
            for row in tasks.listed(session, guest.node, vmid=guest.vmid, limit=10):
                upid = Upid.parse(str(row["upid"]))
                new = upid.text not in wanted.known and upid.start >= wanted.since
                if upid.type in wanted.types and new and is_own(session, upid):
                    return upid
        except ApiError:
            session.rotate()
        if clock.monotonic() >= deadline:
            raise NodeUnreachable(
                f"{doubt.message} No task for {guest.label} appeared on {guest.node} in {LOOK_FOR:.0f} s,"
                " so the move"
                " was probably not started: run this again; a move that is under way will be adopted.",
            )
        clock.sleep(LOOK_EVERY)


def is_own(session: Session, upid: Upid) -> bool:
    """Whether the user of this session has started the task."""
    connection = session.connection
    own = f"{connection.user}!{connection.token_name}" if connection.uses_token else connection.user or "root@pam"
    return upid.user == own
