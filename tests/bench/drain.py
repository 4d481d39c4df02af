# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a drain takes on the lab's links, against what no drain could beat, and what comes of killing it."""

from __future__ import annotations

import json
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any
from unittest import mock

from ansible_collections.pve.mobility.plugins.module_utils.execution.drain import run
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_request import from_options
from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import Limits
from lab.sim.network import Transfer
from tests.conformance.client import Lab
from tests.integration.drain_kill import broken_off
from tests.integration.inprocess import LabClock, LabSession, reading

SIZES = {10: 8, 30: 8, 100: 4, 300: 2}
"""How many guests the node has, and how many such clusters are drained: with few guests much is chance."""
NODES = 6
NODE, OTHER = "pve1", "pve2"
MOVES = ("qmigrate", "vzmigrate")
KILLS = 100


def cluster(guests: int, seed: int = 1) -> dict[str, Any]:
    """Guests of one node: VMs of several sizes and containers, a third under HA, a third replicated."""
    dice = random.Random(seed)
    names = [f"pve{number}" for number in range(1, NODES + 1)]
    rows: dict[int, dict[str, Any]] = {}
    for index in range(guests):
        row: dict[str, Any] = {"node": NODE, "name": f"guest{index}", "memory": f"{dice.choice((2, 4, 8, 16, 32))}G"}
        match index % 3:
            case 0:
                row |= {"disk": "shared:16G", "ha": True}
            case 1:
                row |= {
                    "disk": {"storage": "tank", "size": "16G", "used": f"{dice.choice((2, 4, 8))}G"},
                    "replicate": {dice.choice(names[1:]): {"schedule": "*/30", "last_sync": "2m"}},
                }
            case 2:
                row |= {"disk": "shared:8G"}
        if index % 10 == 9:
            row |= {"type": "ct", "memory": "512M"}
        rows[100 + index] = row
    memory = 64 + 16 * guests
    return {
        "name": "bench",
        "node_defaults": {"memory": f"{memory}G", "link_speed": "10Gbit"},
        "nodes": names,
        "storages": {
            "shared": {"type": "rbd", "pool": "vms", "content": "images,rootdir", "size": "90T"},
            "tank": {"type": "zfspool", "pool": "tank", "content": "images,rootdir", "size": "20T"},
        },
        "guests": rows,
        "ha": {"settled": True},
    }


def drained(description: dict[str, Any]) -> tuple[float, int]:
    """Seconds of the lab that it took, and requests for each guest."""
    lab = Lab.from_dict(description)
    lab.advance(30.0)
    session = LabSession(lab)
    with tempfile.TemporaryDirectory() as folder, reading(session):
        request = from_options({"node": NODE, "journal": str(Path(folder) / "drain.jsonl")})
        result = run(session, LabClock(lab), request)
    assert result["empty"], result["left"]
    moved = [row["id"] for row in lab.get(f"/nodes/{NODE}/tasks", {"source": "all", "limit": 5000}) if _moves(row)]
    assert sorted(moved) == sorted(str(vmid) for vmid in description["guests"]), "each guest moved once"
    return result["duration_s"], round(session.sent / len(moved))


def at_least(description: dict[str, Any]) -> float:
    """Seconds below which no drain comes that moves so many guests at once.

    All bytes have to pass the node's port, and before the first and after the last of them one move at least has to be
    prepared and finished; each place is taken for as long as each move takes on an idle cluster. What the HA manager
    takes to begin and to notice the end, and runs of replication, do not count.
    """
    known: dict[str, Alone] = {}
    alone = []
    for vmid, row in description["guests"].items():
        same = json.dumps({**row, "name": "", "replicate": bool(row.get("replicate"))}, sort_keys=True)
        if same not in known:
            known[same] = moved_alone({**description, "guests": {vmid: row}}, vmid, row)
        alone.append(known[same])
    sending = [item for item in alone if item.link]
    return max(
        sum(item.link for item in alone) + min((item.beside for item in sending), default=0.0),
        sum(item.seconds for item in alone) / Limits().source,
        max(item.seconds for item in alone),
    )


