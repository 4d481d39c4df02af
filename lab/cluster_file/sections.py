# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The smaller parts of a cluster file: options, mappings, VNets, backup jobs, past tasks, faults."""

from __future__ import annotations

from typing import Any

from lab.cluster_file.reader import Map, as_text, fail, suggestion
from lab.faults import BadFault
from lab.pve.cluster import Cluster
from lab.pve.formats import Section, print_key_value, print_property_string, print_section_config
from lab.pve.mapping import Mapping, print_mappings
from lab.pve.node import Node
from lab.pve.tasks import Task

_OPTIONS = """
allowed-tags bwlimit console consent-text crs description email_from fencing ha http_proxy keyboard language location
mac_prefix max_workers migration migration_unsecure next-id notify registered-tags replication tag-style u2f
user-tag-access webauthn
""".split()
_MAPPINGS = {"pci": "id", "usb": "id", "dir": "path"}


def read_options(top: Map, cluster: Cluster) -> None:
    """``datacenter:``: datacenter.cfg; a property may be a mapping of its sub-keys."""
    spec = top.map("datacenter")
    values: dict[str, str] = {}
    for key, value in spec.rest():
        if key not in _OPTIONS:
            fail(spec.where, f"unknown key '{key}'{suggestion(key, _OPTIONS)}")
        if isinstance(value, dict):
            sub = Map(spec.at(key), value)
            value = print_property_string({name: as_text(sub.at(name), item) for name, item in sub.rest()})
        values[key] = as_text(spec.at(key), value)
    if values:
        cluster.fs.write("datacenter.cfg", print_key_value(values))


def write_corosync(cluster: Cluster) -> None:
    lines = ["logging {", "  debug: off", "  to_syslog: yes", "}", "", "nodelist {"]
    for node in cluster.nodes.values():
        lines += ["  node {", f"    name: {node.name}", f"    nodeid: {node.nodeid}", "    quorum_votes: 1"]
        lines += [f"    ring{number}_addr: {address}" for number, address in enumerate(node.links)]
        lines += ["  }"]
    lines += [
        "}", "", "quorum {", "  provider: corosync_votequorum", "}", "", "totem {", f"  cluster_name: {cluster.name}",
        f"  config_version: {len(cluster.nodes)}",
    ]  # fmt: skip
    for number in range(len(next(iter(cluster.nodes.values())).links)):
        lines += ["  interface {", f"    linknumber: {number}", "  }"]
    lines += ["  ip_version: ipv4-6", "  link_mode: passive", "  secauth: on", "  version: 2", "}"]
    cluster.fs.write("corosync.conf", "".join(f"{line}\n" for line in lines))


def read_vnets(top: Map, cluster: Cluster) -> None:
    """``zones:`` and ``vnets:`` of SDN; a VNet is on the nodes of its zone (all unless told)."""
    zones = []
    zone_specs = top.map("zones")
    for name, spec in zone_specs.items():
        values = {"type": spec.choice("type", ("simple", "vlan", "qinq", "vxlan", "evpn"), "simple")}
        nodes = spec.names("nodes")
        _known_nodes(spec.at("nodes"), nodes, cluster)
        if nodes:
            values["nodes"] = ",".join(nodes)
        values |= {key: as_text(spec.at(key), value) for key, value in spec.rest()}
        zones.append(Section(values.pop("type"), name, values))
    known = {zone.id for zone in zones}
    vnets = []
    for name, spec in top.map("vnets").items():
        zone = spec.text("zone")
        if zone not in known:
            fail(spec.at("zone"), f"unknown zone '{zone}'{suggestion(str(zone), known)}")
        values = {"zone": zone} | {key: as_text(spec.at(key), value) for key, value in spec.rest()}
        vnets.append(Section("vnet", name, values))
    if zones:
        cluster.fs.write("sdn/zones.cfg", print_section_config(zones))
    if vnets:
        cluster.fs.write("sdn/vnets.cfg", print_section_config(vnets))


def read_ceph(top: Map, cluster: Cluster) -> None:
    """``ceph: {health, flags}``: the nodes run a Ceph of their own."""
    if not top.has("ceph"):
        return
    spec = top.map("ceph")
    health = spec.choice("health", ("HEALTH_OK", "HEALTH_WARN", "HEALTH_ERR"), "HEALTH_OK")
    cluster.file["ceph"] = {"health": health, "flags": spec.names("flags")}
    spec.done()


