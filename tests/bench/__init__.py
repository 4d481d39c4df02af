# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurements, run by hand: ``make bench``. Figures go to build/bench.json, one plain number a key.

``ansible_collections.pve.mobility`` is this checkout, as it is for the tests.
"""

from __future__ import annotations

import sys

from tools.area import COLLECTIONS
from tools.tree import sync

sync()
if str(COLLECTIONS) not in sys.path:
    sys.path.insert(0, str(COLLECTIONS))
