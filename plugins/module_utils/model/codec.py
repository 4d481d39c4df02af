# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Dataclasses of the model as plain values and back: one rule for all of them, driven by their type hints."""

from __future__ import annotations

import enum
import types
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
Visitor = Callable[[str, str], str]
"""Takes the kind of a text (see :mod:`names`; empty for plain words) and the text."""


_NONE = (types.NoneType,)


class Malformed(ValueError):
    """A value does not have the shape that it should; ``place`` such as ``guest_configs[12].memory``."""

    def __init__(self, place: str, value: Any, wanted: str) -> None:
        shown = repr(value)
        super().__init__(f"{place or 'the whole'} is {shown[:60]}{'…' if len(shown) > 60 else ''}, not {wanted}")


class Missing(Malformed):
    """A field that has no default is not there."""

    def __init__(self, place: str) -> None:
        super().__init__(place, None, "there")
        self.args = (f"{place} is missing",)


@cache
def hints(kind: Any) -> dict[str, Any]:
    """The fields of a dataclass with their types, annotations included."""
    known = get_type_hints(kind, include_extras=True)
    return {item.name: known[item.name] for item in fields(kind)}


def plain(value: Any) -> Any:
    """Values that JSON knows; sets become sorted lists."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(getattr(value, name)) for name in hints(type(value))}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, AbstractSet):
        return sorted(plain(item) for item in value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def built(kind: type[T], value: Any, place: str = "") -> T:
    """A dataclass from its plain form. Keys that it does not have are passed over; those left out keep their default.

    :raises Malformed: what does not fit, and where.
    """
    result: T = _built(kind, value, place)
    return result


def _built(hint: Any, value: Any, place: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _built(arguments[0], value, place)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        return _built(next(item for item in arguments if item not in _NONE), value, place)
    if origin in (tuple, frozenset):
        if not isinstance(value, list | tuple | AbstractSet):
            raise Malformed(place, value, "a list")
        items = (_built(arguments[0], item, f"{place}[{number}]") for number, item in enumerate(value))
        return tuple(items) if origin is tuple else frozenset(items)
    if origin is not None:
        if not isinstance(value, Mapping):
            raise Malformed(place, value, "a mapping")
        return {str(key): _built(arguments[1], item, f"{place}.{key}") for key, item in value.items()}
    if is_dataclass(hint):
        return _object(hint, value, place)
    return _simple(hint, value, place)


def _object(kind: Any, value: Any, place: str) -> Any:
    if not isinstance(value, Mapping):
        raise Malformed(place, value, "a mapping")
    known = hints(kind)
    for item in fields(kind):
        required = item.default is MISSING and item.default_factory is MISSING
        if required and item.name not in value:
            raise Missing(f"{place}.{item.name}".lstrip("."))
    return kind(
        **{
            name: _built(hint, value[name], f"{place}.{name}".lstrip("."))
            for name, hint in known.items()
            if name in value
        }
    )


_NAMED: dict[type, str] = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def _simple(hint: Any, value: Any, place: str) -> Any:
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        try:
            return hint(value)
        except ValueError:
            raise Malformed(place, value, f"one of {', '.join(str(item.value) for item in hint)}") from None
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise Malformed(place, value, _NAMED.get(hint, str(hint)))
    return value


def visited(value: T, visit: Visitor) -> T:
    """The same with every text replaced by what ``visit`` makes of it, keys of mappings included."""
    result: T = _visited(type(value), value, visit)
    return result


def _visited(hint: Any, value: Any, visit: Visitor) -> Any:
    if value is None:
        return None
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return visit(hint.__metadata__[0], value) if isinstance(value, str) else value
    if origin in (Union, types.UnionType):
        return _visited(next(item for item in arguments if item not in _NONE), value, visit)
    if origin is tuple:
        return tuple(_visited(arguments[0], item, visit) for item in value)
    if origin is frozenset:
        return frozenset(_visited(arguments[0], item, visit) for item in value)
    if origin is not None:
        return {_visited(arguments[0], key, visit): _visited(arguments[1], item, visit) for key, item in value.items()}
    if is_dataclass(hint):
        kind: Any = type(value)
        return kind(**{name: _visited(item, getattr(value, name), visit) for name, item in hints(kind).items()})
    return visit("", value) if isinstance(value, str) and not isinstance(value, enum.Enum) else value
