# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of privileges says what the table says."""

from __future__ import annotations

from tools.privileges import PAGE, page


def test_the_page_is_the_one_of_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tools.privileges"
