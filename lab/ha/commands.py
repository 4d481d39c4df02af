# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ha/crm_commands: what users ask of the CRM (HA/Manager.pm:update_crm_commands)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from lab.ha.config import resources

if TYPE_CHECKING:
    from lab.ha.manager import Manager
    from lab.ha.state import Service

COMMANDS = "ha/crm_commands"


def take_commands(manager: Manager) -> None:
    """Read and empty the queue; faults may delay commands, lose them, or keep a service from acting on them."""
    stack, faults = manager.stack, manager.cluster.faults
    now = manager.cluster.engine.now
    due = [command for when, command in stack.delayed if when <= now]
    stack.delayed = [item for item in stack.delayed if item[0] > now]
    for command in (manager.cluster.fs.read(COMMANDS) or "").splitlines():
        effect = faults.ha(_subject(command), "drop", "delay")
        if effect is None:
            due.append(command)
        elif effect.kind == "delay":
            wait = manager.cluster.engine.random.uniform(effect.number, effect.most)
            stack.delayed.append((now + wait, command))
    if manager.cluster.fs.read(COMMANDS):
        manager.cluster.fs.write(COMMANDS, "")
    if manager.stuck and not any(fault.domain == "ha" and fault.effect.kind == "never-acts" for fault in faults):
        manager.stuck.clear()
    for command in due:
        _take(manager, command)
        subject = _subject(command)
        if subject in manager.services and faults.ha(subject, "never-acts") is not None:
            manager.stuck[subject] = None


def _subject(command: str) -> str:
    """What a command is about: a service, or ``node:<name>``."""
    words = command.split()
    if "maintenance" in words[0]:
        return f"node:{words[-1]}"
    return words[1] if len(words) > 1 else words[0]


def _take(manager: Manager, command: str) -> None:
    match command.split():
        case ["migrate" | "relocate" as task, sid, node]:
            _move(manager, command, task, sid, node)
        case ["stop", sid, timeout]:
            if sid in manager.services:
                manager.log(f"got crm command: {command}")
                manager.services[sid].cmd = ["stop", timeout]
            else:
                manager.log(f"crm command error - no such service: {command}")
        case ["enable-node-maintenance", node]:
            _enable(manager, command, node)
        case ["disable-node-maintenance", node]:
            state = manager.nodes.get(node)
            if state != "maintenance":
                manager.log(f"clearing maintenance of node {node} requested, but it's in state {state}")
            manager.status.node_request.setdefault(node, {}).pop("maintenance", None)
        case ["disarm-ha", "freeze" | "ignore" as mode]:
            _disarm(manager, mode)
        case ["arm-ha"]:
            _arm(manager)
        case _:
            manager.log(f"unable to parse crm command: {command}")


def _move(manager: Manager, command: str, task: str, sid: str, node: str) -> None:
    service = manager.services.get(sid)
    if service is None:
        manager.log(f"crm command error - no such service: {command}")
    elif not manager.nodes.is_online(node):
        manager.log(f"crm command error - node not online: {command}")
    elif node == service.node:
        manager.log(f"ignore crm command - service already on target node: {command}")
    else:
        queue_motion(manager, command, task, sid, node)


def queue_motion(manager: Manager, command: str, task: str, sid: str, target: str) -> None:
    """Set the command of a service and of those that must stay with it, unless one on the target forbids it."""
    services = manager.services
    for other in blocking(manager.services, manager.rules.apart.get(sid, frozenset()), target):
        manager.log(f"crm command '{command}' error - service '{other}' on node '{target}' in negative affinity with "
                    f"service '{sid}'")  # fmt: skip
        return
    manager.log(f"got crm command: {command}")
    services[sid].cmd = [task, target]
    for other in sorted(manager.rules.together.get(sid, ())):
        partner = services.get(other)
        if partner is None or partner.node == target or partner.target == target:
            continue
        manager.log(f"crm command '{command}' - {task} service '{other}' to node '{target}' (service '{other}' in "
                    f"positive affinity with service '{sid}')")  # fmt: skip
        partner.cmd = [task, target]


def blocking(services: Mapping[str, Service], others: Iterable[str], node: str) -> list[str]:
    """Services of ``others`` that are on ``node`` and not about to leave it."""
    found = []
    for sid in sorted(others):
        service = services.get(sid)
        if service is None or service.node != node or service.target not in {None, node}:
            continue
        found.append(sid)
    return found


def _enable(manager: Manager, command: str, node: str) -> None:
    state = manager.nodes.get(node)
    if manager.status.disarm is not None:
        manager.log(f"ignoring maintenance command for node {node} - HA stack is disarmed")
    elif state == "online":
        manager.status.node_request.setdefault(node, {})["maintenance"] = 1
    elif state == "maintenance":
        manager.log(f"ignoring crm command - node {node} is already in maintenance state")
    else:
        manager.log(f"crm command error - node not online: {command}")


def _disarm(manager: Manager, mode: str) -> None:
    if manager.status.disarm is not None:
        state = manager.status.disarm["state"]
        manager.log(f"ignoring disarm-ha command - already in disarm state ({state})")
        return
    manager.log(f"got crm command: disarm-ha {mode}")
    manager.status.disarm = {"mode": mode, "state": "disarming"}


def _arm(manager: Manager) -> None:
    disarm = manager.status.disarm
    if disarm is None:
        manager.log("ignoring arm-ha command - HA stack is not disarmed")
        return
    manager.log("got crm command: arm-ha")
    if disarm["mode"] == "ignore":
        managed = resources(manager.cluster)
        for sid, service in sorted(manager.services.items()):
            entry = manager.cluster.guest(managed[sid].vmid) if sid in managed else None
            if entry is not None and entry.node != service.node:
                manager.log(f"service '{sid}': updating node '{service.node}' => '{entry.node}' (changed while "
                            "disarmed)")  # fmt: skip
                service.node = entry.node
    manager.status.disarm = None
