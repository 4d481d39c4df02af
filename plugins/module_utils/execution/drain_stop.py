# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Shutting down guests that cannot leave a node, and starting them again when the node is back.

All at a time: each takes as long as its operating system does. The journal keeps what has to be started again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    ApiError,
    MaybeSent,
    MobilityError,
    NodeUnreachable,
    NoQuorum,
    TaskFailed,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_book import Book
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_view import View
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest

POLL = 3.0
SLACK = 60.0
"""Seconds beyond a guest's own time; the HA manager acts every 10 s."""
START = 240.0


@dataclass(slots=True)
class Stops:
    """:ivar waiting: vmid → clock by which it must have stopped. :ivar failed: vmid → why it has not."""

    session: Session
    clock: Clock
    book: Book
    view: View
    timeout: int = 180
    waiting: dict[int, float] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    _begun: bool = False

    def wait(self, deadline: float | None) -> bool:
        """Until all are stopped or given up, or until the clock passes ``deadline``; whether it is over."""
        if not self._begun:
            self._begin()
        while self.waiting:
            self._look()
            if not self.waiting:
                break
            if deadline is not None and self.clock.monotonic() >= deadline:
                return False
            self.clock.sleep(POLL)
        return True

    def _begin(self) -> None:
        self._begun = True
        limit = self.clock.monotonic() + self.timeout + SLACK
        for stay in self.book.to_stop():
            guest = self.view.guest(stay.guest)
            if guest is None or guest.node != stay.node:
                continue
            known = self.book.stopped.get(guest.vmid, {}).get("state")
            if not guest.running and known != "stopping":
                # Somebody else has stopped it: starting it again is not ours to do.
                continue
            managed = guest.hastate not in (None, "ignored")
            row = {"vmid": guest.vmid, "name": guest.name, "type": guest.type, "node": guest.node, "ha": managed}
            self.book.note("stopping", row={**row, "state": "stopping"})
            try:
                power(self.session, guest, managed, on=False, timeout=self.timeout)
            except MobilityError as error:
                self.failed[guest.vmid] = error.message
                continue
            self.waiting[guest.vmid] = limit

    def _look(self) -> None:
        now = self.clock.monotonic()
        for vmid, limit in list(self.waiting.items()):
            row = self.book.stopped[vmid]
            status = status_of(self.session, row)
            if status == "stopped":
                del self.waiting[vmid]
                self.book.note("stopped", row={**row, "state": "stopped"})
            elif now >= limit:
                del self.waiting[vmid]
                self.failed[vmid] = f"it did not shut down within {self.timeout} s"


def start_again(session: Session, clock: Clock, book: Book) -> list[dict[str, Any]]:
    """Start what a drain has stopped. Rows of the guests.

    :raises TaskFailed: some do not run.
    """
    rows = [row for row in book.stopped.values() if row["state"] in ("stopped", "stopping")]
    for row in rows:
        guest = Guest(row["vmid"], row["type"], row["node"], row["name"])
        if row["ha"] or status_of(session, row) != "running":
            power(session, guest, row["ha"], on=True)
    deadline = clock.monotonic() + START
    waiting = {row["vmid"]: row for row in rows}
    while waiting:
        for vmid, row in list(waiting.items()):
            if status_of(session, row) == "running":
                del waiting[vmid]
                book.note("started", vmid=vmid)
        if waiting and clock.monotonic() >= deadline:
            names = ", ".join(f"{row['vmid']} {row['name']}".rstrip() for row in waiting.values())
            raise TaskFailed(
                f"{names} was stopped before and does not run again within {START:.0f} s: see its newest task.",
                guests=sorted(waiting),
            )
        if waiting:
            clock.sleep(POLL)
    return [{**row, "state": "started"} for row in rows]


def power(session: Session, guest: Guest, managed: bool, *, on: bool, timeout: int = 180) -> None:
    """Ask for it; a guest under HA is asked for through the HA manager, which would undo anything else."""
    try:
        if managed:
            session.put(f"/cluster/ha/resources/{guest.sid}", {"state": "started" if on else "stopped"})
        elif on:
            session.post(f"{guest.path}/status/start")
        else:
            session.post(f"{guest.path}/status/shutdown", {"timeout": timeout})
    except MaybeSent:
        # What becomes of it is looked at anyhow.
        return


def status_of(session: Session, row: Mapping[str, Any]) -> str:
    """``running``, ``stopped``, or empty when nobody says."""
    try:
        answer = session.get(f"/nodes/{row['node']}/{row['type']}/{row['vmid']}/status/current")
    except (NodeUnreachable, NoQuorum, ApiError):
        return ""
    return str(answer.get("status", ""))
