# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verifying parameters against what a method declares (pve-common JSONSchema.pm and RESTHandler.pm)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from lab.errors import BadParameters
from lab.http.formats import Misfit, check_format, register
from lab.http.router import Param, Route
from lab.pve.formats import parse_property_string, split_list

UNKNOWN = "property is not defined in schema and the schema does not allow additional properties"
MISSING = "property is missing and it is not optional"
_INTEGER = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")

Release = tuple[int, int]


class _Bad(Exception):
    """One parameter's complaint."""


def verify(route: Route, given: Mapping[str, Any], release: Release) -> dict[str, Any]:
    """The parameters converted to their types.

    :param given: URI, query and body parameters; forms give strings (lists for repeated names), JSON anything.
    :raises BadParameters: with one complaint per parameter.
    """
    declared = {param.name: param for param in route.params if param.since <= release < param.until}
    values, errors = check_object(declared.values(), given, "")
    for name, value in given.items():
        if name in declared or value is None:
            continue
        if name in route.uri_params or route.additional:
            values[name] = value
        else:
            errors[name] = UNKNOWN
    if errors:
        raise BadParameters(errors)
    return values


def check_object(
    params: Iterable[Param], given: Mapping[str, Any], prefix: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """``(values, errors by path)``; unknown names are the caller's business."""
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for param in params:
        path = f"{prefix}.{param.name}" if prefix else param.name
        raw = given.get(param.name)
        if raw is None:
            if not param.optional:
                errors[path] = MISSING
            continue
        if param.requires is not None and given.get(param.requires) is None:
            other = f"{prefix}.{param.requires}" if prefix else param.requires
            errors[other] = f"missing property required by '{path}'"
        try:
            values[param.name] = _convert(param, raw, path)
        except _Bad as bad:
            errors[path] = str(bad)
    return values, errors


def property_format(name: str, *params: Param, default_key: str | None = None) -> None:
    """Register a format for property strings such as ``type=secure,network=10.0.0.0/24``."""
    declared = {param.name: param for param in params}

    def check(value: str, path: str) -> None:
        if default_key is None and "=" not in value:
            raise Misfit("value without key, but schema does not define a default key\n")
        given = parse_property_string(value, default_key)
        _values, errors = check_object(declared.values(), given, path)
        errors |= {f"{path}.{key}": UNKNOWN for key in given if key not in declared}
        if errors:
            raise Misfit("format error\n" + "".join(f"{where}: {why}\n" for where, why in sorted(errors.items())))

    register(name, check)


def _perl_ref(raw: Any) -> str:
    if isinstance(raw, bool):
        return "JSON::PP::Boolean"
    return "ARRAY" if isinstance(raw, list) else "HASH"


def _convert(param: Param, raw: Any, path: str) -> Any:
    is_list = param.format is not None and param.format.endswith("-list")
    if param.type == "array":
        # RESTHandler.pm:normalize_legacy_param_formats: a scalar is split as a list.
        items = raw if isinstance(raw, list) else split_list(_text(raw))
        return [_scalar(param, "string", item, path) for item in items]
    if isinstance(raw, list) and param.type == "string" and is_list:
        raw = ",".join(_text(item) for item in raw)
    return _scalar(param, param.type, raw, path)


def _text(raw: Any) -> str:
    if isinstance(raw, bool):
        return "1" if raw else "0"
    return raw if isinstance(raw, str) else str(raw)


def _scalar(param: Param, kind: str, raw: Any, path: str) -> Any:
    if isinstance(raw, (list, dict)) or (isinstance(raw, bool) and kind != "boolean"):
        raise _Bad(f"type check ('{kind}') failed - got {_perl_ref(raw)}")
    text = _text(raw)
    failed = f"type check ('{kind}') failed - got '{text}'"
    value: Any = text
    match kind:
        case "boolean":
            if text not in {"0", "1"}:
                raise _Bad(failed)
            value = int(text)
        case "integer":
            if not _INTEGER.fullmatch(text):
                raise _Bad(failed)
            value = int(text)
        case "number":
            if not _NUMBER.fullmatch(text):
                raise _Bad(failed)
            value = int(text) if _INTEGER.fullmatch(text) else float(text)
    _check_limits(param, text, path)
    return value


def _check_limits(param: Param, text: str, path: str) -> None:
    if param.format is not None:
        try:
            check_format(param.format, text, path)
        except Misfit as misfit:
            raise _Bad(f"invalid format - {misfit}") from misfit
    if param.pattern is not None and not re.fullmatch(param.pattern, text):
        raise _Bad("value does not match the regex pattern")
    if param.max_length is not None and len(text) > param.max_length:
        raise _Bad(f"value may only be {param.max_length} characters long")
    if param.min_length is not None and len(text) < param.min_length:
        raise _Bad(f"value must be at least {param.min_length} characters long")
    if _NUMBER.fullmatch(text):
        if param.maximum is not None and float(text) > param.maximum:
            raise _Bad(f"value must have a maximum value of {param.maximum:g}")
        if param.minimum is not None and float(text) < param.minimum:
            raise _Bad(f"value must have a minimum value of {param.minimum:g}")
    if param.enum is not None and text not in param.enum:
        raise _Bad(f"value '{text}' does not have a value in the enumeration '{', '.join(param.enum)}'")
