# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a user asks of ``replication_policy``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_request import settings_from
from ansible_collections.pve.mobility.plugins.module_utils.execution.selector import Selector
from ansible_collections.pve.mobility.plugins.module_utils.planning.replication_policy import Rule


@dataclass(frozen=True, slots=True)
class PolicyRequest:
    """``ha`` is ``ignore``, ``propose`` or ``create``."""

    rules: tuple[tuple[Selector, Rule], ...]
    ha: str = "propose"

    @property
    def nodes(self) -> list[str]:
        """Every node that some rule names, once."""
        return sorted({name for _selector, rule in self.rules for nodes in rule.sets for name in nodes})


def from_options(options: Mapping[str, Any]) -> PolicyRequest:
    """Check the options of the module.

    :raises Invalid: a rule that makes no sense.
    """
    rows = options.get("rules") or []
    if not rows:
        raise Invalid("rules is empty: a policy needs at least one rule with guests and replicas.")
    return PolicyRequest(
        tuple(_rule(number, row) for number, row in enumerate(rows, 1)), options.get("ha") or "propose"
    )


def _rule(number: int, row: Mapping[str, Any]) -> tuple[Selector, Rule]:
    name = str(row.get("name") or f"rule {number}")
    if row.get("query") is not None:
        raise Invalid(f"{name} of the policy has a query: only the action on the controller can answer it, not async.")
    replicas, sets = row.get("replicas"), row.get("sets")
    if bool(replicas) == bool(sets):
        raise Invalid(f"{name} of the policy needs either replicas, a list of nodes, or sets, several such lists.")
    nodes = tuple(tuple(dict.fromkeys(str(node) for node in group)) for group in (sets or [replicas]))
    for group in nodes:
        if len(group) < 2:
            raise Invalid(f"{name} of the policy has the set [{', '.join(group)}]: copies need at least two nodes.")
    listed = [node for group in nodes for node in group]
    if len(set(listed)) < len(listed):
        twice = next(node for node in listed if listed.count(node) > 1)
        raise Invalid(f"{name} of the policy has {twice} in two sets: then nobody knows which one is meant.")
    try:
        settings = settings_from({"enabled": True, **{key: row[key] for key in _SETTINGS if row.get(key) is not None}})
    except Invalid as wrong:
        raise Invalid(f"{name} of the policy: {wrong.message}") from None
    for kind, chosen in (row.get("guests") or {}).items():
        if chosen is not None and not chosen:
            # Empty lists would leave the kind out, and the rule would be about more guests than meant.
            raise Invalid(f"{name} of the policy: guests.{kind} is empty: leave it out, or name some.")
    spread = row.get("spread")
    return Selector.from_options(row.get("guests")), Rule(name, nodes, settings, spread is None or bool(spread))


_SETTINGS = ("schedule", "rate", "comment", "enabled")
