# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing a guest's configuration (qemu-server API2/Qemu.pm:update_vm_api, pve-container LXC/Config.pm).

What a running VM cannot take over becomes a pending change.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.errors import BadParameters, Die
from lab.guests.drives import CT_DISK, UNUSED, VM_DISK, parse_drive
from lab.guests.keys import known_key
from lab.guests.locks import PATIENCE, check_lock, config_lock, locked
from lab.guests.privileges import check_devices, check_keys
from lab.guests.release import free, in_use
from lab.pve.formats import GuestConfig, format_size, parse_property_string, split_list
from lab.pve.pmxcfs import assert_digest, digest
from lab.pve.users import Identity
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.node import Node
    from lab.pve.pmxcfs import VmEntry

MOST_UNUSED = 256
UNKNOWN = "property is not defined in schema and the schema does not allow additional properties"
_AT_ONCE = re.compile(
    r"^(lock|name|hostname|onboot|shares|startup|description|protection|vmstatestorage|hookscript|tags|tablet|balloon"
    r"|net\d+|usb\d+|scsi\d+|virtio\d+|sata\d+|ide\d+|unused\d+|migrate_speed|migrate_downtime|parent|args)$"
)
"""Keys that a running VM takes over at once (hotplug of network, disks and USB is on by default)."""
_CALL_ONLY = frozenset({"delete", "revert", "digest", "skiplock", "force"})
_INTERNAL = frozenset({"lock", "parent", "snaptime", "vmstate", "digest"})
_DRIVE_OPTIONS = frozenset(
    "aio backup bps bps_max bps_max_length bps_rd bps_rd_max bps_wr bps_wr_max cache cyls detect_zeroes discard format "
    "heads iops iops_max iops_rd iops_rd_max iops_wr iops_wr_max iothread mbps mbps_max mbps_rd mbps_rd_max mbps_wr "
    "mbps_wr_max media model product queues replicate rerror ro scsiblock secs serial shared size snapshot ssd trans "
    "vendor volume werror wwn import-from efitype pre-enrolled-keys ms-cert version".split()
)


@dataclass(frozen=True, slots=True)
class Change:
    """What a request wants changed."""

    user: Identity
    values: dict[str, str] = field(default_factory=dict)
    delete: tuple[str, ...] = ()
    revert: tuple[str, ...] = ()
    digest: str | None = None
    skiplock: bool = False
    force: bool = False

    @classmethod
    def of(cls, type: str, given: Mapping[str, Any], user: Identity) -> Change:
        """:raises BadParameters: unknown keys or values that do not fit."""
        values = {key: text(value) for key, value in given.items() if key not in _CALL_ONLY}
        check_values(type, values)
        return cls(
            user, values, tuple(split_list(given.get("delete"))), tuple(split_list(given.get("revert"))),
            given.get("digest"), bool(given.get("skiplock")), bool(given.get("force")),
        )  # fmt: skip


