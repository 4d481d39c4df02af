# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``/nodes/{node}/tasks``: list, status, log, cancel (pve-manager API2/Tasks.pm, pve-facts §9)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from lab.errors import BadParameters, Forbidden
from lab.http.formats import format_check
from lab.http.message import Envelope
from lab.http.router import Call, Param, opt, route
from lab.pve.formats import split_list
from lab.pve.tasks import KILL_AFTER, Signal, Task
from lab.sim.engine import Sim

_UPID = re.compile(
    r"UPID:([a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?):([0-9A-F]{8}):([0-9A-F]{8,9}):([0-9A-F]{8}):([^:\s]+):"
    r"([^:\s]*):([^:\s]+):"
)
_NO_FILE = [{"n": 1, "t": "unable to open file - No such file or directory"}]
_STATUS_KINDS = frozenset({"ok", "error", "warning", "unknown"})
_LIMITS = (opt("start", "integer", minimum=0), opt("limit", "integer", minimum=0))


@format_check("pve-task-status-type")
def _check_status_kind(value: str) -> None:
    if value.lower() not in _STATUS_KINDS:
        raise ValueError(f"invalid status '{value}'")


@route(
    "GET",
    "/nodes/{node}/tasks",
    *_LIMITS,
    opt("userfilter"),
    opt("typefilter"),
    opt("vmid", "integer", format="pve-vmid", minimum=100, maximum=999_999_999),
    opt("errors", "boolean"),
    opt("source", enum=("archive", "active", "all")),
    opt("since", "integer"),
    opt("until", "integer"),
    opt("statusfilter", format="pve-task-status-type-list"),
)
def task_list(call: Call) -> Any:
    """Running tasks have their full user and status ``RUNNING``; ended ones the token apart."""
    source = call.get("source", "archive")
    tasks = call.cluster.tasks.of_node(call.node.name)
    wanted = _filter(call)
    found: list[Task] = []
    if source in ("active", "all"):
        found += [task for task in reversed(tasks) if task.running and wanted(task)]
    if source in ("archive", "all"):
        ended = [task for task in tasks if not task.running and wanted(task)]
        found += sorted(ended, key=lambda task: task.endtime or 0.0, reverse=True)
    start, limit = call.get("start", 0), call.get("limit", 50)
    rows = [_row(task) for task in found[start : start + limit if limit else None]]
    return Envelope(rows, {"total": len(found)} if found else {})


def _filter(call: Call) -> Callable[[Task], bool]:
    auditor = call.may(f"/nodes/{call.node.name}", "Sys.Audit")
    user, type, vmid = call.get("userfilter"), call.get("typefilter"), call.get("vmid")
    since, until, errors = call.get("since"), call.get("until"), call.get("errors")
    kinds = {kind.lower() for kind in split_list(call.get("statusfilter"))}

    def wanted(task: Task) -> bool:
        if not (auditor or owns(call, task)) or (user and user.lower() not in task.user.lower()):
            return False
        if (type and task.type != type) or (vmid is not None and task.id != str(vmid)):
            return False
        if (since is not None and task.starttime < since) or (until is not None and task.starttime > until):
            return False
        if errors and task.exitstatus == "OK":
            return False
        return not kinds or (not task.running and status_kind(str(task.exitstatus)) in kinds)

    return wanted


def status_kind(status: str) -> str:
    """UPID.pm:normalize_status_type."""
    if status == "OK":
        return "ok"
    if status.startswith("WARNINGS: "):
        return "warning"
    return "unknown" if status in {"unexpected status", ""} else "error"


def _row(task: Task) -> dict[str, Any]:
    row: dict[str, Any] = {
        "upid": task.upid, "node": task.node, "pid": task.pid, "pstart": task.pstart, "starttime": task.starttime,
        "type": task.type, "id": task.id,
    }  # fmt: skip
    if task.running:
        return row | {"user": task.user, "status": "RUNNING", "saved": "0"}
    row |= {"user": task.userid, "status": task.exitstatus, "endtime": int(task.endtime or task.starttime)}
    if task.tokenid is not None:
        row["tokenid"] = task.tokenid
    return row


def owns(call: Call, task: Task) -> bool:
    """A user owns what its tokens started; a token only what it started itself."""
    who = call.identity
    return task.user == who.authuser if who.token else task.userid == who.userid


def _task(call: Call, privilege: str) -> Task | None:
    """The task of a path; None when its node has no such file.

    :raises BadParameters: not a UPID. :raises Forbidden: someone else's task.
    """
    match = _UPID.fullmatch(call["upid"])
    if match is None:
        raise BadParameters({"upid": "unable to parse worker upid"})
    task = call.cluster.tasks.find(call["upid"])
    if task is None or task.node != call.node.name:
        return None
    if not owns(call, task) and not call.may(f"/nodes/{call.node.name}", privilege):
        raise Forbidden(f"/nodes/{call.node.name}", privilege)
    return task


def _existing(call: Call, privilege: str) -> Task:
    task = _task(call, privilege)
    if task is None:
        raise BadParameters({"upid": "no such task"})
    return task


@route("GET", "/nodes/{node}/tasks/{upid}", Param("upid"))
def task_index(_call: Call) -> list[dict[str, str]]:
    return [{"name": "log"}, {"name": "status"}]


@route("GET", "/nodes/{node}/tasks/{upid}/status", Param("upid"), protected=True)
def task_status(call: Call) -> dict[str, Any]:
    task = _existing(call, "Sys.Audit")
    row: dict[str, Any] = {
        "upid": task.upid, "node": task.node, "pid": task.pid, "pstart": task.pstart, "starttime": task.starttime,
        "type": task.type, "id": task.id, "user": task.userid, "status": "running" if task.running else "stopped",
    }  # fmt: skip
    if task.tokenid is not None:
        row["tokenid"] = task.tokenid
    if not task.running:
        row["exitstatus"] = task.exitstatus
    return row


@route("GET", "/nodes/{node}/tasks/{upid}/log", Param("upid"), *_LIMITS, opt("download", "boolean"), protected=True)
def task_log(call: Call) -> Envelope:
    task = _task(call, "Sys.Audit")
    if task is None:
        return Envelope(_NO_FILE, {"total": 1})
    return log_page(task.lines, call.get("start", 0), call.get("limit", 50))


def log_page(lines: list[str], start: int, limit: int) -> Envelope:
    """Tools.pm:dump_logfile; ``limit`` 0 gives all."""
    if not lines:
        return Envelope([{"n": 1, "t": "no content"}], {"total": 1})
    page = lines[start : start + limit if limit else None]
    return Envelope([{"n": start + number, "t": line} for number, line in enumerate(page, 1)], {"total": len(lines)})


@route("DELETE", "/nodes/{node}/tasks/{upid}", Param("upid"), protected=True)
def task_stop(call: Call) -> Sim:
    """SIGTERM, a look each second whether it has ended, SIGKILL after five (RESTEnvironment.pm:check_worker)."""
    task = _existing(call, "Sys.Modify")
    engine, tasks = call.cluster.engine, call.cluster.tasks
    tasks.signal(task, Signal.TERM)
    for _second in range(int(KILL_AFTER)):
        yield engine.sleep(1e-3)
        if task.exitstatus is not None:
            return
        yield engine.sleep(1.0)
    tasks.signal(task, Signal.KILL)
