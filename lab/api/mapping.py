# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``/cluster/mapping``: devices and directories under names that mean the same on every node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab.errors import Die
from lab.http.params import property_format
from lab.http.router import Call, Param, opt, route
from lab.http.router import check as needs
from lab.pve.formats import parse_property_string
from lab.pve.mapping import Mapping, parse_mappings, print_mappings
from lab.pve.pmxcfs import digest

_SEE = ("Mapping.Modify", "Mapping.Use", "Mapping.Audit")
_ID = Param("id", format="pve-configid")
_node = Param("node", format="pve-node")
property_format("pve-mapping-pci", _node, Param("path"), Param("id"), opt("subsystem-id"),
                opt("iommugroup", "integer"), opt("description"))  # fmt: skip
property_format("pve-mapping-usb", _node, Param("id"), opt("path"), opt("description"))
property_format("pve-mapping-dir", _node, Param("path"))


@route("GET", "/cluster/mapping")
def index(_call: Call) -> list[dict[str, str]]:
    return [{"name": name} for name in ("dir", "pci", "usb")]


def _row(call: Call, kind: str, mapping: Mapping) -> dict[str, Any]:
    row: dict[str, Any] = {"id": mapping.id, "type": kind, "map": list(mapping.entries)}
    for key, value in mapping.values.items():
        row[key] = int(value) if key in {"mdev", "live-migration-capable"} and value.isdigit() else value
    row["digest"] = digest(call.cluster.fs.read(f"mapping/{kind}.cfg"))
    return row


def _problems(call: Call, kind: str, mapping: Mapping, node: str) -> list[dict[str, str]]:
    """What ``check-node`` finds: no entry for the node, or a device that it does not have."""
    entries = [parse_property_string(text) for text in mapping.entries]
    own = [entry for entry in entries if entry.get("node") == node]
    if not own:
        return [{"severity": "warning", "message": f"No mapping for node {node}."}]
    devices = call.cluster.nodes[node].pci if kind == "pci" else call.cluster.nodes[node].usb
    if kind == "dir" or not devices:
        return []
    if kind == "pci":
        present = {str(device.get("id")) for device in devices}
        missing = [entry["path"] for entry in own if not any(name.startswith(entry["path"]) for name in present)]
        return [{"severity": "error", "message": f"pci device '{path}' not found"} for path in missing]
    present = {f"{device.get('vendid')}:{device.get('prodid')}" for device in devices}
    missing = [entry["id"] for entry in own if entry["id"] not in present]
    return [{"severity": "error", "message": f"USB device '{name}' not found"} for name in missing]


def _declare(kind: str, problems_key: str, since: tuple[int, int]) -> None:
    file = f"mapping/{kind}.cfg"

    def listing(call: Call) -> list[dict[str, Any]]:
        rows = []
        for mapping in call.cluster.fs.parsed(file, parse_mappings).values():
            if not call.may(f"/mapping/{kind}/{mapping.id}", *_SEE, any_of=True):
                continue
            row = _row(call, kind, mapping)
            if "check-node" in call.params:
                row[problems_key] = _problems(call, kind, mapping, call["check-node"])
            rows.append(row)
        return rows

    def reading(call: Call) -> dict[str, Any]:
        mapping = call.cluster.fs.parsed(file, parse_mappings).get(call["id"])
        if mapping is None:
            raise Die(f"mapping '{call['id']}' not found")
        return _row(call, kind, mapping)

    def creating(call: Call) -> None:
        call.cluster.check_cfs_lock(call.node, f"file-mapping_{kind}_cfg")
        mappings = dict(call.cluster.fs.parsed(file, parse_mappings))
        name = call["id"]
        if name in mappings:
            raise Die(f"create hardware mapping failed: {kind} ID '{name}' already defined")
        values = {key: str(value) for key, value in call.params.items() if key not in {"id", "map"}}
        mappings[name] = Mapping(name, values, tuple(call["map"]))
        call.cluster.fs.write(file, print_mappings(mappings.values()))

    def deleting(call: Call) -> None:
        call.cluster.check_cfs_lock(call.node, f"file-mapping_{kind}_cfg")
        mappings = dict(call.cluster.fs.parsed(file, parse_mappings))
        mappings.pop(call["id"], None)
        call.cluster.fs.write(file, print_mappings(mappings.values()))

    base, one = f"/cluster/mapping/{kind}", f"/cluster/mapping/{kind}/{{id}}"
    extra = [opt("description", max_length=4096)]
    if kind == "pci":
        extra += [opt("mdev", "boolean"), opt("live-migration-capable", "boolean", since=(8, 4))]
    body = (_ID, Param("map", "array", format=f"pve-mapping-{kind}"), *extra)
    modify = needs(f"/mapping/{kind}", "Mapping.Modify")
    entries: list[tuple[str, str, tuple[Param, ...], Any, Callable[[Call], Any]]] = [
        ("GET", base, (opt("check-node", format="pve-node"),), None, listing),
        ("GET", one, (_ID,), needs(f"/mapping/{kind}/{{id}}", *_SEE, any_of=True), reading),
        ("POST", base, body, modify, creating),
        ("DELETE", one, (_ID,), modify, deleting),
    ]
    for method, path, params, permission, handler in entries:
        more = {} if permission is None else {"permission": permission}
        route(method, path, *params, protected=path != base or method != "GET", since=since, **more)(handler)


_declare("pci", "checks", (8, 0))
_declare("usb", "error", (8, 0))
_declare("dir", "checks", (8, 4))
