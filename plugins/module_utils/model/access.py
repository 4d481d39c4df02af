# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Accounts, roles and ACLs as ``/access`` tells of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """A role that somebody has on a path. ``who``: a user, a token (``user@realm!name``), or ``@group``."""

    path: str
    who: str
    role: str
    propagate: bool = True


@dataclass(frozen=True, slots=True)
class Token:
    """:ivar expire: Unix time, 0 for never."""

    privsep: bool = True
    expire: int = 0
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """What is there. ``user``: None when there is no such account; ``token`` likewise."""

    roles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    entries: frozenset[Entry] = frozenset()
    user: bool = False
    enabled: bool = True
    groups: tuple[str, ...] = ()
    token: Token | None = None


def access(
    roles: Iterable[Mapping[str, Any]],
    acl: Iterable[Mapping[str, Any]],
    user: Mapping[str, Any] | None,
    tokens: Iterable[Mapping[str, Any]],
    name: str,
) -> Access:
    """From ``GET /access/roles``, ``/access/acl``, the row of ``/access/users``, and the tokens of the user."""
    token = next((row for row in tokens if str(row.get("tokenid")) == name), None)
    return Access(
        {str(row["roleid"]): frozenset(_names(row.get("privs"))) for row in roles},
        frozenset(
            Entry(
                str(row["path"]),
                f"@{row['ugid']}" if row.get("type") == "group" else str(row["ugid"]),
                str(row["roleid"]),
                bool(int(row.get("propagate", 1))),
            )
            for row in acl
        ),
        user is not None,
        bool(int((user or {}).get("enable", 1))),
        tuple(_names((user or {}).get("groups"))),
        None
        if token is None
        else Token(
            bool(int(token.get("privsep", 1))), int(token.get("expire") or 0), str(token.get("comment") or "").strip()
        ),
    )


def _names(value: Any) -> list[str]:
    items = value if isinstance(value, list) else str(value or "").split(",")
    return sorted(str(item) for item in items if item)
