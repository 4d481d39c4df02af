# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What single nodes tell: hardware, packages, network, storages, replication, machine versions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.execution.collect_cluster import ClusterReading
from ansible_collections.pve.mobility.plugins.module_utils.execution.reader import Reader
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Node
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig
from ansible_collections.pve.mobility.plugins.module_utils.model.network import corosync_links
from ansible_collections.pve.mobility.plugins.module_utils.model.node_facts import (
    NodeFacts,
    machine_fields,
    network_fields,
    package_fields,
    status_fields,
)
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob, replication_job
from ansible_collections.pve.mobility.plugins.module_utils.model.running import RunningVm, running_vm
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import StorageStatus, storage_status
from ansible_collections.pve.mobility.plugins.module_utils.model.version import ordered

QEMU = ("pve-qemu-kvm", "qemu-server")
"""Packages on which the machine versions depend that a node can run."""

_FACTS: tuple[tuple[str, str, Callable[[Any], dict[str, Any]]], ...] = (
    ("node_facts", "status", status_fields),
    ("node_facts.interfaces", "network", network_fields),
    ("node_facts.packages", "apt/versions", package_fields),
)


class NodeReading:
    """Fills in nodes, one step a request."""

    def __init__(
        self, reader: Reader, parts: frozenset[str], nodes: tuple[Node, ...], with_jobs: frozenset[str]
    ) -> None:
        self.reader = reader
        self.parts = parts
        self.nodes = nodes
        self.with_jobs = with_jobs
        self._facts: dict[str, dict[str, Any]] = {node.name: {} for node in nodes}
        self._storages: dict[str, tuple[StorageStatus, ...]] = {}
        self._jobs: dict[str, ReplicationJob] = {}
        self._running: dict[str, tuple[RunningVm, ...]] = {}

    def steps(self, node: str) -> list[Callable[[bool], None]]:
        """Requests to one node. Each takes whether it is the first, which must not wait for long."""
        steps: list[Callable[[bool], None]] = []
        if "node_facts" in self.parts:
            steps += [self._fact(node, *fact) for fact in _FACTS]
        if "storages" in self.parts:
            steps.append(self._storage(node))
        if node in self.with_jobs:
            steps.append(self._replication(node))
        return steps

    def later(self, guests: Iterable[Guest], configs: Mapping[int, GuestConfig]) -> list[Callable[[], None]]:
        """What depends on what was read: machine versions, and the processes for which they can matter."""
        alive = [node.name for node in self.nodes if not self.reader.dead(node.name)]
        steps = []
        if "node_facts" in self.parts:
            alike: dict[Any, list[str]] = {}
            for name in alive:
                alike.setdefault(self._qemu(name) or name, []).append(name)
            steps += [self._machines(names) for names in alike.values()]
        if "running" in self.parts:
            steps += [self._processes(name) for name in self._interesting(alive, list(guests), configs)]
        return steps

    def fields(self, cluster: ClusterReading) -> dict[str, Any]:
        """Fields of the snapshot."""
        facts = [
            NodeFacts(
                name=node.name,
                online=not self.reader.dead(node.name),
                address=cluster.addresses.get(node.name) or None,
                links=corosync_links(cluster.corosync.get(node.name, {}), cluster.addresses.get(node.name) or ""),
                clock_offset=cluster.clock_offset(node.name) if not self.reader.dead(node.name) else None,
                **self._facts[node.name],
            )
            for node in self.nodes
        ]
        return {
            "node_facts": tuple(facts),
            "storage_status": tuple(item for name in sorted(self._storages) for item in self._storages[name]),
            "running": tuple(item for name in sorted(self._running) for item in self._running[name]),
        }

    @property
    def jobs(self) -> Mapping[str, ReplicationJob]:
        """What nodes said about replication jobs, by ID."""
        return self._jobs

    @property
    def storages(self) -> Mapping[str, tuple[StorageStatus, ...]]:
        """How storages are on the nodes that told it."""
        return self._storages

    # ------------------------------------------------ steps

    def _fact(self, node: str, part: str, path: str, parse: Callable[[Any], dict[str, Any]]) -> Callable[[bool], None]:
        def read(probe: bool) -> None:
            answer = self.reader.get(part, f"/nodes/{node}/{path}", node=node, probe=probe)
            if answer is not None:
                self._facts[node] |= parse(answer)

        return read

    def _storage(self, node: str) -> Callable[[bool], None]:
        def read(probe: bool) -> None:
            rows = self.reader.get("storages", f"/nodes/{node}/storage", node=node, probe=probe)
            found = (storage_status(node, row) for row in rows or ())
            self._storages[node] = tuple(sorted(found, key=lambda item: item.storage))

        return read

    def _replication(self, node: str) -> Callable[[bool], None]:
        def read(probe: bool) -> None:
            rows = self.reader.get("replication", f"/nodes/{node}/replication", node=node, probe=probe)
            for job in map(replication_job, rows or ()):
                self._jobs[job.id] = replace(job, seen=True)

        return read

    def _qemu(self, node: str) -> tuple[str, ...] | None:
        packages = self._facts[node].get("packages") or {}
        return tuple(packages[name] for name in QEMU) if all(name in packages for name in QEMU) else None

    def _machines(self, names: list[str]) -> Callable[[], None]:
        """The same packages know the same machine versions, so one of the nodes is asked."""

        def read() -> None:
            path = f"/nodes/{names[0]}/capabilities/qemu/machines"
            answer = self.reader.get("node_facts.machines", path, node=names[0])
            for name in names if answer is not None else ():
                self._facts[name] |= machine_fields(answer)

        return read

    def _interesting(self, alive: list[str], guests: list[Guest], configs: Mapping[int, GuestConfig]) -> list[str]:
        """Nodes whose running VMs might be too new for another node, or whose clipboard depends on their version.

        A node's VMs run no machine version that is newer than its own QEMU, so on nodes with the oldest QEMU of the
        cluster every VM can run anywhere.
        """
        running = {guest.node for guest in guests if guest.running and guest.type == "qemu"}
        clipboard = {
            guest.node for guest in guests if guest.vmid in configs and configs[guest.vmid].clipboard is not None
        }
        versions = {name: self._qemu(name) for name in alive}
        known = [[ordered(text) for text in version] for version in versions.values() if version is not None]
        oldest = min(known, default=None)
        newer = {
            name
            for name, version in versions.items()
            if version is None or [ordered(text) for text in version] != oldest
        }
        return [name for name in alive if name in running and (name in newer or name in clipboard)]

    def _processes(self, node: str) -> Callable[[], None]:
        def read() -> None:
            rows = self.reader.get("running", f"/nodes/{node}/qemu", {"full": 1}, node=node)
            found = (running_vm(node, row) for row in rows or ())
            self._running[node] = tuple(
                sorted((item for item in found if item is not None), key=lambda item: item.vmid)
            )

        return read
