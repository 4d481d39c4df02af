# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What recent migrations have shown: bytes, seconds and pauses, from their logs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import ApiError, Invalid
from ansible_collections.pve.mobility.plugins.module_utils.api.progress import Progress
from ansible_collections.pve.mobility.plugins.module_utils.api.tasks import TaskLog
from ansible_collections.pve.mobility.plugins.module_utils.api.upid import Upid
from ansible_collections.pve.mobility.plugins.module_utils.execution.reader import Reader
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Node
from ansible_collections.pve.mobility.plugins.module_utils.model.history import ObservedMove

TYPES = ("qmigrate", "vzmigrate")


class HistoryReading:
    """At most ``limit`` logs of each node, the newest ones, of migrations that ended well."""

    def __init__(self, reader: Reader, nodes: Iterable[Node], guests: Iterable[Guest] | None, limit: int) -> None:
        self.reader = reader
        self.nodes = [node.name for node in nodes]
        self.limit = limit
        self._chosen = None if guests is None else {guest.vmid for guest in guests}
        self._moves: list[ObservedMove] = []

    def steps(self) -> list[Callable[[], Iterable[Callable[[], None]]]]:
        return [self._node(name) for name in self.nodes if not self.reader.dead(name)]

    def found(self) -> tuple[ObservedMove, ...]:
        """Newest first."""
        return tuple(sorted(self._moves, key=lambda move: (-move.start, move.upid)))

    def _node(self, node: str) -> Callable[[], Iterable[Callable[[], None]]]:
        def read() -> Iterable[Callable[[], None]]:
            rows: list[dict[str, Any]] = []
            for kind in TYPES:
                params = {"typefilter": kind, "source": "archive", "limit": 10 * self.limit}
                rows += self.reader.get("history", f"/nodes/{node}/tasks", params, node=node) or ()
            good = [row for row in rows if self._good(row)]
            good.sort(key=lambda row: -int(row["starttime"]))
            return [self._log(row) for row in good[: self.limit]]

        return read

    def _good(self, row: dict[str, Any]) -> bool:
        ended = row.get("endtime") and (row.get("status") == "OK" or str(row.get("status")).startswith("WARNINGS"))
        number = str(row.get("id", ""))
        return bool(ended) and number.isdigit() and (self._chosen is None or int(number) in self._chosen)

    def _log(self, row: dict[str, Any]) -> Callable[[], None]:
        def read() -> None:
            try:
                upid = Upid.parse(str(row["upid"]))
                lines = TaskLog(upid).read_on(self.reader.session())
            except Invalid:
                return
            except ApiError as error:
                self.reader.missing("history", f"A task log was not to be read: {error.reason}", node=str(row["node"]))
                return
            progress = Progress()
            progress.feed(lines, 0.0)
            self._moves.append(
                ObservedMove(
                    upid.text,
                    int(row["id"]),
                    upid.type,
                    upid.node,
                    progress.target,
                    int(row["starttime"]),
                    int(row["endtime"]) - int(row["starttime"]),
                    progress.carried,
                    progress.downtime_ms,
                )
            )

        return read