def text(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return value if isinstance(value, str) else str(value)


def check_values(type: str, values: Mapping[str, str]) -> None:
    """:raises BadParameters: with one complaint per key."""
    errors: dict[str, str] = {}
    for key, value in values.items():
        if not known_key(type, key) or key in _INTERNAL - {"lock"}:
            errors[key] = UNKNOWN
        elif type == "qemu" and VM_DISK.match(key):
            bad = [name for name in parse_drive(key, value).options if name not in _DRIVE_OPTIONS]
            if bad:
                lines = "".join(f"{key}.{name}: {UNKNOWN}\n" for name in sorted(bad))
                errors[key] = f"invalid format - format error\n{lines}"
        elif type == "qemu" and key == "memory":
            current = parse_property_string(value, "current").get("current", "")
            if not current.isdigit():
                errors[key] = (
                    f"invalid format - format error\nmemory.current: type check ('integer') failed - got '{current}'\n"
                )
    if errors:
        raise BadParameters(errors)


def change_vm(cluster: Cluster, node: Node, vmid: int, change: Change, owner: Hashable) -> Sim:
    """:raises Die: locked, another digest, the file's lock is busy for ten seconds."""
    check_keys(cluster, "qemu", vmid, (*change.delete, *change.values), change.user)
    check_devices(change.values, change.user)

    def look() -> tuple[VmEntry, GuestConfig]:
        entry = cluster.entry_on(node, "qemu", vmid)
        config = cluster.config(entry).copy()
        if change.digest and change.digest != digest(cluster.fs.read(entry.path)):
            raise Die("checksum mismatch (file change by other user?)")
        if not change.skiplock:
            check_lock(config, "qemu")
        return entry, config

    def work() -> Sim:
        entry, config = look()
        yield cluster.engine.sleep(0.05)
        running = vmid in node.running
        _apply(cluster, node, "qemu", vmid, config, change, running)
        cluster.write_config(node, entry, config)

    look()
    yield from locked(cluster, node.name, config_lock("qemu", vmid), owner, work(), PATIENCE)


def change_ct(cluster: Cluster, node: Node, vmid: int, change: Change, owner: Hashable) -> Sim:
    """Like :func:`change_vm`; a lock cannot be dropped this way."""
    check_keys(cluster, "lxc", vmid, (*change.delete, *change.values), change.user)

    def work() -> Sim:
        entry = cluster.entry_on(node, "lxc", vmid)
        config = cluster.config(entry).copy()
        check_lock(config, "lxc")
        assert_digest(change.digest, cluster.fs.read(entry.path))
        yield cluster.engine.sleep(0.05)
        _apply(cluster, node, "lxc", vmid, config, change, False)
        cluster.write_config(node, entry, config)

    yield from locked(cluster, node.name, config_lock("lxc", vmid), owner, work(), PATIENCE)


def _apply(
    cluster: Cluster, node: Node, type: str, vmid: int, config: GuestConfig, change: Change, running: bool
) -> None:
    for key in change.revert:
        config.pending.pop(key, None)
    for key in change.delete:
        if key not in config.current and key not in config.pending:
            continue
        config.pending.pop(key, None)
        if running and not _AT_ONCE.match(key):
            waiting = split_list(config.pending.get("delete"))
            config.pending["delete"] = ",".join([*waiting, key])
            continue
        _remove(cluster, node, type, vmid, config, key, change.force, change.user)
    disk = VM_DISK if type == "qemu" else CT_DISK
    for key, value in change.values.items():
        if running and not _AT_ONCE.match(key):
            if config.current.get(key) != value:
                config.pending[key] = value
        elif disk.match(key):
            _set_disk(cluster, node, type, vmid, config, key, value)
        elif key in {"description"}:
            config.current[key] = value if value.endswith("\n") else f"{value}\n"
            if not value:
                del config.current[key]
        else:
            config.current[key] = value


def _remove(
    cluster: Cluster,
    node: Node,
    type: str,
    vmid: int,
    config: GuestConfig,
    key: str,
    force: bool,
    user: Identity | None = None,
) -> None:
    """A disk that is removed stays as unusedN, unless by force; an unused one is destroyed.

    :raises ApiFault: an unused one is protected, not the user's to remove, named elsewhere, or cannot be freed.
    """
    value = config.current.get(key)
    if value is None:
        return
    if UNUSED.match(key):
        _destroy_unused(cluster, node, type, vmid, config, key, user)
    del config.current[key]
    _leave_boot_order(config, key)
    volid = parse_drive(key, value).volid
    if (VM_DISK if type == "qemu" else CT_DISK).match(key):
        _unlink(cluster, node, vmid, config, volid, force)


def _destroy_unused(
    cluster: Cluster, node: Node, type: str, vmid: int, config: GuestConfig, key: str, user: Identity | None
) -> None:
    """QemuServer.pm:try_deallocate_drive: what belongs to another guest only leaves the configuration."""
    volid = parse_drive(key, config.current[key]).volid
    if config.current.get("protection") == "1":
        label = "VM" if type == "qemu" else "CT"
        raise Die(f"can't remove unused disk '{volid}' for {label} {vmid} - protection mode enabled")
    volume = cluster.storages.find(volid, node.name)
    if volume is not None and volume.vmid != vmid:
        return
    if user is not None and type == "qemu":
        cluster.users.require(user, f"/storage/{volid.partition(':')[0]}", "Datastore.AllocateSpace")
    if in_use(config, type, key, volid):
        raise Die(f"unable to delete '{volid}' - volume is still in use (snapshot?)")
    free(cluster, volid, node.name)


def apply_pending(cluster: Cluster, node: Node, entry: VmEntry) -> GuestConfig:
    """Carry out the pending changes of a VM that stopped or starts (QemuServer.pm:vmconfig_apply_pending)."""
    config = cluster.config(entry)
    if not config.pending:
        return config
    config = config.copy()
    pending, config.pending = config.pending, {}
    for item in split_list(pending.pop("delete", None)):
        _remove(cluster, node, entry.type, entry.vmid, config, item.lstrip("!"), item.startswith("!"))
    for key, value in pending.items():
        if VM_DISK.match(key):
            _set_disk(cluster, node, entry.type, entry.vmid, config, key, value)
        else:
            config.current[key] = value
    cluster.write_config(node, entry, config)
    return config


def _leave_boot_order(config: GuestConfig, key: str) -> None:
    boot = config.current.get("boot", "")
    order = boot.removeprefix("order=").split(";")
    if boot.startswith("order=") and key in order:
        left = ";".join(item for item in order if item != key)
        config.current["boot"] = f"order={left}" if left else ""


def _unlink(cluster: Cluster, node: Node, vmid: int, config: GuestConfig, volid: str, force: bool) -> None:
    volume = cluster.storages.find(volid, node.name)
    if volume is None or volume.vmid != vmid or "cloudinit" in volume.name:
        return
    if force:
        free(cluster, volid, node.name)
    else:
        add_unused(config, volid)


def add_unused(config: GuestConfig, volid: str) -> str:
    """Note a volume as unusedN; its key."""
    for key, value in config.current.items():
        if UNUSED.match(key) and parse_drive(key, value).volid == volid:
            return key
    left = next((f"unused{number}" for number in range(MOST_UNUSED) if f"unused{number}" not in config.current), None)
    if left is None:
        raise Die("Too many unused volumes - please delete them first.")
    config.current[left] = volid
    return left


def _set_disk(cluster: Cluster, node: Node, type: str, vmid: int, config: GuestConfig, key: str, value: str) -> None:
    drive = parse_drive(key, value)
    old = config.current.get(key)
    if old is not None and parse_drive(key, old).volid != drive.volid:
        _unlink(cluster, node, vmid, config, parse_drive(key, old).volid, False)
    if drive.storage is not None:
        if re.fullmatch(r"\d+(\.\d+)?", drive.volid.partition(":")[2]):
            raise Die(f"volume '{drive.volid}' does not exist")
        volume = cluster.storages.find(drive.volid, node.name)
        if volume is None:
            raise Die(f"volume '{drive.volid}' does not exist")
        if not drive.cdrom:
            drive.options["size"] = format_size(volume.size)
        for name in [name for name, item in config.current.items() if UNUSED.match(name)
                     and parse_drive(name, item).volid == drive.volid]:  # fmt: skip
            del config.current[name]
    config.current[key] = drive.print()
