# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example of every page runs, and prints what the page says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.examples import Reader, missing, pieces
from tools.area import CHECKOUT
from tools.tree import sync

PAGES = [*sorted((CHECKOUT / "docs" / "docsite" / "rst").glob("*.rst")), CHECKOUT / "README.md"]
LANGUAGES = {"yaml", "console", "text", "bash"}
ELSEWHERE = {"scale": CHECKOUT / "tests" / "package" / "test_scale.py"}
"""Pages whose examples need more than one lab, and the test that runs them."""
WITH_EXAMPLES = [
    page for page in PAGES if page.stem not in ELSEWHERE and any(piece.kind in LANGUAGES for piece in pieces(page))
]


@pytest.fixture(scope="module", autouse=True)
def collection() -> None:
    sync()


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: page.stem)
def test_examples_run_and_print_what_the_page_says(page: Path, tmp_path: Path) -> None:
    Reader(page, tmp_path).read()


def test_what_is_printed_is_compared() -> None:
    said = "ok: 104 billing-db  pve1 → pve3  done in 1 min 12 s, paused for 64 ms"
    assert missing("  104 billing-db pve1 → pve3  done in 9 min 3 s, paused for 5 ms\n…", said) == []
    assert missing("104 billing-db … paused for 5 ms", said) == []
    assert missing("104 billing-db  pve1 → pve2  done …", said) == ["104 billing-db  pve1 → pve2  done …"], (
        "another node"
    )


def test_a_page_that_is_left_out_is_run_elsewhere() -> None:
    assert all(f"{page}.rst" in test.read_text(encoding="utf-8") for page, test in ELSEWHERE.items())


def test_no_page_has_examples_that_nobody_runs() -> None:
    """Literal blocks, and code in other languages, would not be run."""
    wrong = [
        f"{page.name}:{number}: {line}"
        for page in PAGES
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
        if line.endswith("::") and not line.lstrip().startswith("..")
    ]
    wrong += [
        f"{page.name}:{p.line}: {p.kind}" for page in PAGES for p in pieces(page) if p.kind in {"sh", "shell", "json"}
    ]
    assert not wrong, "\n".join(wrong)
