# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control path ``/lab/...``: setting the stage and playing the villain. Not part of Proxmox VE's API.

Other modules add to it: :func:`shell_command` for programs that Proxmox VE has only on the shell, :func:`order` for a
path of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lab.errors import ApiFault
from lab.faults import BadFault
from lab.pve import daemons
from lab.pve.tasks import Signal, Task

if TYPE_CHECKING:
    from lab.http.gateway import Gateway
    from lab.pve.cluster import Cluster
    from lab.pve.node import Node

Order = Callable[["Control", Mapping[str, Any]], Any]
ShellCommand = Callable[["Cluster", "Node", list[str]], str | None]

_ORDERS: dict[tuple[str, str], Order] = {}
_SHELL: dict[str, ShellCommand] = {}

MOST_ADVANCE = 366 * 86400.0


class BadOrder(Exception):
    """The order makes no sense; one sentence."""


def order(method: str, path: str) -> Callable[[Order], Order]:
    """Register a control path; the function gets the :class:`Control` and the request's fields, and returns JSON."""

    def register(function: Order) -> Order:
        _ORDERS[method, path] = function
        return function

    return register


def shell_command(program: str) -> Callable[[ShellCommand], ShellCommand]:
    """Register a program: ``(cluster, node, arguments) -> output``; it raises :class:`lab.errors.Die` to fail.

    :param program: one word, or several: the longest match wins (``ha-manager crm-command``).
    """

    def register(function: ShellCommand) -> ShellCommand:
        _SHELL[program] = function
        return function

    return register


