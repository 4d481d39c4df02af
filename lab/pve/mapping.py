# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of ``/etc/pve/mapping/{pci,usb,dir}.cfg`` (pve-guest-common Mapping/*.pm)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Mapping:
    """One mapping. ``entries``: property strings ``node=…,id=…``, one or more per node."""

    id: str
    values: dict[str, str] = field(default_factory=dict)
    entries: tuple[str, ...] = ()


def parse_mappings(text: str) -> dict[str, Mapping]:
    """Mappings by name. The sections of these files are named without a type, and ``map`` repeats."""
    found: dict[str, tuple[dict[str, str], list[str]]] = {}
    name = ""
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if not line[0].isspace():
            name = line.strip()
            found[name] = {}, []
            continue
        key, _space, value = line.strip().partition(" ")
        if key == "map":
            found[name][1].append(value.strip())
        elif name:
            found[name][0][key] = value.strip()
    return {name: Mapping(name, values, tuple(entries)) for name, (values, entries) in found.items()}


def print_mappings(mappings: Iterable[Mapping]) -> str:
    blocks = []
    for mapping in mappings:
        lines = [mapping.id]
        lines += [f"\t{key} {value}" for key, value in sorted(mapping.values.items())]
        lines += [f"\tmap {entry}" for entry in mapping.entries]
        blocks.append("".join(f"{line}\n" for line in lines))
    return "\n".join(blocks)
