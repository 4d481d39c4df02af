# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The small notations of configuration files: property strings, sizes, booleans, lists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_UNITS = {"": 1, "B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
_SIZE = re.compile(r"^(\d+(?:\.\d+)?) ?([BKMGTP]?)(?:iB)?$")


def properties(text: str, default: str = "") -> dict[str, str]:
    """``volid,size=8G`` → ``{default: volid, size: 8G}``; a part without ``=`` belongs to the key ``default``."""
    found: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not part.strip():
            continue
        if equals:
            found[key.strip()] = value.strip()
        else:
            found.setdefault(default, part.strip())
    return found


def size(text: str | None) -> int | None:
    """``32G`` → bytes; None when there is none or it cannot be read."""
    match = _SIZE.match((text or "").strip())
    return int(float(match[1]) * _UNITS[match[2]]) if match else None


def truth(value: Any, default: bool = False) -> bool:
    """``1``, ``yes``, ``on`` and ``true``, as Proxmox VE reads booleans."""
    if value is None or value == "":
        return default
    return str(value).strip().lower() in {"1", "yes", "on", "true"}


def words(value: Any) -> tuple[str, ...]:
    """A list, or text separated by commas, semicolons or blanks; sorted, because the order varies (pve-facts §15)."""
    parts = value if isinstance(value, list | tuple) else re.split(r"[,;\s]+", str(value or ""))
    return tuple(sorted(str(part) for part in parts if str(part)))


def whole(row: Mapping[str, Any], key: str, default: int = 0) -> int:
    """An integer that may come as text."""
    value = row.get(key)
    try:
        return int(float(value)) if value not in (None, "") else default
    except (TypeError, ValueError):
        return default
