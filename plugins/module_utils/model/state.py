# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The whole cluster at one moment: what checks and plans are functions of."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from ansible_collections.pve.mobility.plugins.module_utils.model.backup import BackupJob
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Node
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig
from ansible_collections.pve.mobility.plugins.module_utils.model.ha import HaStatus
from ansible_collections.pve.mobility.plugins.module_utils.model.ha_config import HaResource, HaRule
from ansible_collections.pve.mobility.plugins.module_utils.model.history import ObservedMove
from ansible_collections.pve.mobility.plugins.module_utils.model.load import NONE, Load, load_of
from ansible_collections.pve.mobility.plugins.module_utils.model.mapping import ResourceMapping
from ansible_collections.pve.mobility.plugins.module_utils.model.names import ClusterName, NodeName
from ansible_collections.pve.mobility.plugins.module_utils.model.network import Interface, VNet, Zone
from ansible_collections.pve.mobility.plugins.module_utils.model.node_facts import NodeFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.options import ClusterOptions
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob
from ansible_collections.pve.mobility.plugins.module_utils.model.running import RunningTask, RunningVm
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import SeenVolume, Storage, StorageStatus
from ansible_collections.pve.mobility.plugins.module_utils.model.unknown import Unknown

SCHEMA = 1
"""Version of the shape. It grows when a reader of the old shape would misunderstand the new one."""

PARTS: dict[str, tuple[str, ...]] = {
    "nodes": ("nodes",),
    "guests": ("guests",),
    "cluster": ("name", "quorate", "version", "collected_at", "local"),
    "node_facts": ("node_facts",),
    "guest_configs": ("guest_configs",),
    "running": ("running",),
    "storages": ("storages", "storage_status", "volumes"),
    "replication": ("replication_jobs",),
    "ha": ("ha", "ha_resources", "ha_rules"),
    "options": ("options",),
    "mappings": ("mappings",),
    "backup": ("backup_jobs",),
    "network": ("vnets", "zones"),
    "tasks": ("tasks",),
    "history": ("history",),
}
"""Parts of a snapshot, as users name them, and the fields of :class:`ClusterState` that each fills."""


