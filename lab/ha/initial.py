# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HA stack as it is found when a lab starts: its daemons have been at work for long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lab.ha.state import LrmStatus, Service

if TYPE_CHECKING:
    from lab.ha.stack import HaStack

_WRITTEN_BEFORE = 4.0
"""Seconds since the daemons last wrote their status."""
_DEAD_SINCE = 3600.0
"""Seconds since those of nodes that are off or alone did."""


def found_running(stack: HaStack, behaviour: Mapping[str, Any]) -> None:
    """Fill in the status of manager and LRMs.

    :param behaviour: ``settled`` (services are in the state they should have), ``maintenance`` (names of nodes),
        ``disarmed`` (``freeze`` or ``ignore``), ``master`` (name of a node).
    """
    cluster, status = stack.cluster, stack.status
    alive = [node for node in cluster.nodes.values() if node.powered and cluster.quorate(node)]
    if not alive:
        return
    resting = behaviour.get("maintenance") or []
    resting = [resting] if isinstance(resting, str) else list(resting)
    status.master_node = str(behaviour.get("master") or next(
        (node.name for node in alive if node.name not in resting), alive[0].name))  # fmt: skip
    status.timestamp = cluster.engine.now - _WRITTEN_BEFORE
    for node in cluster.nodes.values():
        online = cluster.sees_online(alive[0], node)
        status.node_status[node.name] = "maintenance" if node.name in resting else "online" if online else "unknown"
    status.node_request = {name: {"maintenance": 1} for name in resting}
    if behaviour.get("settled", True):
        _settle(stack)
    disarmed = behaviour.get("disarmed")
    if disarmed:
        mode = disarmed if disarmed in {"freeze", "ignore"} else "freeze"
        status.disarm = {"mode": mode, "state": "disarmed"}
        for service in status.services.values() if mode == "freeze" else ():
            service.state, service.running = "freeze", False
    status.reindex()
    for node in cluster.nodes.values():
        mode = "maintenance" if node.name in resting else "disarm" if disarmed else "active"
        busy = "maintenance" if mode == "maintenance" else "active"
        state = busy if mode != "disarm" and (status.active_on(node.name) or mode == "maintenance") else None
        age = _WRITTEN_BEFORE if node.powered and cluster.quorate(node) else _DEAD_SINCE
        stack.lrm_status[node.name] = LrmStatus(
            state or "wait_for_agent_lock", mode, timestamp=cluster.engine.now - age
        )


def _settle(stack: HaStack) -> None:
    """Every service is what its resource asks for."""
    status = stack.status
    for sid, resource in sorted(stack.resources().items()):
        entry = stack.cluster.guest(resource.vmid)
        if entry is None or resource.state == "ignored":
            continue
        started = resource.state == "started"
        running = started and stack.cluster.is_running(entry)
        state = "started" if started else "stopped"
        status.services[sid] = Service(state, entry.node, status.new_uid(state), running=running)
