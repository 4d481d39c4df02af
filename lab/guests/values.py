# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's configuration as the API shows it: numbers where Proxmox VE's schema has numbers."""

from __future__ import annotations

import re
from typing import Any

from lab.pve.formats import GuestConfig
from lab.pve.pmxcfs import digest

_NUMBERS = {
    "qemu": frozenset(
        "acpi allow-ksm autostart balloon ciupgrade cores cpulimit cpuunits freeze keephugepages kvm localtime "
        "migrate_downtime migrate_speed numa onboot protection reboot shares smp sockets snaptime tablet tdf template "
        "vcpus".split()
    ),
    "lxc": frozenset(
        "console cores cpulimit cpuunits debug memory onboot protection snaptime swap template tty unprivileged".split()
    ),
}
_INTEGER = re.compile(r"-?\d+")
_FRACTION = re.compile(r"-?\d*\.\d+")


def typed(type: str, key: str, value: str) -> Any:
    """A value as JSON has it; ``memory`` of a VM stays a string, that of a container is a number."""
    if key in _NUMBERS[type]:
        if _INTEGER.fullmatch(value):
            return int(value)
        if _FRACTION.fullmatch(value):
            return float(value)
    return value


def show(type: str, section: dict[str, str], text: str | None) -> dict[str, Any]:
    """``GET …/config``: a section with types, plus the digest of the file."""
    data: dict[str, Any] = {}
    raw: list[list[str]] = []
    for key, value in section.items():
        if key.startswith("lxc."):
            raw += [[key, item] for item in value.split("\0")]
        elif key not in {"vmstate", "delete"}:
            data[key] = "**********" if key == "cipassword" else typed(type, key, value)
    if raw:
        data["lxc"] = raw
    data["digest"] = digest(text)
    return data


def with_pending(config: GuestConfig) -> dict[str, str]:
    """The configuration as it will be once pending changes apply: what ``GET …/config`` shows by default."""
    values = dict(config.current)
    pending = dict(config.pending)
    for key in deletions(config):
        values.pop(key, None)
    pending.pop("delete", None)
    return values | pending


def deletions(config: GuestConfig) -> dict[str, int]:
    """Keys that are to be deleted; 2 when by force."""
    found = {}
    for item in filter(None, re.split(r"[,; ]+", config.pending.get("delete", ""))):
        found[item.lstrip("!")] = 2 if item.startswith("!") else 1
    return found


def pending_rows(type: str, config: GuestConfig, text: str | None) -> list[dict[str, Any]]:
    """``GET …/pending`` (GuestHelpers.pm:config_with_pending_array)."""
    gone = deletions(config)
    pending = {key: value for key, value in config.pending.items() if key != "delete"}
    rows: list[dict[str, Any]] = []
    for key, value in config.current.items():
        row: dict[str, Any] = {"key": key, "value": typed(type, key, value)}
        if key in pending and pending[key] != value:
            row["pending"] = typed(type, key, pending[key])
        if key in gone:
            row["delete"] = gone[key]
        rows.append(row)
    rows += [{"key": key, "pending": typed(type, key, value)} for key, value in pending.items()
             if key not in config.current]  # fmt: skip
    rows.append({"key": "digest", "value": digest(text)})
    return rows
