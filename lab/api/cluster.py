# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``/cluster``: resources, membership, recent tasks, free IDs, the cluster log (pve-manager API2/Cluster.pm)."""

from __future__ import annotations

import heapq
from typing import Any

from lab.errors import BadParameters, Die
from lab.http.router import Call, opt, route
from lab.http.router import check as needs
from lab.pve.formats import parse_property_string
from lab.pve.resources import Resources
from lab.pve.tasks import Task

_AUDIT = needs("/", "Sys.Audit")
TASKS_PER_NODE = 25
"""Finished tasks that a node tells the others about (pve-facts §9)."""

_CHILDREN = """
acme backup backup-info bulk-action ceph config firewall ha jobs log mapping metrics notifications nextid options qemu
replication resources status tasks sdn
""".split()
_SINCE = {"bulk-action": (9, 1), "qemu": (9, 2)}


@route("GET", "/cluster")
def index(call: Call) -> list[dict[str, str]]:
    return [{"name": name} for name in _CHILDREN if call.node.release >= _SINCE.get(name, (0, 0))]


@route("GET", "/cluster/resources", opt("type", enum=("vm", "storage", "node", "sdn")))
def resources(call: Call) -> list[dict[str, Any]]:
    rows = Resources(call.cluster, call.node, call.worker)
    wanted = call.get("type")
    result: list[dict[str, Any]] = []
    if wanted is None:
        result += rows.pools(call.may)
    if wanted in (None, "vm"):
        result += rows.guests(call.may)
    if wanted in (None, "node"):
        states = call.cluster.ha.node_states() if call.may("/", "Sys.Audit") else {}
        for row in rows.nodes(call.may):
            row["cgroup-mode"] = 2
            if row["node"] in states:
                row["hastate"] = states[row["node"]]
            result.append(row)
    if wanted in (None, "storage"):
        result += rows.storages(call.may)
    if wanted in (None, "sdn"):
        result += rows.zones(call.may)
    return result


@route("GET", "/cluster/status", permission=_AUDIT, protected=True)
def status(call: Call) -> list[dict[str, Any]]:
    cluster = call.cluster
    rows: list[dict[str, Any]] = []
    if len(cluster.nodes) > 1:
        rows.append({
            "type": "cluster", "id": "cluster", "name": cluster.name, "version": len(cluster.nodes),
            "nodes": len(cluster.nodes), "quorate": int(cluster.quorate(call.node)),
        })  # fmt: skip
    for node in cluster.nodes.values():
        rows.append({
            "type": "node", "id": f"node/{node.name}", "name": node.name, "nodeid": node.nodeid, "ip": node.address,
            "level": "", "local": int(node is call.node), "online": int(cluster.sees_online(call.node, node)),
        })  # fmt: skip
    return rows


@route("GET", "/cluster/config", permission=_AUDIT)
def config_index(_call: Call) -> list[dict[str, str]]:
    return [{"name": name} for name in ("nodes", "totem", "join", "qdevice", "apiversion")]


@route("GET", "/cluster/config/nodes", permission=_AUDIT)
def config_nodes(call: Call) -> list[dict[str, str]]:
    rows = []
    for node in call.cluster.nodes.values():
        row = {"node": node.name, "name": node.name, "nodeid": str(node.nodeid), "quorum_votes": "1"}
        rows.append(row | {f"ring{number}_addr": address for number, address in enumerate(node.links)})
    return rows


@route("GET", "/cluster/nextid", opt("vmid", "integer", format="pve-vmid", minimum=100, maximum=999_999_999))
def nextid(call: Call) -> str:
    taken = call.cluster.fs.vmlist
    if "vmid" in call.params:
        vmid = int(call["vmid"])
        if vmid in taken:
            raise BadParameters({"vmid": f"VM {vmid} already exists"})
        return str(vmid)
    limits = parse_property_string(call.cluster.options().get("next-id", ""))
    lower, upper = int(limits.get("lower", 100)), int(limits.get("upper", 1_000_000))
    free = next((vmid for vmid in range(lower, upper) if vmid not in taken), None)
    if free is None:
        raise Die(f"unable to get any free VMID in range [{lower}, {upper - 1}]")
    return str(free)


@route("GET", "/cluster/tasks")
def tasks(call: Call) -> list[dict[str, Any]]:
    everything = call.may("/", "Sys.Audit")
    rows = []
    for node in call.cluster.nodes:
        recent = call.cluster.tasks.of_node(node)[-TASKS_PER_NODE * 4 :][::-1]
        told = [task for task in recent if task.running] + [task for task in recent if not task.running]
        for task in sorted(told[:TASKS_PER_NODE], key=lambda item: item.starttime, reverse=True):
            if everything or _owns(call, task):
                rows.append(_task_row(task))
    return rows


def _owns(call: Call, task: Task) -> bool:
    who = call.identity
    return task.user == who.authuser if who.token else task.userid == who.userid


def _task_row(task: Task) -> dict[str, Any]:
    row: dict[str, Any] = {
        "upid": task.upid, "node": task.node, "type": task.type, "id": task.id, "user": task.userid,
        "starttime": task.starttime, "saved": "0" if task.running else "1",
    }  # fmt: skip
    if task.tokenid:
        row["tokenid"] = task.tokenid
    if not task.running:
        row |= {"endtime": int(task.endtime or task.starttime), "status": task.exitstatus}
    return row


@route("GET", "/cluster/log", opt("max", "integer", minimum=1))
def log(call: Call) -> list[dict[str, Any]]:
    """The newest entries first; the lab logs the start and the end of tasks."""
    everything = call.may("/", "Sys.Syslog")
    events: list[tuple[float, int, str, Task]] = []
    for node in call.cluster.nodes:
        for task in call.cluster.tasks.of_node(node)[-200:]:
            if everything or _owns(call, task):
                events.append((task.starttime, 6, f"starting task {task.upid}", task))
                if not task.running and task.endtime is not None:
                    level = 6 if str(task.exitstatus).startswith(("OK", "WARNINGS")) else 3
                    events.append((task.endtime, level, f"end task {task.upid} {task.exitstatus}", task))
    newest = heapq.nlargest(int(call.get("max", 50)), enumerate(events), key=lambda item: (item[1][0], item[0]))
    rows = []
    for number, (when, level, text, task) in newest:
        rows.append({
            "uid": str(number + 1), "id": f"{number + 1}:{task.node}", "node": task.node, "time": int(when),
            "pid": task.pid, "tag": "pvedaemon", "pri": level, "user": task.user, "msg": text,
        })  # fmt: skip
    return rows