@dataclass(frozen=True)
class ClusterState:
    """A snapshot. A part that is not in ``parts`` was not asked for; what is in ``unknown`` could not be read.

    :ivar collected_at: Unix time by the clock of ``local``, the node that answered; None when it was not asked.
    :ivar version: of pve-manager on the node that answered. :ivar ha: None when it is not known.
    :ivar running: of VMs whose machine version may matter, see ``execution/collect.py``.
    """

    schema: int = SCHEMA
    parts: tuple[str, ...] = ()
    name: ClusterName | None = None
    quorate: bool | None = None
    version: str | None = None
    collected_at: int | None = None
    local: NodeName | None = None
    nodes: tuple[Node, ...] = ()
    guests: tuple[Guest, ...] = ()
    node_facts: tuple[NodeFacts, ...] = ()
    guest_configs: tuple[GuestConfig, ...] = ()
    running: tuple[RunningVm, ...] = ()
    storages: tuple[Storage, ...] = ()
    storage_status: tuple[StorageStatus, ...] = ()
    volumes: tuple[SeenVolume, ...] = ()
    replication_jobs: tuple[ReplicationJob, ...] = ()
    ha: HaStatus | None = None
    ha_resources: tuple[HaResource, ...] = ()
    ha_rules: tuple[HaRule, ...] = ()
    options: ClusterOptions | None = None
    mappings: tuple[ResourceMapping, ...] = ()
    backup_jobs: tuple[BackupJob, ...] = ()
    vnets: tuple[VNet, ...] = ()
    zones: tuple[Zone, ...] = ()
    tasks: tuple[RunningTask, ...] = ()
    history: tuple[ObservedMove, ...] = ()
    unknown: tuple[Unknown, ...] = ()

    def knows(self, part: str, node: str | None = None) -> bool:
        """Whether a part was read, or something within it (``node_facts.packages``), on a node if one is given.

        What could not be read of single guests does not count; for those look whether :meth:`config` has it.
        """
        return part.partition(".")[0] in self.parts and not any(
            item.vmid is None
            and (item.node is None or item.node == node)
            and (part == item.part or part.startswith(f"{item.part}."))
            for item in self.unknown
        )

    def node(self, name: str) -> Node | None:
        return self._nodes.get(name)

    def guest(self, vmid: int) -> Guest | None:
        return self._guests.get(vmid)

    def facts(self, node: str) -> NodeFacts | None:
        return self._facts.get(node)

    def config(self, vmid: int) -> GuestConfig | None:
        """None when it is not known."""
        return self._configs.get(vmid)

    def process(self, vmid: int) -> RunningVm | None:
        return self._running.get(vmid)

    def storage(self, name: str) -> Storage | None:
        return self._storages.get(name)

    def storage_on(self, name: str, node: str) -> StorageStatus | None:
        """None when the node did not say."""
        return self._storage_status.get((name, node))

    def guests_on(self, node: str) -> tuple[Guest, ...]:
        return self._guests_on.get(node, ())

    def load_on(self, node: str) -> Load:
        """What the node's running guests have been promised."""
        return self._loads.get(node, NONE)

    def load_of(self, vmid: int) -> Load:
        """What a guest takes where it runs; nothing when it does not run."""
        guest = self._guests.get(vmid)
        return load_of(guest, self._configs.get(vmid)) if guest is not None and guest.running else NONE

    def jobs_of(self, vmid: int) -> tuple[ReplicationJob, ...]:
        return self._jobs.get(vmid, ())

    def tasks_of(self, vmid: int) -> tuple[RunningTask, ...]:
        """Running tasks that are about one guest."""
        return self._tasks.get(vmid, ())

    def ha_resource(self, sid: str) -> HaResource | None:
        return self._resources.get(sid)

    def rules_of(self, sid: str) -> tuple[HaRule, ...]:
        """Rules that are about a resource, those that are switched off or ignored included."""
        return self._rules.get(sid, ())

    def mapping(self, kind: str, name: str) -> ResourceMapping | None:
        return self._mappings.get((kind, name))

    def users_of(self, node: str, volid: str) -> tuple[int, ...]:
        """Guests on a node whose configurations name a volume."""
        return self._users.get((node, volid), ())

    def local_size(self, vmid: int) -> int:
        """Bytes of a guest's volumes on storage that is not shared, by what its configuration says."""
        return self._local_sizes.get(vmid, 0)

    def seen_on(self, node: str, volid: str) -> bool:
        """Whether the node is known to have a volume; those that the user may not see are not."""
        return SeenVolume(node, volid) in self._seen

    def clones_of(self, vmid: int) -> tuple[int, ...]:
        """Guests that have linked clones of a template's volumes."""
        return self._clones.get(vmid, ())

    def bridges(self, node: str) -> frozenset[str] | None:
        """What guests on the node can name as their bridge: bridges and VNets; None when that is not known."""
        return self._bridges.get(node)

    def interface(self, node: str, name: str) -> Interface | None:
        return self._interfaces.get((node, name))

    def migration_addresses(self, node: str) -> int | None:
        """How many a node has in the migration network; None when that is not known, or none is set."""
        return self._migration_addresses.get(node)

    @cached_property
    def _nodes(self) -> dict[str, Node]:
        return {item.name: item for item in self.nodes}

    @cached_property
    def _guests(self) -> dict[int, Guest]:
        return {item.vmid: item for item in self.guests}

    @cached_property
    def _facts(self) -> dict[str, NodeFacts]:
        return {item.name: item for item in self.node_facts}

    @cached_property
    def _configs(self) -> dict[int, GuestConfig]:
        return {item.vmid: item for item in self.guest_configs}

    @cached_property
    def _running(self) -> dict[int, RunningVm]:
        return {item.vmid: item for item in self.running}

    @cached_property
    def _storages(self) -> dict[str, Storage]:
        return {item.id: item for item in self.storages}

    @cached_property
    def _storage_status(self) -> dict[tuple[str, str], StorageStatus]:
        return {(item.storage, item.node): item for item in self.storage_status}

    @cached_property
    def _guests_on(self) -> dict[str, tuple[Guest, ...]]:
        return _grouped((item.node, item) for item in self.guests)

    @cached_property
    def _loads(self) -> dict[str, Load]:
        found: dict[str, Load] = {}
        for guest in self.guests:
            if guest.running:
                found[guest.node] = found.get(guest.node, NONE) + load_of(guest, self._configs.get(guest.vmid))
        return found

    @cached_property
    def _jobs(self) -> dict[int, tuple[ReplicationJob, ...]]:
        return _grouped((item.guest, item) for item in self.replication_jobs)

    @cached_property
    def _tasks(self) -> dict[int, tuple[RunningTask, ...]]:
        return _grouped((item.vmid, item) for item in self.tasks if item.vmid is not None)

    @cached_property
    def _resources(self) -> dict[str, HaResource]:
        return {item.sid: item for item in self.ha_resources}

    @cached_property
    def _rules(self) -> dict[str, tuple[HaRule, ...]]:
        return _grouped((sid, item) for item in self.ha_rules for sid in item.sids)

    @cached_property
    def _users(self) -> dict[tuple[str, str], tuple[int, ...]]:
        return _grouped(
            ((config.node, disk.volid), config.vmid)
            for config in self.guest_configs
            for disk in config.disks
            if disk.storage is not None
        )

    @cached_property
    def _local_sizes(self) -> dict[int, int]:
        local = {item.id for item in self.storages if not item.shared}
        return {
            config.vmid: sum(disk.size or 0 for disk in config.disks if disk.storage in local)
            for config in self.guest_configs
        }

    @cached_property
    def _seen(self) -> frozenset[SeenVolume]:
        return frozenset(self.volumes)

    @cached_property
    def _clones(self) -> dict[int, tuple[int, ...]]:
        pairs = {
            (int(owner[1]), config.vmid)
            for config in self.guest_configs
            for base in config.bases
            if (owner := _OWNER.match(base)) is not None
        }
        return _grouped(sorted(pairs))

    @cached_property
    def _bridges(self) -> dict[str, frozenset[str]]:
        found = {}
        for facts in self.node_facts:
            if facts.interfaces is None:
                continue
            here = {zone.name for zone in self.zones if zone.nodes is None or facts.name in zone.nodes}
            found[facts.name] = frozenset(item.name for item in facts.interfaces if item.bridge) | frozenset(
                item.name for item in self.vnets if item.zone in here
            )
        return found

    @cached_property
    def _interfaces(self) -> dict[tuple[str, str], Interface]:
        return {(facts.name, item.name): item for facts in self.node_facts for item in facts.interfaces or ()}

    @cached_property
    def _migration_addresses(self) -> dict[str, int]:
        network = self.options.migration_network if self.options is not None else None
        return {
            facts.name: sum(len(item.within(network)) for item in facts.interfaces if item.active)
            for facts in self.node_facts
            if network is not None and facts.interfaces is not None
        }

    @cached_property
    def _mappings(self) -> dict[tuple[str, str], ResourceMapping]:
        return {(item.kind, item.name): item for item in self.mappings}


_OWNER = re.compile(r"^base(?:vol)?-(\d+)-")

_Key = TypeVar("_Key", bound=Hashable)
_Item = TypeVar("_Item")


def _grouped(pairs: Iterable[tuple[_Key, _Item]]) -> dict[_Key, tuple[_Item, ...]]:
    found: dict[_Key, list[_Item]] = {}
    for key, item in pairs:
        found.setdefault(key, []).append(item)
    return {key: tuple(items) for key, items in found.items()}
