# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading much at once: a few threads with a session each, and a list of what could not be read.

A node that does not answer is asked no more: it costs one wait, whatever there was to be read from it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from types import TracebackType
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    ApiError,
    NodeUnreachable,
    NotFound,
    NotImplementedByRelease,
    PermissionDenied,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.model.unknown import Unknown

WORKERS = 8
"""Requests under way at a time; one API host has three workers of its own, and passes most of them on."""

PROBE_TIMEOUT = 10.0
"""Seconds that the first request to a node may take."""


class Reader:
    """Used as a context manager, so that no thread outlives the work.

    :ivar unknown: what could not be read, in no order. :ivar sent: requests of all threads.
    """

    def __init__(self, session: Session, workers: int = WORKERS) -> None:
        self.unknown: list[Unknown] = []
        self._base = session
        self._sessions: list[Session] = [session]
        self._own = threading.local()
        self._lock = threading.Lock()
        self._dead: dict[str, str] = {}
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="read")

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def sent(self) -> int:
        return sum(session.sent for session in self._sessions)

    # ------------------------------------------------ threads

    def each(self, work: Iterable[Callable[[], Iterable[Callable[[], Any]] | None]]) -> None:
        """Do all of it at once; what a piece of work returns is more work. The first error ends everything."""
        waiting: set[Future[Any]] = {self._pool.submit(item) for item in work}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                waiting |= {self._pool.submit(item) for item in future.result() or ()}

    def session(self, probe: bool = False) -> Session:
        """That of this thread; ``probe``: one that is not patient."""
        name = "probe" if probe else "session"
        session: Session | None = getattr(self._own, name, None)
        if session is None:
            session = self._open(probe)
            setattr(self._own, name, session)
        return session

    def _open(self, probe: bool) -> Session:
        connection = self._base.connection
        hosts = connection.hosts
        if hosts:
            # Begin with the host that has answered already.
            first = hosts.index(self._base.host)
            hosts = hosts[first:] + hosts[:first]
        if probe:
            connection = replace(connection, hosts=hosts[:2], timeout=min(connection.timeout, PROBE_TIMEOUT))
        else:
            connection = replace(connection, hosts=hosts)
        session = Session(connection)
        with self._lock:
            self._sessions.append(session)
        return session

    # ------------------------------------------------ reading

    def dead(self, node: str) -> bool:
        return node in self._dead

    def give_up(self, node: str, why: str) -> None:
        """Ask this node no more."""
        with self._lock:
            self._dead.setdefault(node, why)

    def why_dead(self, node: str) -> str:
        return self._dead[node]

    def missing(self, part: str, why: str, **where: Any) -> None:
        with self._lock:
            self.unknown.append(Unknown(part, why, **where))

    def get(
        self,
        part: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        node: str | None = None,
        vmid: int | None = None,
        probe: bool = False,
        absent: Any = None,
    ) -> Any:
        """The data, or None; then the reason is in ``unknown``.

        :param absent: the answer when this release does not have the method; None makes that a reason too.
        :raises NotFound: for a guest; the caller knows what that means. :raises ApiError: no API host answers, or they
            refuse the credentials.
        """
        if node is not None and self.dead(node):
            return None
        try:
            return self.session(probe).get(path, dict(params or {}))
        except PermissionDenied as error:
            if error.status != 403:
                raise
            where, privileges = error.details.get("path"), tuple(error.details.get("privileges", ()))
            why = f"{' or '.join(privileges)} on {where} is missing." if where else error.reason
            self.missing(part, why, node=node, vmid=vmid, path=where, privileges=privileges)
        except NodeUnreachable as error:
            if node is None:
                raise
            self.give_up(node, f"{node} does not answer ({error.reason or 'no answer in time'}).")
        except NotFound as error:
            if vmid is not None:
                raise
            self.missing(part, _sentence(error), node=node)
        except ApiError as error:
            if absent is not None and isinstance(error, NotImplementedByRelease):
                return absent
            self.missing(part, _sentence(error), node=node, vmid=vmid)
        return None


def _sentence(error: ApiError) -> str:
    """Its own words; the message also names the API host, which is not a part of the cluster's state."""
    return f"Proxmox VE said: {error.reason or error.message}"
