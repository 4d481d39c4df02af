# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is preflight right, how much more does it know than Proxmox VE's own call, and how fast is it?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from ansible_collections.pve.mobility.plugins.module_utils.model.snapshot import to_json
from tests.agreement.draw import draw
from tests.agreement.recall import Recall, of_fixtures
from tests.agreement.run import Word, run
from tests.agreement.session import snapshot
from tests.bench.snapshot import NODES, SIZES
from tests.conformance.client import Lab
from tools.area import AREA, CHECKOUT

CASES = int(os.environ.get("PREFLIGHT_CASES", "2000"))


def measure() -> dict[str, float]:
    return {**_agreement(), **_speed()}


def _agreement() -> dict[str, float]:
    words = dict.fromkeys(Word, 0)
    recall, differing = Recall(), 0
    for seed in range(CASES):
        result = run(draw(seed))
        words[result.word] += 1
        differing += bool(result.differs)
        # What the HA manager brings back, as a warning had said, did move.
        if not result.outcome.moved and result.word is not Word.PASSED:
            recall = recall.with_one(bool(result.blocking), result.foretold)
        if result.bad:
            print(result.text())
    recall = recall.with_all(of_fixtures())
    return {
        "preflight_cases": CASES,
        "preflight_misses": words[Word.MISS],
        "preflight_false_alarms": words[Word.FALSE_ALARM],
        "preflight_wrong_causes": words[Word.WRONG_CAUSE],
        "preflight_foreseen_wrongly": differing,
        "preflight_situations": recall.situations,
        "preflight_recall": round(recall.ours / recall.situations, 3),
        "precondition_recall": round(recall.precondition / recall.situations, 3),
    }


def _speed() -> dict[str, float]:
    """In a process of its own for each size, so that memory is that of the judgement alone."""
    figures: dict[str, float] = {}
    for guests in SIZES:
        path = _snapshot(guests)
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.judging", str(path)],
            cwd=CHECKOUT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        found = json.loads(done.stdout.splitlines()[-1])
        figures |= {f"preflight_{guests}_{name}": value for name, value in found.items()}
    return figures


def _snapshot(guests: int) -> Path:
    """Of the cluster that is also read for the figures of ``cluster_info``."""
    AREA.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "lab.cluster_file", "generate", "--nodes", str(NODES), "--guests", str(guests)]
    made = AREA / f"bench-{guests}.yml"
    done = subprocess.run([*command, "--seed", "1"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    made.write_text(done.stdout, encoding="utf-8")
    lab = Lab.from_file(made)
    path = AREA / f"bench-{guests}.json"
    path.write_text(to_json(snapshot(lab, lab.first_node)), encoding="utf-8")
    return path
