# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading storages: definitions, their state on a node, and what they hold (pve-storage API2/Storage/*.pm)."""

from __future__ import annotations

from typing import Any
from zlib import crc32

from lab.errors import BadParameters
from lab.http.formats import format_check
from lab.http.router import Call, Param, opt, route
from lab.http.router import check as needs
from lab.pve.formats import Section, split_list
from lab.pve.pmxcfs import digest
from lab.pve.releases import knows_storage_option
from lab.pve.storage_status import content_rows, status
from lab.pve.storage_types import ALL_CONTENT, BOOLEANS, SHARED_BY_TYPE, TYPES, storage_type

_ENTRY = ("Datastore.Audit", "Datastore.AllocateSpace")
_MAY_LOOK = needs("/storage/{storage}", *_ENTRY, any_of=True)
_STORAGE = Param("storage", format="pve-storage-id")
_NODE = Param("node", format="pve-node")
TYPE_NAMES = tuple(sorted(name for name, kind in TYPES.items() if kind.until > (9, 0)))
"""Types that 9.0 and later know."""
_LISTS = frozenset({"content", "nodes"})


@format_check("pve-storage-content")
def _content(value: str) -> None:
    if value not in ALL_CONTENT:
        raise ValueError(f"invalid content type '{value}'")


# ---------------------------------------------------------------- definitions


@route("GET", "/storage", opt("type", enum=tuple(sorted(TYPES))))
def index(call: Call) -> list[dict[str, Any]]:
    rows = []
    for name, section in call.cluster.storages.definitions().items():
        if call.get("type", section.type) == section.type and call.may(f"/storage/{name}", *_ENTRY, any_of=True):
            rows.append(definition_row(call, section))
    return rows


@route("GET", "/storage/{storage}", _STORAGE, permission=needs("/storage/{storage}", "Datastore.Allocate"))
def read(call: Call) -> dict[str, Any]:
    return definition_row(call, call.cluster.storages.definition(call["storage"]))


def definition_row(call: Call, section: Section) -> dict[str, Any]:
    """A definition as the API answers it, with the digest of storage.cfg."""
    row: dict[str, Any] = {"storage": section.id, "type": section.type}
    for key, value in section.values.items():
        if knows_storage_option(call.node.release, key):
            row[key] = int(value) if key in BOOLEANS and value.isdigit() else value
    row |= {key: _shuffled(call, row[key]) for key in _LISTS & set(row)}
    if section.type in SHARED_BY_TYPE:
        row["shared"] = 1
    row["digest"] = digest(call.cluster.fs.read("storage.cfg"))
    return row


def _shuffled(call: Call, text: str) -> str:
    """Proxmox VE keeps these as hashes, so their order varies from call to call (pve-facts §15)."""
    now = call.cluster.engine.now
    return ",".join(sorted(split_list(text), key=lambda item: crc32(f"{now}{item}".encode())))


# ---------------------------------------------------------------- on a node


@route(
    "GET",
    "/nodes/{node}/storage",
    _NODE,
    opt("storage", format="pve-storage-id"),
    opt("content", format="pve-storage-content-list"),
    opt("enabled", "boolean"),
    opt("target", format="pve-node"),
    opt("format", "boolean"),
    protected=True,
)
def node_index(call: Call) -> list[dict[str, Any]]:
    storages = call.cluster.storages
    target = call.get("target")
    if target in {call.node.name, "localhost"}:
        target = None
    rows = []
    for name, section in storages.definitions().items():
        if call.get("storage", name) != name or not call.may(f"/storage/{name}", *_ENTRY, any_of=True):
            continue
        if call.get("enabled") and section.values.get("disable") == "1":
            continue
        enabled_here = storages.enabled(name, call.node.name)
        if "content" in call.params and not (
            enabled_here and storages.contents(name) & set(split_list(call["content"]))
        ):
            continue
        if target is not None and not (storages.is_shared(name) and enabled_here and storages.enabled(name, target)):
            continue
        row = {"storage": name} | status(call.cluster, section, call.node.name)
        if row["total"]:
            row["used_fraction"] = row["used"] / row["total"]
        if call.get("format"):
            row |= _formats(call, section)
        rows.append(row)
    return rows


def _formats(call: Call, section: Section) -> dict[str, Any]:
    kind = storage_type(section.type)
    if not {"images", "rootdir"} & set(kind.content):
        return {}
    default = section.values.get("format", kind.default_format)
    rows: dict[str, Any] = {"format": [dict.fromkeys(kind.formats, 1), default]}
    if call.node.release >= (9, 0):
        supported = sorted(call.cluster.storages.formats(section.id))
        rows["formats"] = {"default": default, "supported": supported}
    return rows


@route("GET", "/nodes/{node}/storage/{storage}", _NODE, _STORAGE, permission=_MAY_LOOK)
def storage_index(call: Call) -> list[dict[str, str]]:
    names = ["content", "download-url", "file-restore", "import-metadata", "prunebackups", "rrd", "rrddata", "status",
             "upload"]  # fmt: skip
    if call.node.release >= (9, 1):
        names += ["identity", "oci-registry-pull"]
    return [{"subdir": name} for name in names]


@route("GET", "/nodes/{node}/storage/{storage}/status", _NODE, _STORAGE, permission=_MAY_LOOK, protected=True)
def storage_state(call: Call) -> dict[str, Any]:
    section = call.cluster.storages.definitions().get(call["storage"])
    if section is None:
        raise BadParameters({"storage": "No such storage."})
    return status(call.cluster, section, call.node.name)


@route(
    "GET",
    "/nodes/{node}/storage/{storage}/content",
    _NODE,
    _STORAGE,
    opt("content", format="pve-storage-content"),
    opt("vmid", "integer", format="pve-vmid", minimum=100, maximum=999_999_999),
    permission=_MAY_LOOK,
    protected=True,
)
def content(call: Call) -> list[dict[str, Any]]:
    section = call.cluster.storages.definition(call["storage"])
    everything = call.may(f"/storage/{section.id}", "Datastore.Allocate")
    rows = []
    for row in content_rows(call.cluster, section, call.node.name):
        if call.get("content", row["content"]) != row["content"]:
            continue
        if "vmid" in call.params and row.get("vmid") != call["vmid"]:
            continue
        if everything or _may_see(call, row):
            rows.append(row)
    return rows


def _may_see(call: Call, row: dict[str, Any]) -> bool:
    """pve-storage Storage.pm:check_volume_access for somebody without Datastore.Allocate."""
    match row["content"]:
        case "images" | "rootdir":
            return "vmid" in row and call.may(f"/vms/{row['vmid']}", "VM.Config.Disk")
        case "backup":
            storage = f"/storage/{call['storage']}"
            allowed = "vmid" in row and call.may(f"/vms/{row['vmid']}", "VM.Backup")
            return allowed and call.may(storage, "Datastore.AllocateSpace")
    return True
