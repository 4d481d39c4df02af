# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Proxmox VE's own precondition call says, for VMs and containers alike (pve-facts §1.1, §1.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Why a node is not allowed. ``blocking`` are pairs of HA resource and cause."""

    storages: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    blocking: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.storages or self.resources or self.blocking)


@dataclass(frozen=True, slots=True)
class LocalDisk:
    """A volume on storage that is not shared. ``size`` in bytes, 0 when unknown. ``snapshots`` that hold it."""

    volid: str
    size: int
    cdrom: bool
    attached: bool
    cloudinit: bool
    tpmstate: bool
    drive: str | None = None
    snapshots: tuple[str, ...] = ()

    @property
    def storage(self) -> str:
        return self.volid.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Precondition:
    """``running`` is exact. ``local_resources`` are config keys of devices of the node.

    ``mapped`` names the mapping of each mapped device and whether it can move live. ``conntrack``: the source can take
    the firewall's connection tracking along (9.0 and later).
    """

    running: bool
    hindrances: Mapping[str, Hindrance] = field(default_factory=dict)
    local_disks: tuple[LocalDisk, ...] = ()
    local_resources: tuple[str, ...] = ()
    mapped: Mapping[str, tuple[str, bool]] = field(default_factory=dict)
    dependents: tuple[str, ...] = ()
    conntrack: bool = False

    def hindrance(self, node: str) -> Hindrance:
        return self.hindrances.get(node, Hindrance())


def precondition(answer: Mapping[str, Any]) -> Precondition:
    """From the data of ``GET …/qemu/{vmid}/migrate`` or ``GET …/lxc/{vmid}/migrate``."""
    refused = answer.get("not_allowed_nodes") or answer.get("not-allowed-nodes") or {}
    return Precondition(
        bool(int(answer.get("running", 0) or 0)),
        {node: _hindrance(row) for node, row in refused.items() if row} if isinstance(refused, Mapping) else {},
        tuple(_disk(row) for row in answer.get("local_disks") or ()),
        tuple(str(key) for key in answer.get("local_resources") or ()),
        {
            key: (str(row.get("name", "")), bool(row.get("live-migration")))
            for key, row in (answer.get("mapped-resource-info") or {}).items()
        },
        tuple(str(sid) for sid in answer.get("dependent-ha-resources") or ()),
        bool(int(answer.get("has-dbus-vmstate", 0) or 0)),
    )


def _hindrance(row: Mapping[str, Any]) -> Hindrance:
    return Hindrance(
        tuple(row.get("unavailable_storages") or ()),
        tuple(row.get("unavailable-resources") or ()),
        tuple((str(item.get("sid")), str(item.get("cause"))) for item in row.get("blocking-ha-resources") or ()),
    )


def _disk(row: Mapping[str, Any]) -> LocalDisk:
    return LocalDisk(
        str(row.get("volid", "")),
        int(row.get("size", 0) or 0),
        bool(row.get("cdrom")),
        bool(row.get("is_attached")),
        bool(row.get("is_cloudinit")),
        bool(row.get("is_tpmstate")),
        row.get("drivename"),
        tuple(sorted(row.get("referenced_in_snapshot") or ())),
    )
