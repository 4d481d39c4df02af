# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What it costs to read a whole cluster, and how that grows with it."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

from ansible_collections.pve.mobility.plugins.module_utils.api.connection import from_options
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.collect import Wanted, collect
from ansible_collections.pve.mobility.plugins.module_utils.model.snapshot import from_json, to_json
from tests.integration.harness import Lab, running_lab
from tools.area import AREA, CHECKOUT

NODES = 32
SIZES = (200, 2000, 5000)


def measure() -> dict[str, float]:
    figures: dict[str, float] = {}
    for guests in SIZES:
        # Checking the requests against the schema would take longer than sending them.
        with running_lab(_cluster(guests), 1.0, check=False) as lab:
            figures |= {f"snapshot_{guests}_{name}": value for name, value in _read(lab).items()}
    figures["snapshot_rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return figures


def _cluster(guests: int) -> Path:
    AREA.mkdir(parents=True, exist_ok=True)
    path = AREA / f"bench-{guests}.yml"
    command = [sys.executable, "-m", "lab.cluster_file", "generate", "--nodes", str(NODES), "--guests", str(guests)]
    done = subprocess.run([*command, "--seed", "1"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    path.write_text(done.stdout, encoding="utf-8")
    return path


def _read(lab: Lab) -> dict[str, float]:
    user, _mark, name = lab.info["token_id"].partition("!")
    session = Session(
        from_options(
            {
                "api_host": lab.info["hosts"][:3],
                "api_user": user,
                "api_token_id": name,
                "api_token_secret": lab.info["token_secret"],
                "ca_path": lab.info["ca"],
            }
        )
    )
    lab.control("DELETE", "/requests")
    started, busy = time.monotonic(), time.process_time()
    state = collect(session, Wanted())
    read, worked = time.monotonic(), time.process_time()
    text = to_json(state)
    assert from_json(text) == state
    return {
        "requests": lab.control("GET", "/requests")["count"],
        # On a machine that others use too, only the time of the processor tells how it grows.
        "seconds": round(read - started, 1),
        "cpu_seconds": round(worked - busy, 1),
        "json_seconds": round(time.process_time() - worked, 1),
        "json_mb": round(len(text) / 2**20, 1),
    }
