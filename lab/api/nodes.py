# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``/nodes``: state, version, time, services of a node (pve-manager API2/Nodes.pm)."""

from __future__ import annotations

import hashlib
from typing import Any

from lab.http.router import Call, Param, route
from lab.http.router import check as needs
from lab.pve.pvestatd import memory_used, node_load
from lab.pve.resources import Resources

_NODE = Param("node", format="pve-node")
_AUDIT = needs("/nodes/{node}", "Sys.Audit")

_CHILDREN = """
aplinfo apt capabilities ceph certificates config disks dns firewall hardware hosts journal lxc migrateall netstat
network qemu query-oci-repo-tags query-url-metadata replication report rrd rrddata scan sdn services spiceshell startall
status stopall storage subscription suspendall syslog tasks termproxy time version vncshell vzdump wakeonlan
""".split()
_SINCE = {"query-oci-repo-tags": (9, 1)}

_SERVICES = (
    ("chrony", "chrony, an NTP client/server"), ("corosync", "Corosync Cluster Engine"),
    ("cron", "Regular background program processing daemon"), ("ksmtuned", "Kernel Samepage Merging (KSM) Tuning"),
    ("lxcfs", "FUSE filesystem for LXC"), ("postfix", "Postfix Mail Transport Agent"),
    ("proxmox-firewall", "Proxmox nftables firewall"), ("pve-cluster", "The Proxmox VE cluster filesystem"),
    ("pve-firewall", "Proxmox VE firewall"), ("pve-ha-crm", "PVE Cluster HA Resource Manager Daemon"),
    ("pve-ha-lrm", "PVE Local HA Resource Manager Daemon"), ("pvedaemon", "PVE API Daemon"),
    ("pvefw-logger", "Proxmox VE firewall logger"), ("pveproxy", "PVE API Proxy Server"),
    ("pvescheduler", "Proxmox VE scheduler"), ("pvestatd", "PVE Status Daemon"), ("qmeventd", "PVE Qemu Event Daemon"),
    ("spiceproxy", "PVE SPICE Proxy Server"), ("sshd", "OpenBSD Secure Shell server"),
    ("syslog", "Unit syslog.service could not be found."), ("systemd-journald", "Journal Service"),
    ("systemd-timesyncd", "Network Time Synchronization"),
)  # fmt: skip


def fingerprint(node: str) -> str:
    """The fingerprint of a node's certificate; the same in every run."""
    text = hashlib.sha256(f"certificate of {node}".encode()).hexdigest().upper()
    return ":".join(text[index : index + 2] for index in range(0, 64, 2))


@route("GET", "/nodes")
def nodes(call: Call) -> list[dict[str, Any]]:
    rows = []
    for row in Resources(call.cluster, call.node, call.worker).nodes(call.may):
        row["ssl_fingerprint"] = fingerprint(row["node"])
        rows.append(row)
    return rows


@route("GET", "/nodes/{node}", _NODE)
def index(call: Call) -> list[dict[str, str]]:
    return [{"name": name} for name in _CHILDREN if call.node.release >= _SINCE.get(name, (0, 0))]


@route("GET", "/nodes/{node}/version", _NODE)
def version(call: Call) -> dict[str, Any]:
    node = call.node
    return {"release": f"{node.release[0]}.{node.release[1]}", "repoid": node.repoid, "version": node.version}


@route("GET", "/nodes/{node}/status", _NODE, permission=_AUDIT)
def status(call: Call) -> dict[str, Any]:
    node, cluster = call.node, call.cluster
    used = min(node.memory, 2 * 2**30 + sum(_guest_memory(call, vmid) for vmid in node.running))
    free = max(0, node.memory - used - node.memory // 50)
    load = node_load(node)
    disk_total, disk_used = node.rootfs
    memory = {"total": node.memory, "used": used, "free": free}
    if node.release >= (9, 0):
        memory["available"] = node.memory - used
    kernel = f"#1 SMP PREEMPT_DYNAMIC PMX {node.kernel.partition('-pve')[0]}"
    cpu = node.cpu
    return {
        "uptime": int(cluster.engine.now - node.boot_time), "cpu": load, "wait": 0, "idle": 0,
        "loadavg": [f"{load * cpu.cpus * share:.2f}" for share in (1.0, 0.9, 0.8)],
        "memory": memory, "swap": {"total": node.swap, "used": 0, "free": node.swap}, "ksm": {"shared": 0},
        "rootfs": {"total": disk_total, "used": disk_used, "free": disk_total - disk_used,
                   "avail": max(0, disk_total - disk_used - disk_total // 20)},
        "cpuinfo": {
            "model": cpu.model, "vendor": cpu.vendor, "family": cpu.family, "flags": cpu.flags, "sockets": cpu.sockets,
            "cores": cpu.cores, "cpus": cpu.cpus, "mhz": cpu.mhz, "user_hz": 100,
            "hvm": "1" if {"vmx", "svm"} & set(cpu.flags.split()) else "",
        },
        "kversion": f"Linux {node.kernel} {kernel}",
        "current-kernel": {"sysname": "Linux", "release": node.kernel, "version": kernel, "machine": "x86_64"},
        "boot-info": {"mode": "efi", "secureboot": 0} if node.efi else {"mode": "legacy-bios"},
        "pveversion": f"pve-manager/{node.version}/{node.repoid}",
    }  # fmt: skip


def _guest_memory(call: Call, vmid: int) -> int:
    entry = call.cluster.guest(vmid)
    if entry is None:
        return 0
    report = call.cluster.statd.view(call.node).guests.get(vmid)
    return memory_used(call.cluster, vmid, report.values["maxmem"] if report is not None else 2**30)


@route("GET", "/nodes/{node}/config", _NODE, permission=_AUDIT)
def config(_call: Call) -> dict[str, Any]:
    return {}


@route("GET", "/nodes/{node}/time", _NODE, permission=_AUDIT)
def time(call: Call) -> dict[str, Any]:
    now = int(call.cluster.engine.now)
    return {"timezone": "UTC", "time": now, "localtime": now}


@route("GET", "/nodes/{node}/subscription", _NODE)
def subscription(call: Call) -> dict[str, Any]:
    server = hashlib.md5(call.node.name.encode()).hexdigest().upper()
    return {
        "status": "notfound", "message": "There is no subscription key", "serverid": server,
        "url": "https://www.proxmox.com/en/proxmox-virtual-environment/pricing",
    }  # fmt: skip


@route("GET", "/nodes/{node}/services", _NODE, permission=_AUDIT)
def services(call: Call) -> list[dict[str, Any]]:
    node = call.node
    down = {name for name, up in (("pveproxy", node.proxy_up), ("pvedaemon", node.daemon_up)) if not up}
    rows = []
    for name, text in _SERVICES:
        state = "dead" if name in down | {"syslog", "systemd-timesyncd"} else "running"
        rows.append({
            "service": name, "name": name, "desc": text, "state": state,
            "active-state": "active" if state == "running" else "inactive",
            "unit-state": "not-found" if name == "syslog" else "enabled",
        })  # fmt: skip
    return rows
