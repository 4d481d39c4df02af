# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""For every test: ``ansible_collections.pve.mobility`` is this checkout as it is now, wherever it lies."""

from __future__ import annotations

import os
import sys

import hypothesis

from tools.area import COLLECTIONS, QUICK
from tools.tree import sync

sync()
sys.path.insert(0, str(COLLECTIONS))
os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(COLLECTIONS)
os.environ |= QUICK

# A deadline would fail on a busy machine, and CI must judge the same examples each time.
hypothesis.settings.register_profile("house", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("house")
