# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A small cluster for fixtures: three nodes, a VM and a container, local ZFS and shared Ceph; changed as needed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.checks.scope import Scope
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Node
from ansible_collections.pve.mobility.plugins.module_utils.model.foresee import foresee
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import guest_config
from ansible_collections.pve.mobility.plugins.module_utils.model.ha import HaStatus, Service
from ansible_collections.pve.mobility.plugins.module_utils.model.ha_config import HaResource, HaRule
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts, natural_mode
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob
from ansible_collections.pve.mobility.plugins.module_utils.model.state import PARTS, ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import Storage, StorageStatus

GIB = 2**30
NOW = 1_795_000_000
"""By the cluster's clock."""
VM = Guest(104, "qemu", "pve1", "billing-db", "running", maxmem=4 * GIB)
CT = Guest(200, "lxc", "pve1", "dns", "running", maxmem=GIB)
NODES = tuple(Node(name, "online", maxmem=64 * GIB, maxcpu=16) for name in ("pve1", "pve2", "pve3"))
DISKS = frozenset({"images", "rootdir"})
LOCAL = Storage("local", "dir", frozenset({"iso", "snippets", "vztmpl"}), where="/var/lib/vz")
TANK = Storage("tank", "zfspool", DISKS, where="tank/data", sparse=True)
CEPH = Storage("ceph", "rbd", DISKS, shared=True, where="vms", server="10.0.0.9")
NFS = Storage("nfs", "nfs", DISKS | {"iso", "snippets"}, shared=True, where="/export", server="10.0.0.5")
STORAGES = (LOCAL, TANK, CEPH, NFS)
VM_DISK = {"scsi0": "ceph:vm-104-disk-0,size=32G"}
CT_DISK = {"rootfs": "ceph:vm-200-disk-0,size=8G"}


def status(storage: str, node: str, avail: int = 500 * GIB, total: int = 1000 * GIB) -> StorageStatus:
    """Of a storage that is active."""
    return StorageStatus(storage, node, True, True, total, total - avail, avail)


def cluster(guest: Guest = VM, config: dict[str, Any] | None = None, **more: Any) -> ClusterState:
    """With one guest; ``more`` are other fields of the state. Everything is known."""
    lines = config if config is not None else VM_DISK if guest.type == "qemu" else CT_DISK
    known = ClusterState(
        parts=tuple(PARTS),
        name="prod",
        quorate=True,
        collected_at=NOW,
        nodes=NODES,
        guests=(guest,),
        guest_configs=(guest_config(guest.vmid, guest.type, guest.node, lines),),
        storages=STORAGES,
        storage_status=tuple(status(item.id, node.name) for item in STORAGES for node in NODES),
    )
    return replace(known, **more)


def move(
    guest: Guest = VM,
    config: dict[str, Any] | None = None,
    target: str = "pve2",
    state: dict[str, Any] | None = None,
    **more: Any,
) -> MoveFacts:
    """Of one guest to ``target``; ``state`` are fields of the cluster, ``more`` those of the move."""
    known = cluster(guest, config, **(state or {}))
    node = known.node(target)
    assert node is not None
    resource = known.ha_resource(guest.sid)
    facts = MoveFacts(
        guest,
        node,
        natural_mode(guest, guest.running),
        foresee(known, guest),
        known.ha if resource is not None else None,
        known.jobs_of(guest.vmid),
        rules=known.rules_of(guest.sid),
        state=known,
    )
    return replace(facts, **more)


def stopped(guest: Guest) -> Guest:
    return replace(guest, status="stopped")


def managed(guest: Guest = VM, *rules: HaRule, service: Service | None = None, **more: Any) -> dict[str, Any]:
    """Fields of a state in which the HA manager has the guest."""
    found = service or Service(guest.sid, "started" if guest.running else "stopped", guest.node)
    return {
        "ha": HaStatus("pve1", NOW, True, {guest.sid: found}, {node.name: "online" for node in NODES}),
        "ha_resources": (HaResource(guest.sid),),
        "ha_rules": rules,
        **more,
    }


def job(target: str = "pve2", **more: Any) -> ReplicationJob:
    """A job of the VM that ran five minutes ago."""
    found = ReplicationJob(
        f"104-{target[-1]}", 104, "pve1", target, last_sync=NOW - 300, duration=4.0, last_try=NOW - 300, rate=50.0
    )
    return replace(found, **more)


def scope(guest: Guest = VM, config: dict[str, Any] | None = None, **more: Any) -> Scope:
    """The whole cluster; ``more`` are fields of its state."""
    return Scope(cluster(guest, config, **more))
