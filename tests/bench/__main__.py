# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.bench [SECTION...]``: measure, and write build/bench.json.

Figures of sections that were not asked for are kept from the run before.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

from tests.bench import disks, drain, drainers, migrate, peers, preflight, replication, snapshot, upgrade
from tools.area import BUILD

SECTIONS: dict[str, Callable[[], dict[str, float]]] = {
    "disks": disks.measure,
    "drain": drain.measure,
    "drainers": drainers.measure,
    "migrate": migrate.measure,
    "peers": peers.measure,
    "preflight": preflight.measure,
    "replication": replication.measure,
    "snapshot": snapshot.measure,
    "upgrade": upgrade.measure,
}
RESULT = BUILD / "bench.json"


def main(arguments: list[str]) -> int:
    unknown = [name for name in arguments if name not in SECTIONS]
    if unknown:
        print(f"There is no section {unknown[0]}: choose from {', '.join(SECTIONS)}.", file=sys.stderr)
        return 2
    for name in arguments or SECTIONS:
        started = time.monotonic()
        print(f"{name} …", flush=True)
        found = SECTIONS[name]()
        # Another section may have been measured meanwhile.
        known: dict[str, float] = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.is_file() else {}
        for key, value in found.items():
            print(f"  {key:40} {value:g}")
        print(f"  ({time.monotonic() - started:.0f} s)", flush=True)
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(dict(sorted((known | found).items())), indent=2) + "\n", encoding="utf-8")
    print(f"written to {RESULT}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
