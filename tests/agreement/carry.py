# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying a move out in the lab, over the API, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.ha.state import Service
from tests.agreement.case import Case
from tests.conformance.client import Cut, Lab

SETTLED = 60.0
"""Seconds without any change after which the HA manager is done with a service: six of its rounds."""
STUCK = 1800.0
"""Seconds after which a state that should pass counts as one that will not."""
RESTLESS = 3600.0
"""Seconds for which a manager is watched that tries the same thing again and again."""
PATIENCE = 100_000.0
_AT_REST = frozenset({"started", "stopped", "error", "freeze", "ignored"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """``moved``: it is on the target, as it was before. ``arrived``: it was there at some time.

    ``text``: what the API, the logs of the tasks and the HA manager's journal say.
    """

    moved: bool
    arrived: bool
    text: str


def carry_out(lab: Lab, case: Case, api_node: str) -> Outcome:
    """Ask for the move as ``migrate`` would, and wait until everything has come to rest."""
    cluster = lab.cluster
    entry = cluster.guest(case.guest)
    assert entry is not None
    source = cluster.nodes[entry.node]
    path = f"/nodes/{entry.node}/{entry.type}/{case.guest}"
    said: list[str] = []
    running = case.guest in source.running
    if running and case.mode == "offline":
        lab.wait_task(lab.post(f"{path}/status/stop", node=api_node))
        running = False
    params = _parameters(case, entry.type, running)
    asked = lab.engine.now
    try:
        answer = lab.request("POST", f"{path}/migrate", params, node=api_node)
    except Cut as cut:
        return Outcome(False, False, f"no answer: {cut}")
    if answer.status != 200:
        errors = (answer.body or {}).get("errors", {})
        return Outcome(False, False, f"HTTP {answer.status} {answer.reason} {errors or ''}".strip())
    upid = str(answer.data)
    status = lab.wait_task(upid, PATIENCE)
    task = cluster.tasks.find(upid)
    assert task is not None
    said += [*task.lines, status]
    arrived = False
    if task.type == "hamigrate":
        arrived = _until_settled(lab, case)
        said += _logs(lab, case.guest, asked)
        said += [text for when, _node, _daemon, text in cluster.ha.journal if when >= asked]
        said += [_state(sid, item) for sid, item in cluster.ha.status.services.items() if _is(sid, case.guest)]
        fine = True
    else:
        fine = status == "OK" or status.startswith("WARNINGS")
    moved = fine and _there(lab, case) and (case.guest in cluster.nodes[case.target].running) is running
    return Outcome(moved, arrived or moved, "\n".join(said))


def _parameters(case: Case, kind: str, running: bool) -> dict[str, Any]:
    params: dict[str, Any] = {"target": case.target}
    spelled = ",".join(f"{source}:{to}" if source else to for source, to in case.storage_map.items())
    if kind == "lxc":
        if running:
            params["restart"] = 1
        if spelled:
            params["target-storage"] = spelled
        return params
    if running:
        params["online"] = 1
    if case.with_local_disks:
        params["with-local-disks"] = 1
    if spelled:
        params["targetstorage"] = spelled
    return params


def _there(lab: Lab, case: Case) -> bool:
    entry = lab.cluster.guest(case.guest)
    return entry is not None and entry.node == case.target


def _until_settled(lab: Lab, case: Case) -> bool:
    """Wait for the HA manager; whether the guest was on the target at some time."""
    cluster = lab.cluster
    arrived, busy, calm, before = False, True, 0.0, None
    began = lab.now
    while calm < (STUCK if busy else SETTLED):
        if lab.now - began > RESTLESS:
            break
        lab.advance(5.0)
        entry = cluster.guest(case.guest)
        service = next((item for sid, item in cluster.ha.status.services.items() if _is(sid, case.guest)), None)
        now = (entry.node if entry else None, service and (service.state, service.node, service.cmd))
        arrived = arrived or _there(lab, case)
        busy = service is not None and (service.state not in _AT_REST or service.cmd is not None)
        calm = calm + 5.0 if now == before else 0.0
        before = now
    return arrived


def _is(sid: str, vmid: int) -> bool:
    return sid.partition(":")[2] == str(vmid)


def _state(sid: str, service: Service) -> str:
    return f"at the end {sid} is {service.state} on {service.node}, {'with' if service.cmd else 'without'} a command"


def _logs(lab: Lab, vmid: int, since: float) -> list[str]:
    """Of the tasks that the HA manager's agents have run for a guest."""
    found = []
    tasks = [task for node in lab.cluster.nodes for task in lab.cluster.tasks.of_node(node)]
    for task in tasks:
        if (
            task.starttime >= int(since)
            and str(vmid) == str(task.id)
            and task.type in {"qmigrate", "vzmigrate", "qmstart", "vzstart"}
        ):
            found += [*task.lines, str(task.exitstatus)]
    return found
