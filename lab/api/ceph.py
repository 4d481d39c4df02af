# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``/cluster/ceph``: as much of a hyper-converged Ceph as somebody needs who restarts nodes: its health, its flags.

Storages of type rbd do not need it: they may lie on a Ceph that others run (pve-manager API2/Cluster/Ceph.pm).
"""

from __future__ import annotations

from typing import Any

from lab.errors import Die
from lab.http.router import Call, Param, route
from lab.http.router import check as needs
from lab.pve.cluster import Cluster

FLAGS = {
    "nobackfill": "Backfilling of PGs is suspended.",
    "nodeep-scrub": "Deep Scrubbing is disabled.",
    "nodown": "OSD failure reports are being ignored, such that the monitors will not mark OSDs down.",
    "noin": "OSDs that were previously marked out will not be marked back in when they start.",
    "noout": "OSDs will not automatically be marked out after the configured interval.",
    "norebalance": "Rebalancing of PGs is suspended.",
    "norecover": "Recovery of PGs is suspended.",
    "noscrub": "Scrubbing is disabled.",
    "notieragent": "Cache tiering activity is suspended.",
    "noup": "OSDs are not allowed to start.",
    "pause": "Pauses reads and writes.",
}
_TROUBLE = {
    "HEALTH_WARN": ("PG_DEGRADED", "Degraded data redundancy: 8 pgs degraded"),
    "HEALTH_ERR": ("PG_AVAILABILITY", "Reduced data availability: 8 pgs inactive"),
}
HEALTH = ("HEALTH_OK", *_TROUBLE)
_AUDIT = needs("/", "Sys.Audit", "Datastore.Audit", any_of=True)
_READ = needs("/", "Sys.Audit")
_WRITE = needs("/", "Sys.Modify")
_FLAG = Param("flag", enum=tuple(FLAGS))


def _ceph(cluster: Cluster) -> dict[str, Any]:
    found: dict[str, Any] | None = cluster.file.get("ceph")
    if found is None:
        raise Die("binary not installed: /usr/bin/ceph-mon")
    return found


def _set(cluster: Cluster, flag: str, value: bool) -> None:
    ceph = _ceph(cluster)
    ceph["flags"] = sorted({*ceph["flags"], flag} if value else set(ceph["flags"]) - {flag})


@route("GET", "/cluster/ceph")
def index(_call: Call) -> list[dict[str, str]]:
    return [{"name": "flags"}, {"name": "metadata"}, {"name": "status"}]


@route("GET", "/cluster/ceph/status", permission=_AUDIT, protected=True)
def status(call: Call) -> dict[str, Any]:
    """Health follows the flags and the nodes: each node has OSDs."""
    ceph = _ceph(call.cluster)
    checks: dict[str, Any] = {}
    if ceph["flags"]:
        text = f"{','.join(ceph['flags'])} flag(s) set"
        checks["OSDMAP_FLAGS"] = {"severity": "HEALTH_WARN", "muted": False, "summary": {"message": text, "count": 1}}
    down = sum(not node.up or not node.member for node in call.cluster.nodes.values())
    if down:
        text = f"{down} host{'' if down == 1 else 's'} down"
        summary = {"message": text, "count": down}
        checks["OSD_HOST_DOWN"] = {"severity": "HEALTH_WARN", "muted": False, "summary": summary}
    if ceph["health"] in _TROUBLE:
        name, text = _TROUBLE[ceph["health"]]
        checks[name] = {"severity": ceph["health"], "muted": False, "summary": {"message": text, "count": 8}}
    severities = [row["severity"] for row in checks.values()]
    worst = max(severities, key=tuple(_TROUBLE).index, default="HEALTH_OK")
    return {"health": {"status": worst, "checks": checks, "mutes": []}, "quorum_names": list(call.cluster.nodes)}


@route("GET", "/cluster/ceph/flags", permission=_READ, protected=True)
def flags(call: Call) -> list[dict[str, Any]]:
    on = _ceph(call.cluster)["flags"]
    return [{"name": name, "description": text, "value": int(name in on)} for name, text in FLAGS.items()]


@route("GET", "/cluster/ceph/flags/{flag}", _FLAG, permission=_READ, protected=True)
def flag_value(call: Call) -> int:
    return int(call["flag"] in _ceph(call.cluster)["flags"])


@route("PUT", "/cluster/ceph/flags/{flag}", _FLAG, Param("value", "boolean"), permission=_WRITE, protected=True)
def set_flag(call: Call) -> None:
    _set(call.cluster, call["flag"], bool(call["value"]))
