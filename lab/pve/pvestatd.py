# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""pvestatd: every ten seconds each node tells the others what its guests and storages look like (pve-facts §16).

``/cluster/resources`` and ``/nodes`` answer from what was told, so they lag; each pveproxy worker keeps its last copy
for up to two seconds, so workers disagree; and what was told long ago is dropped, so that a dead node's guests become
``unknown`` only after minutes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.pve.formats import parse_guest_config, parse_property_string, parse_size

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.formats import GuestConfig
    from lab.pve.node import Node, Running
    from lab.pve.storage import Backing

CYCLE = 10.0
"""Seconds between two reports of a node."""
EXPIRY = 300.0
"""Age of a report in seconds at which it is dropped (pmxcfs status.c)."""
WORKER_CACHE = 2
"""A worker reads again when its copy is that many seconds old (pve-cluster Cluster.pm:rrd_dump, whole seconds)."""


@dataclass(frozen=True, slots=True, eq=False)
class GuestReport:
    """What a node said of a guest.

    :ivar since: when it was said first; :ivar node: who said it; :ivar values: what goes into a row.
    :ivar text, running: the configuration and process it was made from, to notice changes.
    :ivar before: the report that it replaced.
    """

    since: float
    node: str
    values: dict[str, Any]
    text: str | None
    running: Running | None
    before: GuestReport | None


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What a node said of itself and its storages (``storages``: used and total bytes of the active ones)."""

    at: float
    values: dict[str, Any]
    storages: dict[str, tuple[int, int]]


@dataclass(slots=True)
class View:
    """The reports as a set of connected nodes knows them; ``nodes``: the last reports, newest last."""

    guests: dict[int, GuestReport] = field(default_factory=dict)
    nodes: dict[str, tuple[NodeReport, ...]] = field(default_factory=dict)

    def copy(self) -> View:
        return View(dict(self.guests), dict(self.nodes))


class Pvestatd:
    """The daemons of all nodes and what they told."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._shared = View()
        self._isolated: dict[str, View] = {}
        self._copies: dict[tuple[str, int], float] = {}
        cluster.on_membership.append(self._membership)

    def start(self) -> None:
        """Tell everything once, then go on in cycles whose phase differs from node to node."""
        engine = self._cluster.engine
        for number, node in enumerate(self._cluster.nodes.values()):
            if node.powered and not node.member:
                self._isolated[node.name] = View()
            self._tell(node)
            phase = CYCLE * ((number * 0.37 + 0.21) % 1.0)
            engine.every(CYCLE, lambda node=node: self._tell(node), first_after=phase)  # type: ignore[misc]

    # ------------------------------------------------------------ telling

    def _membership(self, node: Node) -> None:
        if node.member:
            self._isolated.pop(node.name, None)
        elif node.powered:
            self._isolated[node.name] = self._shared.copy()

    def _tell(self, node: Node) -> None:
        cluster = self._cluster
        isolated = self._isolated.get(node.name)
        if not node.powered or (isolated is None and not (node.linked and node.member)):
            return
        view = isolated if isolated is not None else self._shared
        now = cluster.engine.now
        memory = 0
        for folder, type in (("qemu-server", "qemu"), ("lxc", "lxc")):
            path = f"nodes/{node.name}/{folder}"
            for name in cluster.fs.names(path):
                vmid = int(name[:-5])
                told = self._guest(view, node, type, vmid, f"{path}/{name}", now)
                memory += told.values["mem"] if told.running is not None else 0
        storages = {}
        for storage in cluster.storages.definitions():
            if cluster.storages.active(storage, node.name):
                backing = cluster.storages.backing(storage, node.name)
                if backing is not None:
                    used = backing.used
                    kind = cluster.storages.definition(storage).type
                    storages[storage] = used, total_space(kind, backing)
        report = NodeReport(now, self._node_values(node, memory), storages)
        view.nodes[node.name] = (*view.nodes.get(node.name, ())[-1:], report)

    def _guest(self, view: View, node: Node, type: str, vmid: int, path: str, now: float) -> GuestReport:
        text = self._cluster.fs.read(path)
        running = node.running.get(vmid)
        if running is not None and running.incoming:
            running = None
        old = view.guests.get(vmid)
        if old is not None and old.text is text and old.running is running and old.node == node.name:
            return old
        config = self._cluster.fs.parsed(path, parse_guest_config)
        values = guest_values(self._cluster, type, vmid, config, running)
        if old is not None and old.before is not None:
            old = GuestReport(old.since, old.node, old.values, None, old.running, None)
        report = GuestReport(now, node.name, values, text, running, old)
        view.guests[vmid] = report
        return report

    def _node_values(self, node: Node, guests_memory: int) -> dict[str, Any]:
        total, used = node.rootfs
        return {
            "cpu": node_load(node), "maxcpu": node.cpu.cpus, "mem": min(node.memory, 2 * 2**30 + guests_memory),
            "maxmem": node.memory, "disk": used, "maxdisk": total, "boot": node.boot_time,
        }  # fmt: skip

    # ------------------------------------------------------------ asking

    def copy_time(self, viewer: Node, worker: int) -> float:
        """When the copy was made from which a worker of ``viewer`` answers now."""
        now = self._cluster.engine.now
        made = self._copies.get((viewer.name, worker))
        if made is None or int(now) - int(made) >= WORKER_CACHE:
            made = self._copies[viewer.name, worker] = now
        return made

    def view(self, viewer: Node) -> View:
        return self._isolated.get(viewer.name, self._shared)

    def node_report(self, view: View, name: str, when: float) -> NodeReport | None:
        """The newest report of a node that was there at ``when`` and had not expired."""
        for report in reversed(view.nodes.get(name, ())):
            if report.at <= when:
                return report if when - report.at < EXPIRY else None
        return None


