# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Is somebody else emptying the node? Seen from the tasks of the cluster, whatever machine the other one runs on.

A run that has died begins no new moves, and one that lives does. So moves that were under way before are waited for;
when others begin meanwhile, whoever came second gives way.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import ApiError, Conflict, Invalid
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.api.upid import Upid
from ansible_collections.pve.mobility.plugins.module_utils.execution.underway import MOVE_TASKS
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.ha import MOVING as HA_MOVING

LOOK_EVERY = 10.0
NEWEST = 100
"""Tasks of a node that are looked at; more do not begin between two looks."""
RECENT = 60
"""Seconds since which a move of somebody else has ended, who may be about to begin the next one."""
QUIET = 15.0
"""Seconds in which that would have happened."""
REQUESTS = "hamigrate"


@dataclass(slots=True)
class Foreign:
    """Watches the tasks of ``sources``.

    :ivar holding: UPIDs of moves of others that were there first; nothing begins before they have ended.
    :ivar second: others were there first: whatever they begin from now on, they live.
    :ivar quiet_at: clock until which it is seen whether they do.
    """

    session: Session
    clock: Clock
    sources: tuple[str, ...]
    holding: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=set)
    looked_at: float | None = None
    second: bool = False
    quiet_at: float = 0.0

    @property
    def waits(self) -> bool:
        """Nothing may begin yet."""
        return bool(self.holding) or self.clock.monotonic() < self.quiet_at

    def handle(self) -> dict[str, Any]:
        """What :meth:`take_up` takes in another process."""
        return {
            "holding": sorted(self.holding),
            "known": sorted(self.known),
            "looked_at": self.looked_at,
            "second": self.second,
            "quiet_at": self.quiet_at,
        }

    def take_up(self, handle: Mapping[str, Any]) -> None:
        """:raises KeyError: it is no handle."""
        self.holding, self.known = set(handle["holding"]), set(handle["known"])
        self.looked_at, self.second, self.quiet_at = handle["looked_at"], handle["second"], handle["quiet_at"]

    def look(self, own: Iterable[str], first: str, ours: frozenset[int], guests: Iterable[Guest]) -> None:
        """:param own: UPIDs of this work; ``first`` of them. :param ours: guests that it is moving, or asking to move.
        :param guests: all that there are. The HA manager's own tasks are nobody's doing, the requests to it are.

        :raises Conflict: another run is at work, and it came first.
        """
        now = self.clock.monotonic()
        beginning = self.looked_at is None
        if not beginning and now - (self.looked_at or 0.0) < LOOK_EVERY:
            return
        self.looked_at = now
        managed = {guest.vmid: guest.hastate for guest in guests if guest.hastate is not None}
        rows = self._tasks(managed.keys())
        if rows is None:
            return
        mine = set(own)
        others = {upid.text: upid for upid, _end in rows if upid.text not in mine and int(upid.id) not in ours}
        # A request has ended at once; what was asked for goes on.
        asked = {upid.text for upid in others.values() if _asked(upid, managed.get(int(upid.id)))}
        running = asked | {upid.text for upid, end in rows if end is None and upid.text in others}
        fresh = [upid for upid in others.values() if upid.text not in self.known]
        if beginning and not first:
            self.holding = running
            ended = self._just_ended(rows, set(others) - running)
            self.second = bool(running) or ended
            self.quiet_at = now + QUIET if ended else 0.0
        elif not beginning and fresh and (self.second or not first or self._came_before(fresh, first)):
            raise self._conflict(fresh)
        if self.second:
            self.holding |= asked & self.known
        held = bool(self.holding)
        self.known |= {upid.text for upid, _end in rows}
        self.holding &= running
        if held and not self.holding:
            self.quiet_at = now + QUIET

    @staticmethod
    def _came_before(fresh: list[Upid], first: str) -> bool:
        """Two that begin at the same time see each other's tasks, and agree which is the older."""
        mine = Upid.parse(first)
        return any((upid.start, upid.text) < (mine.start, mine.text) for upid in fresh)

    def _tasks(self, managed: Container[int]) -> list[tuple[Upid, int | None]] | None:
        """The newest tasks that moved guests away, with their end; None when it cannot be found out just now."""
        found: list[tuple[Upid, int | None]] = []
        for node in self.sources:
            try:
                rows = self.session.get(f"/nodes/{node}/tasks", {"source": "all", "limit": NEWEST})
            except ApiError:
                # Nodes that do not answer begin no moves either.
                return None
            for row in rows or ():
                upid = _move(row, managed)
                if upid is not None:
                    found.append((upid, int(row["endtime"]) if row.get("endtime") else None))
        return found

    def _just_ended(self, rows: list[tuple[Upid, int | None]], ended: set[str]) -> bool:
        """Whether somebody who moves one guest after the other may be between two of them."""
        ends = [end for upid, end in rows if end is not None and upid.text in ended]
        if not ends:
            return False
        try:
            now = int(self.session.get(f"/nodes/{self.sources[0]}/time").get("time", 0))
        except ApiError:
            return False
        return max(ends) >= now - RECENT

    def _conflict(self, fresh: list[Upid]) -> Conflict:
        guests = ", ".join(sorted({upid.id for upid in fresh}, key=int))
        nodes = " and ".join(self.sources)
        return Conflict(
            f"Somebody else is moving guests away from {nodes} too (just now {guests}, {fresh[0].text}): another"
            " run, or somebody by hand. This run begins nothing more; what it has begun goes on. Wait until the other"
            " one has ended, then run this again.",
            tasks=[upid.text for upid in fresh],
        )


def _asked(upid: Upid, hastate: str | None) -> bool:
    """Whether it is a request to the HA manager, which moves the guest now."""
    return upid.type == REQUESTS and hastate in HA_MOVING


def _move(row: Mapping[str, Any], managed: Container[int]) -> Upid | None:
    """The UPID of a task by which somebody moves a guest."""
    try:
        upid = Upid.parse(str(row.get("upid")))
    except Invalid:
        return None
    if not upid.id.isdigit():
        return None
    moves = upid.type == REQUESTS or (upid.type in MOVE_TASKS and int(upid.id) not in managed)
    return upid if moves else None
