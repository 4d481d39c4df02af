# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Media: ISO images, the drive of the node itself, cloud-init (pve-facts §1.3)."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import DiskKind
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts

LOCAL_MEDIA = Kind(
    "local-media",
    Severity.BLOCK,
    "A CD drive of the VM holds an image on local storage, or is the drive of the node itself.",
    "Proxmox VE copies no media and refuses the move, live or not.",
    "eject it, or use an image on shared storage",
    "volume",
    enforced=True,
)
CLOUDINIT_NAME = Kind(
    "cloudinit-name",
    Severity.BLOCK,
    "The VM's cloud-init drive lies on local storage, and the target has a volume of that name.",
    "Other volumes get a new name when theirs is taken; a cloud-init drive does not, and the copy fails.",
    "remove the volume on the target if nobody needs it, or remove the cloud-init drive and add it again afterwards",
    "volume, the guest whose configuration names it",
    enforced=True,
)


def local_media(move: MoveFacts) -> Iterator[Finding]:
    """A medium of the node blocks every move."""
    for disk in move.precondition.local_disks:
        if not disk.cdrom or disk.cloudinit:
            continue
        drive = disk.drive or "a drive"
        if disk.volid == "cdrom":
            what = f"{drive} of {move.guest.label} is the CD drive of {move.guest.node} itself"
        else:
            what = f"{drive} holds {disk.volid}, which lies on storage of {move.guest.node} alone"
        yield LOCAL_MEDIA.found(
            what,
            f"eject it ({drive}: none), or use an image on shared storage",
            guest=move.guest.vmid,
            node=move.guest.node,
            storage=disk.storage if disk.volid != "cdrom" else None,
            volid=disk.volid,
        )


def cloudinit_name(move: MoveFacts) -> Iterator[Finding]:
    """A volume on the target, or a guest there whose configuration names one."""
    for volume in move.volumes:
        disk = volume.disk
        if disk.kind is not DiskKind.CLOUDINIT or not volume.copied or volume.to != disk.storage:
            continue
        user = next(iter(move.state.users_of(move.target.name, disk.volid)), None)
        if user is None and not move.state.seen_on(move.target.name, disk.volid):
            continue
        whose = f"guest {user} there has a volume of that name" if user else "there is a volume of that name already"
        yield CLOUDINIT_NAME.found(
            f"cloud-init drive {disk.volid} of {move.guest.label} cannot be copied to {move.target.name}: {whose}",
            guest=move.guest.vmid,
            node=move.target.name,
            storage=disk.storage,
            volid=disk.volid,
            user=user,
        )
