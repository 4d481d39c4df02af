# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's methods take the parameters that Proxmox VE publishes, where the published schema is at hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab.http.gateway  # noqa: F401  # pylint: disable=unused-import  # registers every method
from lab.http.router import Check, Param, Route, registered

PUBLISHED = Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "api-schema-9.2.json"
RELEASE = (9, 2)

_LIMITS = (("minimum", "minimum"), ("maximum", "maximum"), ("max_length", "maxLength"), ("min_length", "minLength"))

EXCEPTIONS = {
    "GET /storage type: enum": "8.4 still knows glusterfs",
}


def _published() -> dict[str, dict[str, Any]]:
    if not PUBLISHED.exists():
        return {}
    methods: dict[str, dict[str, Any]] = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    return methods


def _both() -> list[tuple[Route, dict[str, Any]]]:
    published = _published()
    found = [(route, published.get(f"{route.method} {route.path}")) for route in registered() if route.since <= RELEASE]
    return [(route, method) for route, method in found if method is not None]


def _properties(schema: dict[str, Any]) -> dict[str, Any]:
    """Properties, those of alternatives taken together: what not every alternative requires is optional."""
    found = dict(schema.get("properties", {}))
    for part in schema.get("allOf", ()):
        found |= _properties(part)
    alternatives = schema.get("oneOf", ())
    for part in alternatives:
        for name, known in _properties(part).items():
            required = all(name in _properties(other) for other in alternatives) and not known.get("optional")
            found[name] = {**known, "optional": not required}
    if alternatives:
        found[schema["type-property"]] = {"enum": [part["instance-type"] for part in alternatives]}
    return found


def _differences(route: Route, method: dict[str, Any]) -> Iterator[str]:
    properties = _properties(method.get("parameters", {}))
    mine = {param.name: param for param in route.params if param.since <= RELEASE < param.until}
    if not route.additional:
        for name in sorted(set(properties) - set(mine) - set(route.uri_params)):
            if "[n]" not in name:
                yield f"{name}: missing"
    for name, param in mine.items():
        known = properties.get(name) or properties.get(f"{name.rstrip('0123456789')}[n]")
        if known is None:
            yield f"{name}: not published"
        elif name not in route.uri_params:
            yield from (f"{name}: {what}" for what in _param(param, known))
    if route.protected != bool(method.get("protected")):
        yield f"protected: is {bool(method.get('protected'))}"


def _param(param: Param, known: dict[str, Any]) -> Iterator[str]:
    if param.type != known.get("type", "string"):
        yield f"type is {known.get('type')}"
    if param.optional != bool(known.get("optional")):
        yield f"optional is {bool(known.get('optional'))}"
    if list(param.enum or ()) != list(known.get("enum") or ()):
        yield f"enum is {known.get('enum')}"
    for attribute, key in _LIMITS:
        if getattr(param, attribute) != (float(known[key]) if key in known else None):
            yield f"{key} is {known.get(key)}"


def _permission(route: Route, method: dict[str, Any]) -> Iterator[str]:
    """Only simple checks are compared; a function of the lab's own may stand for any other."""
    published = method.get("permissions") or {}
    known = published.get("check") or []
    if not known or published.get("user") == "all" or known[0] != "perm" or callable(route.permission):
        return
    options = dict(zip(known[3::2], known[4::2], strict=True))
    if set(options) <= {"any"}:
        wanted = Check(known[1], tuple(known[2]), bool(options.get("any")))
        if route.permission != wanted:
            yield f"permission: is {wanted}"


def test_methods_are_as_published() -> None:
    found = []
    for route, method in _both():
        prefix = f"{route.method} {route.path}"
        found += [f"{prefix} {line}" for line in (*_differences(route, method), *_permission(route, method))]
    found = [line for line in found if not any(line.startswith(known) for known in EXCEPTIONS)]
    assert not found, "\n" + "\n".join(found)
