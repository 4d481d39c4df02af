# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether ansible-rulebook can run here: its rules are carried out by Java."""

from __future__ import annotations

import re
import shutil
import subprocess

JAVA = 17


def why_not() -> str:
    """One sentence why it cannot; empty when it can."""
    if shutil.which("java") is None:
        return f"no rulebooks: java is missing, of which ansible-rulebook needs version {JAVA} or newer"
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)', said.stderr + said.stdout)
    if found is None or int(found[1]) < JAVA:
        version = found[1] if found else "of an unknown version"
        return f"no rulebooks: java is {version}, and ansible-rulebook needs version {JAVA} or newer"
    return ""
