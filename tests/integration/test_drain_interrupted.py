# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller dies at a random moment of a drain, a hundred times."""

from __future__ import annotations

from tests.integration.drain_kill import broken_off

KILLS = 100


def test_killed_at_random_moments_it_ends_the_same_and_moves_no_guest_twice() -> None:
    outcomes = {seed: broken_off(seed) for seed in range(KILLS)}
    assert {seed: outcome.broken for seed, outcome in outcomes.items() if outcome.broken} == {}
    assert {seed: outcome for seed, outcome in outcomes.items() if outcome.lost} == {}
    assert {seed: outcome for seed, outcome in outcomes.items() if outcome.twice} == {}
    assert {seed: outcome for seed, outcome in outcomes.items() if outcome.elsewhere} == {}
    assert sum(outcome.killed for outcome in outcomes.values()) == KILLS, "every run was really broken off"
