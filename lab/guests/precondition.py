# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``GET …/migrate``: where a guest may go, as Proxmox VE itself says (pve-facts §1.1, §1.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.guests.drives import VolumeUse, volume_uses
from lab.guests.locks import check_lock
from lab.guests.resources import clipboard_blocks, local_resources
from lab.guests.status import process_of
from lab.pve.formats import GuestConfig

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.node import Node


def vm_precondition(cluster: Cluster, node: Node, vmid: int) -> dict[str, Any]:
    """:raises Die: no quorum, no such VM, locked."""
    cluster.check_quorum(node)
    entry = cluster.entry_on(node, "qemu", vmid)
    config = cluster.config(entry)
    check_lock(config, "qemu")
    process = process_of(cluster, entry)
    found = local_resources(cluster, config, process is not None)
    if clipboard_blocks(config, process):
        found.local.append("clipboard=vnc")
    answer: dict[str, Any] = {
        "running": int(process is not None), "local_resources": found.local, "mapped-resources": sorted(found.mapped),
        "mapped-resource-info": found.mapped,
        "local_disks": [_disk(use) for use in volume_uses(config).values() if _is_local(cluster, use)],
    }  # fmt: skip
    blocking: dict[str, list[dict[str, str]]] = {}
    if node.release >= (9, 0):
        answer["has-dbus-vmstate"] = 1
        if cluster.ha.managed(entry):
            answer["dependent-ha-resources"] = cluster.ha.dependent_resources(entry)
            blocking = {name: cluster.ha.blocking_resources(entry, name) for name in cluster.nodes}
    storages = unavailable_storages(cluster, config)
    allowed, refused = [], {}
    for name in cluster.nodes:
        if name == node.name:
            continue
        reasons: dict[str, Any] = {}
        if storages[name]:
            reasons["unavailable_storages"] = storages[name]
        if found.missing[name]:
            reasons["unavailable-resources"] = found.missing[name]
        if blocking.get(name):
            reasons["blocking-ha-resources"] = blocking[name]
        refused[name] = reasons
        if not reasons:
            allowed.append(name)
    return answer | {"allowed_nodes": allowed, "not_allowed_nodes": refused}


def unavailable_storages(cluster: Cluster, config: GuestConfig) -> dict[str, list[str]]:
    """By node; the current configuration only, whatever state the storages are in."""
    found: dict[str, set[str]] = {name: set() for name in cluster.nodes}
    for volid in volume_uses(GuestConfig(config.current)):
        storage, colon, _name = volid.partition(":")
        if not colon or volid.startswith("/"):
            continue
        cluster.storages.definition(storage)
        for name in cluster.nodes:
            if not cluster.storages.enabled(storage, name):
                found[name].add(storage)
    return {name: sorted(storages) for name, storages in found.items()}


def _is_local(cluster: Cluster, use: VolumeUse) -> bool:
    storage, colon, _name = use.volid.partition(":")
    if colon and not use.volid.startswith("/") and cluster.storages.is_shared(storage):
        return False
    return not use.shared and not (use.cdrom and use.volid == "none")


def _disk(use: VolumeUse) -> dict[str, Any]:
    row: dict[str, Any] = {
        "volid": use.volid, "cdrom": int(use.cdrom), "replicate": int(use.replicate), "shared": int(use.shared),
        "is_unused": int(use.is_unused), "is_attached": int(use.is_attached), "is_vmstate": int(use.is_vmstate),
        "is_tpmstate": int(use.is_tpmstate), "is_cloudinit": int(use.is_cloudinit),
    }  # fmt: skip
    if use.drivename is not None:
        row["drivename"] = use.drivename
    if use.size is not None:
        row["size"] = use.size
    if use.snapshots:
        row["referenced_in_snapshot"] = use.snapshots
    if use.pending:
        row["referenced_in_pending"] = 1
    return row


def ct_precondition(cluster: Cluster, node: Node, vmid: int) -> dict[str, Any]:
    """Since 9.0; only HA rules are looked at."""
    cluster.check_quorum(node)
    entry = cluster.entry_on(node, "lxc", vmid)
    answer: dict[str, Any] = {"running": int(process_of(cluster, entry) is not None)}
    managed = cluster.ha.managed(entry)
    allowed, refused = [], {}
    for name in cluster.nodes:
        if name == node.name:
            continue
        blocking = cluster.ha.blocking_resources(entry, name) if managed else []
        if blocking:
            refused[name] = {"blocking-ha-resources": blocking}
        else:
            allowed.append(name)
    if managed:
        answer["dependent-ha-resources"] = cluster.ha.dependent_resources(entry)
    return answer | {"allowed-nodes": allowed, "not-allowed-nodes": refused}
