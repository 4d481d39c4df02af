# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Moves that are under way already, whoever has started them: found and made out, so that they can be adopted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ansible_collections.pve.mobility.plugins.module_utils.api import tasks
from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import ApiError, Locked
from ansible_collections.pve.mobility.plugins.module_utils.api.progress import Progress
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.api.upid import Upid
from ansible_collections.pve.mobility.plugins.module_utils.execution.moving import Moving
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.ha import MOVING, HaStatus, ha_status
from ansible_collections.pve.mobility.plugins.module_utils.model.move import natural_mode

MOVE_TASKS = {"qmigrate", "vzmigrate"}
SHUTDOWN = 200.0
"""Seconds for which a container's log may say nothing but that it is being shut down: 180 s by default, and some."""


def ha_if_busy(session: Session, guest: Guest) -> HaStatus | None:
    """The HA manager's status when it is moving the guest; None, and no request, otherwise."""
    return read_ha(session) if guest.hastate in MOVING else None


def read_ha(session: Session) -> HaStatus:
    return ha_status(session.get("/cluster/ha/status/manager_status"))


def under_way(session: Session, guest: Guest, ha: HaStatus | None) -> tuple[Guest, Moving | None]:
    """A move of this guest that runs already, whoever started it; and the guest, as it is by now.

    :raises Locked: by a migration that nobody carries out.
    """
    if ha is not None:
        service = ha.services.get(guest.sid)
        if service is not None and service.state in MOVING and service.target:
            return guest, moving_of(session, guest, service.node, service.target, [], ha=True)
    if guest.lock != "migrate":
        return guest, None
    for node in _nodes_of_task(session, guest):
        _known, moving = begun(session, guest, node)
        if moving is not None:
            return guest, moving
    now = session.get(f"{guest.path}/status/current")
    if not now.get("lock"):
        # The list of resources shows a lock up to a second after it has gone (pve-facts §16).
        return replace(guest, lock=None, status=str(now.get("status", guest.status))), None
    raise Locked(
        f"{guest.label} on {guest.node} is locked (migrate), but no migration task runs that the user may see"
        f" (Sys.Audit on /nodes/{guest.node} shows all): if one was killed, see that {guest.node} alone runs the guest,"
        f" then unlock it there: {'qm' if guest.type == 'qemu' else 'pct'} unlock {guest.vmid}. Nothing was changed.",
    )


def begun(session: Session, guest: Guest, node: str | None = None) -> tuple[frozenset[str], Moving | None]:
    """UPIDs of the guest's newest tasks on ``node``, and the move that one of them is just making.

    A container that is shut down in order to move holds no lock yet, and any lock is shown late (pve-facts §16).
    """
    rows = tasks.listed(session, node or guest.node, vmid=guest.vmid, limit=10)
    known = frozenset(str(row["upid"]) for row in rows)
    moving = None
    for row in rows:
        if row.get("type") in MOVE_TASKS and row.get("status", "RUNNING") == "RUNNING":
            moving = _from_task(session, guest, Upid.parse(str(row["upid"])))
            if moving.target:
                # Of two at once, one only waits for the other's lock and does not say where it would go (07a).
                break
    return known, moving


def _nodes_of_task(session: Session, guest: Guest) -> Iterator[str]:
    """After the switchover the configuration is on the target while the task still runs on the source."""
    yield guest.node
    for row in session.get("/cluster/tasks") or ():
        ours = row.get("type") in MOVE_TASKS and str(row.get("id")) == str(guest.vmid) and not row.get("endtime")
        if ours and row["node"] != guest.node:
            yield str(row["node"])


def _from_task(session: Session, guest: Guest, upid: Upid) -> Moving:
    lines = tasks.TaskLog(upid).read_on(session)
    moving = moving_of(session, guest, upid.node, _target_in(lines), lines, ha=guest.hastate in MOVING)
    moving.task, moving.since = upid.text, upid.start
    return moving


def _target_in(lines: list[str]) -> str:
    """The target that a log names; empty when it does not yet."""
    progress = Progress()
    progress.feed(lines, 0.0)
    return progress.target or ""


def moving_of(session: Session, guest: Guest, source: str, target: str, lines: list[str], *, ha: bool) -> Moving:
    was_running = _was_running(session, guest, lines)
    mode = natural_mode(guest, was_running).value
    return Moving(
        guest.vmid, guest.type, guest.name, source, target, mode, was_running, ha=ha, adopted=True, seen_moving=True
    )


def _was_running(session: Session, guest: Guest, lines: list[str]) -> bool:
    """The state to be found again after a move that others have begun, and that may have stopped the guest meanwhile.

    :param lines: the log of the move. The list of resources lags by ten seconds, so the guest itself is asked.
    """
    if any(tasks.unstamped(line).startswith(("shutdown CT", "shutdown VM")) for line in lines):
        return True
    try:
        row = session.get(f"{guest.path}/status/current")
    except ApiError:
        return guest.running
    if row.get("status") == "running":
        return True
    if not (row.get("ha") or {}).get("managed"):
        return False
    # While it moves, its HA state says no more than that; what it is to be again is in its configuration.
    return session.get(f"/cluster/ha/resources/{guest.sid}").get("state", "started") in ("started", "enabled")


def await_target(session: Session, clock: Clock, moving: Moving) -> None:
    """Wait while a container is being shut down: until then its log does not say where it is going."""
    if moving.target or moving.task is None:
        return
    upid = Upid.parse(moving.task)
    log = tasks.TaskLog(upid)
    deadline = clock.monotonic() + SHUTDOWN
    while not moving.target and clock.monotonic() < deadline:
        log.read_on(session)
        moving.target = _target_in(log.lines)
        if moving.target or not tasks.status(session, upid).running:
            return
        clock.sleep(2.0)
