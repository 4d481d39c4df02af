# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``/nodes/{node}/qemu``: lists, configuration, status, power (qemu-server API2/Qemu.pm)."""

from __future__ import annotations

from typing import Any

import lab.guests.shell  # noqa: F401  # pylint: disable=unused-import  # registers commands
from lab.errors import BadParameters, Die
from lab.guests.config import Change, change_vm
from lab.guests.power import shutdown_vm, start_vm, stop_vm
from lab.guests.status import vm_current, vm_status
from lab.guests.values import pending_rows, show, with_pending
from lab.http.router import Call, Param, check, opt, route
from lab.pve.pmxcfs import VmEntry
from lab.pve.tasks import Task
from lab.sim.engine import Sim

VMID = Param("vmid", "integer", format="pve-vmid", minimum=100, maximum=999_999_999)
NODE = Param("node", format="pve-node")
AUDIT = check("/vms/{vmid}", "VM.Audit")
POWER = check("/vms/{vmid}", "VM.PowerMgmt")
_CONFIG = check(
    "/vms/{vmid}", "VM.Config.Disk", "VM.Config.CDROM", "VM.Config.CPU", "VM.Config.Memory", "VM.Config.Network",
    "VM.Config.HWType", "VM.Config.Options", "VM.Config.Cloudinit", any_of=True,
)  # fmt: skip
_CHILDREN = (
    "config cloudinit pending status unlink vncproxy termproxy migrate resize move rrd rrddata monitor agent snapshot "
    "spiceproxy sendkey firewall mtunnel remote_migrate dbus-vmstate"
).split()


def entries(call: Call, type: str) -> list[VmEntry]:
    """The guests of a node that the caller may see."""
    folder = f"nodes/{call.node.name}/{'qemu-server' if type == 'qemu' else 'lxc'}"
    vmids = [int(name[:-5]) for name in call.cluster.fs.names(folder) if name.endswith(".conf")]
    return [call.cluster.fs.vmlist[vmid] for vmid in vmids if call.may(f"/vms/{vmid}", "VM.Audit")]


def entry(call: Call, type: str = "qemu") -> VmEntry:
    """:raises Die: the guest is not on this node."""
    return call.cluster.entry_on(call.node, type, call["vmid"])


def only_root(call: Call, *names: str) -> None:
    """:raises BadParameters: one of the options is used by somebody else than root@pam."""
    for name in names:
        if call.get(name) and not call.identity.is_root_ticket:
            raise BadParameters({name: "Only root may use this option."})


@route("GET", "/nodes/{node}/qemu", NODE, opt("full", "boolean"), protected=True)
def vm_list(call: Call) -> list[dict[str, Any]]:
    return [vm_status(call.cluster, item, bool(call.get("full"))) for item in entries(call, "qemu")]


@route("GET", "/nodes/{node}/qemu/{vmid}", NODE, VMID)
def vm_index(_call: Call) -> list[dict[str, str]]:
    return [{"subdir": name} for name in _CHILDREN]


# ---------------------------------------------------------------- configuration


@route("GET", "/nodes/{node}/qemu/{vmid}/config", NODE, VMID, opt("current", "boolean"), opt("snapshot", max_length=40),
       permission=AUDIT)  # fmt: skip
def vm_config(call: Call) -> dict[str, Any]:
    return read_config(call, "qemu")


def read_config(call: Call, type: str) -> dict[str, Any]:
    """``GET …/config`` of either kind of guest."""
    found = entry(call, type)
    config = call.cluster.config(found)
    text = call.cluster.fs.read(found.path)
    if "snapshot" in call.params:
        name = call["snapshot"]
        if call.get("current"):
            raise BadParameters({"snapshot": "cannot use 'snapshot' parameter with 'current'",
                                 "current": "cannot use 'snapshot' parameter with 'current'"})  # fmt: skip
        if name not in config.snapshots:
            raise Die(f"snapshot '{name}' does not exist")
        return show(type, config.snapshots[name], text)
    return show(type, config.current if call.get("current") else with_pending(config), text)


@route("GET", "/nodes/{node}/qemu/{vmid}/pending", NODE, VMID, permission=AUDIT)
def vm_pending(call: Call) -> list[dict[str, Any]]:
    found = entry(call)
    return pending_rows("qemu", call.cluster.config(found), call.cluster.fs.read(found.path))


def _change(call: Call) -> Change:
    only_root(call, "skiplock")
    given = {key: value for key, value in call.params.items() if key not in {"node", "vmid"}}
    return Change.of("qemu", given, call.identity)


_CHANGE = (
    NODE, VMID, opt("delete", format="pve-configid-list"), opt("revert", format="pve-configid-list"),
    opt("digest", max_length=40), opt("skiplock", "boolean"), opt("force", "boolean"),
)  # fmt: skip


@route("PUT", "/nodes/{node}/qemu/{vmid}/config", *_CHANGE, permission=_CONFIG, protected=True, additional=True)
def vm_config_put(call: Call) -> Sim:
    change = _change(call)
    entry(call)
    yield from change_vm(call.cluster, call.node, call["vmid"], change, object())


