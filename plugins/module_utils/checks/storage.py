# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Storages: there, meant for the target, active on it, and made for what shall lie on them (pve-facts §1, §4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import DiskKind
from ansible_collections.pve.mobility.plugins.module_utils.model.move import Mode, MoveFacts

MISSING = Kind(
    "storage-missing",
    Severity.BLOCK,
    "A storage that the guest uses, or that it is mapped to, is not defined in the cluster.",
    "Proxmox VE refuses the move.",
    "define the storage, correct target_storage, or remove the disk from the guest",
    "the keys of the guest that are on it",
    enforced=True,
)
NOT_ON_TARGET = Kind(
    "storage-not-on-target",
    Severity.BLOCK,
    "A storage that the guest needs on the target is disabled or not meant for the target.",
    "Proxmox VE refuses the move: storage IDs are one for the whole cluster, and a disk keeps its ID unless it is local"
    " and mapped to another one.",
    "add the target to the nodes of the storage, or map it to another one",
    enforced=True,
)
NOT_ON_SOURCE = Kind(
    "storage-not-on-source",
    Severity.BLOCK,
    "A storage of the guest is disabled or not meant for the node that the guest is on.",
    "Proxmox VE refuses the move, even when the storage is mapped to another one.",
    "enable the storage for the time of the move, or add the node to its nodes",
    enforced=True,
)
INACTIVE = Kind(
    "storage-inactive",
    Severity.BLOCK,
    "A storage that the guest needs on the target is not active there: the pool is not imported, the server cannot be"
    " reached, or the directory is not mounted.",
    "Proxmox VE looks at the definition alone, so the move begins and fails when the disk is copied or the guest"
    " started. A stopped guest on shared storage arrives, and does not start.",
    "see on the target why the storage is not available (pvesm status)",
    enforced=True,
)
CONTENT = Kind(
    "storage-content",
    Severity.BLOCK,
    "A storage is not meant for what lies on it, or shall lie on it: disks of VMs (images), volumes of containers"
    " (rootdir), ISO images.",
    "Proxmox VE refuses the move.",
    "add the content type to the storage",
    "the content type that is needed, and those that the storage has",
    enforced=True,
)
VOLUME_MISSING = Kind(
    "volume-missing",
    Severity.BLOCK,
    "A disk on local storage is not on the node that the guest is on.",
    "The HA manager takes a guest that shall be stopped to another node when its own fails, without its local disks,"
    " and nothing notices until it is moved or started.",
    "bring the guest back to the node that has the disk: move its configuration there in /etc/pve",
    "key and volume",
    enforced=True,
)
LOCAL_DISK = Kind(
    "local-disk",
    Severity.BLOCK,
    "The running VM has a disk on local storage, and with_local_disks is false.",
    "Proxmox VE mirrors local disks of a running VM only when it is told to.",
    "set with_local_disks: true, or move the disk to shared storage first",
    "volume",
    enforced=True,
)
LOCAL_PATH = Kind(
    "local-path",
    Severity.BLOCK,
    "A disk or mount point is a path or device of the node, and no volume of a storage.",
    "Proxmox VE cannot copy it and refuses the move, unless it is marked as shared, that is: the same on every node.",
    "remove it for the move, or set shared=1 if every node has the same under that path",
    "key and path",
    enforced=True,
)


@dataclass(slots=True)
class _Use:
    """What a storage is needed for on one side. ``copied``: volumes are written to it. ``used``: it has to be there."""

    contents: set[str] = field(default_factory=set)
    keys: list[str] = field(default_factory=list)
    copied: bool = False
    used: bool = False


def on_target(move: MoveFacts) -> Iterator[Finding]:
    """Every storage of the guest, by what Proxmox VE says of it and by what is known of the cluster."""
    told: set[str] = set()
    if move.config is not None and move.state.knows("storages"):
        for finding in _judged(move):
            if finding.id in (NOT_ON_TARGET.id, MISSING.id):
                told.add(finding.storage or "")
            yield finding
    mapping = {} if move.managed else move.storage_map
    local = {disk.storage for disk in move.precondition.local_disks}
    for name in move.precondition.hindrance(move.target.name).storages:
        # Only storages that are not shared can be mapped (pve-facts §1.2).
        if name in told or (name in local and (name in mapping or "" in mapping)):
            continue
        yield _not_on_target(move, name, "disabled or not available on")


def _not_on_target(move: MoveFacts, name: str, why: str) -> Finding:
    remedy = f"add {move.target.name} to the storage's nodes, or map it: target_storage: {{{name}: other}}"
    return NOT_ON_TARGET.found(
        f"storage {name} is {why} {move.target.name}",
        remedy if why != "disabled, also for" else f"enable storage {name}",
        guest=move.guest.vmid,
        node=move.target.name,
        storage=name,
    )


def _judged(move: MoveFacts) -> Iterator[Finding]:
    sources, targets = _uses(move)
    for name, use in sources.items():
        yield from _on_source(move, name, use)
    for name, use in targets.items():
        if name in sources or move.state.storage(name) is not None:
            yield from _for_target(move, name, use)
        else:
            yield _missing(move, name, use, " (target_storage)" if name in move.storage_map.values() else "")


