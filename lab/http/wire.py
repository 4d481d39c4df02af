# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between bytes and requests: what pve-http-server's AnyEvent.pm reads and writes."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote, unquote_plus

from aiohttp import web

from lab.errors import ApiFault
from lab.http.message import Answer, Request

BASE = "/api2/json"
MOST_POST = 512 * 1024
"""Bytes in a request's body."""


def form(text: str) -> dict[str, Any]:
    """``a=1&b=2``; a name that is repeated gives a list, as AnyEvent.pm:decode_urlencoded does."""
    result: dict[str, Any] = {}
    for pair in re.split(r"[&;]", text):
        if not pair:
            continue
        name, _equals, raw = pair.partition("=")
        key, value = unquote_plus(name), unquote_plus(raw)
        if key not in result:
            result[key] = value
        elif isinstance(result[key], list):
            result[key].append(value)
        else:
            result[key] = [result[key], value]
    return result


async def read_request(raw: web.BaseRequest, node: str, worker: int | None) -> Request:
    """:raises ApiFault: the body is too large, not wanted, or no JSON."""
    path = unquote(raw.rel_url.raw_path)[len(BASE) :] or "/"
    headers = {name.lower(): value for name, value in raw.headers.items()}
    params = await _body(raw) | form(raw.rel_url.raw_query_string)
    return Request(raw.method, path, params, headers, node, worker)


async def _body(raw: web.BaseRequest) -> dict[str, Any]:
    if not raw.body_exists:
        return {}
    if raw.method not in {"POST", "PUT"}:
        if raw.content_length:
            raise ApiFault(501, f"Unexpected content for method '{raw.method}'", body=False)
        return {}
    if (raw.content_length or 0) > MOST_POST:
        raise ApiFault(501, "for data too large", body=False)
    content = await raw.read()
    kind = raw.headers.get("Content-Type", "").partition(";")[0].strip()
    if kind == "application/json":
        return _json(content)
    if kind not in {"", "application/x-www-form-urlencoded"}:
        raise ApiFault(506, f"upload 'Content-Type '{kind}' not implemented", body=False)
    return form(content.decode("utf-8", "replace"))


def _json(content: bytes) -> dict[str, Any]:
    if not content:
        return {}
    try:
        value = json.loads(content)
    except ValueError as error:
        raise ApiFault(500, f"malformed JSON string, {error}", body=False) from error
    if not isinstance(value, dict):
        raise ApiFault(500, "Not a HASH reference", body=False)
    return value


def response(answer: Answer) -> web.Response:
    """Errors close the connection (pve-facts §15)."""
    body = b"" if answer.body is None else json.dumps(answer.body, separators=(",", ":")).encode()
    headers = {
        "Server": "pve-api-daemon/3.0",
        "Cache-Control": "max-age=0",
        "Pragma": "no-cache",
        **answer.headers,
    }
    result = web.Response(status=answer.status, reason=answer.reason, body=body, headers=headers)
    if answer.status >= 400:
        result.force_close()
        result.headers["Connection"] = "close"
    return result