@route(
    "POST", "/nodes/{node}/qemu/{vmid}/config", *_CHANGE, opt("background_delay", "integer", minimum=1, maximum=30),
    permission=_CONFIG, protected=True, additional=True,
)  # fmt: skip
def vm_config_post(call: Call) -> str:
    call.params.pop("background_delay", None)
    change = _change(call)
    vmid = entry(call).vmid

    def worker(task: Task) -> Sim:
        yield from change_vm(call.cluster, call.node, vmid, change, task)

    return fork(call, "qmconfig", worker)


# ---------------------------------------------------------------- status and power


@route("GET", "/nodes/{node}/qemu/{vmid}/status", NODE, VMID)
def vm_status_index(_call: Call) -> list[dict[str, str]]:
    return [{"subdir": name} for name in ("current", "start", "stop", "reset", "shutdown", "suspend", "reboot")]


@route("GET", "/nodes/{node}/qemu/{vmid}/status/current", NODE, VMID, permission=AUDIT, protected=True)
def vm_status_current(call: Call) -> dict[str, Any]:
    return vm_current(call.cluster, entry(call))


def fork(call: Call, type: str, worker: Any) -> str:
    """Start a worker for the guest of a call; its UPID."""
    return call.cluster.tasks.fork_worker(call.node, type, str(call["vmid"]), call.identity.authuser, worker).upid


@route(
    "POST", "/nodes/{node}/qemu/{vmid}/status/start", NODE, VMID, opt("skiplock", "boolean"),
    opt("stateuri", max_length=128),
    opt("migratedfrom", format="pve-node"), opt("migration_type", enum=("secure", "insecure")),
    opt("migration_network", format="CIDR"), opt("machine"), opt("force-cpu"), opt("targetstorage"),
    opt("timeout", "integer", minimum=0), opt("with-conntrack-state", "boolean", since=(9, 0)),
    opt("nets-host-mtu", since=(9, 0)), permission=POWER, protected=True,
)  # fmt: skip
def vm_start(call: Call) -> str:
    """A VM that is not there gives a task that fails."""
    only_root(call, "skiplock", "stateuri", "migratedfrom", "machine", "targetstorage")
    vmid, skip = call["vmid"], bool(call.get("skiplock"))
    found = call.cluster.guest(vmid)
    if found is not None and found.node == call.node.name and call.cluster.ha.managed(found):
        return ask_ha(call, "start")
    machine = call.get("machine")
    return fork(
        call, "qmstart", lambda task: start_vm(call.cluster, call.node, vmid, task, skiplock=skip, machine=machine)
    )


@route(
    "POST", "/nodes/{node}/qemu/{vmid}/status/stop", NODE, VMID, opt("skiplock", "boolean"),
    opt("migratedfrom", format="pve-node"), opt("timeout", "integer", minimum=0), opt("keepActive", "boolean"),
    opt("overrule-shutdown", "boolean"), permission=POWER, protected=True,
)  # fmt: skip
def vm_stop(call: Call) -> str:
    only_root(call, "skiplock", "keepActive", "migratedfrom")
    vmid, skip = call["vmid"], bool(call.get("skiplock"))
    found = call.cluster.guest(vmid)
    if found is not None and found.node == call.node.name and call.cluster.ha.managed(found):
        return ask_ha(call, "stop")
    return fork(call, "qmstop", lambda task: stop_vm(call.cluster, call.node, vmid, task, skiplock=skip))


@route(
    "POST", "/nodes/{node}/qemu/{vmid}/status/shutdown", NODE, VMID, opt("skiplock", "boolean"),
    opt("timeout", "integer", minimum=0), opt("forceStop", "boolean"), opt("keepActive", "boolean"),
    permission=POWER, protected=True,
)  # fmt: skip
def vm_shutdown(call: Call) -> str:
    only_root(call, "skiplock", "keepActive")
    vmid = call["vmid"]
    found = call.cluster.guest(vmid)
    if found is not None and found.node == call.node.name and call.cluster.ha.managed(found):
        return ask_ha(call, "stop")
    return fork(call, "qmshutdown", lambda task: shutdown_vm(
        call.cluster, call.node, vmid, task, timeout=call.get("timeout"), force=bool(call.get("forceStop")),
        skiplock=bool(call.get("skiplock")),
    ))  # fmt: skip


def ask_ha(call: Call, what: str, type: str = "qemu") -> str:
    """``hastart`` or ``hastop``: the request of a managed guest only changes what is wanted of it."""
    vmid, cluster = call["vmid"], call.cluster
    sid = f"{'vm' if type == 'qemu' else 'ct'}:{vmid}"
    label = "VM" if type == "qemu" else "CT"

    def worker(task: Task) -> Sim:
        task.log(f"Requesting HA {what} for {label} {vmid}")
        yield cluster.engine.sleep(0.8)
        cluster.ha.request_state(sid, "started" if what == "start" else "stopped")

    return fork(call, f"ha{what}", worker)
