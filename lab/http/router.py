# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declaring API methods: path, parameters, privileges, where they run, and since which release they exist.

A handler is a function ``(call) -> data`` or a generator that yields simpy events and returns the data; it raises
:class:`lab.errors.ApiFault` to refuse. Modules below :mod:`lab.api` declare their methods with :func:`route`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.node import Node
    from lab.pve.users import Identity

Handler = Callable[["Call"], Any]


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a method, in the words of Proxmox VE's JSON schema.

    :param type: string, integer, number, boolean (handlers get 0 or 1) or array (of strings, each of ``format``).
    :param format: a name that :mod:`lab.http.params` knows, such as ``pve-node``.
    :param requires: another parameter that must be given along with this one.
    :param since: first release that knows the parameter; :param until: first release that no longer does.
    """

    name: str
    type: str = "string"
    optional: bool = False
    format: str | None = None
    enum: tuple[str, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    default: Any = None
    requires: str | None = None
    since: tuple[int, int] = (0, 0)
    until: tuple[int, int] = (99, 0)


def opt(name: str, type: str = "string", **more: Any) -> Param:
    """An optional parameter."""
    return Param(name, type, optional=True, **more)


@dataclass(frozen=True, slots=True)
class Check:
    """Privileges that the caller needs on a path; ``{x}`` in the path is a URI parameter.

    ``any_of``: one of the privileges is enough.
    """

    path: str
    privileges: tuple[str, ...]
    any_of: bool = False


def check(path: str, *privileges: str, any_of: bool = False) -> Check:
    return Check(path, privileges, any_of)


WORLD = "world"
"""Nobody needs to be logged in."""
ANYBODY = "user"
"""Every authenticated user; the handler filters or checks itself."""
ROOT = "root"
"""Only root@pam."""
PermissionTest = Callable[["Call"], None]
"""A check of its own: raises :class:`lab.errors.Forbidden`; the parameters have not been verified yet."""
Permission = Check | str | PermissionTest


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    path: str
    handler: Handler
    permission: Permission
    params: tuple[Param, ...]
    proxyto: str | None
    protected: bool
    since: tuple[int, int]
    additional: bool
    pattern: re.Pattern[str] = field(compare=False)

    @property
    def uri_params(self) -> tuple[str, ...]:
        return tuple(self.pattern.groupindex)


_ROUTES: list[Route] = []


def route(
    method: str,
    path: str,
    *params: Param,
    permission: Permission = ANYBODY,
    proxyto: str | None = "node",
    protected: bool = False,
    since: tuple[int, int] = (0, 0),
    additional: bool = False,
) -> Callable[[Handler], Handler]:
    """Register the decorated function as the handler of ``method path``.

    URI parameters may be declared among ``params`` for their format; those that are not are strings.

    :param path: below ``/api2/json``, with ``{name}`` for URI parameters.
    :param proxyto: the URI parameter that names the node on which the method runs (if the path has it).
    :param protected: runs in pvedaemon (as root) rather than in pveproxy; fails with 595 when pvedaemon is down.
    :param requires: another parameter that must be given along with this one.
    :param since: first release that has the method; older ones answer 501.
    :param additional: unknown parameters are let through to the handler.
    """

    def register(handler: Handler) -> Handler:
        regex = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path.replace("{volid}", "(?P<volid>.+)"))
        names = re.findall(r"\{(\w+)\}", path)
        _ROUTES.append(
            Route(
                method,
                path,
                handler,
                permission,
                params,
                proxyto if proxyto in names else None,
                protected,
                since,
                additional,
                re.compile(f"^{regex}$"),
            )
        )
        return handler

    return register


def registered() -> tuple[Route, ...]:
    """Every method of every release."""
    return tuple(_ROUTES)


class Router:
    """Finds the route of a request. Routes are indexed by method, first segment and number of segments."""

    def __init__(self, routes: Iterable[Route] | None = None) -> None:
        self._index: dict[tuple[str, str, int], list[Route]] = {}
        self._open_ended: dict[tuple[str, str], list[Route]] = {}
        for item in _ROUTES if routes is None else routes:
            parts = item.path.strip("/").split("/")
            if item.path.endswith("{volid}"):
                self._open_ended.setdefault((item.method, parts[0]), []).append(item)
            else:
                self._index.setdefault((item.method, parts[0], len(parts)), []).append(item)
        for items in self._index.values():
            items.sort(key=lambda item: (item.path.count("{"), tuple(-part for part in item.since)))

    def find(self, method: str, path: str, release: tuple[int, int] = (99, 0)) -> tuple[Route, dict[str, str]] | None:
        """The route and its URI parameters, or None when ``release`` has no such method.

        :param path: below ``/api2/json``, percent-decoded.
        """
        parts = path.strip("/").split("/")
        path = "/" + "/".join(parts)
        exact = self._index.get((method, parts[0], len(parts)), ())
        for item in (*exact, *self._open_ended.get((method, parts[0]), ())):
            if item.since <= release and (match := item.pattern.match(path)):
                return item, match.groupdict()
        return None


@dataclass(slots=True)
class Call:
    """One request as a handler sees it.

    :ivar node: the node on which the handler runs (after proxying).
    :ivar api_node: the node that the client talked to.
    :ivar params: URI, query and body parameters, converted to their types; optional ones that were not given absent.
    """

    cluster: Cluster
    node: Node
    api_node: Node
    identity: Identity
    params: dict[str, Any]
    route: Route
    worker: int = 0

    def get(self, name: str, default: Any = None) -> Any:
        return self.params.get(name, default)

    def __getitem__(self, name: str) -> Any:
        return self.params[name]

    def require(self, path: str, *privileges: str, any_of: bool = False) -> None:
        """Raise 403 unless the caller has the privileges on ``path``."""
        self.cluster.users.require(self.identity, path, *privileges, any_of=any_of)

    def may(self, path: str, *privileges: str, any_of: bool = False) -> bool:
        return self.cluster.users.may(self.identity, path, *privileges, any_of=any_of)
