# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of ``/cluster/resources`` and ``/nodes`` (pve-manager API2/Cluster.pm and API2Tools.pm)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from lab.pve.formats import parse_section_config, split_list
from lab.pve.pmxcfs import VmEntry
from lab.pve.pvestatd import GuestReport, View

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.node import Node

Row = dict[str, Any]
PermissionTest = Callable[..., bool]
"""``may(path, *privileges)``."""


class Resources:
    """Rows as one pveproxy worker of one node gives them now."""

    def __init__(self, cluster: Cluster, viewer: Node, worker: int) -> None:
        self._cluster = cluster
        self._viewer = viewer
        self._view: View = cluster.statd.view(viewer)
        self._when = cluster.statd.copy_time(viewer, worker)
        self._alive: dict[str, float | None] = {}

    # ------------------------------------------------------------ guests

    def guests(self, may: PermissionTest) -> Iterator[Row]:
        cluster = self._cluster
        pools = {vmid: name for name, pool in cluster.users.cfg.pools.items() for vmid in pool.vms}
        ha_states = cluster.ha.guest_states()
        for vmid, entry in cluster.fs.vmlist.items():
            if not may(f"/vms/{vmid}", "VM.Audit"):
                continue
            row = self._guest(entry)
            current = cluster.config(entry).current
            for key in ("tags", "lock"):
                if key in current:
                    row[key] = current[key]
            if vmid in pools:
                row["pool"] = pools[vmid]
            if vmid in ha_states:
                row["hastate"] = ha_states[vmid]
            yield row

    def _guest(self, entry: VmEntry) -> Row:
        row: Row = {
            "id": f"{entry.type}/{entry.vmid}", "vmid": entry.vmid, "node": entry.node, "type": entry.type,
            "status": "unknown",
        }  # fmt: skip
        report: GuestReport | None = self._view.guests.get(entry.vmid)
        while report is not None and report.since > self._when:
            report = report.before
        if report is None:
            return row
        told = self._told(report.node)
        if told is None:
            return row
        values = report.values
        uptime = int(told - values["started"]) if report.running is not None else 0
        row |= {
            "status": values["status"], "name": values["name"], "template": values["template"], "uptime": uptime,
            "maxcpu": values["maxcpu"], "cpu": values["cpu"], "maxmem": values["maxmem"], "mem": values["mem"],
            "maxdisk": values["maxdisk"], "disk": values["disk"], "netin": uptime * 900, "netout": uptime * 700,
            "diskread": uptime * 2048, "diskwrite": uptime * 4096,
        }  # fmt: skip
        if self._viewer.release >= (9, 0):
            row["memhost"] = values["memhost"]
        return row

    def _told(self, node: str) -> float | None:
        """When a node's last report was made, None when it has expired."""
        if node not in self._alive:
            report = self._cluster.statd.node_report(self._view, node, self._when)
            self._alive[node] = report.at if report is not None else None
        return self._alive[node]

    # ------------------------------------------------------------ nodes and storages

    def nodes(self, may: PermissionTest) -> Iterator[Row]:
        """:param may: decides who sees more than name and status."""
        for node in self._cluster.nodes.values():
            yield self._node(node, may(f"/nodes/{node.name}", "Sys.Audit"))

    def _node(self, node: Node, full: bool) -> Row:
        online = self._cluster.sees_online(self._viewer, node)
        row: Row = {"id": f"node/{node.name}", "node": node.name, "type": "node", "level": "", "status": "unknown"}
        report = self._cluster.statd.node_report(self._view, node.name, self._when)
        if report is not None:
            values = report.values
            if online:
                row["status"] = "online"
                if full:
                    row |= {"uptime": int(report.at - values["boot"]), "cpu": values["cpu"], "mem": values["mem"],
                            "disk": values["disk"]}  # fmt: skip
            if full:
                row |= {key: values[key] for key in ("maxcpu", "maxmem", "maxdisk")}
        if not online:
            row["status"] = "offline"
        return row

    def storages(self, may: PermissionTest) -> Iterator[Row]:
        """A row per definition and node on which it is enabled."""
        storages = self._cluster.storages
        for name, section in storages.definitions().items():
            if not may(f"/storage/{name}", "Datastore.Audit"):
                continue
            shared = int(storages.is_shared(name))
            content = ",".join(sorted(storages.contents(name)))
            for node in self._cluster.nodes:
                if storages.enabled(name, node):
                    row: Row = {
                        "id": f"storage/{node}/{name}", "storage": name, "node": node, "type": "storage",
                        "status": "unknown", "shared": shared, "content": content, "plugintype": section.type,
                    }  # fmt: skip
                    report = self._cluster.statd.node_report(self._view, node, self._when)
                    if report is not None and name in report.storages:
                        row["disk"], row["maxdisk"] = report.storages[name]
                        row["status"] = "available"
                    yield row

    # ------------------------------------------------------------ networks and pools

    def zones(self, may: PermissionTest) -> Iterator[Row]:
        """SDN zones; ``localnetwork`` stands for the nodes' own bridges."""
        sections = self._cluster.fs.parsed("sdn/zones.cfg", parse_section_config)
        zones = {"localnetwork": None} | {
            name: set(split_list(section.values.get("nodes"))) or None for name, section in sections.items()
        }
        for zone, only in zones.items():
            if not may(f"/sdn/zones/{zone}", "SDN.Audit"):
                continue
            for node in self._cluster.nodes:
                if only is not None and node not in only:
                    continue
                if self._viewer.release >= (9, 1):
                    yield {
                        "id": f"network/{node}/zone/{zone}", "network": zone, "network-type": "zone", "node": node,
                        "status": "ok", "type": "network",
                    }  # fmt: skip
                else:
                    yield {"id": f"sdn/{node}/{zone}", "sdn": zone, "node": node, "status": "ok", "type": "sdn"}

    def pools(self, may: PermissionTest) -> Iterator[Row]:
        for name in self._cluster.users.cfg.pools:
            if may(f"/pool/{name}", "Pool.Audit"):
                yield {"id": f"/pool/{name}", "pool": name, "type": "pool"}
