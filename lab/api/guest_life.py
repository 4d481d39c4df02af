# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Creating and destroying guests, resizing and unlinking their disks."""

from __future__ import annotations

from typing import Any

from lab.api.qemu import NODE, VMID, entry, fork, only_root
from lab.errors import Forbidden
from lab.guests.config import Change, change_vm, check_values, text
from lab.guests.create import Creation, check_storages, reserve
from lab.guests.destroy import check_destroy, destroy, resize
from lab.guests.power import start_ct, start_vm
from lab.http.router import Call, Param, check, opt, route
from lab.pve.tasks import Task
from lab.sim.engine import Sim

_DISK = check("/vms/{vmid}", "VM.Config.Disk")
_ALLOCATE = check("/vms/{vmid}", "VM.Allocate")
_CREATE = (
    NODE, VMID, opt("force", "boolean"), opt("unique", "boolean"), opt("pool", format="pve-poolid"),
    opt("start", "boolean"), opt("storage", format="pve-storage-id"),
)  # fmt: skip
_CALL_ONLY = frozenset(
    "node vmid force unique pool bwlimit start storage archive live-restore ha-managed ostemplate password "
    "ssh-public-keys restore ignore-unpack-errors".split()
)


def _wanted(call: Call, type: str) -> dict[str, str]:
    """The configuration that a request describes, after everything that is checked before a task starts."""
    values = {key: text(value) for key, value in call.params.items() if key not in _CALL_ONLY}
    check_values(type, values)
    call.cluster.check_quorum(call.node)
    allowed = call.may(f"/vms/{call['vmid']}", "VM.Allocate")
    if not allowed and not ("pool" in call.params and call.may(f"/pool/{call['pool']}", "VM.Allocate")):
        raise Forbidden()
    check_storages(call.cluster, type, values, call.identity)
    return values


@route("POST", "/nodes/{node}/qemu", *_CREATE, opt("bwlimit", "integer", minimum=0), protected=True, additional=True)
def vm_create(call: Call) -> str:
    values, cluster, node, vmid = _wanted(call, "qemu"), call.cluster, call.node, call["vmid"]
    found = reserve(cluster, node, "qemu", vmid, f"unable to create VM {vmid} - ")

    def worker(task: Task) -> Sim:
        yield from Creation(cluster, node, found, values, task).run_vm()
        if call.get("start"):
            task.log("Execute autostart")
            yield from start_vm(cluster, node, vmid, task)

    return fork(call, "qmcreate", worker)


@route(
    "POST", "/nodes/{node}/lxc", *_CREATE, Param("ostemplate", max_length=255), opt("password", min_length=5),
    opt("bwlimit", "number", minimum=0), opt("ssh-public-keys"), opt("ignore-unpack-errors", "boolean"),
    protected=True, additional=True,
)  # fmt: skip
def ct_create(call: Call) -> str:
    values, cluster, node, vmid = _wanted(call, "lxc"), call.cluster, call.node, call["vmid"]
    found = reserve(cluster, node, "lxc", vmid)

    def worker(task: Task) -> Sim:
        yield from Creation(cluster, node, found, values, task).run_ct(call["ostemplate"])
        if call.get("start"):
            yield from start_ct(cluster, node, vmid, task)

    return fork(call, "vzcreate", worker)


# ---------------------------------------------------------------- the end


def _destroy(call: Call, type: str, worker_type: str) -> str:
    found = entry(call, type)
    purge = bool(call.get("purge"))
    check_destroy(call.cluster, found, purge)
    options: dict[str, Any] = {
        "purge": purge, "unreferenced": bool(call.get("destroy-unreferenced-disks")), "force": bool(call.get("force")),
        "skiplock": bool(call.get("skiplock")),
    }  # fmt: skip
    return fork(call, worker_type, lambda task: destroy(call.cluster, call.node, found, task, **options))


@route("DELETE", "/nodes/{node}/qemu/{vmid}", NODE, VMID, opt("skiplock", "boolean"), opt("purge", "boolean"),
       opt("destroy-unreferenced-disks", "boolean"), permission=_ALLOCATE, protected=True)  # fmt: skip
def vm_destroy(call: Call) -> str:
    only_root(call, "skiplock")
    return _destroy(call, "qemu", "qmdestroy")


@route("DELETE", "/nodes/{node}/lxc/{vmid}", NODE, VMID, opt("force", "boolean"), opt("purge", "boolean"),
       opt("destroy-unreferenced-disks", "boolean"), permission=_ALLOCATE, protected=True)  # fmt: skip
def ct_destroy(call: Call) -> str:
    return _destroy(call, "lxc", "vzdestroy")


# ---------------------------------------------------------------- disks

VM_DISKS = (
    *(f"ide{number}" for number in range(4)), *(f"scsi{number}" for number in range(31)),
    *(f"virtio{number}" for number in range(16)), *(f"sata{number}" for number in range(6)), "efidisk0", "tpmstate0",
)  # fmt: skip
CT_DISKS = ("rootfs", *(f"mp{number}" for number in range(256)))
_RESIZE = (
    NODE, VMID, Param("size", pattern=r"\+?\d+(\.\d+)?[KMGT]?"), opt("digest", max_length=40),
)  # fmt: skip


@route("PUT", "/nodes/{node}/qemu/{vmid}/resize", *_RESIZE, Param("disk", enum=VM_DISKS), opt("skiplock", "boolean"),
       permission=_DISK, protected=True)  # fmt: skip
def vm_resize(call: Call) -> str:
    only_root(call, "skiplock")
    found = entry(call)
    return fork(call, "resize",
                lambda task: resize(call.cluster, call.node, found, call["disk"], call["size"], task))  # fmt: skip


@route("PUT", "/nodes/{node}/lxc/{vmid}/resize", *_RESIZE, Param("disk", enum=CT_DISKS),
       permission=check("/vms/{vmid}", "VM.Config.Disk", any_of=True), protected=True)  # fmt: skip
def ct_resize(call: Call) -> str:
    found = entry(call, "lxc")
    return fork(call, "resize",
                lambda task: resize(call.cluster, call.node, found, call["disk"], call["size"], task))  # fmt: skip


@route("PUT", "/nodes/{node}/qemu/{vmid}/unlink", NODE, VMID, Param("idlist", format="pve-configid-list"),
       opt("force", "boolean"), permission=_DISK, protected=True)  # fmt: skip
def vm_unlink(call: Call) -> Sim:
    """Like deleting from the configuration; ``force`` destroys the volumes too."""
    entry(call)
    change = Change.of("qemu", {"delete": call["idlist"], "force": call.get("force", 0)}, call.identity)
    yield from change_vm(call.cluster, call.node, call["vmid"], change, object())
