# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab on the network: one HTTPS port per node, a control port, and the clock that drives them."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, cast

import simpy
from aiohttp import web

from lab.control import Control
from lab.errors import ApiFault
from lab.http.ca import Authority
from lab.http.gateway import WORKERS, Gateway
from lab.http.message import Answer, Fate, Request, one_line
from lab.http.port import KEEPALIVE_SECONDS, Port
from lab.http.wire import BASE, form, read_request, response
from lab.pve.cluster import Cluster
from lab.pve.node import Node
from lab.sim.engine import Sim

_LONGEST_NAP = 0.5
"""Wall seconds that the clock sleeps at most when nothing is due."""
_SHORTEST_NAP = 0.005
"""And at least: requests bring the clock up to date by themselves, so nobody sees events that are a little late."""

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class _Workers:
    """Which worker process accepted a connection: they take turns, and a connection stays with its worker."""

    _REMEMBERED = 4096

    def __init__(self) -> None:
        self._by_peer: OrderedDict[Any, int] = OrderedDict()
        self._turn = 0

    def of(self, raw: web.BaseRequest) -> int:
        peer = raw.transport.get_extra_info("peername") if raw.transport is not None else None
        if peer not in self._by_peer:
            self._by_peer[peer] = self._turn % WORKERS
            self._turn += 1
            if len(self._by_peer) > self._REMEMBERED:
                self._by_peer.popitem(last=False)
        return self._by_peer[peer]