@dataclass(frozen=True, slots=True)
class Alone:
    """A move on a cluster where nothing else happens: how long its task takes, its bytes alone on the link, and how
    long nothing is sent, before them and after them.
    """

    seconds: float
    link: float
    beside: float


def moved_alone(description: dict[str, Any], vmid: int, row: dict[str, Any]) -> Alone:
    """By Proxmox VE's own call, right after a run of its replication."""
    lab = Lab.from_dict(description)
    lab.advance(30.0)
    target = next(iter(row.get("replicate", ())), OTHER)
    if "replicate" in row:
        status = f"/nodes/{NODE}/replication/{vmid}-0/status"
        before = lab.get(status)["last_sync"]
        lab.post(f"/nodes/{NODE}/replication/{vmid}-0/schedule_now")
        while lab.get(status)["last_sync"] == before:
            lab.advance(1.0)
    container = row.get("type") == "ct"
    how = {"restart": 1} if container else {"online": 1, "with-local-disks": int("replicate" in row)}
    sent: list[Transfer] = []
    moments: list[float] = []
    network = lab.cluster.network
    really_start, really_close = network.start, network._close

    def start(pipes: Any, total: float, cap: float | None = None) -> Transfer:
        moments.append(lab.now)
        sent.append(really_start(pipes, total, cap))
        return sent[-1]

    def close(transfer: Transfer) -> None:
        moments.append(lab.now)
        really_close(transfer)

    with mock.patch.multiple(network, start=start, _close=close):
        path = f"/nodes/{NODE}/{'lxc' if container else 'qemu'}/{vmid}/migrate"
        lab.post(path, {"target": target, **how})
        while not (tasks := [task for task in lab.cluster.tasks.running(NODE) if task.type in MOVES]):
            lab.engine.env.step()
        begun = lab.now
        assert lab.wait_task(tasks[0].upid) == "OK"
    ports = [
        (pipe.name, transfer.done / pipe.capacity)
        for transfer in sent
        for pipe in transfer.pipes
        if pipe in lab.cluster.nodes[NODE].pipes.values()
    ]
    links = [sum(seconds for name, seconds in ports if name == port) for port in {name for name, _seconds in ports}]
    seconds = lab.now - begun
    return Alone(seconds, max(links, default=0.0), seconds - (max(moments) - min(moments) if moments else 0.0))


def _moves(row: dict[str, Any]) -> bool:
    return row["type"] in MOVES


def measure() -> dict[str, float]:
    figures: dict[str, float] = {}
    for size, clusters in SIZES.items():
        ratios, seconds, bounds, requests = [], [], [], []
        for seed in range(1, clusters + 1):
            description = cluster(size, seed)
            took, asked = drained(description)
            bound = at_least(description)
            ratios.append(took / bound)
            seconds.append(took)
            bounds.append(bound)
            requests.append(asked)
        figures[f"drain_makespan_ratio_{size}"] = round(mean(ratios), 3)
        figures[f"drain_makespan_ratio_{size}_worst"] = round(max(ratios), 3)
        figures[f"drain_seconds_{size}"] = round(mean(seconds), 1)
        figures[f"drain_bound_seconds_{size}"] = round(mean(bounds), 1)
        figures[f"drain_requests_per_guest_{size}"] = round(mean(requests))
        figures[f"drain_makespan_ratio_{size}_without_ha"] = round(without_ha(size), 3)
    return figures | killed()


def without_ha(size: int) -> float:
    """How much of it is the HA manager, which takes its time to begin."""
    description = cluster(size)
    for row in description["guests"].values():
        row.pop("ha", None)
    return drained(description)[0] / at_least(description)


def killed() -> dict[str, float]:
    """The controller dies at random moments, and the drain is run again."""
    outcomes = [broken_off(seed) for seed in range(KILLS)]
    return {
        "drain_kill_runs": sum(outcome.killed for outcome in outcomes),
        "drain_kill_lost": sum(outcome.lost for outcome in outcomes),
        "drain_kill_needless_moves": sum(outcome.twice for outcome in outcomes),
        "drain_kill_elsewhere": sum(outcome.elsewhere for outcome in outcomes),
        "drain_kill_rerun_failed": sum(bool(outcome.broken) for outcome in outcomes),
    }
