# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Clusters as snapshots, drawn at random but sound: rules hold, memory and storages are not overfull."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Node
from ansible_collections.pve.mobility.plugins.module_utils.model.device import Device
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import Disk, DiskKind
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig
from ansible_collections.pve.mobility.plugins.module_utils.model.ha import HaStatus, Service
from ansible_collections.pve.mobility.plugins.module_utils.model.ha_config import HaResource, HaRule
from ansible_collections.pve.mobility.plugins.module_utils.model.node_facts import NodeFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.options import ClusterOptions
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import Storage, StorageStatus

GIB = 2**30
PARTS = ("nodes", "guests", "cluster", "node_facts", "guest_configs", "storages", "replication", "ha", "options")


@dataclass(frozen=True, slots=True)
class Wish:
    """Shares are of guests. ``full``: how much of all memory is promised. ``lame``: nodes that are off or in
    maintenance. ``mixed``: nodes have several releases."""

    nodes: int = 4
    guests: int = 20
    full: float = 0.55
    local: float = 0.4
    replicated: float = 0.5
    containers: float = 0.3
    stopped: float = 0.1
    managed: float = 0.4
    pinned: float = 0.0
    rules: int = 0
    lame: float = 0.0
    mixed: bool = False
    memory: int = 256 * GIB
    disk: int = 40 * GIB
    even: bool = False


@dataclass(slots=True)
class _Made:
    wish: Wish
    rng: random.Random
    names: list[str]
    guests: list[Guest] = field(default_factory=list)
    configs: list[GuestConfig] = field(default_factory=list)
    jobs: list[ReplicationJob] = field(default_factory=list)
    resources: list[HaResource] = field(default_factory=list)
    rules: list[HaRule] = field(default_factory=list)
    promised: dict[str, int] = field(default_factory=dict)

    def chance(self, share: float) -> bool:
        return self.rng.random() < share


