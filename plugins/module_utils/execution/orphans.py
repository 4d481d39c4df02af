# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Volumes that carry a guest's number and are in none of its configurations: found by looking, run after run.

Proxmox VE ends a move well although it could not free the source, and then names it nowhere (pve-facts §3.1); a copy
that is killed stays as well (§16). On the guest's own node such a volume is no replica: those are on other nodes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import ApiError
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.disk_move import StoredVolume, stored_volume
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig, guest_config


@dataclass(frozen=True, slots=True)
class Orphans:
    """:ivar unseen: storages that could not be looked at."""

    volumes: tuple[StoredVolume, ...] = ()
    unseen: tuple[str, ...] = ()


def content(session: Session, node: str, storage: str, vmid: int | None = None) -> list[StoredVolume]:
    """Disks on a storage, of one guest or of all."""
    rows = session.get(f"/nodes/{node}/storage/{storage}/content", {"vmid": vmid})
    found = (stored_volume(row) for row in rows or ())
    return [volume for volume in found if volume.content in ("images", "rootdir")]


def snapshot_configs(session: Session, guest: Guest) -> dict[str, GuestConfig]:
    """What each snapshot of the guest holds, by name: one request, and one for each snapshot."""
    rows = session.get(f"{guest.path}/snapshot") or ()
    names = [str(row["name"]) for row in rows if row.get("name") != "current"]
    return {
        name: guest_config(guest.vmid, guest.type, guest.node, session.get(f"{guest.path}/config", {"snapshot": name}))
        for name in names
    }


def find_orphans(
    session: Session,
    guest: Guest,
    config: GuestConfig,
    storages: Iterable[str],
    snapshots: dict[str, GuestConfig] | None = None,
) -> Orphans:
    """Look on the storages of the guest's node.

    :param snapshots: as :func:`snapshot_configs` gives them; None to ask for them when that is needed.
    """
    known = volids(config)
    found: list[StoredVolume] = []
    unseen = []
    for storage in sorted(set(storages)):
        try:
            found += [item for item in content(session, guest.node, storage, guest.vmid) if item.volid not in known]
        except ApiError:
            unseen.append(storage)
    if found:
        if snapshots is None:
            snapshots = snapshot_configs(session, guest)
        held = {volid for held_by in snapshots.values() for volid in volids(held_by)}
        found = [item for item in found if item.volid not in held]
    return Orphans(tuple(found), tuple(unseen))


def volids(config: GuestConfig) -> set[str]:
    return {disk.volid for disk in config.disks}


def orphan_row(volume: StoredVolume) -> dict[str, Any]:
    """The shape in the module's result."""
    return {"volid": volume.volid, "storage": volume.volid.partition(":")[0], "size": volume.size}


def orphan_warning(guest: Guest, volume: StoredVolume) -> str:
    """What it is, and how to be rid of it."""
    tool = "qm" if guest.type == "qemu" else "pct"
    return (
        f"{volume.volid} on {guest.node} belongs to {guest.label} by its name and is in none of its configurations:"
        f" it was left by a move that could not free it, or by a copy that broke off. When nothing else uses it, free"
        f" it (pvesm free {volume.volid}), or take it up as unused disk ({tool} rescan --vmid {guest.vmid})."
    )
