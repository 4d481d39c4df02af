# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``/cluster/resources`` and ``/cluster/status`` as dataclasses: guests, nodes, storages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.names import GuestName, NodeName, PoolName, Tag


@dataclass(frozen=True, slots=True)
class Guest:
    """A virtual machine or container.

    ``status`` may lag by ten seconds, ``name`` and ``maxmem`` too; ``node``, ``lock`` and ``hastate`` do not
    (pve-facts §16). ``hastate`` is None when the HA manager does not know the guest. ``maxmem``/``maxdisk`` in bytes;
    ``mem`` is what it uses of its memory.
    """

    vmid: int
    type: str
    node: NodeName
    name: GuestName = ""
    status: str = "unknown"
    lock: str | None = None
    hastate: str | None = None
    template: bool = False
    maxmem: int = 0
    maxdisk: int = 0
    maxcpu: float = 0.0
    tags: tuple[Tag, ...] = ()
    pool: PoolName | None = None
    mem: int = 0

    @property
    def label(self) -> str:
        """``104 billing-db``: the name beside the number."""
        return f"{self.vmid} {self.name}" if self.name else str(self.vmid)

    @property
    def running(self) -> bool:
        return self.status == "running"

    @property
    def kind(self) -> str:
        return "VM" if self.type == "qemu" else "container"

    @property
    def sid(self) -> str:
        """What the HA manager calls it."""
        return f"{'vm' if self.type == 'qemu' else 'ct'}:{self.vmid}"

    @property
    def path(self) -> str:
        """Its API path on the node where it is."""
        return f"/nodes/{self.node}/{self.type}/{self.vmid}"

    @property
    def task_type(self) -> str:
        """Type of the task that really moves it."""
        return "qmigrate" if self.type == "qemu" else "vzmigrate"


@dataclass(frozen=True, slots=True)
class Node:
    """A node; ``maintenance`` is HA maintenance mode. Memory in bytes."""

    name: NodeName
    status: str = "unknown"
    maintenance: bool = False
    maxmem: int = 0
    mem: int = 0
    maxcpu: float = 0.0

    @property
    def online(self) -> bool:
        return self.status == "online"


@dataclass(frozen=True, slots=True)
class Resources:
    """What one ``GET /cluster/resources`` shows."""

    guests: tuple[Guest, ...]
    nodes: tuple[Node, ...]

    def guest(self, vmid: int) -> Guest | None:
        return next((guest for guest in self.guests if guest.vmid == vmid), None)

    def named(self, name: str) -> list[Guest]:
        return [guest for guest in self.guests if guest.name == name]

    def node(self, name: str) -> Node | None:
        return next((node for node in self.nodes if node.name == name), None)


def resources(rows: Iterable[Mapping[str, Any]]) -> Resources:
    """From the rows of ``GET /cluster/resources``; unknown kinds of rows are passed over."""
    guests, nodes = [], []
    for row in rows:
        match row.get("type"):
            case "qemu" | "lxc":
                guests.append(_guest(row))
            case "node":
                nodes.append(
                    Node(
                        str(row["node"]),
                        str(row.get("status", "unknown")),
                        row.get("hastate") == "maintenance",
                        int(row.get("maxmem", 0)),
                        int(row.get("mem", 0)),
                        float(row.get("maxcpu", 0)),
                    )
                )
    guests.sort(key=lambda guest: guest.vmid)
    nodes.sort(key=lambda node: node.name)
    return Resources(tuple(guests), tuple(nodes))


def _guest(row: Mapping[str, Any]) -> Guest:
    return Guest(
        vmid=int(row["vmid"]),
        type=str(row["type"]),
        node=str(row["node"]),
        name=str(row.get("name", "")),
        status=str(row.get("status", "unknown")),
        lock=row.get("lock") or None,
        hastate=row.get("hastate") or None,
        template=bool(int(row.get("template", 0) or 0)),
        maxmem=int(row.get("maxmem", 0) or 0),
        maxdisk=int(row.get("maxdisk", 0) or 0),
        maxcpu=float(row.get("maxcpu", 0) or 0),
        tags=tuple(tag for tag in str(row.get("tags", "")).replace(",", ";").split(";") if tag),
        pool=row.get("pool") or None,
        mem=int(row.get("mem", 0) or 0),
    )
