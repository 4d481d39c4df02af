# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Formats, limits and property strings, with Proxmox VE's own complaints."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lab.errors import BadParameters
from lab.http.params import property_format, verify
from lab.http.router import ANYBODY, Param, Route, opt


def _route(*params: Param, additional: bool = False) -> Route:
    return Route("GET", "/x", lambda _call: None, ANYBODY, params, None, False, (0, 0), additional, re.compile("^/x$"))


def _complaint(param: Param, value: Any, release: tuple[int, int] = (9, 2)) -> str | None:
    try:
        verify(_route(param), {param.name: value}, release)
    except BadParameters as bad:
        assert bad.errors is not None
        return bad.errors[param.name]
    return None


@pytest.mark.parametrize(
    ("format", "good", "bad", "complaint"),
    [
        ("pve-vmid", "100", "99", "value does not look like a valid VM ID\n"),
        ("pve-node", "pve-1", "pve_1", "value does not look like a valid node name\n"),
        ("pve-node-list", "a,b;c d", "a,b_", "value does not look like a valid node name\n"),
        ("pve-storage-id", "local-zfs", "x", "storage ID 'x' too short\n"),
        ("pve-storage-id", "a.b", "9a", "storage ID '9a' contains illegal characters\n"),
        ("storage-pair-list", "a1:b1,1", "a:b:c", None),
        ("CIDR", "10.0.0.0/24", "10.0.0.0", "value does not look like a valid CIDR network\n"),
        ("CIDR", "fd00::/64", "10.0.0.0/7", "value does not look like a valid CIDR network\n"),
        ("email-opt", "", "nobody", "value does not look like a valid email address\n"),
        ("pve-userid", "root@pam", "root", "value 'root' does not look like a valid user name\n"),
        ("pve-replication-job-id", "100-0", "100", "invalid replication job id '100'\n"),
    ],
)
def test_formats(format: str, good: str, bad: str, complaint: str | None) -> None:
    param = Param("p", format=format)
    assert _complaint(param, good) is None
    found = _complaint(param, bad)
    assert found is not None and found.startswith("invalid format - ")
    if complaint is not None:
        assert found == f"invalid format - {complaint}"


def test_a_bad_storage_map_is_refused_in_the_recorded_words() -> None:
    found = _complaint(Param("targetstorage", format="storage-pair-list"), "a:b:c")
    text = "entry 'a:b:c' contains invalid ID - storage ID 'a:b:c' contains illegal characters"
    assert found == f"invalid format - {text}\n\n\n"


@pytest.mark.parametrize(
    ("param", "value", "complaint"),
    [
        (Param("p", "integer"), "1.5", "type check ('integer') failed - got '1.5'"),
        (Param("p", "number"), "fast", "type check ('number') failed - got 'fast'"),
        (Param("p", "number", minimum=1), "0.5", "value must have a minimum value of 1"),
        (Param("p", "integer", maximum=9), 10, "value must have a maximum value of 9"),
        (Param("p", max_length=3), "abcd", "value may only be 3 characters long"),
        (Param("p", min_length=5), "abcd", "value must be at least 5 characters long"),
        (Param("p", enum=("a", "b")), "c", "value 'c' does not have a value in the enumeration 'a, b'"),
        (Param("p"), {"a": 1}, "type check ('string') failed - got HASH"),
        (Param("p"), ["a"], "type check ('string') failed - got ARRAY"),
        (Param("p", "number"), "1e3", None),
        (Param("p", "integer"), "-3", None),
    ],
)
def test_types_and_limits(param: Param, value: Any, complaint: str | None) -> None:
    assert _complaint(param, value) == complaint


def test_a_parameter_belongs_to_releases() -> None:
    unknown = "property is not defined in schema and the schema does not allow additional properties"
    new, old = Param("new", since=(9, 0)), opt("old", until=(9, 0))
    assert _complaint(new, "x") is None
    assert _complaint(new, "x", (8, 4)) == unknown
    assert _complaint(old, "x", (8, 4)) is None
    assert _complaint(old, "x") == unknown


def test_what_is_missing_or_needs_another() -> None:
    with pytest.raises(BadParameters) as bad:
        verify(
            _route(Param("must"), opt("groups"), opt("append", "boolean", requires="groups")), {"append": "1"}, (9, 2)
        )
    assert bad.value.errors == {
        "must": "property is missing and it is not optional",
        "groups": "missing property required by 'append'",
    }


def test_additional_parameters_reach_a_handler_that_wants_them() -> None:
    assert verify(_route(opt("a", "integer"), additional=True), {"a": "1", "b": "2"}, (9, 2)) == {"a": 1, "b": "2"}


def test_property_strings_are_verified_inside() -> None:
    property_format(
        "test-move", Param("type", enum=("secure", "insecure")), opt("network", format="CIDR"), default_key="type"
    )
    param = Param("migration", format="test-move")
    assert _complaint(param, "secure") is None
    assert _complaint(param, "type=insecure,network=10.0.0.0/8") is None
    start = "invalid format - format error\n"
    assert _complaint(param, "secure,network=x") == (
        f"{start}migration.network: invalid format - value does not look like a valid CIDR network\n\n"
    )
    assert (
        _complaint(param, "network=10.0.0.0/8")
        == f"{start}migration.type: property is missing and it is not optional\n"
    )
    assert _complaint(param, "secure,foo=1") == (
        f"{start}migration.foo: property is not defined in schema and the schema does not allow additional properties\n"
    )
