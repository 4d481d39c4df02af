# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``/nodes/{node}/qemu/{vmid}/migrate``."""

from __future__ import annotations

from typing import Any

from lab.api.qemu import NODE, VMID, only_root
from lab.errors import BadParameters
from lab.guests.migrate import check_qemu, resolve_target, start
from lab.guests.migrate.options import Options
from lab.guests.precondition import vm_precondition
from lab.guests.storagemap import StorageMap, parse_storage_map
from lab.http.router import Call, Param, check, opt, route

_MIGRATE = check("/vms/{vmid}", "VM.Migrate")


@route("GET", "/nodes/{node}/qemu/{vmid}/migrate", NODE, VMID, opt("target", format="pve-node"), permission=_MIGRATE,
       protected=True)  # fmt: skip
def precondition(call: Call) -> dict[str, Any]:
    """``target`` is ignored."""
    return vm_precondition(call.cluster, call.node, call["vmid"])


@route(
    "POST",
    "/nodes/{node}/qemu/{vmid}/migrate",
    NODE,
    VMID,
    Param("target", format="pve-node"),
    opt("online", "boolean"),
    opt("force", "boolean"),
    opt("migration_type", enum=("secure", "insecure")),
    opt("migration_network", format="CIDR"),
    opt("with-local-disks", "boolean"),
    opt("with-conntrack-state", "boolean", since=(9, 0)),
    opt("targetstorage", format="storage-pair-list"),
    opt("bwlimit", "integer", minimum=0),
    permission=_MIGRATE,
    protected=True,
)
def migrate(call: Call) -> str:
    target = resolve_target(call.cluster, call.node, call["target"])
    only_root(call, "force", "migration_type", "migration_network")
    options = Options(
        user=call.identity,
        online=bool(call.get("online")),
        force=bool(call.get("force")),
        with_local_disks=bool(call.get("with-local-disks")),
        with_conntrack_state=bool(call.get("with-conntrack-state")),
        storages=storage_map(call, "targetstorage"),
        bwlimit=call.get("bwlimit"),
        type=call.get("migration_type"),
        network=call.get("migration_network"),
    )
    entry = check_qemu(call.cluster, call.node, call["vmid"], target, options, bool(call.get("targetstorage")))
    return start(call.cluster, call.node, entry, target, options).upid


def storage_map(call: Call, name: str) -> StorageMap:
    """:raises BadParameters: failed to parse storage map."""
    try:
        return parse_storage_map(call.get(name, ""))
    except ValueError as error:
        raise BadParameters({name: f"failed to parse storage map: {error}\n"}) from error
