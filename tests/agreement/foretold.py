# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proxmox VE's own precondition call: what it alone foretells, and whether ours is the same (pve-facts §1.1, §1.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.foresee import foresee
from ansible_collections.pve.mobility.plugins.module_utils.model.precondition import Precondition, precondition
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from tests.conformance.client import Cut, Lab

_MISSING = 501


def ask(lab: Lab, state: ClusterState, vmid: int, target: str, api_node: str) -> Precondition | str | None:
    """The answer of ``GET …/migrate``; the words of a refusal; None where the release has no such call."""
    guest = state.guest(vmid)
    assert guest is not None
    try:
        answer = lab.request("GET", f"{guest.path}/migrate", {"target": target}, node=api_node)
    except Cut as cut:
        return str(cut)
    if answer.status == _MISSING:
        return None
    return precondition(answer.data) if answer.status == 200 else answer.reason


def foretells(said: Precondition | str | None, target: str, live: bool, with_local_disks: bool) -> bool:
    """What a careful reader would take from that answer alone."""
    if said is None or isinstance(said, str):
        return said is not None
    attached = any(disk.attached and not (disk.tpmstate or disk.cloudinit) for disk in said.local_disks)
    return bool(
        said.hindrance(target)
        or any(key not in said.mapped or (live and not said.mapped[key][1]) for key in said.local_resources)
        or any(disk.cdrom and not disk.cloudinit for disk in said.local_disks)
        or (live and attached and not with_local_disks)
        or (live and any(disk.snapshots for disk in said.local_disks))
    )


def differences(state: ClusterState, vmid: int, said: Precondition | str | None) -> dict[str, Any]:
    """Where the precondition told from the snapshot is not what Proxmox VE says: field → (foreseen, said)."""
    guest = state.guest(vmid)
    assert guest is not None
    config = state.config(vmid)
    if not isinstance(said, Precondition) or config is None:
        return {}
    named = {disk.volid for disk in config.disks}
    foreseen = foresee(state, guest)
    found = {
        "running": (foreseen.running, said.running),
        "hindrances": (_hindrances(foreseen.hindrances, guest.node), _hindrances(said.hindrances, guest.node)),
        # The snapshot does not hold what only a guest's snapshots name.
        "local_disks": (_disks(foreseen, named), _disks(said, named)),
        "local_resources": (set(foreseen.local_resources), set(said.local_resources)),
        "mapped": (dict(foreseen.mapped), dict(said.mapped)),
        "dependents": (set(foreseen.dependents), set(said.dependents)),
    }
    return {name: pair for name, pair in found.items() if pair[0] != pair[1]}


def _hindrances(rows: Mapping[str, Any], source: str) -> dict[str, tuple[set[Any], ...]]:
    return {
        node: (set(row.storages), set(row.resources), {sid for sid, _cause in row.blocking})
        for node, row in rows.items()
        if row and node != source
    }


def _disks(said: Precondition, named: set[str]) -> set[tuple[Any, ...]]:
    return {
        (disk.volid, disk.cdrom, disk.attached, disk.cloudinit, disk.tpmstate)
        for disk in said.local_disks
        if disk.volid in named
    }
