# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``…/qemu/{vmid}/move_disk`` and ``…/lxc/{vmid}/move_volume``."""

from __future__ import annotations

from typing import Any

from lab.api.guest_life import CT_DISKS, VM_DISKS
from lab.api.qemu import NODE, VMID, entry, fork
from lab.errors import BadParameters
from lab.guests.disks.container import VolumeMove, move_volume, reserve
from lab.guests.disks.judge import Move, judge
from lab.guests.disks.move import move_disk
from lab.guests.disks.reassign import Reassign, reassign
from lab.guests.disks.reassign import judge as judge_reassign
from lab.http.router import Call, Param, check, opt, route
from lab.sim.engine import Sim

_UNUSED = tuple(f"unused{number}" for number in range(256))
_DISK = check("/vms/{vmid}", "VM.Config.Disk")
_TARGET = (
    opt("storage", format="pve-storage-id"),
    opt("target-vmid", "integer", format="pve-vmid", minimum=100, maximum=999_999_999), opt("delete", "boolean"),
    opt("digest", max_length=40), opt("target-digest", max_length=40),
)  # fmt: skip


def _one_target(call: Call) -> None:
    """:raises BadParameters: both a storage and a guest, or neither."""
    message = None
    if call.get("storage") and call.get("target-vmid"):
        message = "either set 'storage' or 'target-vmid', but not both"
    elif not call.get("storage") and not call.get("target-vmid"):
        message = "both 'storage' and 'target-vmid' missing, either needs to be set"
    if message is not None:
        raise BadParameters({"target-vmid": message, "storage": message})


@route(
    "POST", "/nodes/{node}/qemu/{vmid}/move_disk", NODE, VMID, Param("disk", enum=(*VM_DISKS, *_UNUSED)), *_TARGET,
    opt("format", enum=("raw", "qcow2", "vmdk")), opt("bwlimit", "integer", minimum=0),
    opt("target-disk", enum=(*VM_DISKS, *_UNUSED)), permission=_DISK, protected=True,
)  # fmt: skip
def vm_move_disk(call: Call) -> str:
    _one_target(call)
    if call.get("target-vmid"):
        if call["target-vmid"] == call["vmid"]:
            raise BadParameters({"target-vmid": "must be different than source VMID to reassign disk"})
        return _reassign(call, "qemu", "disk")
    call.require(f"/storage/{call['storage']}", "Datastore.AllocateSpace")
    move = Move(
        call.identity, call["vmid"], call["disk"], call["storage"], call.get("format"), bool(call.get("delete")),
        call.get("digest"), call.get("bwlimit"),
    )  # fmt: skip
    judge(call.cluster, call.node, move)
    return fork(call, "qmmove", lambda task: move_disk(call.cluster, call.node, move, task))


@route(
    "POST", "/nodes/{node}/lxc/{vmid}/move_volume", NODE, VMID, Param("volume", enum=(*CT_DISKS, *_UNUSED)), *_TARGET,
    opt("bwlimit", "number", minimum=0), opt("target-volume", enum=(*CT_DISKS, *_UNUSED)), permission=_DISK,
    protected=True,
)  # fmt: skip
def ct_move_volume(call: Call) -> Sim:
    _one_target(call)
    if call.get("target-vmid"):
        return _reassign(call, "lxc", "volume")
    call.require(f"/storage/{call['storage']}", "Datastore.AllocateSpace")
    move = VolumeMove(
        call.identity, call["vmid"], call["volume"], call["storage"], bool(call.get("delete")), call.get("digest"),
        call.get("bwlimit"),
    )  # fmt: skip
    yield from reserve(call.cluster, call.node, move, object())
    return fork(call, "move_volume", lambda task: move_volume(call.cluster, call.node, move, task))


def _reassign(call: Call, type: str, name: str) -> str:
    """The number of a task that gives a disk away names both guests."""
    wish = Reassign(
        type, call["vmid"], call[name], call["target-vmid"], call.get(f"target-{name}", call[name]),
        call.get("digest"), call.get("target-digest"),
    )  # fmt: skip
    call.require(f"/vms/{wish.target}", "VM.Config.Disk")
    entry(call, type)
    found = judge_reassign(call.cluster, call.node, wish)
    call.require(f"/storage/{found.drive.storage}", "Datastore.AllocateSpace")
    id = f"{wish.vmid}-{wish.disk}>{wish.target}-{wish.target_disk}"
    worker: Any = lambda task: reassign(call.cluster, call.node, wish, task)  # noqa: E731
    kind = "qmmove" if type == "qemu" else "move_volume"
    return call.cluster.tasks.fork_worker(call.node, kind, id, call.identity.authuser, worker).upid
