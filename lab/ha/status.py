# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``/cluster/ha/status/current`` and ``manager_status`` (pve-ha-manager API2/HA/Status.pm)."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from lab.ha.config import Resource
from lab.ha.state import STALE, LrmStatus, Service, verbose_state
from lab.pve.formats import parse_property_string

if TYPE_CHECKING:
    from lab.ha.stack import HaStack
    from lab.pve.node import Node

Row = dict[str, Any]
FENCING = (9, 2)
"""First release that tells of arming and watchdogs."""


def current(stack: HaStack, node: Node) -> list[Row]:
    """The rows as ``node`` tells them."""
    status, config = stack.status, stack.resources()
    quorate = stack.cluster.quorate(node)
    quorum = "OK" if quorate else f"No quorum on node '{node.name}'!"
    rows: list[Row] = [{"id": "quorum", "type": "quorum", "node": node.name, "status": quorum, "quorate": int(quorate)}]
    age = _age(stack, status.timestamp)
    if status.master_node is not None:
        rows.append(_master(stack, quorate, age))
    if node.release >= FENCING:
        rows.append(_fencing(stack, node, status.master_node is not None and age == "active"))
    for name in sorted(status.node_status):
        rows.append(_lrm(stack, node, name, stack.lrm_status.get(name)))
    for sid in sorted(status.services):
        rows.append(_service(stack, node, sid, config.get(sid), status.services[sid]))
    for sid in sorted(config.keys() - status.services.keys()):
        rows.append(_service(stack, node, sid, config[sid], None))
    return rows


def manager_status(stack: HaStack, node: Node) -> Row:
    """``quorate`` is a text here (pve-facts §15)."""
    data: Row = {
        "manager_status": stack.status.as_dict(),
        "quorum": {"node": node.name, "quorate": "1" if stack.cluster.quorate(node) else ""},
    }
    if stack.status.node_status:
        data["lrm_status"] = {
            name: stack.lrm_status.get(name, LrmStatus()).as_dict() for name in stack.status.node_status
        }
    return data


def _age(stack: HaStack, timestamp: float) -> str:
    return "old timestamp - dead?" if int(stack.cluster.engine.now) - int(timestamp) > STALE else "active"


def _time(timestamp: float) -> str:
    """As Perl's localtime prints it: the day of the month padded with a blank."""
    when = dt.datetime.fromtimestamp(int(timestamp), dt.UTC)
    return f"{when:%a %b} {when.day:2d} {when:%H:%M:%S %Y}"


def _master(stack: HaStack, quorate: bool, age: str) -> Row:
    status = stack.status
    if quorate and age != "active" and not stack.resources():
        age = "idle"
    extra = ""
    if status.disarm is not None:
        extra += f" - {status.disarm['state']}, resource mode: {status.disarm['mode']}"
    mode = parse_property_string(stack.cluster.options().get("crs", ""), "ha").get("ha", "basic")
    if mode != "basic":
        extra += f" - {mode} load CRS"
    return {
        "id": "master", "type": "master", "node": status.master_node, "timestamp": int(status.timestamp),
        "status": f"{status.master_node} ({age}, {_time(status.timestamp)}){extra}",
    }  # fmt: skip


def _fencing(stack: HaStack, node: Node, active: bool) -> Row:
    disarm = stack.status.disarm
    row: Row = {"id": "fencing", "type": "fencing", "node": stack.status.master_node or node.name}
    if disarm is None:
        state = "armed" if active else "standby"
        return row | {"armed-state": state, "status": f"{state} (CRM watchdog {'active' if active else 'standby'})"}
    watchdog = "released" if disarm["state"] == "disarmed" else "active"
    return row | {
        "armed-state": disarm["state"], "resource_mode": disarm["mode"],
        "status": f"{disarm['state']}, resource mode: {disarm['mode']} (CRM watchdog {watchdog})",
    }  # fmt: skip


def _lrm(stack: HaStack, node: Node, name: str, lrm: LrmStatus | None) -> Row:
    row: Row = {"id": f"lrm:{name}", "type": "lrm", "node": name}
    if lrm is None or not lrm.timestamp:
        return row | {"status": f"{name} (unable to read lrm status)"}
    text = _age(stack, lrm.timestamp)
    if text == "active" and lrm.state in {"active", "maintenance"}:
        watchdog = "watchdog active"
    else:
        watchdog = "watchdog released" if lrm.mode == "disarm" else "watchdog standby"
    if text == "active":
        idle = lrm.state == "wait_for_agent_lock" and not stack.status.active_on(name)
        text = f"{lrm.mode} mode" if lrm.mode != "active" else "idle" if idle else lrm.state
    elif lrm.mode in {"maintenance", "disarm"}:
        text = f"{lrm.mode} mode"
    details = [text, watchdog, _time(lrm.timestamp)] if node.release >= FENCING else [text, _time(lrm.timestamp)]
    return row | {"timestamp": int(lrm.timestamp), "status": f"{name} ({', '.join(details)})"}


def _service(stack: HaStack, node: Node, sid: str, resource: Resource | None, service: Service | None) -> Row:
    row: Row = {"id": f"service:{sid}", "type": "service", "sid": sid}
    entry = stack.cluster.guest(resource.vmid) if resource is not None else None
    if service is not None:
        row |= {"node": service.node, "crm_state": service.state}
    elif entry is not None:
        row["node"] = entry.node
    state = verbose_state(service, resource, entry is not None)
    if stack.status.disarm is not None and stack.status.disarm["mode"] == "ignore":
        state = "ignore"
    row |= {"state": state, "status": f"{sid} ({row.get('node', '---')}, {state})"}
    if resource is not None:
        row |= {
            "request_state": resource.state, "max_restart": resource.max_restart, "max_relocate": resource.max_relocate,
        }  # fmt: skip
        if node.release >= (9, 0):
            row["failback"] = int(resource.failback)
        if resource.group is not None:
            row["group"] = resource.group
        if resource.comment is not None:
            row["comment"] = resource.comment
    return row
