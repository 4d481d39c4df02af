# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What moving disks came to: rows of a success, the sentence and the facts of a failure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api import errors, tasks
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    ApiError,
    MobilityError,
    NodeUnreachable,
    TaskFailed,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.progress import Progress
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_work import DiskWork, Step
from ansible_collections.pve.mobility.plugins.module_utils.execution.orphans import Orphans, find_orphans
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import Disk, DiskKind
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig

_BY_THE_MOVE = frozenset({"efitype", "pre-enrolled-keys", "ms-cert", "version"})
"""Properties that Proxmox VE itself writes for EFI disks and TPM states."""


def facts(work: DiskWork) -> dict[str, Any]:
    """What every failure says."""
    return {
        "guest": work.vmid,
        "node": work.node,
        "moves": [dict(row) for row in work.moves],
        "not_moved": [step.disk for step in work.steps[work.index :]],
    }


def kept_as(config: GuestConfig, volid: str) -> str | None:
    """The key under which the guest keeps the volume aside."""
    return next((disk.key for disk in config.disks if disk.kind is DiskKind.UNUSED and disk.volid == volid), None)


def planned_row(step: Step, storage: str) -> dict[str, Any]:
    """A row of ``moves`` for what would be done."""
    return {
        "disk": step.disk,
        "from": step.source,
        "to": None,
        "storage": storage,
        "format": step.format or None,
        "bytes": None,
        "duration_s": None,
        "source_kept_as": None,
        "task": step.task,
        "adopted": step.adopted,
    }


def move_row(
    work: DiskWork, step: Step, disk: Disk, config: GuestConfig, progress: Progress, now: float
) -> dict[str, Any]:
    """A row of ``moves`` for what was done."""
    watched = step.asked_at > 0
    return planned_row(step, work.storage) | {
        "to": disk.volid,
        "format": disk.format,
        "bytes": progress.carried or None if watched else None,
        "duration_s": round(max(0.0, now - step.asked_at), 1) if watched else None,
        "source_kept_as": kept_as(config, step.source),
    }


def warnings(
    work: DiskWork, step: Step, disk: Disk, config: GuestConfig, status: tasks.TaskStatus, lines: list[str]
) -> list[str]:
    """Everything about a disk that has arrived that is not as it should be."""
    found = tasks.warnings(lines)
    if not status.good:
        found.append(
            f"The move of {step.disk} ended with a problem after the disk had arrived:"
            f" {tasks.cause(lines, status.exitstatus)} (log of {step.task})."
        )
    lost = changed_options(step, disk)
    if lost:
        found.append(f"{step.disk} of {work.label} has not kept its settings: {', '.join(lost)}. Set them again.")
    if work.format is not None and work.type == "qemu" and step.kind != "tpmstate" and disk.format != work.format:
        found.append(f"{step.disk} of {work.label} became {disk.format}, not {work.format}.")
    kept = kept_as(config, step.source)
    if work.delete and kept is not None:
        found.append(
            f"The source {step.source} of {step.disk} remains as {kept}, because the move that was adopted does not"
            f" delete it. Delete {kept} when the copy has proven good."
        )
    return found


def changed_options(step: Step, disk: Disk) -> list[str]:
    """Settings of the disk that are not what they were: ``cache=writeback is now none``."""
    names = (set(step.options) | set(disk.options)) - _BY_THE_MOVE
    return [
        f"{name}={step.options.get(name, 'default')} is now {disk.options.get(name, 'default')}"
        for name in sorted(names)
        if step.options.get(name) != disk.options.get(name)
    ]


def left_behind(session: Session, work: DiskWork, config: GuestConfig) -> Orphans:
    """Volumes of the guest, in none of its configurations, on the storages that this work has used."""
    used = {work.storage} | {str(row["from"]).partition(":")[0] for row in work.moves}
    used |= {step.source_storage for step in work.steps}
    try:
        return find_orphans(session, work.guest, config, used)
    except ApiError:
        return Orphans((), tuple(sorted(used)))


def failed(
    session: Session, work: DiskWork, step: Step, config: GuestConfig, why: str, lines: list[str]
) -> MobilityError:
    """The error for a disk that did not move, with where it is now."""
    left = left_behind(session, work, config)
    volumes = [volume.volid for volume in left.volumes]
    rest = f"left behind: {', '.join(volumes)}" if volumes else "no leftover volume remains"
    if left.unseen and not volumes:
        rest = f"whether a volume was left behind on {', '.join(left.unseen)} could not be looked up"
    disk = config.disk(step.disk)
    where = f"It is still {disk.volid}" if disk is not None else f"The configuration has no {step.disk} any more"
    done = _done(work)
    return TaskFailed(
        f"The move of {step.disk} of {work.label} to {work.storage} failed: {why.rstrip('.')} (last lines of"
        f" {step.task}). {where}; {rest}.{done}",
        task=step.task,
        disk=step.disk,
        log_tail=tasks.tail(lines),
        leftovers=volumes,
    )


def _done(work: DiskWork) -> str:
    if not work.moves:
        return ""
    return f" Moved before that: {', '.join(str(row['disk']) for row in work.moves)}."


def not_started(work: DiskWork, step: Step, error: MobilityError) -> MobilityError:
    """The same error, of a move that was refused when it was asked for."""
    if "Nothing was changed" not in error.message:
        rest = _done(work) or " Nothing was changed."
        error.message += f" {step.disk} of {work.label} is still {step.source}.{rest}"
    return error


def lost(work: DiskWork, silence: MobilityError, seconds: float) -> NodeUnreachable:
    """Nobody has answered for too long."""
    step = work.step
    return NodeUnreachable(
        f"The move of disks of {work.label} to {work.storage} could not be followed for {seconds:.0f} s"
        f" ({silence.message.rstrip('.')}). It may go on; run this again to attach to it.{_done(work)}",
        task=step.task if step is not None else None,
        **facts(work),
    )


def revived(trouble: Mapping[str, Any]) -> MobilityError:
    """The failure that waited until the container ran again."""
    kinds = {kind.kind: kind for kind in _KINDS}
    error: MobilityError = kinds.get(str(trouble["kind"]), TaskFailed)(str(trouble["message"]))
    error.details = dict(trouble["details"])
    return error


_KINDS: tuple[type[MobilityError], ...] = (
    errors.Invalid,
    errors.Unsupported,
    errors.Conflict,
    errors.Blocked,
    errors.TimedOut,
    errors.NotFound,
    errors.PermissionDenied,
    errors.Locked,
    errors.NoQuorum,
    errors.NodeUnreachable,
)
