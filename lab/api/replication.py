# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``/cluster/replication`` and ``/nodes/{node}/replication`` (pve-manager API2/Replication*.pm)."""

from __future__ import annotations

from typing import Any

from lab.api.qemu import NODE
from lab.api.tasks import log_page
from lab.errors import BadParameters, Die
from lab.guests.replication.jobs import Job, jobs, parse_job_id, replicatable_volumes, save
from lab.guests.replication.status import local_jobs, reclaim, status_row
from lab.http.message import Envelope
from lab.http.router import Call, Param, opt, route
from lab.pve.formats import split_list
from lab.pve.pmxcfs import assert_digest, digest
from lab.sim.engine import Sim

_ID = Param("id", format="pve-replication-job-id")
_SETTINGS = (
    opt("schedule", format="pve-calendar-event", max_length=128), opt("rate", "number", minimum=1),
    opt("comment", max_length=4096), opt("disable", "boolean"), opt("remove_job", enum=("local", "full")),
    opt("source", format="pve-node"),
)  # fmt: skip
_FILE = "replication.cfg"
_REQUIRED = frozenset({"target", "type", "id"})


def _may_change(call: Call) -> None:
    """VM.Replicate on the guest; before 9.0 Datastore.Allocate on all storages."""
    if call.node.release < (9, 0):
        call.require("/storage", "Datastore.Allocate")
        return
    try:
        guest, _number = parse_job_id(str(call.get("id", "")))
    except ValueError:
        return  # the parameter check complains
    call.require(f"/vms/{guest}", "VM.Replicate")


# ---------------------------------------------------------------- jobs


@route("GET", "/cluster/replication")
def index(call: Call) -> list[dict[str, Any]]:
    return [job.row() for job in jobs(call.cluster).values() if call.may(f"/vms/{job.guest}", "VM.Audit")]


def _visible(call: Call, id: str) -> Job:
    job = jobs(call.cluster).get(_normal(id))
    if job is None:
        raise Die(f"no such replication job '{id}'")
    return job


def _normal(id: str) -> str:
    guest, number = parse_job_id(id)
    return f"{guest}-{number}"


def _audit(call: Call) -> None:
    try:
        guest, _number = parse_job_id(call["id"])
    except ValueError:
        return
    call.require(f"/vms/{guest}", "VM.Audit")


@route("GET", "/cluster/replication/{id}", _ID, permission=_audit)
def read(call: Call) -> dict[str, Any]:
    return _visible(call, call["id"]).row() | {"digest": digest(call.cluster.fs.read(_FILE))}


@route("POST", "/cluster/replication", _ID, Param("type", enum=("local",)), Param("target", format="pve-node"),
       *_SETTINGS, permission=_may_change, proxyto=None, protected=True)  # fmt: skip
def create(call: Call) -> None:
    cluster, id, target = call.cluster, _normal(call["id"]), call["target"]
    guest, _number = parse_job_id(id)
    entry = cluster.guest(guest)
    if entry is None:
        raise Die(f"Guest '{guest}' does not exist.")
    if target not in cluster.nodes:
        raise Die(f"Target '{target}' does not exist.")
    if target == entry.node:
        raise Die("Source and target must not be identical")
    _check_source(call, entry.node)
    if not replicatable_volumes(cluster, entry, cluster.config(entry)):
        raise Die("No replicatable volumes found")
    if id in jobs(cluster):
        raise Die(f"replication job '{id}' already exists")
    if any(job.guest == guest and job.target == target for job in jobs(cluster).values()):
        raise Die(f"replication job for guest '{guest}' to target 'local/{target}' already exists")
    values = {"target": target} | _values(call)
    values.setdefault("source", entry.node)
    save(cluster, call.node, {id: values})


def _check_source(call: Call, node: str) -> None:
    source = call.get("source")
    if source is not None and source != node:
        raise Die(f"Source '{source}' does not match current node of guest '{call['id'].partition('-')[0]}' ({node})")


def _values(call: Call) -> dict[str, str]:
    found = {}
    for key in ("schedule", "rate", "comment", "disable", "remove_job", "source"):
        value = call.get(key)
        if value is None or (key in {"comment", "disable"} and not value):
            continue
        found[key] = str(value)
    return found


