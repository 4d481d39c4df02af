# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which volumes of a guest a move copies, how much of them, and to which storage (pve-facts §1.2, §6.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.pve.mobility.plugins.module_utils.model.disk import Disk, DiskKind
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import Storage


@dataclass(frozen=True, slots=True)
class Travel:
    """A volume on a move. ``to`` is the ID of its storage on the target.

    :ivar storage: its definition; None when that is not known. :ivar copied: it lies on storage of the source alone.
    :ivar replicated: a replication job sends it to the target, as the first step of the move too; its storage stays.
    :ivar replica: the target holds a replica from an earlier run, so that only the difference is sent.
    """

    disk: Disk
    storage: Storage | None
    to: str
    copied: bool
    replica: bool = False
    replicated: bool = False

    @property
    def full_copy(self) -> int:
        """Bytes that are sent when the whole volume is; 0 when it is not copied, or the difference only."""
        return (self.disk.size or 0) if self.copied and not self.replica else 0


def travelling(
    state: ClusterState, config: GuestConfig, target: str, storage_map: Mapping[str, str]
) -> tuple[Travel, ...]:
    """Volumes of a guest on their way to ``target``; media, bind mounts and devices are not among them."""
    jobs = [job for job in state.jobs_of(config.vmid) if job.target == target and not job.removing]
    synced = any(job.last_sync for job in jobs)
    found = []
    for disk in config.disks:
        if disk.storage is None or disk.kind in (DiskKind.CDROM, DiskKind.BIND, DiskKind.DEVICE):
            continue
        storage = state.storage(disk.storage)
        local = storage is not None and not storage.shared
        replicated = bool(jobs) and storage is not None and storage.type == "zfspool" and _replicable(disk)
        # Proxmox VE never maps shared storage in a move within the cluster, nor what a job sends.
        mapped = local and not replicated
        to = storage_map.get(disk.storage, storage_map.get("", disk.storage)) if mapped else disk.storage
        found.append(Travel(disk, storage, to, local, replicated and synced, replicated))
    return tuple(found)


def _replicable(disk: Disk) -> bool:
    return disk.replicate and disk.kind is not DiskKind.CLOUDINIT
