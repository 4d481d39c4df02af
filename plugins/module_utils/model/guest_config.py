# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The configuration of a guest: what of it matters when it moves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.device import Device, device
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import CT_KEYS, VM_KEYS, Disk, ct_disk, vm_disk
from ansible_collections.pve.mobility.plugins.module_utils.model.names import (
    Comment,
    CpuName,
    GuestName,
    NodeName,
    SnapshotName,
    VolumeId,
)
from ansible_collections.pve.mobility.plugins.module_utils.model.nic import Nic, nic
from ansible_collections.pve.mobility.plugins.module_utils.model.propstring import properties, truth, whole

MIB = 2**20
_NET = re.compile(r"^net\d+$")
DEFAULT_CPU = "kvm64"
"""What Proxmox VE takes when a VM's configuration names no CPU type (pve-facts §1.3)."""


@dataclass(frozen=True, slots=True)
class CpuType:
    """``type`` is a model, ``host``, an x86-64 level or ``custom-NAME``; ``flags`` such as ``+aes`` and ``-pcid``."""

    type: CpuName = DEFAULT_CPU
    flags: tuple[str, ...] = ()

    @property
    def added(self) -> tuple[str, ...]:
        return tuple(flag[1:] for flag in self.flags if flag.startswith("+"))


@dataclass(frozen=True, slots=True)
class GuestConfig:
    """A VM's or container's current configuration, without changes that wait for a restart.

    Memory in bytes; ``balloon`` None when ballooning is off or not set (then memory does not shrink).

    :ivar machine: as configured (``q35``, ``pc-i440fx-10.1``), None for the newest i440fx. :ivar snapshot: the
        snapshot that the present state descends from; None when there is none. :ivar confidential: ``amd-sev`` or
        ``intel-tdx``. :ivar kvm: False when QEMU emulates the processor.
    """

    vmid: int
    type: str
    node: NodeName
    name: GuestName = ""
    memory: int = 0
    balloon: int | None = None
    swap: int = 0
    cores: int = 1
    sockets: int = 1
    vcpus: int | None = None
    cpulimit: float | None = None
    cpu: CpuType | None = None
    machine: str | None = None
    bios: str = "seabios"
    ostype: str | None = None
    arch: str = "x86_64"
    agent: bool = False
    onboot: bool = False
    template: bool = False
    protection: bool = False
    lock: str | None = None
    snapshot: SnapshotName | None = None
    hookscript: VolumeId | None = None
    args: Comment | None = None
    confidential: str | None = None
    clipboard: str | None = None
    hugepages: str | None = None
    kvm: bool = True
    unprivileged: bool = False
    disks: tuple[Disk, ...] = ()
    nics: tuple[Nic, ...] = ()
    devices: tuple[Device, ...] = ()
    digest: str = ""

    @property
    def cpus(self) -> int:
        """CPUs that the running guest may use; 0 for a container without a limit."""
        return self.vcpus or self.cores * self.sockets

    @property
    def bases(self) -> tuple[str, ...]:
        """Volumes of templates that its linked clones need."""
        return tuple(sorted({disk.base for disk in self.disks if disk.base}))

    @property
    def storages(self) -> frozenset[str]:
        """Of all its volumes, media included."""
        return frozenset(disk.storage for disk in self.disks if disk.storage)

    def disk(self, key: str) -> Disk | None:
        return next((disk for disk in self.disks if disk.key == key), None)


def guest_config(vmid: int, kind: str, node: str, row: Mapping[str, Any]) -> GuestConfig:
    """From the data of ``GET …/qemu/{vmid}/config?current=1`` or ``GET …/lxc/{vmid}/config?current=1``."""
    return _vm(vmid, node, row) if kind == "qemu" else _container(vmid, node, row)


def _vm(vmid: int, node: str, row: Mapping[str, Any]) -> GuestConfig:
    memory = whole(properties(str(row.get("memory", 512)), "current"), "current", 512)
    balloon = whole(row, "balloon", memory)
    cpu = properties(str(row.get("cpu") or DEFAULT_CPU), "cputype")
    vga = properties(str(row.get("vga") or ""), "type")
    return GuestConfig(
        vmid,
        "qemu",
        node,
        str(row.get("name", "")),
        memory * MIB,
        balloon * MIB if 0 < balloon < memory else None,
        0,
        whole(row, "cores", 1),
        whole(row, "sockets", 1),
        whole(row, "vcpus") or None,
        _limit(row),
        CpuType(cpu.get("cputype", DEFAULT_CPU), tuple(part for part in cpu.get("flags", "").split(";") if part)),
        properties(str(row.get("machine") or ""), "type").get("type"),
        str(row.get("bios") or "seabios"),
        row.get("ostype"),
        str(row.get("arch") or "x86_64"),
        truth(properties(str(row.get("agent") or "0"), "enabled").get("enabled")),
        hookscript=row.get("hookscript") or None,
        args=row.get("args") or None,
        confidential=next((key for key in ("amd-sev", "intel-tdx") if row.get(key)), None),
        clipboard=vga.get("clipboard"),
        hugepages=row.get("hugepages") or None,
        kvm=truth(row.get("kvm"), True),
        disks=tuple(vm_disk(key, str(row[key])) for key in sorted(row, key=_numbered) if VM_KEYS.match(key)),
        **_common(row),
    )


def _container(vmid: int, node: str, row: Mapping[str, Any]) -> GuestConfig:
    return GuestConfig(
        vmid,
        "lxc",
        node,
        str(row.get("hostname", "")),
        whole(row, "memory", 512) * MIB,
        swap=whole(row, "swap", 512) * MIB,
        cores=whole(row, "cores", 0),
        cpulimit=_limit(row),
        ostype=row.get("ostype"),
        arch=str(row.get("arch") or "amd64"),
        hookscript=row.get("hookscript") or None,
        unprivileged=truth(row.get("unprivileged")),
        disks=tuple(ct_disk(key, str(row[key])) for key in sorted(row, key=_numbered) if CT_KEYS.match(key)),
        **_common(row),
    )


def _common(row: Mapping[str, Any]) -> dict[str, Any]:
    devices = (device(key, str(row[key])) for key in sorted(row, key=_numbered))
    return {
        "onboot": truth(row.get("onboot")),
        "template": truth(row.get("template")),
        "protection": truth(row.get("protection")),
        "lock": row.get("lock") or None,
        "snapshot": row.get("parent") or None,
        "nics": tuple(nic(key, str(row[key])) for key in sorted(row, key=_numbered) if _NET.match(key)),
        "devices": tuple(found for found in devices if found is not None),
        "digest": str(row.get("digest", "")),
    }


def _limit(row: Mapping[str, Any]) -> float | None:
    try:
        return float(row.get("cpulimit") or 0) or None
    except (TypeError, ValueError):
        return None


def _numbered(key: str) -> tuple[str, int]:
    """``scsi2`` before ``scsi10``."""
    match = re.match(r"^(\D*)(\d*)$", key)
    return (match[1], int(match[2] or 0)) if match else (key, 0)