class Control:
    """Carries out orders for one lab."""

    def __init__(self, cluster: Cluster, gateway: Gateway) -> None:
        self.cluster = cluster
        self.gateway = gateway

    def handle(self, method: str, path: str, fields: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """``(HTTP status, JSON body)``."""
        path = path.rstrip("/")
        found = _ORDERS.get((method, path))
        if found is None:
            known = sorted(f"{verb} {name}" for verb, name in _ORDERS)
            return 404, {"error": f"There is no '{method} {path}' (there are {', '.join(known)})."}
        try:
            result = found(self, fields)
        except (BadOrder, BadFault) as error:
            return 400, {"error": str(error)}
        except ApiFault as fault:
            return 500, {"error": fault.reason}
        return 200, result if isinstance(result, dict) else {"result": result}

    def node(self, fields: Mapping[str, Any]) -> Node:
        name = fields.get("node")
        if name not in self.cluster.nodes:
            raise BadOrder(f"There is no node {name!r} (there are {', '.join(self.cluster.nodes)}).")
        return self.cluster.nodes[str(name)]


def number(fields: Mapping[str, Any], name: str, least: float, most: float) -> float:
    """A number among the fields."""
    value = fields.get(name)
    try:
        result = float(str(value))
    except ValueError:
        result = float("nan")
    if not least <= result <= most:
        raise BadOrder(f"'{name}' is a number from {least:g} to {most:g}, not {value!r}.")
    return result


# ---------------------------------------------------------------- time


def _clock(control: Control) -> dict[str, Any]:
    engine = control.cluster.engine
    return {"now": engine.now, "elapsed": engine.env.now, "speed": engine.speed or "jump"}


@order("GET", "/lab/time")
def _time(control: Control, _fields: Mapping[str, Any]) -> dict[str, Any]:
    return _clock(control)


@order("POST", "/lab/advance")
def _advance(control: Control, fields: Mapping[str, Any]) -> dict[str, Any]:
    control.cluster.engine.advance(number(fields, "seconds", 0, MOST_ADVANCE))
    return _clock(control)


@order("POST", "/lab/speed")
def _speed(control: Control, fields: Mapping[str, Any]) -> dict[str, Any]:
    speed = 0.0 if fields.get("speed") == "jump" else number(fields, "speed", 0, 1e6)
    control.cluster.engine.set_speed(speed)
    return _clock(control)


# ---------------------------------------------------------------- requests and faults


@order("GET", "/lab/requests")
def _requests(control: Control, fields: Mapping[str, Any]) -> dict[str, Any]:
    since = int(number({"since": fields.get("since", 0)}, "since", 0, 1e15))
    log = control.gateway.log
    entries = [entry.as_dict() for entry in log.since(since)]
    return {"requests": entries, "count": log.requests, "writes": log.writes}


@order("DELETE", "/lab/requests")
def _forget_requests(control: Control, _fields: Mapping[str, Any]) -> None:
    control.gateway.log.clear()


@order("GET", "/lab/fault")
def _list_faults(control: Control, _fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"faults": [fault.as_dict() for fault in control.cluster.faults]}


@order("POST", "/lab/fault")
def _add_fault(control: Control, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": control.cluster.faults.add(fields).id}


@order("DELETE", "/lab/fault")
def _clear_faults(control: Control, fields: Mapping[str, Any]) -> None:
    control.cluster.faults.clear(int(number(fields, "id", 1, 1e9)) if "id" in fields else None)


# ---------------------------------------------------------------- nodes, tasks, shell


def _power_off(cluster: Cluster, node: Node) -> None:
    if node.powered:
        cluster.power_off(node)


def _cut(cluster: Cluster, node: Node) -> None:
    if node.linked:
        cluster.cut_off(node)


def _reconnect(cluster: Cluster, node: Node) -> None:
    if not node.linked:
        cluster.reconnect(node)


_NODE_ACTIONS: dict[str, Callable[[Cluster, Node], None]] = {
    "power-off": _power_off,
    "cut": _cut,
    "reconnect": _reconnect,
    "proxy-stop": daemons.proxy_stop,
    "proxy-start": daemons.proxy_start,
    "proxy-restart": daemons.proxy_restart,
    "proxy-reload": daemons.reload,
    "daemon-stop": daemons.daemon_stop,
    "daemon-start": daemons.daemon_start,
    "daemon-restart": daemons.daemon_restart,
    "daemon-reload": daemons.reload,
}


@order("POST", "/lab/node")
def _node(control: Control, fields: Mapping[str, Any]) -> None:
    """``power-on`` takes ``boot_seconds`` (those of the node)."""
    node = control.node(fields)
    action = fields.get("action")
    if action == "power-on":
        if not node.powered:
            seconds = {"boot_seconds": node.boot_seconds, **fields}
            control.cluster.power_on(node, number(seconds, "boot_seconds", 0, 86400))
    elif action in _NODE_ACTIONS:
        _NODE_ACTIONS[action](control.cluster, node)
    else:
        raise BadOrder(f"'action' of a node is power-on, {', '.join(_NODE_ACTIONS)}, not {action!r}.")


@order("POST", "/lab/task")
def _task(control: Control, fields: Mapping[str, Any]) -> dict[str, Any]:
    """``kill`` (-9, cleans nothing up) or ``interrupt`` the running task with ``upid``, or those of guest ``vmid``."""
    tasks = control.cluster.tasks
    if "upid" in fields:
        found = tasks.find(str(fields["upid"]))
        chosen = [found] if found is not None and found.running else []
    else:
        chosen = [task for task in tasks.running() if task.id == str(fields.get("vmid"))]
    wanted: list[Task] = [task for task in chosen if fields.get("type") in {None, task.type}]
    signals = {"kill": Signal.KILL, "interrupt": Signal.TERM}
    action = fields.get("action")
    if action not in signals:
        raise BadOrder(f"'action' of a task is kill or interrupt, not {action!r}.")
    if not wanted:
        raise BadOrder("No such task is running.")
    for task in wanted:
        tasks.signal(task, signals[action])
    return {"tasks": [task.upid for task in wanted]}


@order("POST", "/lab/shell")
def _shell(control: Control, fields: Mapping[str, Any]) -> dict[str, Any]:
    node = control.node(fields)
    argv = fields.get("argv")
    if not isinstance(argv, list) or not argv:
        raise BadOrder("'argv' is a list: the program and its arguments.")
    words = [str(word) for word in argv]
    if not node.up:
        return {"exit": 255, "output": f"ssh: connect to host {node.address} port 22: No route to host\n"}
    effect = control.cluster.faults.shell(node.name, " ".join(words))
    if effect is not None:
        return {"exit": 100, "output": f"{effect.text}\n"}
    for length in range(len(words), 0, -1):
        command = _SHELL.get(" ".join(words[:length]))
        if command is not None:
            try:
                return {"exit": 0, "output": command(control.cluster, node, words[length:]) or ""}
            except ApiFault as fault:
                return {"exit": 255, "output": f"{fault.reason}\n"}
    raise BadOrder(f"The lab has no program '{words[0]}' (it has {', '.join(sorted(_SHELL)) or 'none'}).")
