# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the documentation as HTML into ``build/docs``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tools.area import AREA, link

FOLDER = AREA / "docs"


def main() -> int:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    # Lenient: links into the documentation of Ansible itself cannot be resolved without the network.
    first = ("antsibull-docs", "sphinx-init", "--lenient", "--use-current", "--dest-dir", str(FOLDER), "pve.mobility")
    for command in (first, ("bash", "build.sh")):
        outcome = subprocess.run(
            command, cwd=FOLDER, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if outcome.returncode:
            print(outcome.stdout, outcome.stderr, sep="", file=sys.stderr)
            print(f"The documentation was not built: {' '.join(command)} failed (see above).", file=sys.stderr)
            return 1
    link("docs", FOLDER)
    print(f"open {os.path.relpath(FOLDER / 'build' / 'html' / 'index.html')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
