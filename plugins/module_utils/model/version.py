# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Versions of Proxmox VE, of packages and of machine types, compared as their makers mean them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from itertools import zip_longest

_MACHINE = re.compile(r"^pc-(i440fx|q35)-(\d+)\.(\d+)(?:\+pve(\d+))?$")
_PARTS = re.compile(r"\d+|[a-zA-Z]+|~")


@cache
def ordered(version: str) -> tuple[tuple[int, int, str], ...]:
    """A key by which versions sort: ``9.2~rc1`` < ``9.2`` < ``9.2-1`` < ``9.10``; for those that nodes really have.

    An epoch (``1:``) counts first.
    """
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    parts = [(2, int(epoch), "") if epoch.isdigit() else (1, 0, epoch)]
    for part in _PARTS.findall(rest):
        if part == "~":
            parts.append((-1, 0, ""))
        elif part.isdigit():
            parts.append((2, int(part), ""))
        else:
            parts.append((1, 0, part))
    parts.append((0, 0, ""))
    return tuple(parts)


def older(one: str, other: str) -> bool:
    """Whether ``one`` comes before ``other``; ``9.2`` and ``9.2.0`` are the same."""
    for mine, theirs in zip_longest(ordered(one), ordered(other), fillvalue=(0, 0, "")):
        if mine != theirs:
            zeros = {(0, 0, ""), (2, 0, "")}
            if {mine, theirs} == zeros:
                continue
            return mine < theirs
    return False


@dataclass(frozen=True, slots=True, order=True)
class Machine:
    """``pc-q35-10.1+pve2``. Ordered within its type: by QEMU version, then by the level of Proxmox VE."""

    major: int
    minor: int
    level: int = 0
    type: str = field(default="i440fx", compare=False)

    def __str__(self) -> str:
        return f"pc-{self.type}-{self.major}.{self.minor}{f'+pve{self.level}' if self.level else ''}"

    @classmethod
    def parse(cls, text: str | None) -> Machine | None:
        """None for machine types without a version, such as ``q35`` (then the newest is meant), and unknown ones."""
        match = _MACHINE.match(text or "")
        return cls(int(match[2]), int(match[3]), int(match[4] or 0), match[1]) if match else None
