# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``/nodes/{node}/lxc`` (pve-container API2/LXC.pm and below)."""

from __future__ import annotations

from typing import Any

from lab.api.qemu import AUDIT, NODE, POWER, VMID, ask_ha, entries, entry, fork, only_root, read_config
from lab.api.qemu_migrate import storage_map
from lab.errors import Die
from lab.guests.config import Change, change_ct
from lab.guests.migrate import check_lxc, resolve_target, start
from lab.guests.migrate.options import Options
from lab.guests.power import shutdown_ct, start_ct, stop_ct
from lab.guests.precondition import ct_precondition
from lab.guests.status import ct_current, ct_status
from lab.guests.values import pending_rows
from lab.http.router import Call, Param, check, opt, route
from lab.sim.engine import Sim

_MIGRATE = check("/vms/{vmid}", "VM.Migrate")
_CONFIG = check(
    "/vms/{vmid}", "VM.Config.Disk", "VM.Config.CPU", "VM.Config.Memory", "VM.Config.Network", "VM.Config.Options",
    any_of=True,
)  # fmt: skip
_CHILDREN = (
    "config pending status vncproxy termproxy vncwebsocket spiceproxy migrate clone rrd rrddata firewall snapshot "
    "resize interfaces"
).split()


@route("GET", "/nodes/{node}/lxc", NODE, protected=True)
def ct_list(call: Call) -> list[dict[str, Any]]:
    return [ct_status(call.cluster, item) for item in entries(call, "lxc")]


@route("GET", "/nodes/{node}/lxc/{vmid}", NODE, VMID)
def ct_index(call: Call) -> list[dict[str, str]]:
    entry(call, "lxc")
    return [{"subdir": name} for name in _CHILDREN]


@route("GET", "/nodes/{node}/lxc/{vmid}/config", NODE, VMID, opt("current", "boolean"), opt("snapshot", max_length=40),
       permission=AUDIT)  # fmt: skip
def ct_config(call: Call) -> dict[str, Any]:
    return read_config(call, "lxc")


@route("GET", "/nodes/{node}/lxc/{vmid}/pending", NODE, VMID, permission=AUDIT)
def ct_pending(call: Call) -> list[dict[str, Any]]:
    found = entry(call, "lxc")
    return pending_rows("lxc", call.cluster.config(found), call.cluster.fs.read(found.path))


@route("PUT", "/nodes/{node}/lxc/{vmid}/config", NODE, VMID, opt("delete", format="pve-configid-list"),
       opt("revert", format="pve-configid-list"), opt("digest", max_length=40), permission=_CONFIG, protected=True,
       additional=True)  # fmt: skip
def ct_config_put(call: Call) -> Sim:
    given = {key: value for key, value in call.params.items() if key not in {"node", "vmid"}}
    change = Change.of("lxc", given, call.identity)
    entry(call, "lxc")
    yield from change_ct(call.cluster, call.node, call["vmid"], change, object())


@route("GET", "/nodes/{node}/lxc/{vmid}/status", NODE, VMID)
def ct_status_index(_call: Call) -> list[dict[str, str]]:
    return [{"subdir": name} for name in ("current", "start", "stop", "shutdown", "migrate")]


@route("GET", "/nodes/{node}/lxc/{vmid}/status/current", NODE, VMID, permission=AUDIT, protected=True)
def ct_status_current(call: Call) -> dict[str, Any]:
    return ct_current(call.cluster, entry(call, "lxc"))


# ---------------------------------------------------------------- power


def _managed(call: Call) -> bool:
    found = call.cluster.guest(call["vmid"])
    return found is not None and found.node == call.node.name and call.cluster.ha.managed(found)


@route("POST", "/nodes/{node}/lxc/{vmid}/status/start", NODE, VMID, opt("skiplock", "boolean"),
       opt("debug", "boolean"), permission=POWER, protected=True)  # fmt: skip
def ct_start(call: Call) -> str:
    only_root(call, "skiplock")
    vmid = call["vmid"]
    if vmid in call.node.running:
        raise Die(f"CT {vmid} already running")
    if _managed(call):
        return ask_ha(call, "start", "lxc")
    skip = bool(call.get("skiplock"))
    return fork(call, "vzstart", lambda task: start_ct(call.cluster, call.node, vmid, task, skiplock=skip))


@route("POST", "/nodes/{node}/lxc/{vmid}/status/stop", NODE, VMID, opt("skiplock", "boolean"),
       opt("overrule-shutdown", "boolean"), permission=POWER, protected=True)  # fmt: skip
def ct_stop(call: Call) -> str:
    only_root(call, "skiplock")
    vmid = call["vmid"]
    if vmid not in call.node.running:
        raise Die(f"CT {vmid} not running")
    if _managed(call):
        return ask_ha(call, "stop", "lxc")
    skip = bool(call.get("skiplock"))
    return fork(call, "vzstop", lambda task: stop_ct(call.cluster, call.node, vmid, task, skiplock=skip))


@route("POST", "/nodes/{node}/lxc/{vmid}/status/shutdown", NODE, VMID, opt("timeout", "integer", minimum=0),
       opt("forceStop", "boolean"), permission=POWER, protected=True)  # fmt: skip
def ct_shutdown(call: Call) -> str:
    vmid = call["vmid"]
    if vmid not in call.node.running:
        raise Die(f"CT {vmid} not running")
    if _managed(call):
        return ask_ha(call, "stop", "lxc")
    return fork(call, "vzshutdown", lambda task: shutdown_ct(
        call.cluster, call.node, vmid, task, timeout=call.get("timeout", 60), force=bool(call.get("forceStop"))
    ))  # fmt: skip


# ---------------------------------------------------------------- migration


@route("GET", "/nodes/{node}/lxc/{vmid}/migrate", NODE, VMID, opt("target", format="pve-node"), permission=_MIGRATE,
       protected=True, since=(9, 0))  # fmt: skip
def precondition(call: Call) -> dict[str, Any]:
    return ct_precondition(call.cluster, call.node, call["vmid"])


@route(
    "POST", "/nodes/{node}/lxc/{vmid}/migrate", NODE, VMID, Param("target", format="pve-node"),
    opt("target-storage", format="storage-pair-list"), opt("online", "boolean"), opt("restart", "boolean"),
    opt("timeout", "integer"), opt("bwlimit", "number", minimum=0), permission=_MIGRATE, protected=True,
)  # fmt: skip
def migrate(call: Call) -> str:
    target = resolve_target(call.cluster, call.node, call["target"])
    options = Options(
        user=call.identity, online=bool(call.get("online")), restart=bool(call.get("restart")),
        timeout=call.get("timeout", 180), storages=storage_map(call, "target-storage"), bwlimit=call.get("bwlimit"),
    )  # fmt: skip
    found = check_lxc(call.cluster, call.node, call["vmid"], target, options, bool(call.get("target-storage")))
    return start(call.cluster, call.node, found, target, options).upid
