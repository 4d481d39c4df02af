# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What preflight passes succeeds, and what it blocks fails for the reason that it gives: in hundreds of clusters."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.agreement.causes import CAUSES
from tests.agreement.draw import draw
from tests.agreement.run import Result, Word, run
from tests.agreement.shrink import shrink

CASES = 600
PER_TEST = 50


@pytest.fixture(scope="module")
def results() -> dict[int, Result]:
    """What was found out already, by seed."""
    return {}


@pytest.mark.parametrize("first", range(0, CASES, PER_TEST))
def test_prediction_and_outcome_agree(first: int, results: dict[int, Result]) -> None:
    found = {seed: run(draw(seed)) for seed in range(first, first + PER_TEST)}
    results |= found
    bad = [result for result in found.values() if result.bad]
    assert not bad, shrink(bad[0]).text()


def test_the_cases_are_worth_drawing(results: dict[int, Result]) -> None:
    """Neither nearly all pass nor nearly all fail, and many kinds of findings are put to the test."""
    results |= {seed: run(draw(seed)) for seed in range(CASES) if seed not in results}
    words = Counter(result.word for result in results.values())
    assert words[Word.PASSED] > CASES // 4
    assert words[Word.BLOCKED] > CASES // 5
    shown = {item.id for result in results.values() for item in result.blocking}
    assert len(shown & set(CAUSES)) >= 12


def test_a_case_is_the_same_each_time() -> None:
    one, other = run(draw(7)), run(draw(7))
    assert (one.case, one.word, one.blocking, one.outcome) == (other.case, other.word, other.blocking, other.outcome)


def test_a_wrong_prediction_is_noticed_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A preflight that passes everything is caught, and what is shown is no more than what it takes."""
    from tests.agreement import run as module

    seed = next(seed for seed in range(CASES) if run(draw(seed)).word is Word.BLOCKED)
    blind = module.judge

    def pass_all(*args: object) -> object:
        verdict = blind(*args)  # type: ignore[arg-type]
        return type(verdict)(verdict.title, ())

    monkeypatch.setattr(module, "judge", pass_all)
    result = module.run(draw(seed))
    small = shrink(result)
    assert result.word is small.word is Word.MISS
    assert len(small.text()) < len(result.text())