def draw(seed: int, wish: Wish) -> ClusterState:
    """The same seed and wish give the same cluster."""
    rng = random.Random(seed)
    made = _Made(wish, rng, [f"pve{number}" for number in range(1, wish.nodes + 1)])
    nodes = _nodes(made)
    rooms = {node.name: int(node.maxmem * 0.9) for node in nodes}
    hosts = [node.name for node in nodes if node.online and not node.maintenance]
    total = sum(node.maxmem for node in nodes if node.name in hosts) * wish.full
    average = max(GIB // 2, int(total / max(1, wish.guests)))
    for number in range(wish.guests):
        memory = max(GIB // 4, int(average * (1.0 if wish.even else rng.choice((0.25, 0.5, 0.5, 1, 1, 1, 2, 3)))))
        weights = [max(1, rooms[name] - made.promised.get(name, 0)) for name in hosts]
        home = hosts[number % len(hosts)] if wish.even else rng.choices(hosts, weights)[0]
        running = not made.chance(wish.stopped)
        if running and made.promised.get(home, 0) + memory > rooms[home]:
            running = False
        _guest(made, 100 + number, home, memory, running)
    for number in range(wish.rules):
        _rule(made, number, hosts)
    first_half = tuple(made.names[: (wish.nodes + 1) // 2])
    services = {
        item.sid: Service(item.sid, "started", next(guest.node for guest in made.guests if guest.sid == item.sid))
        for item in made.resources
    }
    return ClusterState(
        parts=PARTS,
        name="drawn",
        quorate=True,
        version="9.2.11",
        collected_at=1_780_000_000,
        local=hosts[-1],
        nodes=nodes,
        guests=tuple(made.guests),
        node_facts=tuple(
            NodeFacts(node.name, node.online, release=_version(made, node.name)[:3], version=_version(made, node.name))
            for node in nodes
        ),
        guest_configs=tuple(made.configs),
        storages=(
            Storage("ceph", "rbd", frozenset({"images", "rootdir"}), shared=True),
            Storage("tank", "zfspool", frozenset({"images", "rootdir"}), where="tank"),
            Storage("half", "rbd", frozenset({"images"}), nodes=first_half, shared=True),
        ),
        storage_status=_storages(made),
        replication_jobs=tuple(made.jobs),
        ha=HaStatus(
            made.names[0],
            1_780_000_000,
            True,
            services,
            {
                node.name: "maintenance" if node.maintenance else "online" if node.online else "unknown"
                for node in nodes
            },
        ),
        ha_resources=tuple(made.resources),
        ha_rules=tuple(made.rules),
        options=ClusterOptions(),
    )


def _nodes(made: _Made) -> tuple[Node, ...]:
    found = []
    for index, name in enumerate(made.names):
        size = made.wish.memory if made.wish.even else made.rng.choice((1, 1, 1, 2)) * made.wish.memory
        lame = index > 1 and made.chance(made.wish.lame)
        off = lame and made.chance(0.5)
        found.append(Node(name, "offline" if off else "online", lame and not off, size, 0, 32.0))
    return tuple(found)


def _ha_state(node: Node) -> str:
    if not node.online:
        return "unknown"
    return "maintenance" if node.maintenance else "online"


def _version(made: _Made, name: str) -> str:
    if not made.wish.mixed:
        return "9.1.4"
    return ("8.4.14", "9.0.11", "9.1.4", "9.2.11")[made.names.index(name) * 7 % 11 % 4]


def _guest(made: _Made, vmid: int, home: str, memory: int, running: bool) -> None:
    rng, wish = made.rng, made.wish
    container = made.chance(wish.containers)
    guest = Guest(
        vmid, "lxc" if container else "qemu", home, f"guest-{vmid}", "running" if running else "stopped", maxmem=memory
    )
    if running:
        made.promised[home] = made.promised.get(home, 0) + memory
    local = made.chance(wish.local)
    half = not container and not local and home in made.names[: (wish.nodes + 1) // 2] and made.chance(0.1)
    storage = "tank" if local else "half" if half else "ceph"
    size = wish.disk if wish.even else rng.choice((1, 1, 2, 4)) * wish.disk // 2
    disks = [
        Disk("rootfs" if container else "scsi0", DiskKind.ROOTFS if container else DiskKind.DISK,
             f"{storage}:vm-{vmid}-disk-0", storage, size, "raw")
    ]  # fmt: skip
    devices: tuple[Device, ...] = ()
    if running and not container and made.chance(wish.pinned):
        devices = (Device("hostpci0", "hostpci", "0000:01:00.0"),)
    if local and made.chance(wish.replicated):
        others = [name for name in made.names if name != home]
        for number, target in enumerate(rng.sample(others, min(len(others), rng.choice((1, 1, 2))))):
            made.jobs.append(ReplicationJob(f"{vmid}-{number}", vmid, home, target, 1_780_000_000 - 300))
    if made.chance(wish.managed):
        made.resources.append(HaResource(guest.sid, "started" if running else "stopped", failback=made.chance(0.7)))
    made.guests.append(guest)
    made.configs.append(
        GuestConfig(vmid, guest.type, home, guest.name, memory, cores=2, disks=tuple(disks), devices=devices)
    )


def _rule(made: _Made, number: int, hosts: list[str]) -> None:
    """One that holds as guests are now."""
    rng = made.rng
    bound = {sid for rule in made.rules for sid in rule.sids}
    free = [guest for guest in made.guests if guest.sid not in bound]
    free = [guest for guest in free if any(item.sid == guest.sid for item in made.resources)]
    if not free:
        return
    first = rng.choice(free)
    match rng.choice(("together", "apart", "places", "strict", "avoid")):
        case "together":
            same = [guest.sid for guest in free if guest.node == first.node][:3]
            if len(same) > 1:
                made.rules.append(HaRule(f"together{number}", "resource-affinity", tuple(same), True))
        case "apart":
            others = [guest for guest in free if guest.node != first.node]
            if others:
                sids = (first.sid, rng.choice(others).sid)
                made.rules.append(HaRule(f"apart{number}", "resource-affinity", sids, False))
        case "places":
            nodes = {first.node: 2} | {name: rng.choice((1, 2)) for name in rng.sample(hosts, min(2, len(hosts)))}
            nodes[first.node] = 2
            made.rules.append(HaRule(f"places{number}", "node-affinity", (first.sid,), True, nodes))
        case "strict":
            nodes = {first.node: 1} | dict.fromkeys(rng.sample(hosts, min(2, len(hosts))), 1)
            made.rules.append(HaRule(f"strict{number}", "node-affinity", (first.sid,), True, nodes, True))
        case "avoid":
            other = rng.choice(hosts)
            if other != first.node:
                made.rules.append(HaRule(f"avoid{number}", "node-affinity", (first.sid,), False, {other: 0}))


def _storages(made: _Made) -> tuple[StorageStatus, ...]:
    used: dict[str, int] = {}
    for config in made.configs:
        size = sum(disk.size or 0 for disk in config.disks if disk.storage == "tank")
        for name in {config.node, *(job.target for job in made.jobs if job.guest == config.vmid)} if size else ():
            used[name] = used.get(name, 0) + size
    most = max(used.values(), default=0)
    found = []
    for name in made.names:
        total = int(most * (2.0 if made.wish.even else made.rng.choice((1.3, 1.6, 2.5)))) + 2 * made.wish.disk
        taken = used.get(name, 0)
        found.append(StorageStatus("tank", name, True, True, total, taken, total - taken))
        found.append(StorageStatus("ceph", name, True, True, 10**15, 0, 10**15))
        if name in made.names[: (made.wish.nodes + 1) // 2]:
            found.append(StorageStatus("half", name, True, True, 10**15, 0, 10**15))
    return tuple(found)
