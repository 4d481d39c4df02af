# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab was asked: tests and benchmarks count here, and check that check mode writes nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KEPT = 200_000
"""Entries; older ones are forgotten, the counters are not."""

_SECRET = frozenset({"password", "secret", "otp", "tfa-challenge", "new-format", "keys"})


@dataclass(slots=True)
class Entry:
    """One request. ``status`` 0: no answer was sent. ``write``: it may change the cluster."""

    seq: int
    time: float
    node: str
    method: str
    path: str
    params: dict[str, Any]
    user: str | None
    write: bool
    status: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


class RequestLog:
    """Every API request in the order of arrival."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._next = 1
        self.requests = 0
        self.writes = 0

    def begin(self, now: float, node: str, method: str, path: str, params: Mapping[str, Any]) -> Entry:
        write = method != "GET" and path != "/access/ticket"
        masked = {name: "***" if name in _SECRET else value for name, value in params.items()}
        entry = Entry(self._next, now, node, method, path, masked, None, write)
        self._next += 1
        self._entries.append(entry)
        self.requests += 1
        self.writes += write
        return entry

    def since(self, seq: int) -> list[Entry]:
        """Entries with a greater ``seq``, oldest first."""
        newest_first = []
        for entry in reversed(self._entries):
            if entry.seq <= seq:
                break
            newest_first.append(entry)
        return newest_first[::-1]

    def clear(self) -> None:
        """Forget entries and counters; ``seq`` goes on counting."""
        self._entries.clear()
        self.requests = 0
        self.writes = 0