def read_mappings(top: Map, cluster: Cluster) -> None:
    """``mappings: {pci|usb|dir: {name: {node: device}}}``; a device is its ID (or path), or a mapping of options."""
    spec = top.map("mappings")
    for kind, main in _MAPPINGS.items():
        found = []
        for name, entry in spec.map(kind).items():
            values: dict[str, str] = {}
            for key in ("description", "live-migration-capable", "mdev"):
                if entry.has(key):
                    values[key] = as_text(entry.at(key), entry.take(key))
            maps = []
            for node, value in entry.rest():
                _known_nodes(entry.at(node), [node], cluster)
                for index, device in enumerate(value if isinstance(value, list) else [value]):
                    maps.append(_mapping(f"{entry.at(node)}[{index}]", node, device, main, kind))
            found.append(Mapping(name, values, tuple(maps)))
        if found:
            cluster.fs.write(f"mapping/{kind}.cfg", print_mappings(found))
    spec.done()


def _mapping(where: str, node: str, device: Any, main: str, kind: str) -> str:
    if isinstance(device, dict):
        own = Map(where, device)
        values = {key: as_text(own.at(key), item) for key, item in own.rest()}
    else:
        text = as_text(where, device)
        values = {"path": text, "id": "8086:1572"} if kind == "pci" else {main: text}
    if main not in values:
        fail(where, f"'{main}' is missing")
    return print_property_string(dict(sorted((values | {"node": node}).items())))


def read_backup_jobs(top: Map, cluster: Cluster) -> None:
    """``backup_jobs:``: id → options of a vzdump job as in jobs.cfg."""
    sections = []
    for name, spec in top.map("backup_jobs").items():
        values: dict[str, str] = {}
        if spec.flag("all"):
            values["all"] = "1"
        for key in ("vmid", "exclude"):
            ids = spec.names(key)
            if ids:
                values[key] = ",".join(ids)
        enabled = spec.flag("enabled", True)
        values |= {key: as_text(spec.at(key), value) for key, value in spec.rest()}
        values.setdefault("schedule", "21:00")
        values.setdefault("storage", next(iter(cluster.storages.definitions())))
        if values["storage"] not in cluster.storages.definitions():
            known = cluster.storages.definitions()
            fail(
                spec.at("storage"),
                f"storage '{values['storage']}' is not defined{suggestion(values['storage'], known)}",
            )
        sections.append(
            Section("vzdump", name, {"schedule": values.pop("schedule"), "enabled": str(int(enabled))} | values)
        )
    if sections:
        cluster.fs.write("jobs.cfg", print_section_config(sections))


def read_tasks(top: Map, cluster: Cluster) -> None:
    """``tasks:``: what ran before the lab started, so that task lists are not empty."""
    found: list[Task] = []
    for index, row in enumerate(top.rows("tasks")):
        spec = Map(f"tasks[{index}]", row)
        name = spec.text("node", next(iter(cluster.nodes)))
        _known_nodes(spec.at("node"), [name], cluster)
        node: Node = cluster.nodes[name]
        start = int(cluster.engine.epoch - spec.age("ago", 3600.0))
        type, id = spec.text("type", "qmigrate"), spec.text("id", "")
        user = spec.text("user", "root@pam")
        pid = node.new_pid()
        pstart = int(max(0.0, start - node.boot_time) * 100)
        upid = f"UPID:{name}:{pid:08X}:{pstart:08X}:{start:08X}:{type}:{id}:{user}:"
        task = Task(upid, name, pid, pstart, start, type, id, user, exitstatus=spec.text("status", "OK"))
        task.endtime = start + spec.age("duration", 30.0)
        log = spec.take("log")
        if log is not None:
            task.lines = log.splitlines() if isinstance(log, str) else _lines(spec.at("log"), log)
        elif task.exitstatus is not None:
            task.lines = [f"TASK {'' if task.exitstatus.startswith(('OK', 'WARN')) else 'ERROR: '}{task.exitstatus}"]
        found.append(task)
        spec.done()
    for task in sorted(found, key=lambda item: item.starttime):
        cluster.tasks.restore(task)


def _lines(where: str, value: Any) -> list[str]:
    return [as_text(f"{where}[{index}]", line) for index, line in enumerate(value if isinstance(value, list) else [])]


def read_faults(top: Map, cluster: Cluster) -> None:
    for index, row in enumerate(top.rows("faults")):
        where = f"faults[{index}]"
        Map(where, row)
        try:
            cluster.faults.add(row)
        except BadFault as error:
            fail(where, str(error))


def _known_nodes(where: str, nodes: list[str], cluster: Cluster) -> None:
    for node in nodes:
        if node not in cluster.nodes:
            fail(where, f"unknown node '{node}'{suggestion(node, cluster.nodes)}")
