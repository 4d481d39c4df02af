# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How good plans of rolling upgrades are, and what they cost to make."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import Plan
from ansible_collections.pve.mobility.plugins.module_utils.planning.policy import Homing, Policy
from ansible_collections.pve.mobility.plugins.module_utils.planning.upgrade import plan_upgrade
from tests.unit.planning.exact import gap
from tests.unit.planning.witness import Witness
from tests.unit.planning.world import Wish, draw
from tools.area import CHECKOUT

NODES = (3, 6, 12, 32)
GUESTS_A_NODE = 25
SEEDS = range(3)
BIG = 32
GUESTS = (500, 2000, 5000)
INSTANCES = range(40)
NEVER = Policy(homing=Homing.NEVER, stopped=False)


def upgrade(seed: int, wish: Wish) -> Plan:
    """A plan that was carried out on paper, and held."""
    state = draw(seed, wish)
    plan = plan_upgrade(state, NEVER)
    wrong = Witness(state, plan, NEVER).watch()
    assert not wrong, wrong
    assert not plan.left, plan.left
    return plan


def moves_per_guest() -> dict[str, float]:
    """Half under HA, a quarter replicated; second moves count, and nobody goes home."""
    figures: dict[str, float] = {}
    for nodes in NODES:
        wish = Wish(
            nodes=nodes,
            guests=nodes * GUESTS_A_NODE,
            full=0.45,
            local=0.25,
            replicated=1.0,
            managed=0.5,
            stopped=0.0,
        )
        plans = [upgrade(seed, wish) for seed in SEEDS]
        guests = sum(len({move.guest for move in plan.moves}) for plan in plans)
        figures[f"upgrade_moves_per_guest_{nodes}"] = round(sum(len(plan.moves) for plan in plans) / guests, 3)
        figures[f"upgrade_moves_bound_{nodes}"] = round(sum(plan.bounds.moves for plan in plans) / guests, 3)
    return figures


def bytes_ratio() -> float:
    """What is copied of disks and memory, against a drain that copies every disk; all guests are replicated."""
    wish = Wish(
        nodes=12, guests=300, full=0.45, local=1.0, replicated=1.0, containers=0.0, stopped=0.0, disk=400 * 2**30
    )
    plans = [upgrade(seed, wish) for seed in SEEDS]
    return sum(plan.bytes for plan in plans) / sum(plan.blind_bytes for plan in plans)


def cost() -> dict[str, float]:
    """In a process of its own for each size, so that memory is that of the plan alone."""
    figures: dict[str, float] = {}
    for guests in GUESTS:
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.upgrade", str(guests)],
            cwd=CHECKOUT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        figures |= json.loads(done.stdout.splitlines()[-1])
    few, many = figures[f"plan_cpu_s_{GUESTS[0]}"], figures[f"plan_cpu_s_{GUESTS[-1]}"]
    figures["plan_growth"] = round(many / few / (GUESTS[-1] / GUESTS[0]), 2)
    return figures


def exact() -> dict[str, float]:
    """Against the fewest moves that there are."""
    gaps = [found for seed in INSTANCES if (found := gap(seed)) is not None]
    return {
        "upgrade_exact_instances": len(gaps),
        "upgrade_exact_gap_mean": round(sum(gaps) / len(gaps), 4),
        "upgrade_exact_gap_most": round(max(gaps), 4),
    }


def measure() -> dict[str, float]:
    return {**moves_per_guest(), "upgrade_bytes_ratio": round(bytes_ratio(), 4), **cost(), **exact()}


def main(guests: int) -> dict[str, float]:
    state = draw(1, Wish(nodes=BIG, guests=guests, local=0.4, replicated=0.8, managed=0.5, rules=40, full=0.6))
    began, busy = time.perf_counter(), time.process_time()
    plan = plan_upgrade(state, NEVER)
    return {
        f"plan_wall_s_{guests}": round(time.perf_counter() - began, 2),
        f"plan_cpu_s_{guests}": round(time.process_time() - busy, 2),
        f"plan_rss_mb_{guests}": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        f"plan_moves_{guests}": len(plan.moves),
    }


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
