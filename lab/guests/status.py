# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node says of its guests: lists and ``status/current`` (qemu-server vmstatus, pve-container vmstatus)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lab.pve.formats import parse_property_string
from lab.pve.pvestatd import guest_values

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.node import Running
    from lab.pve.pmxcfs import VmEntry

_PRESSURE = ("cpu", "io", "memory")


def process_of(cluster: Cluster, entry: VmEntry) -> Running | None:
    """The guest's process, None when it is stopped; one that waits for a migration does not count."""
    process = cluster.nodes[entry.node].running.get(entry.vmid)
    return None if process is None or process.incoming else process


def vm_status(cluster: Cluster, entry: VmEntry, full: bool = False) -> dict[str, Any]:
    """A row of ``/nodes/N/qemu``. ``full``: what only the monitor knows too."""
    config, process = cluster.config(entry), process_of(cluster, entry)
    values = guest_values(cluster, "qemu", entry.vmid, config, process)
    uptime = _uptime(cluster, process)
    new = cluster.nodes[entry.node].release >= (9, 0)
    row: dict[str, Any] = {
        "vmid": entry.vmid, "name": values["name"], "status": values["status"], "uptime": uptime,
        "cpus": values["maxcpu"], "cpu": values["cpu"], "maxmem": values["maxmem"], "mem": values["mem"],
        "maxdisk": values["maxdisk"], "disk": 0, "netin": uptime * 900, "netout": uptime * 700,
    }  # fmt: skip
    if new:
        row["memhost"] = values["memhost"]
    if process is not None:
        row["pid"] = process.pid
        if new:
            row |= {f"pressure{what}{how}": 0 for what in _PRESSURE for how in ("some", "full")}
    _common(row, config.current)
    if full:
        row["qmpstatus"] = process.qmpstatus if process is not None else "stopped"
        nets = [key for key in config.current if re.fullmatch(r"net\d+", key)]
        if process is not None:
            row["running-machine"] = process.machine
            row["running-qemu"] = process.qemu
        if process is not None and nets:
            share = {"netin": row["netin"] // len(nets), "netout": row["netout"] // len(nets)}
            row["nics"] = {f"tap{entry.vmid}i{key.removeprefix('net')}": share for key in nets}
    return row


def vm_current(cluster: Cluster, entry: VmEntry) -> dict[str, Any]:
    """``/nodes/N/qemu/ID/status/current``."""
    row = vm_status(cluster, entry, full=True)
    current = cluster.config(entry).current
    if parse_property_string(current.get("agent", ""), "enabled").get("enabled") == "1":
        row["agent"] = 1
    vga = parse_property_string(current.get("vga", ""), "type")
    if vga.get("type", "").startswith("qxl"):
        row["spice"] = 1
    if "clipboard" in vga:
        row["clipboard"] = vga["clipboard"]
    if "serial0" in current and current["serial0"] == "socket":
        row["serial"] = 1
    row["ha"] = ha_of(cluster, entry)
    return row


def ct_status(cluster: Cluster, entry: VmEntry) -> dict[str, Any]:
    """A row of ``/nodes/N/lxc``."""
    config, process = cluster.config(entry), process_of(cluster, entry)
    values = guest_values(cluster, "lxc", entry.vmid, config, process)
    uptime = _uptime(cluster, process)
    row: dict[str, Any] = {
        "vmid": entry.vmid, "name": values["name"], "status": values["status"], "type": "lxc", "uptime": uptime,
        "cpus": values["maxcpu"], "cpu": values["cpu"], "maxmem": values["maxmem"], "mem": values["mem"],
        "maxswap": values["swap"] * 2**20, "swap": 0, "maxdisk": values["maxdisk"], "disk": values["disk"],
        "netin": uptime * 900, "netout": uptime * 700, "diskread": uptime * 2048, "diskwrite": uptime * 4096,
    }  # fmt: skip
    if process is not None and process.pid:
        row["pid"] = process.pid
        if cluster.nodes[entry.node].release >= (9, 0):
            row |= {f"pressure{what}{how}": "0.00" for what in _PRESSURE for how in ("some", "full")}
    _common(row, config.current)
    return row


def ct_current(cluster: Cluster, entry: VmEntry) -> dict[str, Any]:
    """``/nodes/N/lxc/ID/status/current``."""
    return ct_status(cluster, entry) | {"ha": ha_of(cluster, entry)}


def ha_of(cluster: Cluster, entry: VmEntry) -> dict[str, Any]:
    """HA/Config.pm:get_service_status: whether the HA manager has the guest, and how it is."""
    return cluster.ha.status_block(entry)


def _uptime(cluster: Cluster, process: Running | None) -> int:
    if process is None or not process.pid:
        return 0
    return int(cluster.engine.now - process.started)


def _common(row: dict[str, Any], current: dict[str, str]) -> None:
    if current.get("template") == "1":
        row["template"] = 1
    for key in ("lock", "tags"):
        if key in current:
            row[key] = current[key]
