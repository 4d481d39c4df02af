# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The parts of a snapshot that any node tells: options, storages, HA, jobs, mappings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from statistics import median_low
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.execution.reader import Reader
from ansible_collections.pve.mobility.plugins.module_utils.execution.rights import SHORTENED, Rights
from ansible_collections.pve.mobility.plugins.module_utils.model.backup import backup_job
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.ha import HaStatus, ha_status
from ansible_collections.pve.mobility.plugins.module_utils.model.ha_config import (
    HaResource,
    HaRule,
    group_rules,
    ha_resource,
    ha_rule,
)
from ansible_collections.pve.mobility.plugins.module_utils.model.mapping import ResourceMapping, resource_mapping
from ansible_collections.pve.mobility.plugins.module_utils.model.network import vnet, zone
from ansible_collections.pve.mobility.plugins.module_utils.model.options import cluster_options
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob, replication_job
from ansible_collections.pve.mobility.plugins.module_utils.model.running import running_task
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import Storage, storage

_GROUPS = "groups"
"""Stands for the answer of releases before 9.0, which have groups instead of rules."""


class ClusterReading:
    """Each step is independent of the others and fills in what it is about."""

    def __init__(self, reader: Reader, parts: frozenset[str]) -> None:
        self.reader = reader
        self.parts = parts
        self.jobs: tuple[ReplicationJob, ...] = ()
        self.addresses: dict[str, str] = {}
        self.corosync: dict[str, Mapping[str, Any]] = {}
        self.ha: HaStatus | None = None
        self._resources: tuple[HaResource, ...] = ()
        self._mappings: dict[str, tuple[ResourceMapping, ...]] = {}
        self._rights: Rights | None = None
        self._fields: dict[str, Any] = {}

    def steps(self) -> list[Callable[[], None]]:
        """What is to be read, for the parts that are wanted."""
        steps: dict[str, tuple[Callable[[], None], ...]] = {
            "cluster": (self._status, self._version),
            "storages": (self._rows("storages", "storages", "/storage", storage),),
            "options": (self._options,),
            "replication": (self._replication,),
            "ha": (self._ha_status, self._ha_config),
            "backup": (self._rows("backup", "backup_jobs", "/cluster/backup", backup_job),),
            "network": (
                self._rows("network", "vnets", "/cluster/sdn/vnets", vnet),
                self._rows("network", "zones", "/cluster/sdn/zones", zone),
            ),
            "tasks": (self._rows("tasks", "tasks", "/cluster/tasks", running_task),),
            "mappings": tuple(self._mapping(kind) for kind in ("pci", "usb", "dir")),
        }
        # Addresses of the nodes, their clocks, and corosync's links.
        steps["node_facts"] = (
            *(() if "cluster" in self.parts else (self._status,)),
            *(() if "ha" in self.parts else (self._ha_status,)),
            self._corosync,
        )
        return [self._permissions, *(step for part, found in steps.items() if part in self.parts for step in found)]

    def note_what_is_hidden(self) -> None:
        """Lists that are shortened without a word, for this user."""
        if self._rights is None:
            return
        for item in SHORTENED:
            if item.part.partition(".")[0] not in self.parts:
                continue
            path = self._rights.lacking(item.path, *item.privileges)
            if path is not None:
                privileges = " or ".join(item.privileges)
                self.reader.missing(
                    item.part,
                    f"It may be incomplete: one sees all of it only with {privileges} on {path}.",
                    path=path,
                    privileges=item.privileges,
                )
        if not self._rights.may("/", "Sys.Audit"):
            # Others are given some keys only, and the rest would look like defaults.
            self._fields.pop("options", None)

    def note_hidden_volumes(self) -> None:
        """Lists of volumes leave out what one may not touch."""
        if self._rights is not None and not self._rights.may("/storage", "Datastore.Allocate"):
            self.reader.missing(
                "storages.volumes",
                "Cloud-init drives, hook scripts and disks on local storage may be there unseen: one sees all of them"
                " only with Datastore.Allocate on /storage.",
                path="/storage",
                privileges=("Datastore.Allocate",),
            )

    @property
    def resting(self) -> frozenset[int]:
        """Guests that the HA manager is told to keep stopped."""
        return frozenset(item.vmid for item in self._resources if item.state in ("stopped", "disabled"))

    def fields(self, guests: Iterable[Guest], jobs: Mapping[str, ReplicationJob]) -> dict[str, Any]:
        """Fields of the snapshot; ``jobs`` are those about which a node said more."""
        chosen = {guest.vmid for guest in guests}
        mappings = [item for kind in sorted(self._mappings) for item in self._mappings[kind]]
        return {
            **self._fields,
            "ha": self.ha,
            "ha_resources": self._resources,
            "replication_jobs": tuple(jobs.get(job.id, job) for job in self.jobs if job.guest in chosen),
            "mappings": tuple(mappings),
        }

    @property
    def storages(self) -> tuple[Storage, ...]:
        """Definitions; empty when they were not asked for."""
        return tuple(self._fields.get("storages", ()))

    def clock_offset(self, node: str) -> float | None:
        """Seconds against the middle of the cluster; every local resource manager writes within ten seconds."""
        written = self.ha.written if self.ha is not None else {}
        if not written.get(node) or len(written) < 2:
            return None
        alive = [time for name, time in written.items() if time and self.ha and self.ha.node_state(name) != "unknown"]
        return float(written[node] - median_low(alive or [written[node]]))

    # ------------------------------------------------ steps

    def _rows(self, part: str, name: str, path: str, parse: Callable[[Any], Any]) -> Callable[[], None]:
        def read() -> None:
            found = (parse(row) for row in self.reader.get(part, path) or ())
            self._fields[name] = tuple(item for item in found if item is not None)

        return read

    def _mapping(self, kind: str) -> Callable[[], None]:
        def read() -> None:
            # Directories can be mapped from 8.4 on.
            rows = self.reader.get(f"mappings.{kind}", f"/cluster/mapping/{kind}", absent=())
            self._mappings[kind] = tuple(resource_mapping(kind, row) for row in rows or ())

        return read

    def _permissions(self) -> None:
        answer = self.reader.get("cluster", "/access/permissions")
        self._rights = Rights(answer) if answer else None

    def _status(self) -> None:
        local = None
        for row in self.reader.get("cluster", "/cluster/status") or ():
            if row.get("type") == "cluster":
                self._fields |= {"name": row.get("name"), "quorate": bool(int(row.get("quorate", 0) or 0))}
            elif row.get("type") == "node":
                self.addresses[str(row["name"])] = str(row.get("ip") or "")
                local = str(row["name"]) if row.get("local") else local
        self._fields["local"] = local
        if local is not None and "cluster" in self.parts:
            answer = self.reader.get("cluster.collected_at", f"/nodes/{local}/time")
            self._fields["collected_at"] = int(answer["time"]) if answer else None

    def _corosync(self) -> None:
        rows = self.reader.get("node_facts.links", "/cluster/config/nodes") or ()
        self.corosync = {str(row.get("node") or row.get("name")): row for row in rows}

    def _version(self) -> None:
        answer = self.reader.get("cluster", "/version") or {}
        self._fields["version"] = answer.get("version")

    def _options(self) -> None:
        answer = self.reader.get("options", "/cluster/options")
        self._fields["options"] = cluster_options(answer) if answer is not None else None

    def _replication(self) -> None:
        rows = self.reader.get("replication", "/cluster/replication") or ()
        self.jobs = tuple(sorted((replication_job(row) for row in rows), key=lambda job: (job.guest, job.id)))

    def _ha_status(self) -> None:
        part = "ha" if "ha" in self.parts else "node_facts.clock_offset"
        answer = self.reader.get(part, "/cluster/ha/status/manager_status")
        self.ha = ha_status(answer) if answer is not None else None

    def _ha_config(self) -> None:
        rows = self.reader.get("ha", "/cluster/ha/resources")
        self._resources = tuple(sorted((ha_resource(row) for row in rows or ()), key=lambda item: item.sid))
        if rows is None:
            return
        found = self.reader.get("ha", "/cluster/ha/rules", absent=_GROUPS)
        rules: Iterable[HaRule]
        if found is _GROUPS:
            rules = group_rules(self.reader.get("ha", "/cluster/ha/groups") or (), self._resources)
        else:
            rules = [ha_rule(row) for row in found or ()]
        self._fields["ha_rules"] = tuple(sorted(rules, key=lambda rule: rule.id))
