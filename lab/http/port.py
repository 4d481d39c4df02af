# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node's TCP port: it answers, refuses, or leaves its clients hanging."""

from __future__ import annotations

import asyncio
import socket
import ssl

from aiohttp import web

from lab.http.message import Fate

KEEPALIVE_SECONDS = 5.0
"""pveproxy closes an idle connection after this time."""
_BACKLOG = 512


class Port:
    """One listening address. The port number stays reserved while nobody listens."""

    def __init__(self, handler: web.Server, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        self._handler = handler
        self._host = host
        self._tls = tls
        self._socket = self._bind(port)
        self._server: asyncio.Server | None = None
        self.number: int = self._socket.getsockname()[1]
        self._fate = Fate.REFUSED
        self._changing = asyncio.Lock()

    def _bind(self, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        try:
            sock.bind((self._host, port))
        except OSError:
            sock.close()
            raise
        return sock

    async def become(self, fate: Fate) -> None:
        """Serve (``SEND``), refuse connections (``REFUSED``), or accept them and never say a word (``HANG``)."""
        async with self._changing:
            if fate is self._fate:
                return
            self._fate = fate
            if self._server is not None:
                self._server.close()
                self._server = None
                self._socket = self._bind(self.number)
            elif fate is not Fate.SEND:
                self._socket.close()
                self._socket = self._bind(self.number)
            if fate is Fate.REFUSED:
                self.abort()
            elif fate is Fate.HANG:
                # The kernel completes connections, but nobody ever takes them: the TLS handshake stays unanswered.
                self._socket.listen(_BACKLOG)
            else:
                loop = asyncio.get_running_loop()
                self._server = await loop.create_server(
                    self._handler, sock=self._socket, ssl=self._tls, backlog=_BACKLOG
                )

    def abort(self) -> None:
        """Cut every open connection."""
        for connection in list(self._handler.connections):
            if connection.transport is not None:
                connection.transport.abort()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._socket.close()
        await self._handler.shutdown(timeout=0.5)
