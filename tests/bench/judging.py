# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.bench.judging SNAPSHOT``: judge drains and the whole cluster, and say what that costs, as JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from ansible_collections.pve.mobility.plugins.module_utils.model.snapshot import from_json
from ansible_collections.pve.mobility.plugins.module_utils.planning.ask import ClusterAsk, DrainAsk
from ansible_collections.pve.mobility.plugins.module_utils.planning.preflight import judge


def main(path: Path) -> dict[str, float]:
    state = from_json(path.read_text(encoding="utf-8"))
    fullest = max(state.nodes, key=lambda node: (node.online, len(state.guests_on(node.name))))
    began = time.process_time()
    judge(state, DrainAsk(fullest.name))
    drained = time.process_time()
    judge(state, ClusterAsk())
    return {
        "drain_s": round(drained - began, 2),
        "drain_guests": len(state.guests_on(fullest.name)),
        "cluster_s": round(time.process_time() - drained, 2),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
