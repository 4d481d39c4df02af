# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Handling a request without sockets, in pveproxy's own order.

Authentication, the method's route, permission, proxying, parameters, the handler, the shape of the answer
(pve-manager HTTPServer.pm, pve-http-server AnyEvent.pm; pve-facts §0 and §15).
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, cast

import lab.api  # noqa: F401  # pylint: disable=unused-import  # registers every method
from lab.errors import ApiFault, BadParameters, Die, Forbidden, NotImplementedHere, ProxyFault
from lab.http.auth import authenticate
from lab.http.message import METHODS, Answer, Envelope, Fate, Request, one_line
from lab.http.params import verify
from lab.http.requestlog import RequestLog
from lab.http.router import ANYBODY, WORLD, Call, Check, Route, Router
from lab.pve.cluster import Cluster
from lab.pve.node import Node
from lab.pve.users import Identity
from lab.sim.engine import Sim

__all__ = ["Answer", "Envelope", "Fate", "Gateway", "Request"]

WORKERS = 3
"""pveproxy worker processes per node. Each has caches of its own, so they disagree for a second or two (§16)."""
UNAUTHORIZED_DELAY = 3.0
PROXY_TIMEOUT = 30.0
NO_ROUTE_DELAY = 3.0
PERSISTENT = 3.0
"""Seconds for which a pveproxy keeps the connection of a proxied GET open for the next one."""
JSON_TYPE = "application/json;charset=UTF-8"
_NOBODY = Identity("")


