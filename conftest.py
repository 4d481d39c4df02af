# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""For every test: ``ansible_collections.pve.mobility`` is this checkout as it is now, wherever it lies."""

from __future__ import annotations

import os
import sys
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadFileScheduling

from tools.area import COLLECTIONS, QUICK
from tools.tree import sync

sync()
sys.path.insert(0, str(COLLECTIONS))
os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(COLLECTIONS)
os.environ |= QUICK

# A deadline would fail on a busy machine, and CI must judge the same examples each time.
hypothesis.settings.register_profile("house", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("house")


OWN_LABS = ("/test_docs_examples.py", "/test_reference_examples.py")
"""Files in which each test has a lab of its own."""


class ByLab(LoadFileScheduling):
    """Tests of a file share a lab, so that one worker runs them; pages of the documentation have one each."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return nodeid if file.endswith(OWN_LABS) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByLab | None:
    return ByLab(config, log) if config.getvalue("dist") == "loadfile" else None
