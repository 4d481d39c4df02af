# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tasks: status, log, and what a log says went wrong (pve-facts §9)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import ApiError, NotFound
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.api.upid import Upid

LOG_PAGE = 1000
_STAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")
_FINAL = re.compile(r"^TASK (OK|WARNINGS: \d+|ERROR: .*)$")
_WARNINGS = re.compile(r"^WARNINGS: \d+$")


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """``exitstatus`` is None while the task runs."""

    upid: str
    running: bool
    exitstatus: str | None

    @property
    def bad(self) -> bool:
        return not self.running and not self.good

    @property
    def good(self) -> bool:
        """Ended well; ``WARNINGS: n`` is a success."""
        return not self.running and (self.exitstatus == "OK" or bool(_WARNINGS.match(self.exitstatus or "")))


@dataclass(slots=True)
class TaskLog:
    """A task's log as far as it was read; :meth:`read_on` fetches only what is new.

    :ivar skipped: lines at its beginning that are left out, because an earlier reader has seen them.
    """

    upid: Upid
    lines: list[str] = field(default_factory=list)
    skipped: int = 0

    @property
    def count(self) -> int:
        """Lines seen so far, those of earlier readers included."""
        return self.skipped + len(self.lines)

    def whole(self, session: Session) -> None:
        """Fetch the beginning too, when it was left out."""
        if self.skipped:
            self.lines, self.skipped = [], 0
            self.read_on(session)

    def read_on(self, session: Session) -> list[str]:
        """The new lines."""
        fresh: list[str] = []
        while True:
            start = self.count + len(fresh)
            rows = session.get(
                f"/nodes/{self.upid.node}/tasks/{self.upid.text}/log", {"start": start, "limit": LOG_PAGE}
            )
            texts = [str(row.get("t", "")) for row in rows or () if int(row.get("n", 0)) > start]
            if start == 0 and texts == ["no content"]:
                texts = []
            fresh += texts
            if len(texts) < LOG_PAGE:
                break
        self.lines += fresh
        return fresh


def status(session: Session, upid: Upid) -> TaskStatus:
    """Ask the node of the UPID, through whichever API host answers.

    :raises NotFound: the node has forgotten the task.
    """
    try:
        row = session.get(f"/nodes/{upid.node}/tasks/{upid.text}/status")
    except ApiError as error:
        if "no such task" in f"{error.reason} {error.parameters}":
            raise NotFound(f"{upid.node} does not know the task {upid.text}: its log has been removed.") from None
        raise
    return TaskStatus(upid.text, row.get("status") == "running", row.get("exitstatus"))


def cancel(session: Session, upid: Upid) -> None:
    """Ask the task to end. It may still end well (pve-facts §16)."""
    session.delete(f"/nodes/{upid.node}/tasks/{upid.text}")


def listed(
    session: Session, node: str, *, vmid: int | None = None, since: int | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Tasks of a node, running ones included, newest first."""
    params: dict[str, Any] = {"source": "all", "vmid": vmid, "since": since, "limit": limit}
    rows: list[dict[str, Any]] = session.get(f"/nodes/{node}/tasks", params)
    return rows


def warnings(lines: list[str]) -> list[str]:
    """Lines by which a task warned."""
    found = []
    for line in map(unstamped, lines):
        head, colon, text = line.partition(": ")
        if colon and head in ("WARN", "WARNING"):
            found.append(text)
    return found


def unstamped(line: str) -> str:
    return _STAMP.sub("", line).strip()


_DURATION = re.compile(r"^(?:ERROR: )?migration (?:aborted|problems) \(duration [\d:]+\): ")
_GENERAL = re.compile(
    r"^(?:ERROR: )?(?:migration (?:aborted|problems|finished with problems)"
    r"|Problem found while scanning volumes - can't migrate (?:VM|CT)"
    r"|can't migrate CT - check log|aborting phase |writing to tunnel failed|#)",
    re.IGNORECASE,
)
_TROUBLE = r"fail|error|can't|cannot|could not|unable|refus|too old|does not exist|not available|already running"
_CAUSES = (
    re.compile(r"^can't (?:migrate|live migrate) local .*"),
    re.compile(rf"^\[\S+\] .*(?:{_TROUBLE}).*", re.IGNORECASE),
    re.compile(r"^could not get .*"),
    re.compile(r"^ERROR: .*"),
    re.compile(rf"^(?!command ').*(?:{_TROUBLE}).*", re.IGNORECASE),
)


def cause(lines: list[str], exitstatus: str | None) -> str:
    """The line that says why: the specific one rather than ``migration aborted``.

    :param lines: the whole log. :param exitstatus: used when the log does not say more.
    """
    if exitstatus == "unexpected status":
        return "the task was killed, or its node restarted (unexpected status)"
    texts = [_DURATION.sub("ERROR: ", unstamped(line)) for line in lines if not _FINAL.match(line)]
    for pattern in _CAUSES:
        for number, text in enumerate(texts):
            if pattern.match(text) and not _GENERAL.match(text):
                reasons = [item for item in texts[number + 1 :] if item.startswith("- ")] if text.endswith(":") else []
                return " ".join(f"{text.removeprefix('ERROR: ')} {'; '.join(r[2:] for r in reasons)}".split())
    return " ".join((exitstatus or "no reason given").split())


def tail(lines: list[str], count: int = 10) -> list[str]:
    """The last lines, for the result of a failure."""
    return [line for line in lines if line.strip()][-count:]


_LEFT = re.compile(r"found stale volume copy '([^']+)' on node '([^']+)'")
_IMPORTED = re.compile(r"(?:successfully imported|allocated target volume) '([^']+)'")


def leftovers(lines: list[str], target: str) -> list[str]:
    """Volumes that a failed move says, or implies, it has left on the target: ``volid on node``."""
    found = {f"{match[1]} on {match[2]}" for line in lines for match in _LEFT.finditer(line)}
    failed = any("migration aborted" in line for line in lines)
    if failed:
        found |= {f"{match[1]} on {target}" for line in lines for match in _IMPORTED.finditer(line)}
    return sorted(found)
