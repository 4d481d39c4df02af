# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The shape of a check's fixtures: a situation in which it speaks, and the same one mended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding
from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import judge_move, judge_scope
from ansible_collections.pve.mobility.plugins.module_utils.checks.scope import Scope
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.planning.preflight import Verdict


@dataclass(frozen=True, slots=True)
class Fixture:
    """``fails`` yields a finding with the id ``kind``; ``passes`` does not."""

    kind: str
    fails: Callable[[], MoveFacts | Scope | Verdict]
    passes: Callable[[], MoveFacts | Scope | Verdict]

    def __str__(self) -> str:
        return self.kind


def judged(situation: MoveFacts | Scope | Verdict) -> list[Finding]:
    """By all checks, as a user meets them."""
    if isinstance(situation, Verdict):
        return list(situation.findings)
    return list(judge_move(situation) if isinstance(situation, MoveFacts) else judge_scope(situation))


def ids(situation: MoveFacts | Scope | Verdict) -> set[str]:
    return {finding.id for finding in judged(situation)}