def _uses(move: MoveFacts) -> tuple[dict[str, _Use], dict[str, _Use]]:
    """By ID of the storage: what lies on it now, and what the target needs it for."""
    sources: dict[str, _Use] = {}
    targets: dict[str, _Use] = {}
    own = "images" if move.guest.type == "qemu" else "rootdir"
    for volume in move.volumes:
        for uses, name in ((sources, volume.disk.storage or ""), (targets, volume.to)):
            use = uses.setdefault(name, _Use())
            use.contents.add(own)
            use.keys.append(volume.disk.key)
            use.used = True
        targets[volume.to].copied |= volume.copied
    config = move.config
    for disk in config.disks if config is not None else ():
        storage = move.state.storage(disk.storage) if disk.storage else None
        if disk.kind is DiskKind.CDROM and storage is not None:
            for uses in (sources, targets):
                use = uses.setdefault(storage.id, _Use())
                use.contents.add("iso" if disk.volid.partition(":")[2].startswith("iso/") else own)
                use.keys.append(disk.key)
                # A medium on local storage keeps the guest from moving; what it lies on is looked at before.
                use.used |= storage.shared
    # All that are named are checked, whether the guest has anything to put there or not, and even by the HA manager.
    for name in move.storage_map.values():
        targets.setdefault(name, _Use()).contents.add(own)
    return sources, targets


def _missing(move: MoveFacts, name: str, use: _Use, more: str = "") -> Finding:
    return MISSING.found(
        f"there is no storage {name} in the cluster{more or f', and {move.guest.label} has {_listed(use)} on it'}",
        guest=move.guest.vmid,
        storage=name,
        keys=use.keys,
    )


def _on_source(move: MoveFacts, name: str, use: _Use) -> Iterator[Finding]:
    storage, node = move.state.storage(name), move.guest.node
    if storage is None:
        yield _missing(move, name, use)
        return
    if not storage.on(node):
        yield NOT_ON_SOURCE.found(
            f"storage {name} is {'disabled' if storage.disabled else f'not meant for {node}'}, and {move.guest.label}"
            f" has {_listed(use)} on it",
            guest=move.guest.vmid,
            node=node,
            storage=name,
        )
    if move.guest.type == "lxc":
        yield from _content(move, name, use)


def _for_target(move: MoveFacts, name: str, use: _Use) -> Iterator[Finding]:
    storage, target = move.state.storage(name), move.target
    if storage is None:
        return
    if not storage.on(target.name):
        yield _not_on_target(move, name, "disabled, also for" if storage.disabled else "not meant for")
        return
    yield from _content(move, name, use)
    status = move.state.storage_on(name, target.name)
    if status is not None and not status.active and target.online and use.used:
        needed = use.copied or move.mode is not Mode.OFFLINE
        yield INACTIVE.found(
            f"storage {name} is not active on {target.name}, and {move.guest.label} has {_listed(use)} there",
            severity=Severity.BLOCK if needed else Severity.WARN,
            guest=move.guest.vmid,
            node=target.name,
            storage=name,
        )


def _content(move: MoveFacts, name: str, use: _Use) -> Iterator[Finding]:
    storage = move.state.storage(name)
    if storage is None:
        return
    for wanted in sorted(use.contents - storage.content):
        has = ", ".join(sorted(storage.content)) or "nothing"
        yield CONTENT.found(
            f"storage {name} is not meant for {_WHAT[wanted]} (content {wanted}), and {move.guest.label} needs it"
            f" {f'for {_listed(use)}' if use.keys else 'as target_storage'}; it has {has}",
            f"add {wanted} to the content of {name}",
            guest=move.guest.vmid,
            node=move.target.name,
            storage=name,
            needed=wanted,
            content=sorted(storage.content),
        )


_WHAT = {"images": "disks of VMs", "rootdir": "volumes of containers", "iso": "ISO images"}


def _listed(use: _Use) -> str:
    return ", ".join(dict.fromkeys(use.keys))


def volumes_are_there(move: MoveFacts) -> Iterator[Finding]:
    """Looked for where it can be otherwise: for guests that the HA manager keeps stopped."""
    state, guest = move.state, move.guest
    resource = state.ha_resource(guest.sid)
    if resource is None or resource.state not in ("stopped", "disabled"):
        return
    if not state.knows("storages.volumes", guest.node):
        return
    for volume in move.volumes:
        disk = volume.disk
        status = state.storage_on(disk.storage or "", guest.node)
        looked = volume.copied and disk.attached and disk.kind is not DiskKind.CLOUDINIT
        if looked and status is not None and status.active and not state.seen_on(guest.node, disk.volid):
            yield VOLUME_MISSING.found(
                f"{disk.key} of {guest.label} ({disk.volid}) is not on {guest.node}, where the guest is",
                guest=guest.vmid,
                node=guest.node,
                storage=disk.storage,
                key=disk.key,
                volid=disk.volid,
            )


def local_disks(move: MoveFacts) -> Iterator[Finding]:
    """Attached local disks need ``with_local_disks`` when the VM runs; paths of the node cannot travel."""
    for disk in move.precondition.local_disks:
        drive = disk.drive or disk.volid
        if disk.cdrom or disk.cloudinit or disk.volid.startswith("/"):
            continue
        if move.live and disk.attached and not disk.tpmstate and not move.with_local_disks:
            yield LOCAL_DISK.found(
                f"{drive} ({disk.volid}) is a local disk and with_local_disks is false",
                guest=move.guest.vmid,
                storage=disk.storage,
                volid=disk.volid,
            )
    for key, path in _paths(move):
        yield LOCAL_PATH.found(
            f"{key} of {move.guest.label} is {path} of {move.guest.node}, which cannot move to {move.target.name}",
            guest=move.guest.vmid,
            node=move.guest.node,
            key=key,
            path=path,
        )


def _paths(move: MoveFacts) -> Iterator[tuple[str, str]]:
    config = move.config
    if config is None:
        yield from (
            (disk.drive or "a disk", disk.volid)
            for disk in move.precondition.local_disks
            if disk.volid.startswith("/") and not disk.cdrom
        )
        return
    for disk in config.disks:
        if disk.kind in (DiskKind.DEVICE, DiskKind.BIND) and not disk.shared:
            yield disk.key, disk.volid
