# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Choosing guests by JMESPath, where that library is: on the controller."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

NOBODY = 0
"""No guest has this number; an empty list of numbers would mean every guest."""


class QueryError(ValueError):
    """A query makes no sense: one sentence."""


def has_queries(rules: Any) -> bool:
    return isinstance(rules, list) and any(isinstance(rule, Mapping) and rule.get("query") for rule in rules)


def answered(rules: Iterable[Any], guests: Iterable[Mapping[str, Any]]) -> list[Any]:
    """The rules with the numbers of the guests in place of each query.

    :param guests: as ``cluster_info`` returns them. :raises QueryError: a query is no JMESPath, or fits no guest.
    """
    known = list(guests)
    return [
        _answer(number, rule, known) if isinstance(rule, Mapping) and rule.get("query") else rule
        for number, rule in enumerate(rules, 1)
    ]


def _answer(number: int, rule: Mapping[str, Any], guests: list[Mapping[str, Any]]) -> dict[str, Any]:
    name = rule.get("name") or f"rule {number}"
    matched = matching(str(rule["query"]), guests, f"{name} of the policy")
    chosen = dict(rule.get("guests") or {})
    if chosen.get("vmids"):
        matched = [vmid for vmid in matched if vmid in {int(item) for item in chosen["vmids"]}]
    rest = {key: value for key, value in rule.items() if key != "query"}
    return {**rest, "guests": {**chosen, "vmids": matched or [NOBODY]}}


def matching(query: str, guests: Iterable[Mapping[str, Any]], where: str) -> list[int]:
    """Numbers of the guests for which the query is true.

    :raises QueryError: it is no JMESPath, or cannot be answered.
    """
    try:
        import jmespath
        from jmespath.exceptions import JMESPathError
    except ImportError:
        raise QueryError("Queries need the Python library jmespath on the controller: pip install jmespath.") from None
    try:
        expression = jmespath.compile(query)
        return [int(guest["vmid"]) for guest in guests if expression.search(guest)]
    except JMESPathError as problem:
        words = str(problem).strip().splitlines()[0].rstrip(".:")
        raise QueryError(f"The query of {where} makes no sense: {words}.") from None
