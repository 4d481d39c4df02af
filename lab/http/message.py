# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A request as a node receives it, and what it answers."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

METHODS = frozenset({"GET", "POST", "PUT", "DELETE"})


class Fate(enum.Enum):
    """What becomes of the connection."""

    SEND = "send"
    CUT = "cut"
    """The connection breaks before an answer arrives."""
    HANG = "hang"
    """No answer ever comes; the client has to give up."""
    REFUSED = "refused"
    """Nobody listens at the port."""


@dataclass(slots=True)
class Request:
    """One HTTP request.

    :ivar path: below ``/api2/json``, percent-decoded. :ivar params: of query string and body together.
    :ivar headers: by lower-case name. :ivar api_node: the node whose pveproxy is asked.
    :ivar worker: which of its worker processes; None: the next in turn.
    """

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    api_node: str = ""
    worker: int | None = None


@dataclass(slots=True)
class Answer:
    """One HTTP answer.

    :ivar reason: on one line. :ivar body: to be sent as JSON, None for an empty body.
    """

    status: int
    reason: str
    body: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    fate: Fate = Fate.SEND

    @property
    def data(self) -> Any:
        return None if self.body is None else self.body.get("data")


@dataclass(frozen=True, slots=True)
class Envelope:
    """Data with further top-level keys, such as the ``total`` of a task log."""

    data: Any
    extra: Mapping[str, Any]

    @staticmethod
    def of(data: Any, **extra: Any) -> Envelope:
        return Envelope(data, extra)


def one_line(reason: str) -> str:
    """The first line, as it fits into a status line."""
    for line in reason.splitlines():
        if line.strip():
            return "".join(char if char.isprintable() else " " for char in line)
    return "Unknown"
