# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many of the moves that cannot succeed are foretold: by preflight, and by Proxmox VE's precondition call alone."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import kinds
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts
from tests.agreement.foretold import foretells
from tests.unit import checks
from tests.unit.checks.fixtures import judged


@dataclass(frozen=True, slots=True)
class Recall:
    """Of ``situations`` that block, how many each has told of."""

    situations: int = 0
    ours: int = 0
    precondition: int = 0

    def with_one(self, ours: bool, precondition: bool) -> Recall:
        return Recall(self.situations + 1, self.ours + ours, self.precondition + precondition)

    def with_all(self, other: Recall) -> Recall:
        return Recall(
            self.situations + other.situations, self.ours + other.ours, self.precondition + other.precondition
        )


def of_fixtures() -> Recall:
    """The fixtures of the checks in which something blocks; what is no single move the call cannot know of.

    That all of these are known to our own checks is no wonder, the drawn cases are what puts them to the test; what the
    call knows of them is the figure.
    """
    found = Recall()
    for module in pkgutil.iter_modules(checks.__path__):
        # The test of all fixtures gathers those of the others.
        if not module.name.startswith("test_") or module.name == "test_fixtures":
            continue
        for fixture in getattr(importlib.import_module(f"{checks.__name__}.{module.name}"), "FIXTURES", ()):
            kind = kinds().get(fixture.kind)
            if kind is None or kind.severity is not Severity.BLOCK:
                continue
            situation = fixture.fails()
            found_there = judged(situation)
            if all(item.severity is not Severity.BLOCK for item in found_there if item.id == fixture.kind):
                # A kind that mostly blocks, in a milder case.
                continue
            ours = any(item.severity is Severity.BLOCK for item in found_there)
            theirs = isinstance(situation, MoveFacts) and foretells(
                situation.precondition, situation.target.name, situation.live, situation.with_local_disks
            )
            found = found.with_one(ours, theirs)
    return found
