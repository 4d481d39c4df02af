# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``python -m tests.unit.planning [FACTOR]``: the properties of plans on many more clusters than in ``make test``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FACTOR = "10"


def main() -> int:
    factor = sys.argv[1] if len(sys.argv) > 1 else FACTOR
    tests = Path(__file__).with_name("test_properties.py")
    command = [sys.executable, "-m", "pytest", "-q", "--durations", "3", str(tests)]
    return subprocess.run(command, env={**os.environ, "PLANNING_FACTOR": factor}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
