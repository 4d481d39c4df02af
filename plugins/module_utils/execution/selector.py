# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Choosing guests: by number, name, tag, pool, node."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest


@dataclass(frozen=True, slots=True)
class Selector:
    """Guests that match one of each kind that is given; names may have ``*`` and ``?``. Empty: every guest."""

    vmids: frozenset[int] = frozenset()
    names: tuple[str, ...] = ()
    tags: frozenset[str] = frozenset()
    pools: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()

    @classmethod
    def from_options(cls, options: Mapping[str, Any] | None) -> Selector:
        """From the module's option ``guests``."""
        given = {name: value or () for name, value in (options or {}).items()}
        return cls(
            frozenset(int(number) for number in given.get("vmids", ())),
            tuple(given.get("names", ())),
            frozenset(given.get("tags", ())),
            frozenset(given.get("pools", ())),
            frozenset(given.get("nodes", ())),
        )

    def __bool__(self) -> bool:
        return bool(self.vmids or self.names or self.tags or self.pools or self.nodes)

    def matches(self, guest: Guest) -> bool:
        return (
            (not self.vmids or guest.vmid in self.vmids)
            and (not self.names or any(fnmatch.fnmatchcase(guest.name, name) for name in self.names))
            and (not self.tags or not self.tags.isdisjoint(guest.tags))
            and (not self.pools or guest.pool in self.pools)
            and (not self.nodes or guest.node in self.nodes)
        )

    def chosen(self, guests: Iterable[Guest]) -> tuple[Guest, ...]:
        return tuple(guest for guest in guests if self.matches(guest))
