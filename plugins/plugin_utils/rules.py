# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An administrator's own rules: JMESPath over the snapshot."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Severity

_ID = re.compile(r"^[a-z][a-z0-9-]*$")
_FIELD = re.compile(r"\{(\w+)\}")
KEYS = {"id", "severity", "message", "remedy", "expression"}


class RuleError(ValueError):
    """A rule makes no sense: one sentence."""


@dataclass(frozen=True, slots=True)
class Rule:
    """``expression`` finds what is wrong: each item of a list it yields is a finding, as is a plain ``true``."""

    id: str
    severity: Severity
    message: str
    remedy: str
    expression: Any

    def findings(self, snapshot: Mapping[str, Any]) -> Iterator[Finding]:
        """:raises RuleError: the expression does not fit the snapshot."""
        from jmespath.exceptions import JMESPathError

        try:
            answer = self.expression.search(snapshot)
        except JMESPathError as problem:
            raise RuleError(f"Rule {self.id} does not fit the snapshot: {_one_line(problem)}.") from None
        for item in answer if isinstance(answer, list) else [answer] if answer else ():
            row = item if isinstance(item, Mapping) else {"value": item}
            yield Finding(
                self.id,
                self.severity,
                _filled(self.message, row),
                _filled(self.remedy, row),
                row["vmid"] if isinstance(row.get("vmid"), int) else None,
                _name(row, "node"),
                _name(row, "storage"),
                {key: value for key, value in row.items() if isinstance(value, str | int | float | bool)},
            )


def parse(rows: Iterable[Any], known: Iterable[str]) -> list[Rule]:
    """From the option ``rules``.

    :param known: ids of the built-in findings, which a rule cannot take. :raises RuleError: a rule is wrong.
    """
    taken = set(known)
    found = []
    for number, row in enumerate(rows, 1):
        rule = _rule(number, row)
        if rule.id in taken:
            raise RuleError(f"Rule {number} has the id {rule.id}, which is taken: choose another one.")
        taken.add(rule.id)
        found.append(rule)
    return found


def _rule(number: int, row: Any) -> Rule:
    if not isinstance(row, Mapping):
        raise RuleError(f"Rule {number} is no mapping: it needs id, message and expression.")
    missing = sorted({"id", "message", "expression"} - row.keys())
    if missing:
        raise RuleError(f"Rule {number} has no {' and no '.join(missing)}.")
    unknown = sorted(row.keys() - KEYS)
    if unknown:
        raise RuleError(f"Rule {number} has a key {unknown[0]}, which is none of {', '.join(sorted(KEYS))}.")
    name = str(row["id"])
    if not _ID.match(name):
        raise RuleError(f"Rule {number} has the id {name!r}: use lower-case letters, digits and hyphens.")
    severity = str(row.get("severity", "block"))
    if severity not in {item.value for item in Severity}:
        raise RuleError(f"Rule {name} has the severity {severity!r}: use block, warn or info.")
    return Rule(
        name,
        Severity(severity),
        str(row["message"]),
        str(row.get("remedy", "see your own rule")),
        _compiled(name, str(row["expression"])),
    )


def _compiled(name: str, expression: str) -> Any:
    try:
        import jmespath
        from jmespath.exceptions import JMESPathError
    except ImportError:
        raise RuleError("Own rules need the Python library jmespath on the controller: pip install jmespath.") from None
    try:
        return jmespath.compile(expression)
    except JMESPathError as problem:
        raise RuleError(f"The expression of rule {name} is no JMESPath: {_one_line(problem)}.") from None


def _one_line(problem: Exception) -> str:
    return str(problem).strip().splitlines()[0].rstrip(".:")


def _filled(text: str, row: Mapping[str, Any]) -> str:
    """``{label}`` becomes that field of what was found; braces around other words stay."""
    return _FIELD.sub(lambda match: str(row.get(match[1], match[0])), text)


def _name(row: Mapping[str, Any], key: str) -> str | None:
    value = row.get(key)
    return value if isinstance(value, str) else None
