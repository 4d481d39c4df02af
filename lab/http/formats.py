# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Formats that parameters may have, with Proxmox VE's own complaints (pve-common JSONSchema.pm).

A format is a function that raises :class:`Misfit`. ``<name>-list`` and ``<name>-opt`` follow from ``<name>``. Other
modules add theirs with :func:`format_check` and :func:`property_format`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from lab.pve.formats import split_list

FormatCheck = Callable[[str, str], None]
"""``(value, path)``; ``path`` names the parameter and is used in the complaints of nested formats."""


class Misfit(Exception):
    """Why a value does not fit; what Perl's ``die`` would print, with its newline."""


_FORMATS: dict[str, FormatCheck] = {}


def register(name: str, check: FormatCheck) -> None:
    _FORMATS[name] = check


def format_check(name: str) -> Callable[[Callable[[str], object]], Callable[[str], object]]:
    """Register ``function(value)``; it raises :class:`Misfit` (or ValueError with the complaint)."""

    def decorate(function: Callable[[str], object]) -> Callable[[str], object]:
        def check(value: str, _path: str) -> None:
            try:
                function(value)
            except ValueError as error:
                raise Misfit(f"{error}\n") from error

        register(name, check)
        return function

    return decorate


def check_format(name: str, value: str, path: str) -> None:
    """:raises Misfit: when ``value`` does not fit."""
    found = _FORMATS.get(name)
    if found is not None:
        found(value, path)
        return
    base, _dash, kind = name.rpartition("-")
    found = _FORMATS[base]
    if kind == "list":
        for item in split_list(value):
            found(item, path)
    elif kind == "opt" and value:
        found(value, path)


def known(name: str) -> bool:
    return name in _FORMATS or (name.rpartition("-")[0] in _FORMATS and name.rpartition("-")[2] in {"list", "opt"})


def _matching(name: str, pattern: str, complaint: str) -> None:
    regex = re.compile(pattern)

    def check(value: str, _path: str) -> None:
        if not regex.fullmatch(value):
            raise Misfit(complaint.replace("%s", value) + "\n")

    register(name, check)


_matching("string", r"(?s).*", "")
_matching("pve-vmid", r"[1-9][0-9]{2,8}", "value does not look like a valid VM ID")
_matching("pve-node", r"[a-zA-Z0-9]([a-zA-Z0-9\-]*[a-zA-Z0-9])?", "value does not look like a valid node name")
_matching("pve-configid", r"[a-zA-Z][\w-]+", "invalid configuration ID '%s'")
_matching("pve-bridge-id", r"[-_.\w]+", "invalid bridge ID '%s'")
_matching("pve-iface", r"(?i)[a-z][a-z0-9_]{1,20}([:.]\d+)?", "invalid network interface name '%s'")
_matching("pve-poolid", r"[A-Za-z0-9._\-]+(/[A-Za-z0-9._\-]+){0,2}", "pool name '%s' contains invalid characters")
_matching("pve-groupid", r"[A-Za-z0-9.\-_]+", "group name '%s' contains invalid characters")
_matching("pve-roleid", r"[A-Za-z0-9.\-_]+", "role name '%s' contains invalid characters")
_matching("pve-realm", r"[A-Za-z][A-Za-z0-9.\-_]+", "value does not look like a valid realm")
_matching(
    "pve-tokenid",
    r"[^\s:/]+@[A-Za-z][A-Za-z0-9.\-_]+![A-Za-z][A-Za-z0-9.\-_]+",
    "value '%s' does not look like a valid token ID",
)
_matching("pve-tag", r"(?i)[a-z0-9_][a-z0-9_\-+.]*", "invalid characters in tag")
_matching("urlencoded", r"[-%a-zA-Z0-9_.!~*'()]*", "invalid urlencoded string: %s")
_matching("email-opt", r"|[\w.+\-~]+@[\w\-.]+", "value does not look like a valid email address")
_matching(
    "dns-name",
    r"([a-zA-Z0-9]([a-zA-Z0-9\-]*[a-zA-Z0-9])?\.)*[a-zA-Z0-9]([a-zA-Z0-9\-]*[a-zA-Z0-9])?",
    "value does not look like a valid DNS name",
)
_matching("disk-size", r"\d+(\.\d+)?([KMGT](iB)?)?", "value does not look like a valid disk size: %s")
_matching("pve-replication-job-id", r"[1-9][0-9]{2,8}-\d{1,9}", "invalid replication job id '%s'")


@format_check("pve-userid")
def check_userid(value: str) -> None:
    """pve-access-control Auth/Plugin.pm:verify_username; ``user@realm``."""
    if not re.fullmatch(r"[^\s:/]+@[A-Za-z][A-Za-z0-9.\-_]+", value):
        raise ValueError(f"value '{value}' does not look like a valid user name")
    if len(value) < 3:
        raise ValueError(f"user name '{value}' is too short")
    if len(value) > 64:
        raise ValueError(f"user name '{value}' is too long ({len(value)} > 64)")


@format_check("pve-storage-id")
def check_storage_id(value: str) -> None:
    """pve-common JSONSchema.pm:parse_id."""
    if len(value) < 2:
        raise ValueError(f"storage ID '{value}' too short")
    if not re.fullmatch(r"(?i)[a-z][a-z0-9\-_.]*[a-z0-9]", value):
        raise ValueError(f"storage ID '{value}' contains illegal characters")


def _pair_format(name: str, side: Callable[[str], object]) -> None:
    @format_check(name)
    def check(value: str) -> None:
        if value == "1":
            return
        halves = value.split(":") if re.fullmatch(r"[^:]+:[^:]+", value) else [value]
        for half in halves:
            try:
                side(half)
            except ValueError as error:
                raise Misfit(f"entry '{value}' contains invalid ID - {error}\n\n\n") from error


_pair_format("storage-pair", check_storage_id)


@format_check("bridge-pair")
def _bridge_pair(value: str) -> None:
    for half in value.split(":", 1):
        if not re.fullmatch(r"[-_.\w]+", half):
            raise Misfit(f"entry '{value}' contains invalid ID - invalid bridge ID '{half}'\n\n\n")


@format_check("CIDR")
def _cidr(value: str) -> None:
    address, slash, bits = value.partition("/")
    try:
        known_address = ipaddress.ip_address(address)
        if slash and bits.isdigit() and 7 < int(bits) <= known_address.max_prefixlen:
            return
    except ValueError:
        pass
    raise ValueError("value does not look like a valid CIDR network")


@format_check("ip")
def _ip(value: str) -> None:
    try:
        ipaddress.ip_address(value)
    except ValueError as error:
        raise ValueError("value does not look like a valid IP address") from error


@format_check("address")
def _address(value: str) -> None:
    try:
        check_format("dns-name", value, "")
    except Misfit:
        try:
            _ip(value)
        except ValueError as error:
            raise ValueError(f"value does not look like a valid address: {value}") from error
