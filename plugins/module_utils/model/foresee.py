# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Proxmox VE's precondition of a move, told from a snapshot: the same answer without a request a guest (§1.1)."""

from __future__ import annotations

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.device import Device
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import DiskKind
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig
from ansible_collections.pve.mobility.plugins.module_utils.model.precondition import (
    Hindrance,
    LocalDisk,
    Precondition,
)
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.model.version import Machine

_MAPPING_KINDS = {"hostpci": "pci", "usb": "usb", "virtiofs": "dir"}
_BEFORE_10_1 = (10, 1)


def foresee(state: ClusterState, guest: Guest) -> Precondition:
    """What ``GET …/migrate`` would say. What the snapshot does not hold is left out: no hindrance is made up."""
    config = state.config(guest.vmid)
    if config is None:
        return Precondition(guest.running, dependents=_dependents(state, guest))
    if guest.type == "lxc":
        return Precondition(guest.running, _blocking(state, guest), dependents=_dependents(state, guest))
    mapped = _mapped(state, config)
    hindrances = {}
    blocking = _blocking(state, guest)
    storages = sorted(config.storages)
    for node in state.nodes:
        if node.name == guest.node:
            continue
        hindrances[node.name] = Hindrance(
            tuple(name for name in storages if _unavailable(state, name, node.name)),
            tuple(device.key for device in config.devices if _missing(state, device, node.name)),
            blocking[node.name].blocking if node.name in blocking else (),
        )
    return Precondition(
        guest.running,
        hindrances,
        tuple(_local_disks(state, config)),
        tuple(_local_resources(state, guest, config, mapped)),
        mapped,
        _dependents(state, guest),
    )


def _unavailable(state: ClusterState, name: str, node: str) -> bool:
    storage = state.storage(name)
    return storage is not None and not storage.on(node)


def _missing(state: ClusterState, device: Device, node: str) -> bool:
    kind = _MAPPING_KINDS.get(device.kind)
    if device.mapping is None or kind is None or not state.knows("mappings"):
        return False
    mapping = state.mapping(kind, device.mapping)
    return mapping is None or not mapping.on(node)


def _mapped(state: ClusterState, config: GuestConfig) -> dict[str, tuple[str, bool]]:
    found = {}
    for device in config.devices:
        kind = _MAPPING_KINDS.get(device.kind)
        if device.mapping is None or kind is None:
            continue
        mapping = state.mapping(kind, device.mapping)
        found[device.key] = (device.mapping, kind == "pci" and mapping is not None and mapping.live)
    return found


def _local_resources(
    state: ClusterState, guest: Guest, config: GuestConfig, mapped: dict[str, tuple[str, bool]]
) -> list[str]:
    found = []
    for device in config.devices:
        if not device.bound:
            continue
        # Of mapped devices only PCI devices are left out, where nothing keeps them from moving (pve-facts §1.1).
        if device.kind == "hostpci" and device.key in mapped and (mapped[device.key][1] or not guest.running):
            continue
        found.append(device.key)
    if guest.running and config.confidential:
        found.append(config.confidential)
    if guest.running and any(device.kind == "virtiofs" for device in config.devices):
        found.append("virtiofs")
    if guest.running and config.clipboard == "vnc":
        process = state.process(guest.vmid)
        machine = _machine(process.machine if process is not None else None)
        if machine is not None and machine < _BEFORE_10_1:
            found.append("clipboard=vnc")
    return found


def _machine(text: str | None) -> tuple[int, int] | None:
    machine = Machine.parse(text)
    return (machine.major, machine.minor) if machine is not None else None


def _local_disks(state: ClusterState, config: GuestConfig) -> list[LocalDisk]:
    found = []
    # Taken to hold every disk; a disk that was added afterwards is the exception.
    held = (config.snapshot,) if config.snapshot is not None else ()
    for disk in config.disks:
        storage = state.storage(disk.storage) if disk.storage else None
        if disk.empty or disk.shared or (storage is not None and storage.shared):
            continue
        if disk.storage is not None and storage is None:
            continue
        found.append(
            LocalDisk(
                disk.volid,
                disk.size or 0,
                disk.kind in (DiskKind.CDROM, DiskKind.CLOUDINIT),
                disk.kind not in (DiskKind.UNUSED, DiskKind.VMSTATE),
                disk.kind is DiskKind.CLOUDINIT,
                disk.kind is DiskKind.TPMSTATE,
                disk.key,
                held if disk.kind not in (DiskKind.UNUSED, DiskKind.CDROM, DiskKind.CLOUDINIT) else (),
            )
        )
    return found


def _managed(state: ClusterState, guest: Guest) -> bool:
    if state.ha is not None and state.ha.disarm_mode == "ignore":
        return False
    resource = state.ha_resource(guest.sid)
    return resource is not None and resource.state != "ignored"


def _dependents(state: ClusterState, guest: Guest) -> tuple[str, ...]:
    """Those that a positive resource affinity takes along."""
    if not _managed(state, guest):
        return ()
    together = {
        sid
        for rule in state.rules_of(guest.sid)
        if rule.active and rule.type == "resource-affinity" and rule.positive
        for sid in rule.sids
    }
    return tuple(sorted(together - {guest.sid}))


def _blocking(state: ClusterState, guest: Guest) -> dict[str, Hindrance]:
    """Nodes on which a resource is that must not be beside the guest."""
    if not _managed(state, guest):
        return {}
    found: dict[str, set[str]] = {}
    for rule in state.rules_of(guest.sid):
        if not rule.active or rule.type != "resource-affinity" or rule.positive:
            continue
        for sid in rule.sids:
            node = _stays_on(state, sid) if sid != guest.sid else None
            if node is not None:
                found.setdefault(node, set()).add(sid)
    return {
        node: Hindrance(blocking=tuple((sid, "resource-affinity") for sid in sorted(sids)))
        for node, sids in found.items()
    }


def _stays_on(state: ClusterState, sid: str) -> str | None:
    """The node of a resource, unless it is about to leave; the HA manager only tells of nodes that are online to it."""
    service = state.ha.services.get(sid) if state.ha is not None else None
    if service is None or state.ha is None:
        other = state.guest(int(sid.rpartition(":")[2])) if sid[-1:].isdigit() else None
        return other.node if other is not None else None
    leaves = service.target not in (None, service.node)
    return service.node if not leaves and state.ha.node_state(service.node) == "online" else None
