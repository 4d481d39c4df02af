# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node: its hardware, its release, its daemons, and the guests that run on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lab.sim.network import Pipe


@dataclass(slots=True)
class Nic:
    """One network interface as ``/etc/network/interfaces`` knows it.

    :ivar iface: name (``vmbr0``, ``eno1``, ``bond0``, ``vmbr0.20``).
    :ivar type: Proxmox VE's type: bridge, eth, bond, vlan, OVSBridge, vnet …
    :ivar cidr: ``10.0.0.1/24`` or "" without an address.
    :ivar speed: bytes/s of the link below it.
    """

    iface: str
    type: str = "bridge"
    cidr: str = ""
    mtu: int = 1500
    speed: float = 125e6
    active: bool = True
    autostart: bool = True
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Cpu:
    """What ``/proc/cpuinfo`` says."""

    model: str = "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz"
    vendor: str = "GenuineIntel"
    family: str = "6"
    flags: str = ""
    sockets: int = 1
    cores: int = 16
    cpus: int = 32
    mhz: str = "2000.000"


@dataclass(slots=True)
class Running:
    """A guest process on a node (a kvm process or a container's init).

    :ivar incoming: a kvm that waits for a migration: invisible in the API, but it holds its name ("already running").
    :ivar mirrored: drives that QEMU still mirrors although the worker that wanted it was killed.
    """

    vmid: int
    type: str
    pid: int
    started: float
    qmpstatus: str = "running"
    machine: str = ""
    qemu: str = ""
    incoming: bool = False
    mirrored: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Node:
    """State of one node.

    :ivar release: ``(9, 2)``; :ivar version: pve-manager's version ``9.2.11``.
    :ivar address: what its name resolves to; migrations go there unless a migration network is set.
    :ivar powered: has electricity; :ivar linked: its network works; :ivar member: corosync counts it as online.
    :ivar proxy_up: pveproxy serves; :ivar daemon_up: pvedaemon serves.
    :ivar proxy_starts: how often pveproxy was started; a request does not survive it. :ivar daemon_starts: likewise.
    :ivar links: corosync addresses, link 0 first.
    :ivar disks: rows of ``disks/list``; :ivar pci, usb: rows of ``hardware/pci`` and ``hardware/usb``.
    :ivar zfs_installed: False on a node without zfsutils-linux.
    :ivar kernels: installed kernels beside the running one. :ivar pinned_kernel: that boots whatever is newer.
    :ivar boot_seconds: from switching on until its daemons serve.
    :ivar replication_state: pvesr's state file, by job id: ``last_sync``, ``last_try``, ``fail_count``, ``error`` …
    """

    name: str
    nodeid: int
    address: str
    release: tuple[int, int] = (9, 2)
    version: str = "9.2.11"
    repoid: str = "14a22df3"
    qemu: str = "10.1.2"
    kernel: str = "6.17.4-1-pve"
    cpu: Cpu = field(default_factory=Cpu)
    memory: int = 64 * 2**30
    nics: list[Nic] = field(default_factory=list)
    powered: bool = True
    linked: bool = True
    member: bool = True
    proxy_up: bool = True
    daemon_up: bool = True
    proxy_starts: int = 1
    daemon_starts: int = 1
    boot_time: float = 0.0
    running: dict[int, Running] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)
    disks: list[dict[str, Any]] = field(default_factory=list)
    pci: list[dict[str, Any]] = field(default_factory=list)
    usb: list[dict[str, Any]] = field(default_factory=list)
    zfs_installed: bool = True
    efi: bool = True
    swap: int = 8 * 2**30
    rootfs: tuple[int, int] = (100 * 10**9, 12 * 10**9)
    load: float = 0.05
    replication_state: dict[str, dict[str, Any]] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    packages_pending: dict[str, str] = field(default_factory=dict)
    kernels: list[str] = field(default_factory=list)
    pinned_kernel: str = ""
    boot_seconds: float = 45.0
    mapped: dict[str, Any] = field(default_factory=dict)
    pipes: dict[str, Pipe] = field(default_factory=dict)
    next_pid: int = 1000

    @property
    def up(self) -> bool:
        """Powered and reachable."""
        return self.powered and self.linked

    def new_pid(self) -> int:
        self.next_pid += 7
        return self.next_pid
