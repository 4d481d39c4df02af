# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The execution layer on a lab in the same process: virtual time costs nothing, and it can be broken off anywhere."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.connection import Connection
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    ApiError,
    MaybeSent,
    NodeUnreachable,
    from_answer,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution import reader
from tests.conformance.client import Cut, Fate, Lab

USER, TOKEN = "root@pam", "lab"


@contextmanager
def reading(session: Session) -> Iterator[None]:
    """Let whatever reads with several threads use this session too: the lab has one time for all of them."""

    def same(_connection: Connection) -> Session:
        return session

    with mock.patch.object(reader, "Session", same):
        yield


class LabClock(Clock):
    """The clock of the lab: waiting lets its time pass."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(1.0)
        self._lab = lab

    def monotonic(self) -> float:
        return self._lab.now

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self._lab.advance(seconds)


class Killed(BaseException):
    """The process of the module is gone; nothing of the project may catch this."""


class LabSession(Session):
    """A session whose requests go to a lab in the same process.

    :param before, after: called with the number of the request, from 1, before it is sent and after its answer.
    :param auth, node: as whom, and which API host is asked; see ``tests.conformance.client``.
    """

    def __init__(
        self,
        lab: Lab,
        before: Callable[[int], None] | None = None,
        after: Callable[[int], None] | None = None,
        *,
        auth: str = "root-token",
        node: str | None = None,
    ) -> None:
        super().__init__(Connection(("lab",), USER, token_name=TOKEN, token_secret="-"))
        self._how: dict[str, Any] = {"auth": auth, "node": node}
        self._lab = lab
        self._before = before
        self._after = after
        self._turn = threading.Lock()

    def _on_any_host(self, method: str, path: str, params: dict[str, Any]) -> Any:
        with self._turn:
            self.sent += 1
            if self._before is not None:
                self._before(self.sent)
            given = {name: _plain(value) for name, value in params.items() if value is not None}
            data = self._ask(method, path, given)
            if self._after is not None:
                self._after(self.sent)
            return data

    def _ask(self, method: str, path: str, params: Mapping[str, Any]) -> Any:
        try:
            answer = self._lab.request(method, path, params, **self._how)
        except Cut as cut:
            if cut.fate is Fate.REFUSED or method == "GET":
                raise NodeUnreachable(f"no answer to {method} {path}") from None
            raise MaybeSent(f"no answer to {method} {path}") from None
        if answer.status < 400:
            return answer.data
        body = answer.body or {}
        raise _error(answer.status, answer.reason, body, method, path)


def _error(status: int, reason: str, body: Mapping[str, Any], method: str, path: str) -> ApiError:
    errors = body.get("errors")
    parameters = {str(key): str(text) for key, text in errors.items()} if isinstance(errors, dict) else None
    return from_answer(status, reason, parameters, method, path, "lab")


def _plain(value: Any) -> Any:
    """As a form sends it."""
    return str(int(value)) if isinstance(value, bool) else value if isinstance(value, str) else json.dumps(value)
