# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who asks? Tickets, their CSRF tokens, and API tokens (pve-manager HTTPServer.pm:auth_handler)."""

from __future__ import annotations

import re
from urllib.parse import unquote

from lab.errors import Unauthorized
from lab.http.message import Request
from lab.pve.users import Identity, Users

_OPEN = frozenset({("GET", "/access/domains"), ("GET", "/access/ticket"), ("POST", "/access/ticket")})
"""Calls that need no authentication."""


def header_value(header: str, key: str) -> str | None:
    """pve-http-server Formatter.pm:extract_auth_value; a value that is not percent-encoded is fine as well."""
    match = re.search(rf"(?:^|\s){re.escape(key)}(?:=| )([^;]*)", header)
    return unquote(match[1]) if match and match[1] else None


def authenticate(users: Users, request: Request) -> Identity | None:
    """The caller, None where nobody has to be known.

    :raises Unauthorized: ``No ticket``, ``Authentication failed!`` or ``Permission denied - invalid csrf token``.
    """
    if (request.method, request.path.rstrip("/")) in _OPEN:
        return None
    cookie = request.headers.get("cookie", "")
    authorization = request.headers.get("authorization", "")
    ticket = header_value(cookie, "PVEAuthCookie") or header_value(authorization, "PVEAuthCookie")
    if ticket is None:
        token = header_value(authorization, "PVEAPIToken")
        if token is None:
            raise Unauthorized("No ticket")
        identity = users.verify_token(token)
        if identity is None:
            raise Unauthorized("Authentication failed!")
        return identity
    identity = users.verify_ticket(ticket)
    if identity is None:
        raise Unauthorized("Authentication failed!")
    if request.method != "GET" and not users.verify_csrf(identity, request.headers.get("csrfpreventiontoken", "")):
        raise Unauthorized("Permission denied - invalid csrf token")
    return identity
