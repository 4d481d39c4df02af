# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node's shell from outside: ``LAB_CONTROL=http://… LAB_NODE=pve1 python -m lab.shell zfs list``.

A script called ``zfs`` that does this makes a host of an inventory behave like that node, for roles that ask the nodes
themselves. Exit status and output are those of the lab's command.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request

_NEEDED = ("LAB_CONTROL", "LAB_NODE")


def main(argv: list[str]) -> int:
    missing = [name for name in _NEEDED if not os.environ.get(name)]
    if missing or not argv:
        print(f"usage: {'=… '.join(_NEEDED)}=… python -m lab.shell PROGRAM [ARGUMENT...]", file=sys.stderr)
        return 2
    request = urllib.request.Request(
        f"{os.environ['LAB_CONTROL']}/shell",
        method="POST",
        data=json.dumps({"node": os.environ["LAB_NODE"], "argv": argv}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            said = json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        print(json.loads(refused.read()).get("error", refused.reason), file=sys.stderr)
        return 127
    except OSError as problem:
        print(f"No lab answers at {os.environ['LAB_CONTROL']}: {problem}.", file=sys.stderr)
        return 127
    (sys.stderr if said["exit"] else sys.stdout).write(said["output"])
    return int(said["exit"] != 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
