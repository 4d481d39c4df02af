# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing a node for a service (HA/Manager.pm:select_service_node, HA/Usage/*.pm)."""

from __future__ import annotations

import enum
import math
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from lab.ha.rules import Compiled
from lab.ha.state import Service
from lab.pve.pvestatd import guest_memory, memory_used

if TYPE_CHECKING:
    from lab.ha.config import Resource
    from lab.pve.cluster import Cluster
    from lab.pve.pmxcfs import VmEntry

_ON_NODE = frozenset({"started", "request_stop", "fence", "freeze", "error", "recovery", "migrate", "relocate"})
_ON_TARGET = frozenset({"migrate", "relocate", "request_start_balance"})


class Preference(enum.Enum):
    """``NONE``: stay where it is if that is allowed; ``BEST``; ``NEXT``: the best where it has not failed."""

    NONE = "none"
    BEST = "best-score"
    NEXT = "try-next"


def used_nodes(service: Service, online: Container[str]) -> tuple[str | None, str | None]:
    """On which online nodes a service puts load: where it is, and where it goes."""
    node = service.node if service.state in _ON_NODE and service.node in online else None
    target = service.target if service.state in _ON_TARGET and service.target in online else None
    return node, target


class Usage:
    """How busy the online nodes are; lower scores are better. Computed when first asked for in a round."""

    def __init__(
        self, cluster: Cluster, services: Mapping[str, Service], online: list[str], mode: str, others: bool
    ) -> None:
        """:param others: guests that HA does not manage count too (9.2)."""
        self._cluster = cluster
        self._services = services
        self.online = dict.fromkeys(online)
        self._mode = mode
        self._others = others
        self._load: dict[str, tuple[float, float]] | None = None
        self._counts: dict[str, int] = {}
        self._shares: dict[str, tuple[str | None, str | None]] = {}

    def scores(self, sid: str) -> dict[str, float]:
        if self._load is None:
            self._begin()
        if self._mode == "basic":
            return {node: float(self._counts[node]) for node in self.online}
        return self._topsis(self._needs(sid))

    def moved(self, sid: str, service: Service) -> None:
        """A service changed its state."""
        if self._load is None:
            return
        for node in self._shares.pop(sid, ()):
            self._add(node, sid, -1)
        self._count(sid, service)

    # ------------------------------------------------------------ what runs where

    def _begin(self) -> None:
        self._load = dict.fromkeys(self.online, (0.0, 0.0))
        self._counts = dict.fromkeys(self.online, 0)
        for sid, service in self._services.items():
            self._count(sid, service)
        for name in self.online if self._others else ():
            for process in self._cluster.nodes[name].running.values():
                sid = f"{'ct' if process.type == 'lxc' else 'vm'}:{process.vmid}"
                if sid not in self._services and not process.incoming:
                    self._add(name, sid, 1)

    def _count(self, sid: str, service: Service) -> None:
        share = used_nodes(service, self.online)
        self._shares[sid] = share
        for node in share:
            self._add(node, sid, 1)

    def _add(self, node: str | None, sid: str, sign: int) -> None:
        if node is None or self._load is None:
            return
        self._counts[node] += sign
        if self._mode != "basic":
            cpu, memory = self._needs(sid)
            before = self._load[node]
            self._load[node] = before[0] + sign * cpu, before[1] + sign * memory

    # ------------------------------------------------------------ static and dynamic

    def _needs(self, sid: str) -> tuple[float, float]:
        """CPUs and bytes: what is configured, or (dynamic) what is used."""
        entry = self._cluster.guest(int(sid.partition(":")[2]))
        if entry is None:
            return 0.0, 0.0
        cpus, memory = _configured(self._cluster, entry)
        if self._mode == "dynamic":
            return cpus * self._cluster.trait(entry.vmid).cpu_load, memory_used(self._cluster, entry.vmid, int(memory))
        return cpus, memory

    def _topsis(self, needs: tuple[float, float]) -> dict[str, float]:
        """TOPSIS over average and highest use of CPU and memory, memory weighing more (proxmox-resource-scheduling)."""
        assert self._load is not None
        nodes = list(self.online)
        limits = {name: self._cluster.nodes[name] for name in nodes}
        rows = []
        for target in nodes:
            cpu, memory = [], []
            for name in nodes:
                busy, filled = self._load[name]
                if name == target:
                    # No limit means that it may use all of the node's CPUs.
                    busy += needs[0] or float(limits[name].cpu.cpus)
                    filled += needs[1]
                cpu.append(busy / limits[name].cpu.cpus)
                memory.append(filled / limits[name].memory)
            rows.append((1 + _mean(cpu), 1 + max(cpu), 1 + _mean(memory), 1 + max(memory)))
        return dict(zip(nodes, _closeness(rows, (1.0, 2.0, 5.0, 10.0)), strict=True))


