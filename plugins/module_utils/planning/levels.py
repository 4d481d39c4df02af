# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which node is newer than which: guests go from older to newer or equal ones (pve-facts §8)."""

from __future__ import annotations

import re

from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState

Level = tuple[int, ...]
"""Compares as releases do; empty when nothing is known, which counts as the oldest."""


def level(version: str | None) -> Level:
    """``9.2.11`` → (9, 2, 11), ``9.0.0~16`` → (9, 0, 0, -16): before 9.0.0 itself, as Debian has it."""
    found: list[int] = []
    for sign, number in re.findall(r"(~?)(\d+)", version or ""):
        found.append(-int(number) if sign else int(number))
    if found:
        # A further part that is not there ranks between a tilde and a number.
        found.append(0)
    return tuple(found)


def levels(state: ClusterState, releases_only: bool = False) -> dict[str, Level]:
    """Of every node. :param releases_only: 9.2.4 and 9.2.11 count as the same."""
    found: dict[str, Level] = {}
    for node in state.nodes:
        facts = state.facts(node.name)
        known = level(facts.version or facts.release) if facts is not None else ()
        found[node.name] = known[:2] if releases_only else known
    return found


def beyond(known: dict[str, Level]) -> Level:
    """What is newer than all of these: of a node that was upgraded to a version nobody knows yet."""
    return (*max(known.values(), default=()), 1)