def total_space(kind: str, backing: Backing) -> int:
    """ZFS counts what a dataset may still grow to; other types the whole file system."""
    return backing.used + backing.avail if kind == "zfspool" else backing.size


def node_load(node: Node) -> float:
    """CPU use of a node, 0…1: its own load and that of its guests' processes."""
    return min(1.0, node.load + 0.002 * len(node.running))


def guest_memory(config: GuestConfig, type: str) -> int:
    """Configured memory in bytes."""
    text = config.current.get("memory", "512")
    if "=" in text:
        text = parse_property_string(text, "current").get("current", "512")
    return int(text) * 2**20 if text.isdigit() else 512 * 2**20


def guest_cpus(config: GuestConfig, type: str) -> int:
    current = config.current
    if type == "lxc":
        return int(current.get("cores", "0"))
    cpus = int(current.get("cores", "1")) * int(current.get("sockets", "1"))
    return int(current["vcpus"]) if current.get("vcpus", "").isdigit() else cpus


def guest_disk(config: GuestConfig, type: str) -> int:
    """Size of the boot disk (VM) or root file system (container), 0 without."""
    current = config.current
    if type == "lxc":
        value = current.get("rootfs", "")
    else:
        value = current.get(_boot_disk(current), "")
    size = parse_property_string(value).get("size", "0")
    try:
        return parse_size(size)
    except ValueError:
        return 0


def _boot_disk(current: dict[str, str]) -> str:
    """qemu-server Drive.pm:resolve_first_disk; without a boot order the first disk counts."""
    order = parse_property_string(current.get("boot", "")).get("order", "")
    for key in filter(None, order.split(";")):
        if key in current and not key.startswith("net"):
            return key
    if "bootdisk" in current:
        return current["bootdisk"]
    for bus in ("ide", "scsi", "virtio", "sata"):
        for number in range(31):
            key = f"{bus}{number}"
            if key in current and "media=cdrom" not in current[key]:
                return key
    return ""


def memory_used(cluster: Cluster, vmid: int, configured: int) -> int:
    used = cluster.trait(vmid).memory_used
    return min(configured, used) if used is not None else int(configured * 0.6)


def guest_values(
    cluster: Cluster, type: str, vmid: int, config: GuestConfig, running: Running | None
) -> dict[str, Any]:
    """The parts of a resource row that pvestatd tells; ``started`` instead of ``uptime``."""
    current = config.current
    if type == "lxc":
        name = current.get("hostname", f"CT{vmid}")
    else:
        name = current.get("name", f"VM {vmid}")
    memory = guest_memory(config, type)
    swap = int(current.get("swap", "0")) if type == "lxc" and current.get("swap", "").isdigit() else 0
    cpus = guest_cpus(config, type)
    if not cpus:
        entry = cluster.guest(vmid)
        cpus = cluster.nodes[entry.node].cpu.cpus if entry else 1
    used = memory_used(cluster, vmid, memory) if running else 0
    return {
        "name": name, "status": "running" if running else "stopped",
        "template": int(current.get("template") == "1"), "maxcpu": cpus,
        "cpu": cluster.trait(vmid).cpu_load if running else 0, "maxmem": memory, "mem": used, "memhost": used,
        "maxdisk": guest_disk(config, type), "disk": guest_disk(config, type) // 3 if running and type == "lxc" else 0,
        "started": running.started if running else 0.0, "swap": swap,
    }  # fmt: skip
