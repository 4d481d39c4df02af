# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service's state becomes in a round of the CRM (HA/Manager.pm:next_state_*)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.ha.config import Resource
from lab.ha.placement import Preference, select_node
from lab.ha.state import ERROR, IGNORED, SUCCESS, WRONG_NODE, Result, Service
from lab.pve.pmxcfs import guest_path

if TYPE_CHECKING:
    from lab.ha.manager import Manager

_SAFE_LOCKS = frozenset(
    {"backup", "mounted", "migrate", "clone", "rollback", "snapshot", "snapshot-delete", "suspending", "suspended"}
)
"""Locks that a fenced node leaves behind and that recovery may remove."""


def next_state(manager: Manager, sid: str, resource: Resource | None, service: Service) -> None:
    """One step; ``resource`` None counts as disabled."""
    result = manager.result(service)
    match service.state:
        case "started":
            _started(manager, sid, resource, service, result)
        case "stopped":
            _stopped(manager, sid, resource, service)
        case "request_start":
            _request_start(manager, sid, resource, service)
        case "migrate" | "relocate" | "request_start_balance":
            _moving(manager, sid, resource, service, result)
        case "request_stop":
            _request_stop(manager, sid, service, result)
        case "recovery":
            _recovery(manager, sid, resource, service)
        case "freeze":
            if manager.modes.get(service.node) == "active":
                manager.change(sid, "started" if _wanted(resource) == "started" else "request_stop")
        case "error":
            if _wanted(resource) == "disabled":
                service.failed_nodes = None
                manager.change(sid, "stopped")


def _wanted(resource: Resource | None) -> str:
    return resource.state if resource is not None else "disabled"


def _request_stop(manager: Manager, sid: str, service: Service, result: Result | None) -> None:
    if result is not None:
        if result.exit_code == SUCCESS:
            manager.change(sid, "stopped")
        else:
            manager.log(f"service '{sid}' stop failed (exit code {result.exit_code})")
            manager.change(sid, "error")
    elif manager.nodes.offline_delayed(service.node):
        manager.change(sid, "fence")


def _moving(manager: Manager, sid: str, resource: Resource | None, service: Service, result: Result | None) -> None:
    if result is None:
        if manager.nodes.offline_delayed(service.node):
            manager.change(sid, "fence")
        return
    after = "started" if _wanted(resource) == "started" else "request_stop"
    match result.exit_code:
        case 0:
            manager.change(sid, after, node=service.target)
        case code if code == WRONG_NODE:
            manager.log(f"service '{sid}' - migration failed: service registered on wrong node!")
            manager.change(sid, "error")
        case code if code == IGNORED:
            manager.log(f"service '{sid}' - rebalance-on-start request ignored - service already running")
            manager.change(sid, after, node=service.node)
        case code:
            manager.log(f"service '{sid}' - migration failed (exit code {code})")
            manager.change(sid, after, node=service.node)


def _take_move(manager: Manager, sid: str, service: Service, running: bool) -> bool:
    """Act on a ``migrate`` or ``relocate`` that waits; whether the state changed."""
    assert service.cmd is not None
    cmd, target = service.cmd[0], service.cmd[1]
    if not manager.nodes.is_online(target):
        manager.log(f"ignore service '{sid}' {cmd} request - node '{target}' not online")
    elif service.node == target:
        manager.log(f"ignore service '{sid}' {cmd} request - service already on node '{target}'")
    else:
        if running:
            manager.log(f"{cmd} service '{sid}' to node '{target}'")
        manager.change(sid, cmd, node=service.node, target=target)
        return True
    return False


def _stopped(manager: Manager, sid: str, resource: Resource | None, service: Service) -> None:
    entry = manager.cluster.guest(int(sid.partition(":")[2]))
    if entry is not None and entry.node != service.node:
        manager.log(f"fixup service '{sid}' location ({service.node} => {entry.node})")
        service.node = entry.node
    if service.cmd is not None:
        if service.cmd[0] == "stop":
            manager.log(f"ignore service '{sid}' stop request - service already stopped")
        elif _take_move(manager, sid, service, running=False):
            return
        service.cmd = None
    wanted = _wanted(resource)
    if wanted == "disabled":
        return
    if manager.nodes.offline_delayed(service.node) and manager.nodes.get(service.node) != "maintenance":
        manager.change(sid, "fence")
    elif wanted == "started":
        manager.change(sid, "request_start", node=service.node)


def _request_start(manager: Manager, sid: str, resource: Resource | None, service: Service) -> None:
    if manager.rebalance_on_start and resource is not None:
        node = select_node(manager.rules, manager.usage, sid, resource, manager.services, Preference.BEST)
        kind = "new" if node != service.node else "current"
        manager.log(f"service {sid}: re-balance selected {kind} node {node} for startup")
        if node is not None and node != service.node:
            manager.change(sid, "request_start_balance", node=service.node, target=node)
            return
    manager.change(sid, "started", node=service.node)


# ---------------------------------------------------------------- started


def _started(manager: Manager, sid: str, resource: Resource | None, service: Service, result: Result | None) -> None:
    nodes = manager.nodes
    if not nodes.is_online(service.node):
        if nodes.offline_delayed(service.node) and nodes.get(service.node) != "maintenance":
            manager.change(sid, "fence")
        if nodes.get(service.node) != "maintenance":
            return
        service.maintenance_node = service.node
    if resource is None or resource.state in {"disabled", "stopped"}:
        manager.change(sid, "request_stop")
    elif service.cmd is not None:
        _started_command(manager, sid, service)
    else:
        wish = _judge_start(manager, sid, resource, service, result)
        if wish is not None:
            _place(manager, sid, resource, service, wish, result)


