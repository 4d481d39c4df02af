# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""High availability: resources, rules, groups, maintenance."""

from __future__ import annotations

from typing import Any

from tests.agreement.draw import GUEST, World


def _managed(world: World) -> str:
    """Make the guest a resource; its name."""
    if "ha" not in world.subject:
        world.subject["ha"] = True if world.running else {"state": "stopped"}
        if "template" in world.subject:
            world.subject["ha"] = {"state": "stopped"}
    world.mode = "auto"
    world.cluster.setdefault("ha", {"settled": True})
    return f"{'vm' if world.is_vm else 'ct'}:{GUEST}"


def resource(world: World) -> str | None:
    _managed(world)
    state = world.pick("started", "started", "stopped", "ignored", "disabled")
    world.subject["ha"] = {"state": state}
    if state in ("stopped", "disabled") and (world.chance(0.7) or not world.running):
        world.subject["running"] = False
    return f"HA {state}"


def maintenance(world: World) -> str:
    _managed(world)
    world.cluster["ha"]["maintenance"] = [world.pick(world.target, world.target, world.pick(*world.names))]
    return f"maintenance of {world.cluster['ha']['maintenance']}"


def node_affinity(world: World) -> str:
    sid = _managed(world)
    nodes = world.rng.sample(world.names, world.rng.randint(1, len(world.names)))
    spelled = [f"{name}:{world.pick(1, 2, 3)}" if world.chance(0.5) else name for name in nodes]
    if world.oldest < (9, 0):
        group = {"nodes": spelled, "restricted": world.chance(0.5), "nofailback": world.chance(0.3)}
        world.cluster["ha"]["groups"] = {"fast": group}
        world.subject["ha"] = {**_spelled(world), "group": "fast"}
        return f"HA group {group}"
    rule = {"type": "node-affinity", "resources": [sid], "nodes": spelled, "strict": world.chance(0.5)}
    world.cluster["ha"].setdefault("rules", {})["home"] = rule
    if world.chance(0.3):
        world.subject["ha"] = {**_spelled(world), "failback": 0}
    return f"node affinity {spelled} strict={rule['strict']}"


def _spelled(world: World) -> dict[str, Any]:
    ha = world.subject["ha"]
    return {"state": "started"} if ha is True else dict(ha)


def resource_affinity(world: World) -> str | None:
    if world.oldest < (9, 0):
        return None
    sid = _managed(world)
    kind = world.pick("negative", "negative", "positive")
    home = world.pick(world.target, *world.names) if kind == "negative" else world.source
    if kind == "negative" and home == world.source:
        home = world.target
    other = world.neighbour(home, ha=True)
    rule: dict[str, Any] = {"type": "resource-affinity", "resources": [sid, f"vm:{other}"], "affinity": kind}
    if world.chance(0.15):
        rule["disable"] = True
    world.cluster["ha"].setdefault("rules", {})["near"] = rule
    return f"{kind} affinity with {other} on {home}"


def disarmed(world: World) -> str | None:
    if world.oldest < (9, 2):
        return None
    _managed(world)
    world.cluster["ha"]["disarmed"] = world.pick("freeze", "ignore")
    return f"disarmed {world.cluster['ha']['disarmed']}"


def plain_ha(world: World) -> str:
    _managed(world)
    return "HA"


TWISTS = [
    resource,
    resource,
    maintenance,
    node_affinity,
    node_affinity,
    resource_affinity,
    resource_affinity,
    disarmed,
    plain_ha,
]
