# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a node is made of: release, packages, processor, memory, network, machine types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.names import Address, NodeName
from ansible_collections.pve.mobility.plugins.module_utils.model.network import Interface, interfaces
from ansible_collections.pve.mobility.plugins.module_utils.model.propstring import whole
from ansible_collections.pve.mobility.plugins.module_utils.model.version import Machine

PACKAGES = frozenset(
    {
        "libpve-guest-common-perl",
        "libpve-storage-perl",
        "proxmox-ve",
        "pve-cluster",
        "pve-container",
        "pve-ha-manager",
        "pve-manager",
        "pve-qemu-kvm",
        "pve-zsync",
        "qemu-server",
        "zfsutils-linux",
    }
)
"""Those whose versions matter when a guest moves."""


@dataclass(frozen=True, slots=True)
class Cpu:
    """The processor of a node. ``flags`` as in /proc/cpuinfo; ``threads`` of all sockets together."""

    vendor: str
    model: str
    flags: frozenset[str] = frozenset()
    sockets: int = 1
    cores: int = 1
    threads: int = 1
    mhz: float = 0.0


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A node's details. What could not be read is None or empty and listed in the snapshot's ``unknown``.

    Memory in bytes. ``clock_offset`` in seconds against the node that the API answered on, good to ten seconds: it is
    told from what the local HA resource managers wrote last. ``machines`` are those that QEMU there can start.
    ``links`` are corosync's addresses of the node, link 0 first.
    """

    name: NodeName
    online: bool = True
    address: Address | None = None
    release: str | None = None
    version: str | None = None
    kernel: str | None = None
    cpu: Cpu | None = None
    memory_total: int | None = None
    memory_used: int | None = None
    memory_free: int | None = None
    swap_total: int | None = None
    uptime: int | None = None
    clock_offset: float | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    machines: tuple[str, ...] = ()
    interfaces: tuple[Interface, ...] | None = None
    links: tuple[Address, ...] = ()

    def newest_machine(self, kind: str) -> Machine | None:
        """The newest machine type of ``i440fx`` or ``q35``; None when none is known."""
        known = (Machine.parse(text) for text in self.machines)
        return max((machine for machine in known if machine is not None and machine.type == kind), default=None)

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(address for item in self.interfaces or () for address in item.addresses)


def status_fields(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of :class:`NodeFacts` from ``GET /nodes/{node}/status``."""
    memory, swap = answer.get("memory") or {}, answer.get("swap") or {}
    version = str(answer.get("pveversion", "")).removeprefix("pve-manager/").partition("/")[0] or None
    kernel = (answer.get("current-kernel") or {}).get("release") or answer.get("kversion") or None
    return {
        "version": version,
        "release": ".".join(version.split(".")[:2]) if version else None,
        "kernel": str(kernel) if kernel else None,
        "cpu": _cpu(answer["cpuinfo"]) if answer.get("cpuinfo") else None,
        "memory_total": whole(memory, "total") or None,
        "memory_used": whole(memory, "used"),
        "memory_free": whole(memory, "available") or whole(memory, "free"),
        "swap_total": whole(swap, "total"),
        "uptime": whole(answer, "uptime"),
    }


def _cpu(row: Mapping[str, Any]) -> Cpu:
    try:
        mhz = float(row.get("mhz") or 0)
    except (TypeError, ValueError):
        mhz = 0.0
    return Cpu(
        str(row.get("vendor", "")),
        str(row.get("model", "")),
        frozenset(str(row.get("flags", "")).split()),
        whole(row, "sockets", 1),
        whole(row, "cores", 1),
        whole(row, "cpus", 1),
        mhz,
    )


def network_fields(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """From ``GET /nodes/{node}/network``."""
    return {"interfaces": interfaces(rows)}


def package_fields(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """From ``GET /nodes/{node}/apt/versions``: those that are installed and matter."""
    installed = {
        str(row["Package"]): str(row["OldVersion"] or row["Version"])
        for row in rows
        if row.get("Package") in PACKAGES and row.get("OldVersion")
    }
    return {"packages": dict(sorted(installed.items()))}


def machine_fields(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """From ``GET /nodes/{node}/capabilities/qemu/machines``."""
    return {"machines": tuple(sorted(str(row["id"]) for row in rows if row.get("id")))}