@route("PUT", "/cluster/replication/{id}", _ID, *_SETTINGS, opt("digest", max_length=64),
       opt("delete", format="pve-configid-list", max_length=4096), permission=_may_change, proxyto=None,
       protected=True)  # fmt: skip
def update(call: Call) -> None:
    cluster, id = call.cluster, _normal(call["id"])
    job = jobs(cluster).get(id)
    if job is None:
        raise Die(f"no such job '{id}'")
    assert_digest(call.get("digest"), cluster.fs.read(_FILE))
    entry = cluster.guest(job.guest)
    if entry is not None:
        _check_source(call, entry.node)
    values = dict(job.values) | _values(call)
    for key in ("comment", "disable"):
        if call.get(key) in ("", 0):
            values.pop(key, None)
    for key in split_list(call.get("delete")):
        if key in _REQUIRED:
            raise Die(f"unable to delete required option '{key}'")
        if key not in {"schedule", "rate", "comment", "disable", "remove_job", "source"}:
            raise Die(f"no such option '{key}'")
        values.pop(key, None)
    save(cluster, call.node, {id: values})


@route("DELETE", "/cluster/replication/{id}", _ID, opt("keep", "boolean"), opt("force", "boolean"),
       permission=_may_change, proxyto=None, protected=True)  # fmt: skip
def delete(call: Call) -> None:
    """Marks the job; the guest's node removes it at the next full minute."""
    if call.get("keep") and call.get("force"):
        raise BadParameters({"keep": "conflicts with parameter 'force'"})
    id = _normal(call["id"])
    job = jobs(call.cluster).get(id)
    if call.get("force"):
        save(call.cluster, call.node, {id: None})
        return
    if job is None:
        raise Die(f"no such job '{id}'")
    save(call.cluster, call.node, {id: job.values | {"remove_job": "local" if call.get("keep") else "full"}})


# ---------------------------------------------------------------- what a node tells


@route("GET", "/nodes/{node}/replication", NODE,
       opt("guest", "integer", format="pve-vmid", minimum=100, maximum=999_999_999), protected=True)  # fmt: skip
def node_list(call: Call) -> list[dict[str, Any]]:
    reclaim(call.cluster, call.node)
    guest = call.get("guest")
    rows = []
    for job in local_jobs(call.cluster, call.node):
        if guest in (None, job.guest) and call.may(f"/vms/{job.guest}", "VM.Audit"):
            rows.append(status_row(call.cluster, call.node, job))
    return rows


@route("GET", "/nodes/{node}/replication/{id}", NODE, _ID)
def node_index(_call: Call) -> list[dict[str, str]]:
    return [{"name": name} for name in ("schedule_now", "log", "status")]


@route("GET", "/nodes/{node}/replication/{id}/status", NODE, _ID, protected=True)
def node_status(call: Call) -> dict[str, Any]:
    reclaim(call.cluster, call.node)
    id = _normal(call["id"])
    for job in local_jobs(call.cluster, call.node):
        if job.id == id:
            call.require(f"/vms/{job.guest}", "VM.Audit")
            return status_row(call.cluster, call.node, job)
    raise Die(f"no such replication job '{id}'")


@route("GET", "/nodes/{node}/replication/{id}/log", NODE, _ID, opt("start", "integer", minimum=0),
       opt("limit", "integer", minimum=0), protected=True)  # fmt: skip
def node_log(call: Call) -> Envelope:
    """The last run only."""
    id = _normal(call["id"])
    guest, _number = parse_job_id(id)
    if not call.may(f"/vms/{guest}", "VM.Audit"):
        call.require(f"/nodes/{call.node.name}", "Sys.Audit")
    lines = call.cluster.replication.logs.get((call.node.name, id))
    if lines is None:
        return Envelope([{"n": 1, "t": "unable to open file - No such file or directory"}], {"total": 1})
    return log_page(lines, call.get("start", 0), call.get("limit", 50))


@route("POST", "/nodes/{node}/replication/{id}/schedule_now", NODE, _ID, permission=_may_change, protected=True)
def schedule_now(call: Call) -> Sim:
    """Nothing but the time of the last try changes, whatever node is asked."""
    id = _normal(call["id"])
    job = jobs(call.cluster).get(id)
    if job is None:
        raise Die(f"no such replication job '{id}'")
    yield from call.cluster.replication.schedule_now(call.node, job)
    return ""
