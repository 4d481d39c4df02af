# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of findings says what the checks say."""

from __future__ import annotations

from tools.findings import PAGE, page


def test_the_page_is_as_the_checks_would_write_it_now() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tools.findings"
