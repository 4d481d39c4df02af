# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab in process, without sockets: requests cost only the virtual time that they take."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from lab.http.gateway import Answer, Fate, Gateway, Request
from lab.pve.cluster import Cluster

__all__ = ["Answer", "Cut", "Fate", "Lab"]


class Cut(ConnectionError):
    """The connection was refused, cut, or hangs for ever; ``fate`` says which."""

    def __init__(self, fate: Fate) -> None:
        super().__init__(fate.value)
        self.fate = fate


class Lab:
    """A cluster and its API.

    ``auth`` of a request: ``root-token`` (default), ``root-ticket``, ``none``, ``ticket:user@realm``,
    ``ticket-nocsrf:user@realm`` or ``token:user@realm!name``; the lab's own secrets are used.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.engine = cluster.engine
        self.gateway = Gateway(cluster)
        self.first_node = next(iter(cluster.nodes))

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> Lab:
        from lab.cluster_file import load

        return cls(load(dict(description)))

    @classmethod
    def from_file(cls, path: str | Path) -> Lab:
        from lab.cluster_file import load

        return cls(load(Path(path)))

    @property
    def now(self) -> float:
        """Seconds since the lab started."""
        return self.engine.env.now

    def advance(self, seconds: float) -> None:
        self.engine.advance(seconds)

    def headers(self, auth: str) -> dict[str, str]:
        """The headers that authenticate a request."""
        users = self.cluster.users
        kind, _colon, who = auth.partition(":")
        match kind:
            case "none":
                return {}
            case "root-token":
                return self.headers("token:root@pam!lab")
            case "root-ticket":
                return self.headers("ticket:root@pam")
            case "token":
                secret = json.loads(self.cluster.fs.read("priv/token.cfg") or "{}").get(who, "unknown")
                return {"authorization": f"PVEAPIToken={who}={secret}"}
            case "ticket":
                return {
                    "cookie": f"PVEAuthCookie={users.issue_ticket(who)}",
                    "csrfpreventiontoken": users.issue_csrf(who),
                }
            case "ticket-nocsrf":
                return {"cookie": f"PVEAuthCookie={users.issue_ticket(who)}"}
        raise ValueError(f"no such way to authenticate: {auth}")

    def request(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        auth: str = "root-token",
        node: str | None = None,
        headers: Mapping[str, str] | None = None,
        worker: int | None = None,
    ) -> Answer:
        """Send one request and let virtual time pass until it is answered.

        :raises Cut: when no answer comes.
        """
        all_headers = {**self.headers(auth), **(headers or {})}
        request = Request(method, path, dict(params or {}), all_headers, node or self.first_node, worker)
        process = self.engine.spawn(self.gateway.serve(request))
        while not process.triggered:
            self.engine.env.step()
        answer = cast(Answer, process.value)
        if answer.fate is not Fate.SEND:
            raise Cut(answer.fate)
        if answer.body is not None:
            answer.body = json.loads(json.dumps(answer.body))
        return answer

    def get(self, path: str, params: Mapping[str, Any] | None = None, **more: Any) -> Any:
        """``data`` of a GET that must succeed."""
        return self._data("GET", path, params, **more)

    def post(self, path: str, params: Mapping[str, Any] | None = None, **more: Any) -> Any:
        return self._data("POST", path, params, **more)

    def put(self, path: str, params: Mapping[str, Any] | None = None, **more: Any) -> Any:
        return self._data("PUT", path, params, **more)

    def delete(self, path: str, params: Mapping[str, Any] | None = None, **more: Any) -> Any:
        return self._data("DELETE", path, params, **more)

    def _data(self, method: str, path: str, params: Mapping[str, Any] | None, **more: Any) -> Any:
        answer = self.request(method, path, params, **more)
        assert answer.status == 200, f"{method} {path}: {answer.status} {answer.reason} {answer.body}"
        return answer.data

    def wait_task(self, upid: str, limit: float = 100_000.0) -> str:
        """Let time pass until a task has ended; its exit status."""
        task = self.cluster.tasks.find(upid)
        assert task is not None, f"no such task: {upid}"
        end = self.engine.env.now + limit
        while task.exitstatus is None:
            assert self.engine.env.peek() <= end, f"{upid} is still running after {limit:g} s"
            self.engine.env.step()
        return task.exitstatus
