# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's session on a lab in process: no sockets, no threads, no real time, the same answers each time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any
from unittest.mock import patch

from ansible_collections.pve.mobility.plugins.module_utils.api.connection import Connection
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import NodeUnreachable, from_answer
from ansible_collections.pve.mobility.plugins.module_utils.execution import reader
from ansible_collections.pve.mobility.plugins.module_utils.execution.collect import EVERYTHING, Wanted, collect
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from tests.conformance.client import Cut, Lab


class Direct:
    """Stands in for ``Session``: reads only, as collecting does."""

    def __init__(self, lab: Lab, node: str) -> None:
        self.lab = lab
        self.node = node
        self.host = f"{node}:8006"
        self.connection = Connection((self.host,), "root@pam")
        self.sent = 0

    def get(self, path: str, params: dict[str, Any] | None = None) -> Any:
        self.sent += 1
        plain = {name: int(value) if isinstance(value, bool) else value for name, value in (params or {}).items()}
        try:
            answer = self.lab.request("GET", path, plain, node=self.node)
        except Cut as cut:
            raise NodeUnreachable(f"{self.host}: {cut}", node=None) from None
        if answer.status >= 400:
            body = answer.body or {}
            raise from_answer(answer.status, answer.reason, body.get("errors"), "GET", path, self.host)
        return answer.data


class AtOnce(Executor):
    """Does the work as it is handed in, so that its order is always the same."""

    def __init__(self, *_size: Any, **_names: Any) -> None:
        pass

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(work(*args, **kwargs))
        return future


def snapshot(lab: Lab, node: str) -> ClusterState:
    """What ``cluster_info`` would read through ``node``, everything but the history."""
    session: Any = Direct(lab, node)
    with (
        patch.object(reader, "Session", lambda _connection: session),
        patch.object(reader, "ThreadPoolExecutor", AtOnce),
    ):
        return collect(session, Wanted(EVERYTHING))
