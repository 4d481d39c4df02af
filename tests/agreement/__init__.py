# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is preflight right? Random clusters and moves, judged, and then carried out by the lab.

What passes must succeed; what is blocked for a reason that Proxmox VE enforces must fail, and for that reason.
``python -m tests.agreement --cases 2000`` is the long run; ``--seed N`` repeats one case and prints its cluster file.
"""

from __future__ import annotations

import sys

from tools.area import COLLECTIONS
from tools.tree import sync

if "pytest" not in sys.modules:
    sync()
if str(COLLECTIONS) not in sys.path:
    sys.path.insert(0, str(COLLECTIONS))
