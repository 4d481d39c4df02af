# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The journal of a drain: a line of JSON before and after each thing that is done, safe on disk before it counts.

Whoever finds a journal that has no end goes on with its plan. Two at once are kept apart by a lock beside it: its owner
shows every few seconds that it lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Conflict, Invalid

BEAT = 5.0
"""Seconds between two signs of life."""
DEAD = 30.0
"""Seconds without one after which an owner counts as gone. A rehearsal that runs faster counts its own seconds."""
VERSION = 1


@dataclass(slots=True)
class Journal:
    """One file. :ivar events: what it says, oldest first. :ivar whole: bytes of it that are whole lines."""

    path: Path
    events: list[dict[str, Any]]
    whole: int = 0

    @classmethod
    def open(cls, path: Path) -> Journal:
        """:raises Invalid: it cannot be read, or is no journal."""
        return cls(path, *_read(path))

    @property
    def unfinished(self) -> bool:
        """It has a beginning, and no end."""
        return bool(self.events) and self.events[-1].get("event") != "end"

    def renew(self) -> None:
        """Forget what is finished; its last contents stay beside it as ``….old``."""
        if self.path.exists():
            with _writable(self.path):
                self.path.replace(self.path.with_name(f"{self.path.name}.old"))
        self.events, self.whole = [], 0

    def note(self, event: str, **values: Any) -> None:
        """Append an event; it is on the disk when this returns."""
        row = {"event": event, **values}
        with _writable(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self.path.open("ab") as file:
                # What a crash has left of a line is none of it.
                file.truncate(self.whole)
                line = json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"
                self.whole += file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
        self.events.append(row)


def _read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The events, and how many bytes they take. What follows the last end of line has not happened."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    except OSError as problem:
        raise Invalid(f"The journal {path} cannot be read ({problem.strerror}): choose another.") from None
    whole = content.rfind(b"\n") + 1
    events = []
    for number, line in enumerate(content[:whole].splitlines(), start=1):
        try:
            events.append(json.loads(line))
        except ValueError:
            raise Invalid(f"Line {number} of the journal {path} is no JSON: remove it, or choose another.") from None
    if events and (events[0].get("event") != "begin" or events[0].get("version") != VERSION):
        raise Invalid(f"{path} is no journal of this version of pve.mobility: remove it, or choose another.")
    return events, whole


@contextlib.contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise Invalid(f"The journal {path} cannot be written ({problem.strerror}): choose another place.") from None


@dataclass(slots=True)
class Lock:
    """``<journal>.lock``: who works with the journal, and when that was seen last by the clock of this machine."""

    path: Path
    owner: str
    _beaten: float | None = None

    @classmethod
    def beside(cls, journal: Path, owner: str) -> Lock:
        return cls(journal.with_name(f"{journal.name}.lock"), owner)

    def take(self, clock: Clock) -> None:
        """Become the owner; wait for a while to see whether another one lives.

        :raises Conflict: it does.
        """
        dead = DEAD * max(1.0, clock.speed)
        first: tuple[float, Mapping[str, Any]] | None = None
        while True:
            with self._held() as file:
                other = _owner(file)
                now = clock.monotonic()
                if other is None or other.get("owner") == self.owner:
                    return self._write(file, now)
                beat = float(other.get("beat") or 0.0)
                if first is not None and other != first[1]:
                    raise self._conflict(other)
                first = first or (now, other)
                # A beat in the future is from before the machine was started anew.
                if beat <= now - dead or beat > now or now - first[0] >= dead:
                    return self._write(file, now)
            clock.sleep(min(BEAT, dead - (now - first[0])))

    def beat(self, clock: Clock) -> None:
        """A sign of life.

        :raises Conflict: another one has taken over meanwhile.
        """
        now = clock.monotonic()
        if self._beaten is not None and now - self._beaten < BEAT:
            return
        with self._held() as file:
            other = _owner(file)
            if other is not None and other.get("owner") != self.owner:
                raise self._conflict(other)
            self._write(file, now)

    def leave(self) -> None:
        """No longer be the owner."""
        with self._held() as file:
            other = _owner(file)
            if other is not None and other.get("owner") == self.owner:
                file.seek(0)
                file.truncate()

    def _conflict(self, other: Mapping[str, Any]) -> Conflict:
        return Conflict(
            f"Another run is at work with the journal {self.path.with_suffix('')} (it showed that within the last"
            f" {DEAD:.0f} s): wait until it has ended. This one changes nothing more.",
            owner=other.get("owner"),
        )

    def _write(self, file: Any, now: float) -> None:
        self._beaten = now
        file.seek(0)
        file.truncate()
        file.write(json.dumps({"owner": self.owner, "beat": now}))
        file.flush()

    @contextlib.contextmanager
    def _held(self) -> Iterator[Any]:
        with _writable(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = self.path.open("a+", encoding="utf-8")
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file


def _owner(file: Any) -> dict[str, Any] | None:
    file.seek(0)
    try:
        found = json.loads(file.read() or "null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
