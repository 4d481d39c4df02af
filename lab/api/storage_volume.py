# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``DELETE …/storage/{storage}/content/{volume}``: remove a volume, whoever names it (pve-facts §3.3)."""

from __future__ import annotations

from lab.errors import BadParameters, Die
from lab.guests.release import free
from lab.http.router import Call, Param, opt, route
from lab.pve.storage_status import activate
from lab.pve.tasks import Task
from lab.sim.engine import Sim

_SECONDS = 0.3


@route(
    "DELETE", "/nodes/{node}/storage/{storage}/content/{volid}", Param("node", format="pve-node"),
    Param("storage", format="pve-storage-id"), opt("delay", "integer", minimum=1, maximum=30), protected=True,
)  # fmt: skip
def delete(call: Call) -> Sim:
    """The UPID of ``imgdel``, or nothing when it ended within ``delay`` seconds.

    It does not look whether a guest's configuration names the volume, only whether clones hang on it.
    """
    cluster, node, storage = call.cluster, call.node, call["storage"]
    given = call["volid"]
    volid = given if given.startswith(f"{storage}:") else f"{storage}:{given}"
    if ":" in given and not given.startswith(f"{storage}:"):
        raise BadParameters({"storage": "storage ID does not match volume ID"})
    cluster.storages.definition(storage)
    volume = cluster.storages.find(volid, node.name)
    if volume is not None and volume.content == "backup" and volume.vmid is not None:
        if not (call.may(f"/storage/{storage}", "Datastore.AllocateSpace")
                and call.may(f"/vms/{volume.vmid}", "VM.Backup")):  # fmt: skip
            call.require(f"/storage/{storage}", "Datastore.Allocate")
    else:
        call.require(f"/storage/{storage}", "Datastore.Allocate")
    activate(cluster, storage, node.name)
    owner = volume.vmid if volume is not None else None

    def worker(task: Task) -> Sim:
        yield cluster.engine.sleep(_SECONDS)
        if volume is None:
            raise Die(f"volume '{volid}' does not exist")
        free(cluster, volid, node.name)
        task.log(f"Removed volume '{volid}'")

    id = f"{owner}@{storage}" if owner is not None else storage
    task = cluster.tasks.fork_worker(node, "imgdel", id, call.identity.authuser, worker)
    delay = call.get("delay")
    if delay is None:
        yield cluster.engine.sleep(0.0)
        return task.upid
    assert task.ended is not None
    yield task.ended | cluster.engine.sleep(float(delay))
    return None if task.exitstatus == "OK" else task.upid
