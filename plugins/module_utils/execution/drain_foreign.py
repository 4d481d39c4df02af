# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Is somebody else emptying the node? Seen from the tasks of the cluster, whatever machine the other one runs on.

A run that has died begins no new moves, and one that lives does. So moves that were under way before are waited for;
when others begin meanwhile, whoever came second gives way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import ApiError, Conflict, Invalid
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.api.upid import Upid
from ansible_collections.pve.mobility.plugins.module_utils.execution.underway import MOVE_TASKS

LOOK_EVERY = 10.0
REQUESTS = "hamigrate"


@dataclass(slots=True)
class Foreign:
    """Watches the tasks of ``sources``.

    :ivar holding: UPIDs of moves of others that were there first; nothing begins before they have ended.
    """

    session: Session
    clock: Clock
    sources: tuple[str, ...]
    holding: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=set)
    looked_at: float | None = None

    def look(self, own: Iterable[str], first: str, ours: frozenset[int], managed: frozenset[int]) -> None:
        """:param own: UPIDs of this work; ``first`` of them. :param ours: guests that it is moving, or asking to move.
        :param managed: guests under HA: the HA manager's own tasks are nobody's doing.

        :raises Conflict: another run is at work, and it came first.
        """
        now = self.clock.monotonic()
        beginning = self.looked_at is None
        if not beginning and now - (self.looked_at or 0.0) < LOOK_EVERY:
            return
        self.looked_at = now
        running = self._running(set(own), ours, managed)
        if running is None:
            return
        fresh = [upid for upid in running if upid.text not in self.known]
        if beginning and not first:
            self.holding = {upid.text for upid in fresh}
        elif fresh and (not first or self._came_before(fresh, first)):
            raise self._conflict(fresh)
        self.known |= {upid.text for upid in fresh}
        self.holding &= {upid.text for upid in running}

    @staticmethod
    def _came_before(fresh: list[Upid], first: str) -> bool:
        """Two that begin at the same time see each other's tasks, and agree which is the older."""
        mine = Upid.parse(first)
        return any((upid.start, upid.text) < (mine.start, mine.text) for upid in fresh)

    def _running(self, own: set[str], ours: frozenset[int], managed: frozenset[int]) -> list[Upid] | None:
        """Moves of others, None when it cannot be found out just now."""
        found = []
        for node in self.sources:
            try:
                rows = self.session.get(f"/nodes/{node}/tasks", {"source": "active", "limit": 500})
            except ApiError:
                # Nodes that do not answer begin no moves either.
                return None
            for row in rows or ():
                try:
                    upid = Upid.parse(str(row.get("upid")))
                except Invalid:
                    continue
                if row.get("endtime") or upid.text in own or not upid.id.isdigit() or int(upid.id) in ours:
                    continue
                if upid.type == REQUESTS or (upid.type in MOVE_TASKS and int(upid.id) not in managed):
                    found.append(upid)
        return found

    def _conflict(self, fresh: list[Upid]) -> Conflict:
        guests = ", ".join(sorted({upid.id for upid in fresh}, key=int))
        nodes = " and ".join(self.sources)
        return Conflict(
            f"Somebody else is moving guests away from {nodes} too (just now {guests}, {fresh[0].text}): another"
            " run, or somebody by hand. This run begins nothing more; what it has begun goes on. Wait until the other"
            " one has ended, then run this again.",
            tasks=[upid.text for upid in fresh],
        )