def _configured(cluster: Cluster, entry: VmEntry) -> tuple[float, float]:
    config = cluster.config(entry).current
    cores = float(config.get("cores", 1 if entry.type == "qemu" else cluster.nodes[entry.node].cpu.cpus))
    if entry.type == "qemu":
        cores *= float(config.get("sockets", 1))
        cores = float(config.get("vcpus", cores))
    limit = float(config.get("cpulimit", 0) or 0)
    return (min(cores, limit) if limit else cores), float(guest_memory(cluster.config(entry), entry.type))


def _mean(values: list[float]) -> float:
    return math.sqrt(sum(value * value for value in values) / len(values))


def _closeness(rows: Sequence[tuple[float, ...]], weights: tuple[float, ...]) -> list[float]:
    """Minus the similarity to the best; every criterion is better when lower."""
    total = sum(weights)
    norms = [math.sqrt(sum(row[i] ** 2 for row in rows)) for i in range(len(weights))]
    scaled = [[row[i] / norms[i] * weights[i] / total for i in range(len(weights))] for row in rows]
    best = [min(row[i] for row in scaled) for i in range(len(weights))]
    worst = [max(row[i] for row in scaled) for i in range(len(weights))]
    found = []
    for row in scaled:
        far, near = math.dist(row, best), math.dist(row, worst)
        found.append(-(near / (far + near)) if far + near else -1.0)
    return found


# ---------------------------------------------------------------- the choice


def node_affinity(rules: Compiled, sid: str, online: Iterable[str]) -> tuple[set[str], set[str]]:
    """``(allowed nodes, those of the highest priority)`` among the online ones."""
    places = rules.places.get(sid)
    if places is None:
        return set(online), set(online)
    allowed = {node for node in online if node in places}
    top = max((places[node] for node in allowed), default=0)
    return allowed, {node for node in allowed if places[node] == top}


def resource_affinity(
    rules: Compiled, sid: str, services: Mapping[str, Service], online: Container[str]
) -> tuple[dict[str, int], set[str]]:
    """``(how many partners by node, nodes to avoid)``."""
    together: dict[str, int] = {}
    apart: set[str] = set()
    for other in rules.together.get(sid, ()):
        if other in services:
            node, target = used_nodes(services[other], online)
            place = target or node
            if place is not None:
                together[place] = together.get(place, 0) + 1
    for other in rules.apart.get(sid, ()):
        if other in services:
            apart |= {place for place in used_nodes(services[other], online) if place is not None}
    return together, apart


def select_node(
    rules: Compiled, usage: Usage, sid: str, resource: Resource, services: Mapping[str, Service], wish: Preference
) -> str | None:
    """The node that a service should be on; None when there is none."""
    service = services[sid]
    node, online = service.node, usage.online
    if (
        wish is Preference.NONE and service.maintenance_node is None and node in online
        and not rules.concerns(sid)
    ):  # fmt: skip
        return node
    allowed, preferred = node_affinity(rules, sid, online)
    if not preferred:
        return None
    together, apart = resource_affinity(rules, sid, services, online)
    stays = wish is Preference.NONE and not resource.failback
    if stays and node in allowed and (together.get(node) or node not in apart):
        return node
    if wish is Preference.NEXT:
        preferred -= set(service.failed_nodes or ())
    preferred -= apart
    partners = {place: count for place, count in together.items() if place in preferred}
    if partners:
        most = max(partners.values())
        preferred = {min(place for place, count in partners.items() if count == most)}
    if service.maintenance_node is not None and service.maintenance_node in preferred:
        return service.maintenance_node
    if wish is Preference.NONE and node in preferred:
        return node
    if not preferred:
        return None
    scores = usage.scores(sid)
    ranked = sorted(preferred, key=lambda name: (scores[name], name))
    if wish is Preference.NEXT and node in ranked[:-1]:
        return ranked[ranked.index(node) + 1]
    return ranked[0]
