# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far a move is, read from the lines of its log (shapes: pve-facts §9)."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.tasks import unstamped

_UNITS = {"B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
_SIZE = r"(\d+(?:\.\d+)?) ?([KMGTP]?)(?:iB|B)?"

_MIRROR = re.compile(rf"^(?:mirror|drive)-(\S+): transferred {_SIZE} of {_SIZE} \(\d+(?:\.\d+)?%\)(?: in ([\dhms ]+))?")
_CONVERT = re.compile(rf"^transferred {_SIZE} of {_SIZE} \(")
_MEMORY = re.compile(rf"^migration active, transferred {_SIZE} of {_SIZE} VM-state(?:, {_SIZE}/s)?")
_SPEED = re.compile(rf"^average migration speed: {_SIZE}/s - downtime (\d+) ms")
_STATE = re.compile(rf"^migration completed, transferred {_SIZE} VM-state")
_ESTIMATE = re.compile(rf"^total estimated size is {_SIZE}")
_ZFS = re.compile(rf"^\d\d:\d\d:\d\d +{_SIZE} +(\S+@\S+)")
_DD = re.compile(rf"^(\d+) bytes .*copied, [\d.]+ s, {_SIZE}/s")
_FINISHING = re.compile(r"^(?:migration status: completed|stopping NBD|switched)", re.IGNORECASE)
_STARTING = re.compile(r"^starting migration of (?:VM|CT) \d+ to node '([^']+)'")


class Phase(enum.Enum):
    """What the move is doing, in an operator's words."""

    PREPARING = "preparing"
    SHUTDOWN = "shutting down"
    DISKS = "disks"
    MEMORY = "memory"
    FINISHING = "finishing"


@dataclass(slots=True)
class Progress:
    """``done`` and ``total`` are bytes of the present phase (0: unknown); ``rate`` bytes/s.

    :ivar carried: bytes of all phases so far. :ivar downtime_ms: pause of a live migration, when it is over.
    :ivar target: the node that the log names.
    """

    phase: Phase = Phase.PREPARING
    done: int = 0
    total: int = 0
    rate: float = 0.0
    downtime_ms: int | None = None
    target: str | None = None
    _disks: dict[str, tuple[int, int]] = field(default_factory=dict)
    _memory: int = 0
    _volumes: int = 0
    _stream: int = 0
    _imported: bool = False
    _at: float | None = None

    @property
    def carried(self) -> int:
        return sum(done for done, _total in self._disks.values()) + self._memory + self._volumes + self._stream

    @property
    def percent(self) -> int | None:
        """0 to 100; Proxmox VE's own figures may exceed it when memory is dirtied again."""
        return min(100, int(100 * self.done / self.total)) if self.total else None

    @property
    def eta(self) -> float | None:
        """Seconds until the present phase is done, at the present rate."""
        left = self.total - self.done
        return left / self.rate if self.rate > 0 and left > 0 else None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, from which :meth:`from_dict` makes it anew in another process."""
        return {**asdict(self), "phase": self.phase.name}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Progress:
        """:raises KeyError, TypeError: when they are not from :meth:`as_dict`."""
        disks = {name: (int(done), int(total)) for name, (done, total) in values["_disks"].items()}
        return cls(**{**values, "phase": Phase[values["phase"]], "_disks": disks})

    def feed(self, lines: list[str], now: float) -> None:
        """Take in new log lines.

        :param now: seconds on any clock; used for rates where the log gives none.
        """
        before = (self.phase, self.done)
        own_rate = False
        for line in lines:
            own_rate = self._take(unstamped(line)) or own_rate
        phase, done = before
        if phase is not self.phase:
            self._at = now
            self.rate = self.rate if own_rate else 0.0
        elif self.done > done and not own_rate:
            if self._at is not None and now > self._at:
                self.rate = (self.done - done) / (now - self._at)
            self._at = now

    def _take(self, text: str) -> bool:
        """One line; true when it says the rate itself."""
        if match := _MIRROR.match(text):
            self._disks[match[1]] = (_bytes(match[2], match[3]), _bytes(match[4], match[5]))
            self._enter(Phase.DISKS, sum(d for d, _t in self._disks.values()), sum(t for _d, t in self._disks.values()))
            if seconds := _seconds(match[6] or ""):
                # All disks travel at the same time, so the newest line tells how long they have been at it.
                self.rate = self.done / seconds
                return True
        elif match := _CONVERT.match(text):
            # A disk that no QEMU has open is copied by qemu-img, which tells neither a rate nor the time.
            self._disks["copy"] = (_bytes(match[1], match[2]), _bytes(match[3], match[4]))
            self._enter(Phase.DISKS, *self._disks["copy"])
        elif match := _MEMORY.match(text):
            self._memory = _bytes(match[1], match[2])
            self._enter(Phase.MEMORY, self._memory, _bytes(match[3], match[4]))
            if match[5]:
                self.rate = float(_bytes(match[5], match[6]))
                return True
        elif match := _SPEED.match(text):
            self.downtime_ms = int(match[3])
        elif match := _STATE.match(text):
            self._memory = _bytes(match[1], match[2])
        elif match := _ESTIMATE.match(text):
            self._enter(Phase.DISKS, 0, _bytes(match[1], match[2]))
        elif match := _ZFS.match(text):
            self._stream = _bytes(match[1], match[2])
            self._enter(Phase.DISKS, self._stream, max(self.total, self._stream))
        elif (match := _DD.match(text)) and not self._imported:
            self._stream = int(match[1])
            self._enter(Phase.DISKS, self._stream, self.total if self.total >= self._stream else 0)
            self.rate = float(_bytes(match[2], match[3]))
            return True
        elif match := _STARTING.match(text):
            self.target = match[1]
            self.phase = Phase.PREPARING
        elif text.startswith(("shutdown CT", "shutdown VM")):
            self.phase = Phase.SHUTDOWN
        elif text.startswith("successfully imported"):
            # A stream that is done within a second shows its estimate only.
            self._volumes += self._stream or self.total
            self._stream, self._imported = 0, True
            self.done, self.total = 0, 0
        elif text.startswith("volume '"):
            # Until here both ends of the copy have reported the same bytes.
            self._imported = False
        elif _FINISHING.match(text) or text.startswith(("start final cleanup", "start container on")):
            self.phase, self.done, self.total = Phase.FINISHING, 0, 0
        return False

    def _enter(self, phase: Phase, done: int, total: int) -> None:
        self.phase, self.done, self.total = phase, done, total


def _seconds(text: str) -> int:
    """``1h 2m 3s`` → seconds."""
    return sum(int(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in re.findall(r"(\d+)([hms])", text))


def _bytes(number: str, unit: str) -> int:
    return int(float(number) * _UNITS[unit or "B"])