class Server:
    """Serves a cluster until :meth:`close`."""

    def __init__(self, cluster: Cluster, authority: Authority, host: str = "127.0.0.1") -> None:
        self.cluster = cluster
        self.gateway = Gateway(cluster)
        self.control = Control(cluster, self.gateway)
        self._authority = authority
        self._host = host
        self._ports: dict[str, Port] = {}
        self._control_port: Port | None = None
        self._woken = asyncio.Event()
        self._clock: asyncio.Task[None] | None = None
        self._chores: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> None:
        """Node ``i`` listens on ``port + i``; with 0 each gets any free port. The control port is always a free one.

        :raises OSError: a port is taken.
        :raises ValueError: there are not enough ports above ``port``.
        """
        if port + len(self.cluster.nodes) - 1 > 65535:
            raise ValueError(f"port {port} leaves no room for {len(self.cluster.nodes)} nodes, a port each")
        extra = self._host if self._host not in {"0.0.0.0", "::", "localhost"} else None
        for number, node in enumerate(self.cluster.nodes.values()):
            tls = self._authority.context(node.name, extra)
            handler = self._handler(self._api_handler(node))
            self._ports[node.name] = Port(handler, self._host, port + number if port else 0, tls)
        self._control_port = Port(self._handler(self._control_request), "127.0.0.1", 0, None)
        await self._control_port.become(Fate.SEND)
        await self._settle()
        self.cluster.on_change.append(lambda node: self._chore(self._apply(node)))
        self.cluster.engine.start_wall_clock()
        self._clock = asyncio.create_task(self._run_clock())

    async def serve(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set; an error in the simulation ends it too."""
        assert self._clock is not None
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait({waiting, self._clock}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._clock.done():
            self._clock.result()

    async def close(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
        for port in (*self._ports.values(), self._control_port):
            if port is not None:
                await port.close()

    def address(self, node: str) -> str:
        """``host:port`` of a node's API."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self._host, self._host)
        return f"{host}:{self._ports[node].number}"

    @property
    def control_url(self) -> str:
        assert self._control_port is not None
        return f"http://127.0.0.1:{self._control_port.number}/lab"

    @staticmethod
    def _handler(handle: Handler) -> web.Server:
        return web.Server(
            handle,
            keepalive_timeout=KEEPALIVE_SECONDS,
            handler_cancellation=True,
            access_log=None,
            max_field_size=65536,
        )

    # ------------------------------------------------------------ time

    async def _run_clock(self) -> None:
        engine = self.cluster.engine
        while True:
            engine.pump()
            self._woken.clear()
            try:
                nap = max(_SHORTEST_NAP, engine.wall_seconds_to_next_event(_LONGEST_NAP))
                await asyncio.wait_for(self._woken.wait(), nap)
            except TimeoutError:
                continue

    async def _simulate(self, activity: Sim) -> Answer:
        """Run one request's simulation; most are over before any virtual time passes."""
        engine = self.cluster.engine
        if engine.jump:
            engine.jump_once()
        else:
            engine.pump()
        try:
            event = next(activity)
        except StopIteration as end:
            return cast(Answer, end.value)
        process = engine.spawn(_rest(activity, event))
        if engine.jump:
            while not process.triggered:
                engine.env.step()
            return cast(Answer, process.value)
        done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        process.callbacks.append(lambda event: _hand_over(event, done))
        self._woken.set()
        return await done

    # ------------------------------------------------------------ ports

    def _chore(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def _apply(self, node: Node) -> None:
        await self._ports[node.name].become(self.gateway.fate(node))

    async def _settle(self) -> None:
        """Bring every port into the state of its node."""
        for node in self.cluster.nodes.values():
            await self._apply(node)

    # ------------------------------------------------------------ requests

    def _api_handler(self, node: Node) -> Handler:
        workers = _Workers()

        async def handle(raw: web.BaseRequest) -> web.StreamResponse:
            path = raw.rel_url.raw_path
            if path == "/lab" or path.startswith("/lab/"):
                return await self._control_request(raw)
            if path != BASE and not path.startswith(f"{BASE}/"):
                return response(Answer(501 if path.startswith("/api2") else 404, "no such uri"))
            try:
                request = await read_request(raw, node.name, workers.of(raw))
            except ApiFault as fault:
                return response(Answer(fault.status, one_line(fault.reason)))
            return await self._answer(raw, request)

        return handle

    async def _answer(self, raw: web.BaseRequest, request: Request) -> web.StreamResponse:
        answer = await self._simulate(self.gateway.serve(request))
        match answer.fate:
            case Fate.SEND:
                return response(answer)
            case Fate.HANG:
                await asyncio.Event().wait()
        if raw.transport is not None:
            raw.transport.abort()
        return web.Response()

    async def _control_request(self, raw: web.BaseRequest) -> web.StreamResponse:
        if (raw.remote or "") not in {"127.0.0.1", "::1"}:
            return web.json_response({"error": "The control path is only for this machine."}, status=403)
        fields: dict[str, Any] = dict(form(raw.rel_url.raw_query_string))
        content = await raw.read()
        if content:
            try:
                value = json.loads(content)
            except ValueError:
                return web.json_response({"error": "The body is not JSON."}, status=400)
            if not isinstance(value, dict):
                return web.json_response({"error": "The body is not a JSON object."}, status=400)
            fields |= value
        self.cluster.engine.pump()
        status, body = self.control.handle(raw.method, raw.rel_url.raw_path, fields)
        await self._settle()
        self._woken.set()
        return web.json_response(body, status=status)


class _Started:
    """A generator that has already yielded ``event``, as something to ``yield from``."""

    def __init__(self, activity: Sim, event: simpy.Event) -> None:
        self._activity = activity
        self._event: simpy.Event | None = event
        self.send = activity.send
        self.throw = activity.throw

    def __iter__(self) -> _Started:
        return self

    def __next__(self) -> simpy.Event:
        event, self._event = self._event, None
        return next(self._activity) if event is None else event


def _rest(activity: Sim, event: simpy.Event) -> Sim:
    """Continue a generator that has already yielded ``event``."""
    return (yield from _Started(activity, event))


def _hand_over(event: simpy.Event, done: asyncio.Future[Answer]) -> None:
    """Give the outcome of a simulated request to the coroutine that waits for it, errors included."""
    event.defused = True
    if done.cancelled():
        return
    if event.ok:
        done.set_result(cast(Answer, event.value))
    else:
        done.set_exception(cast(BaseException, event.value))
