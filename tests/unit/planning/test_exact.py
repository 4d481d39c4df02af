# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plans of small clusters against the fewest moves that there are: never fewer, and hardly more."""

from __future__ import annotations

from .exact import gap

INSTANCES = range(12)


def test_plans_are_close_to_the_optimum() -> None:
    gaps = [found for seed in INSTANCES if (found := gap(seed)) is not None]
    assert len(gaps) >= len(INSTANCES) * 2 // 3, "most instances have a way"
    assert sum(gaps) / len(gaps) <= 0.05