def _started_command(manager: Manager, sid: str, service: Service) -> None:
    assert service.cmd is not None
    if service.cmd[0] == "stop":
        timeout = int(service.cmd[1])
        text = "immediate service hard-stop" if timeout == 0 else f"graceful stop with timeout '{timeout}'"
        manager.log(f"request {text} for service '{sid}'")
        manager.change(sid, "request_stop", timeout=timeout)
        manager.stack.set_state(sid, "stopped")
    else:
        _take_move(manager, sid, service, running=True)
    service.cmd = None


def _judge_start(
    manager: Manager, sid: str, resource: Resource, service: Service, result: Result | None
) -> Preference | None:
    """How to choose a node after the LRM's last try to start (or check) the service; None: it is in error."""
    if result is None:
        return Preference.NONE
    if result.exit_code == SUCCESS:
        if service.failed_nodes is not None:
            failed = ", ".join(service.failed_nodes)
            manager.log(f"relocation policy successful for '{sid}' on node '{service.node}', failed nodes: {failed}")
        service.failed_nodes = None
        service.running = True
        return Preference.NONE
    service.failed_nodes = [*(service.failed_nodes or ()), service.node]
    if result.exit_code not in {ERROR, WRONG_NODE}:
        manager.log(f"service '{sid}' got unrecoverable error (exit code {result.exit_code})")
        manager.change(sid, "error")
        return None
    service.running = False
    if len(service.failed_nodes) <= resource.max_relocate:
        manager.log(f"starting service {sid} on node '{service.node}' failed, relocating service.")
        return Preference.NEXT
    failed = ", ".join(service.failed_nodes)
    manager.log(f"recovery policy for service {sid} failed, entering error state. Failed nodes: {failed}")
    manager.change(sid, "error")
    return None


def _place(
    manager: Manager, sid: str, resource: Resource, service: Service, wish: Preference, result: Result | None
) -> None:
    node = select_node(manager.rules, manager.usage, sid, resource, manager.services, wish)
    if node is not None and node != service.node:
        if manager.cluster.faults.ha(sid, "never-acts") is not None:
            return
        _forget_way_back(manager, sid, service, node)
        if resource.kind == "vm":
            manager.log(f"migrate service '{sid}' to node '{node}' (running)")
        else:
            manager.log(f"relocate service '{sid}' to node '{node}'")
        manager.change(sid, "migrate" if resource.kind == "vm" else "relocate", node=service.node, target=node)
        return
    if wish is Preference.NEXT and node is None:
        failed = ", ".join(service.failed_nodes or ())
        manager.log(f"Start Error Recovery: Tried all available nodes for service '{sid}', retry start on current "
                    f"node. Tried nodes: {failed}")  # fmt: skip
    if service.maintenance_node == service.node and manager.nodes.is_online(service.node):
        manager.log(f"service '{sid}': clearing stale maintenance node '{service.node}' setting (is current node)")
        service.maintenance_node = None
    if result is not None:
        # A new uid makes the LRM look again in its next round.
        service.uid = manager.status.new_uid(service.state)


def _forget_way_back(manager: Manager, sid: str, service: Service, node: str) -> None:
    back = service.maintenance_node
    if back is None:
        return
    if node == back:
        manager.log(f"moving service '{sid}' back to '{back}', node came back from maintenance.")
        service.maintenance_node = None
    elif service.node != back:
        manager.log(f"dropping maintenance fallback node '{back}' for '{sid}'")
        service.maintenance_node = None


# ---------------------------------------------------------------- recovery


def _recovery(manager: Manager, sid: str, resource: Resource | None, service: Service) -> None:
    fenced = service.node
    node = None
    if resource is not None:
        node = select_node(manager.rules, manager.usage, sid, resource, manager.services, Preference.BEST)
    if node is None or resource is None:
        manager.log(f"recovering service '{sid}' from fenced node '{fenced}' failed, no recovery node found")
        if _wanted(resource) == "disabled":
            service.failed_nodes = None
            manager.change(sid, "stopped")
        return
    if node == fenced:
        manager.log(f"recover service '{sid}' to previous failed and fenced node '{fenced}' again")
    else:
        manager.log(f"recover service '{sid}' from fenced node '{fenced}' to node '{node}'")
    _steal(manager, sid, resource, fenced, node)
    manager.change(sid, "started" if resource.state == "started" else "request_stop", node=node)


def _steal(manager: Manager, sid: str, resource: Resource, fenced: str, node: str) -> None:
    """Move the guest's configuration to its new node and drop a lock that the dead node left."""
    cluster = manager.cluster
    entry = cluster.guest(resource.vmid)
    if entry is None:
        return
    lock = cluster.config(entry).current.get("lock")
    if lock in _SAFE_LOCKS:
        config = cluster.config(entry).copy()
        del config.current["lock"]
        cluster.write_config(manager.node, entry, config)
        manager.log(f"removed leftover lock '{lock}' from recovered service '{sid}' to allow its start.")
    if entry.node == fenced and node != fenced:
        cluster.fs.rename(entry.path, guest_path(node, entry.type, entry.vmid))
