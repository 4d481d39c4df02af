# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks and ZFS pools of a node (pve-storage API2/Disks*.pm, API2/Storage/Scan.pm)."""

from __future__ import annotations

from typing import Any

from lab.errors import Die
from lab.http.router import Call, Param, opt, route
from lab.http.router import check as needs
from lab.pve.storage_status import zpools

_NODE = Param("node", format="pve-node")
_AUDIT = needs("/", "Sys.Audit")
_SCAN = needs("/storage", "Datastore.Allocate")
_DISK: dict[str, Any] = {
    "devpath": "/dev/sda", "gpt": 1, "health": "PASSED", "model": "unknown", "mounted": 0, "osdid": -1,
    "osdid-list": None, "rpm": 0, "serial": "unknown", "size": 480 * 10**9, "type": "ssd", "used": "BIOS boot",
    "vendor": "ATA", "wearout": 98, "wwn": "unknown",
}  # fmt: skip


@route("GET", "/nodes/{node}/disks", _NODE)
def index(_call: Call) -> list[dict[str, str]]:
    return [{"name": name} for name in ("list", "initgpt", "smart", "lvm", "lvmthin", "directory", "wipedisk", "zfs")]


@route("GET", "/nodes/{node}/disks/list", _NODE, opt("include-partitions", "boolean"), opt("skipsmart", "boolean"),
       opt("type", enum=("unused", "journal_disks")),
       permission=needs("/", "Sys.Audit", "Datastore.Audit", any_of=True), protected=True)  # fmt: skip
def disks(call: Call) -> list[dict[str, Any]]:
    return [_DISK | row for row in call.node.disks or [{}]]


@route("GET", "/nodes/{node}/disks/zfs", _NODE, permission=_AUDIT, protected=True)
def pools(call: Call) -> list[dict[str, Any]]:
    _need_zfs(call)
    rows = []
    for pool in zpools(call.cluster, call.node.name).values():
        rows.append({
            "name": pool.name, "size": pool.size, "alloc": pool.alloc, "free": max(0, pool.size - pool.alloc),
            "frag": min(60, pool.alloc * 20 // max(1, pool.size)), "dedup": 1, "health": pool.health,
        })  # fmt: skip
    return rows


@route("GET", "/nodes/{node}/disks/zfs/{name}", _NODE, Param("name", format="pve-storage-id"), permission=_AUDIT,
       protected=True)  # fmt: skip
def pool_detail(call: Call) -> dict[str, Any]:
    _need_zfs(call)
    pool = zpools(call.cluster, call.node.name).get(call["name"])
    if pool is None:
        raise Die(f"command '/sbin/zpool status -P {call['name']}' failed: exit code 1")
    well = pool.health == "ONLINE"
    leaf = {"leaf": 1, "name": f"/dev/disk/by-id/{pool.name}-0", "state": "ONLINE" if well else "FAULTED",
            "read": 0, "write": 0, "cksum": 0, "msg": "" if well else "too many errors"}  # fmt: skip
    top = {"leaf": 0, "name": pool.name, "state": pool.health, "read": 0, "write": 0, "cksum": 0, "msg": "",
           "children": [leaf]}  # fmt: skip
    row: dict[str, Any] = {
        "name": pool.name, "state": pool.health, "leaf": 0, "children": [top], "errors": "No known data errors"
    }  # fmt: skip
    if not well:
        row["status"] = "One or more devices are faulted in response to persistent errors."
        row["action"] = "Replace the faulted device, or use 'zpool clear' to mark the device repaired."
    return row


@route("GET", "/nodes/{node}/scan", _NODE)
def scan_index(_call: Call) -> list[dict[str, str]]:
    return [{"method": name} for name in ("cifs", "iscsi", "lvm", "lvmthin", "nfs", "pbs", "zfs")]


@route("GET", "/nodes/{node}/scan/zfs", _NODE, permission=_SCAN, protected=True)
def scan_zfs(call: Call) -> list[dict[str, Any]]:
    """Every file system dataset but those of containers; size is what it has plus what it may still take."""
    if not call.node.zfs_installed:
        command = "zfs list -t filesystem -Hp -o name,avail,used"
        raise Die(
            f"command '{command}' failed: open3: exec of {command} failed: No such file or directory at "
            "/usr/share/perl5/PVE/Cmd.pm line 174."
        )
    rows = []
    for pool in zpools(call.cluster, call.node.name).values():
        free = max(0, pool.size - pool.alloc)
        for name, referenced in pool.datasets.items():
            used = pool.alloc if name == pool.name else referenced
            rows.append({"pool": name, "size": free + used, "free": free})
    return rows


def _need_zfs(call: Call) -> None:
    if not call.node.zfs_installed:
        raise Die("zfsutils-linux not installed")