class Gateway:
    """The API of all nodes of a cluster."""

    def __init__(self, cluster: Cluster, router: Router | None = None) -> None:
        self.cluster = cluster
        self.router = router or Router()
        self.log = RequestLog()
        self._turns: dict[str, int] = {}
        self._links: dict[tuple[str, str], float] = {}

    def serve(self, request: Request) -> Sim:
        """Simulate one request; the generator's value is the :class:`Answer`."""
        node = self.cluster.nodes[request.api_node]
        if (fate := self.fate(node)) is not Fate.SEND:
            return Answer(0, "", fate=fate)
        entry = self.log.begin(self.cluster.engine.now, node.name, request.method, request.path, request.params)
        starts = node.proxy_starts
        identity: Identity | None = None
        try:
            if request.method not in METHODS:
                raise ApiFault(501, f"method '{request.method}' not available", body=False)
            identity = authenticate(self.cluster.users, request)
            entry.user = identity.authuser if identity is not None else None
            answer = yield from self._with_faults(request, node, identity)
        except ApiFault as fault:
            answer = self._refusal(fault)
        if answer.status == 401:
            yield self.cluster.engine.sleep(UNAUTHORIZED_DELAY)
        if answer.fate is Fate.SEND:
            answer.fate = self.fate(node)
            if answer.fate is Fate.REFUSED or node.proxy_starts != starts:
                answer.fate = Fate.CUT
        if answer.fate is Fate.SEND:
            entry.status = answer.status
        return answer

    def fate(self, node: Node) -> Fate:
        """What a client meets at the node's own port."""
        if not node.powered or (node.linked and not node.proxy_up):
            return Fate.REFUSED
        return Fate.SEND if node.linked else Fate.HANG

    # ------------------------------------------------------------ faults

    def _with_faults(self, request: Request, node: Node, identity: Identity | None) -> Sim:
        user = identity.authuser if identity is not None else None
        effect = self.cluster.faults.http(request.method, request.path, node.name, user)
        if effect is not None:
            match effect.kind:
                case "hang":
                    return Answer(0, "", fate=Fate.HANG)
                case "status" if effect.number >= 400:
                    raise ApiFault(int(effect.number), effect.text, body=effect.number < 590)
                case "status":
                    return Answer(int(effect.number), one_line(effect.text), {"data": None})
                case "latency":
                    yield self.cluster.engine.sleep(effect.number)
                case "cut" if effect.text == "before":
                    return Answer(0, "", fate=Fate.CUT)
        answer = yield from self._handle(request, node, identity)
        if effect is not None and effect.kind == "cut":
            answer.fate = Fate.CUT
        return answer

    # ------------------------------------------------------------ one request

    def _handle(self, request: Request, node: Node, identity: Identity | None) -> Sim:
        route, uri = self._find(request, node)
        params = {name: value for name, value in request.params.items() if name != "_dc"}
        for name, value in sorted(uri.items()):
            if str(params.get(name, value)) != value:
                raise BadParameters({name: "duplicate parameter (already defined in URI) with conflicting values!"})
        params |= uri
        call = Call(
            self.cluster, node, node, identity or _NOBODY, params, route, self._worker(node.name, request.worker)
        )
        self._permit(call)
        target = self._target(call)
        if target is not node:
            yield from self._reach(node, target, request.method)
            route, _uri = self._find(request, target)
            call.node, call.route = target, route
            call.worker = self._worker(target.name, None)
        if route.protected and not target.daemon_up:
            raise ProxyFault("Connection refused")
        call.params = verify(route, params, target.release)
        data = route.handler(call)
        if inspect.isgenerator(data):
            data = yield from self._wait(call, cast(Sim, data), proxied=target is not node or route.protected)
        return self._success(data)

    def _find(self, request: Request, node: Node) -> tuple[Route, dict[str, str]]:
        found = self.router.find(request.method, request.path, node.release)
        if found is None:
            raise NotImplementedHere(request.method, request.path)
        return found

    def _worker(self, node: str, chosen: int | None) -> int:
        if chosen is not None:
            return chosen % WORKERS
        turn = self._turns.get(node, 0)
        self._turns[node] = turn + 1
        return turn % WORKERS

    @staticmethod
    def _permit(call: Call) -> None:
        """RPCEnvironment.pm:check_api2_permissions."""
        permission = call.route.permission
        if permission == WORLD:
            return
        if call.identity is _NOBODY:
            raise Forbidden("user == undef")
        if permission == ANYBODY or call.identity.is_root_ticket:
            return
        if isinstance(permission, Check):
            path = permission.path
            for name, value in call.params.items():
                path = path.replace(f"{{{name}}}", str(value))
            call.require(path, *permission.privileges, any_of=permission.any_of)
        elif isinstance(permission, str):
            raise Forbidden("user != root@pam")
        else:
            permission(call)

    # ------------------------------------------------------------ proxying

    def _target(self, call: Call) -> Node:
        """The node on which the method runs."""
        if call.route.proxyto is None:
            return call.node
        name = str(call.params[call.route.proxyto])
        if name in {"localhost", call.node.name}:
            return call.node
        if name not in self.cluster.nodes:
            raise Die(
                f"hostname lookup '{name}' failed - failed to get address info for: {name}: "
                "Temporary failure in name resolution"
            )
        return self.cluster.nodes[name]

    def _reach(self, node: Node, target: Node, method: str) -> Sim:
        """:raises ProxyFault: when the target's pveproxy cannot be reached (pve-facts §15)."""
        now = self.cluster.engine.now
        kept = self._links.pop((node.name, target.name), None) if method == "GET" else None
        if not target.up:
            if target.member:
                yield self.cluster.engine.sleep(PROXY_TIMEOUT)
                raise ProxyFault("Connection timed out")
            yield self.cluster.engine.sleep(NO_ROUTE_DELAY)
            raise ProxyFault("No route to host")
        if not target.proxy_up:
            if kept is not None and now - kept <= PERSISTENT:
                raise ProxyFault("Connection reset by peer", 596)
            raise ProxyFault("Connection refused")
        if method == "GET":
            self._links[node.name, target.name] = now

    def _wait(self, call: Call, activity: Sim, proxied: bool) -> Sim:
        """Let a handler that takes time run; a proxied one is given up after 30 s, but goes on."""
        if not proxied:
            return (yield from activity)
        engine = self.cluster.engine
        starts = (call.node.proxy_starts, call.node.daemon_starts)
        outcome: list[Any] = []

        def run() -> Sim:
            try:
                outcome.append((yield from activity))
            except ApiFault as fault:
                outcome.append(fault)

        work = engine.spawn(run())
        yield work | engine.sleep(PROXY_TIMEOUT)
        if not outcome:
            raise ProxyFault("Connection timed out", 596)
        if not call.node.up or starts != (call.node.proxy_starts, call.node.daemon_starts):
            raise ProxyFault("Connection reset by peer", 596)
        if isinstance(outcome[0], ApiFault):
            raise outcome[0]
        return outcome[0]

    # ------------------------------------------------------------ answers

    @staticmethod
    def _success(data: Any) -> Answer:
        extra: Mapping[str, Any] = {}
        if isinstance(data, Envelope):
            data, extra = data.data, data.extra
        return Answer(200, "OK", {"data": data, **extra}, {"Content-Type": JSON_TYPE})

    @staticmethod
    def _refusal(fault: ApiFault) -> Answer:
        if not fault.body:
            return Answer(fault.status, one_line(fault.reason))
        newline = "" if fault.reason.endswith("\n") else fault.newline
        body: dict[str, Any] = {"data": None, "message": f"{fault.reason}{newline}"}
        if isinstance(fault, BadParameters) or fault.errors:
            body["errors"] = fault.errors
        return Answer(fault.status, one_line(fault.reason), body, {"Content-Type": JSON_TYPE})
