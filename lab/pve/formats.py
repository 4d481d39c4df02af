# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text formats of /etc/pve: guest configurations, section configurations, property strings, datacenter.cfg."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

# ---------------------------------------------------------------- property strings


def parse_property_string(text: str, default_key: str | None = None) -> dict[str, str]:
    """``a,b=c`` → ``{default_key: a, b: c}``, in the order given."""
    result: dict[str, str] = {}
    for part in filter(None, (item.strip() for item in text.split(","))):
        key, sep, value = part.partition("=")
        if sep:
            result[key] = value
        elif default_key is not None:
            result[default_key] = part
    return result


def print_property_string(values: Mapping[str, Any], default_key: str | None = None) -> str:
    parts = []
    for key, value in values.items():
        parts.append(str(value) if key == default_key else f"{key}={value}")
    return ",".join(parts)


def split_list(text: str | None) -> list[str]:
    """Proxmox VE's list syntax: separated by comma, semicolon, white space or NUL."""
    return [item for item in re.split(r"[,;\s\0]+", text or "") if item]


# ---------------------------------------------------------------- guest configurations


@dataclass(slots=True)
class GuestConfig:
    """A guest's configuration file: current values, pending changes, snapshots.

    Values are the raw strings of the file. ``description`` is the decoded comment block.
    """

    current: dict[str, str] = field(default_factory=dict)
    pending: dict[str, str] = field(default_factory=dict)
    snapshots: dict[str, dict[str, str]] = field(default_factory=dict)

    def copy(self) -> GuestConfig:
        return GuestConfig(
            dict(self.current), dict(self.pending), {name: dict(values) for name, values in self.snapshots.items()}
        )


def parse_guest_config(text: str) -> GuestConfig:
    """Parse ``/etc/pve/nodes/N/{qemu-server,lxc}/ID.conf``."""
    config = GuestConfig()
    section = config.current
    comment: list[str] = []
    for line in text.splitlines():
        if line.startswith("#"):
            comment.append(unquote(line[1:]))
            continue
        if match := re.match(r"^\[(\S+)\]\s*$", line):
            if comment:
                section["description"] = "".join(f"{row}\n" for row in comment)
                comment = []
            name = match[1]
            section = config.pending if name.upper() == "PENDING" else config.snapshots.setdefault(name, {})
            continue
        key, sep, value = line.partition(":")
        if sep:
            if key in section and key.startswith("lxc."):
                section[key] += f"\0{value.strip()}"
            else:
                section[key] = value.strip()
    if comment:
        section["description"] = "".join(f"{row}\n" for row in comment)
    return config


def print_guest_config(config: GuestConfig) -> str:
    """Render as Proxmox VE does: comment first, keys sorted, then pending, then snapshots."""
    lines = _section_lines(config.current)
    if config.pending:
        lines += ["", "[PENDING]", *_section_lines(config.pending)]
    for name in config.snapshots:
        lines += ["", f"[{name}]", *_section_lines(config.snapshots[name])]
    return "".join(f"{line}\n" for line in lines)


def _section_lines(section: Mapping[str, str]) -> list[str]:
    lines = [f"#{quote(row, safe=' /,.:;!?()=+*@[]{}<>_-~')}" for row in section.get("description", "").splitlines()]
    for key in sorted(section):
        if key != "description":
            lines += [f"{key}: {value}" for value in section[key].split("\0")]
    return lines


# ---------------------------------------------------------------- section configurations (storage.cfg, ha/*.cfg, …)


@dataclass(slots=True)
class Section:
    """``type: id`` and its indented ``key value`` lines; a key without value is a flag and has value ``1``."""

    type: str
    id: str
    values: dict[str, str] = field(default_factory=dict)


def parse_section_config(text: str) -> dict[str, Section]:
    """Sections by id, in file order."""
    sections: dict[str, Section] = {}
    current: Section | None = None
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if not line[0].isspace():
            kind, _colon, name = line.partition(":")
            current = Section(kind.strip(), name.strip())
            sections[current.id] = current
        elif current is not None:
            key, _space, value = line.strip().partition(" ")
            current.values[key] = value.strip() or "1"
    return sections


def print_section_config(sections: Iterable[Section], flags: frozenset[str] = frozenset()) -> str:
    """:param flags: keys that are written without a value when they are true."""
    blocks = []
    for section in sections:
        lines = [f"{section.type}: {section.id}"]
        for key, value in section.values.items():
            lines.append(f"\t{key}" if key in flags and value == "1" else f"\t{key} {value}")
        blocks.append("".join(f"{line}\n" for line in lines))
    return "\n".join(blocks)


# ---------------------------------------------------------------- datacenter.cfg


def parse_key_value(text: str) -> dict[str, str]:
    """``key: value`` lines; leading comment lines become ``description``."""
    values: dict[str, str] = {}
    comment = []
    for line in text.splitlines():
        if line.startswith("#"):
            comment.append(unquote(line[1:]))
        else:
            key, sep, value = line.partition(":")
            if sep:
                values[key.strip()] = value.strip()
    if comment:
        values["description"] = "".join(f"{row}\n" for row in comment)
    return values


def print_key_value(values: Mapping[str, str]) -> str:
    lines = [f"#{quote(row, safe=' /,.:;')}" for row in values.get("description", "").splitlines()]
    lines += [f"{key}: {values[key]}" for key in sorted(values) if key != "description"]
    return "".join(f"{line}\n" for line in lines)


# ---------------------------------------------------------------- numbers as Proxmox VE prints them


def render_bytes(value: float) -> str:
    """``1.5 GiB``: pve-common Format.pm:render_bytes, one decimal except for bytes."""
    units = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
    index = 0
    while value >= 1024 and index < len(units) - 1:
        value /= 1024
        index += 1
    return f"{value:.1f} {units[index]}"


def render_duration(seconds: float) -> str:
    """``1h 2m 3s``: pve-common Format.pm:render_duration, seconds rounded up."""
    left = int(seconds) if seconds == int(seconds) else int(seconds) + 1
    parts = []
    for size, unit in ((604800, "w"), (86400, "d"), (3600, "h"), (60, "m")):
        if left >= size:
            parts.append(f"{left // size}{unit}")
            left %= size
    if left or not parts:
        parts.append(f"{left}s")
    return " ".join(parts)


_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


def parse_size(text: str) -> int:
    """``32G`` → bytes; the ``size=`` of a drive."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", text.strip())
    if not match:
        raise ValueError(f"'{text}' is not a size (examples: 512M, 32G)")
    return int(float(match[1]) * _UNITS[match[2]])


def format_size(size: int) -> str:
    """Bytes → the largest unit that divides evenly, as Proxmox VE writes ``size=``."""
    for unit in ("T", "G", "M", "K"):
        if size and size % _UNITS[unit] == 0:
            return f"{size // _UNITS[unit]}{unit}"
    return str(size)
