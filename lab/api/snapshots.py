# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``…/snapshot``: which snapshots a guest has (qemu-server API2/Qemu.pm, pve-container API2/LXC/Snapshot.pm)."""

from __future__ import annotations

from typing import Any

from lab.api.qemu import AUDIT, NODE, VMID, entry
from lab.guests.status import ct_current, vm_current
from lab.guests.values import show
from lab.http.router import Call, route


@route("GET", "/nodes/{node}/qemu/{vmid}/snapshot", NODE, VMID, permission=AUDIT, protected=True)
def vm_snapshots(call: Call) -> list[dict[str, Any]]:
    return _list(call, "qemu")


@route("GET", "/nodes/{node}/lxc/{vmid}/snapshot", NODE, VMID, permission=AUDIT, protected=True)
def ct_snapshots(call: Call) -> list[dict[str, Any]]:
    return _list(call, "lxc")


def _list(call: Call, type: str) -> list[dict[str, Any]]:
    """Each snapshot, and ``current``, which stands for the present state and names what it descends from."""
    found = entry(call, type)
    config = call.cluster.config(found)
    rows: list[dict[str, Any]] = []
    for name in sorted(config.snapshots):
        values = config.snapshots[name]
        row: dict[str, Any] = {"name": name, "description": values.get("description", "")}
        if "snaptime" in values:
            row["snaptime"] = int(values["snaptime"])
        if "parent" in values:
            row["parent"] = values["parent"]
        if type == "qemu":
            row["vmstate"] = int("vmstate" in values)
        rows.append(row)
    now: dict[str, Any] = {"name": "current", "description": "You are here!"}
    current = vm_current if type == "qemu" else ct_current
    now["running"] = int(current(call.cluster, found)["status"] == "running")
    now["digest"] = show(type, config.current, call.cluster.fs.read(found.path))["digest"]
    if "parent" in config.current:
        now["parent"] = config.current["parent"]
    return [*rows, now]
