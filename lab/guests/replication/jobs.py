# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``/etc/pve/replication.cfg`` (pve-guest-common ReplicationConfig.pm)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.errors import Die
from lab.guests.drives import drives, volume_uses
from lab.pve.formats import GuestConfig, Section, parse_section_config, print_section_config

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.node import Node
    from lab.pve.pmxcfs import VmEntry

FILE = "replication.cfg"
DEFAULT_SCHEDULE = "*/15"
_ID = re.compile(r"([1-9]\d{2,8})-(\d{1,9})")


def parse_job_id(text: str) -> tuple[int, int]:
    """``100-0`` → guest and number.

    :raises ValueError: ``invalid replication job id``.
    """
    match = _ID.fullmatch(text)
    if match is None:
        raise ValueError(f"invalid replication job id '{text}'")
    return int(match[1]), int(match[2])


@dataclass(frozen=True, slots=True)
class Job:
    """One job; ``values`` as in the file. Do not change them, use :func:`edit`."""

    id: str
    guest: int
    number: int
    values: dict[str, str]

    @property
    def target(self) -> str:
        return self.values["target"]

    @property
    def source(self) -> str | None:
        return self.values.get("source")

    @property
    def schedule(self) -> str:
        return self.values.get("schedule", DEFAULT_SCHEDULE)

    @property
    def rate(self) -> float | None:
        """MB/s of 10^6 bytes."""
        return float(self.values["rate"]) if "rate" in self.values else None

    @property
    def removal(self) -> str | None:
        return self.values.get("remove_job")

    @property
    def disabled(self) -> bool:
        return self.values.get("disable") == "1"

    def row(self) -> dict[str, Any]:
        """As the API shows it."""
        row: dict[str, Any] = {"id": self.id, "type": "local", "guest": self.guest, "jobnum": self.number}
        for key, value in self.values.items():
            if key == "rate":
                row[key] = float(value) if "." in value else int(value)
            elif key != "disable":
                row[key] = value
            elif value == "1":
                row[key] = 1
        return row


@dataclass(frozen=True, slots=True)
class _Table:
    by_id: dict[str, Job]
    by_guest: dict[int, list[Job]]


def _parse(text: str) -> _Table:
    table = _Table({}, {})
    for section in parse_section_config(text).values():
        guest, number = parse_job_id(section.id)
        job = table.by_id[section.id] = Job(section.id, guest, number, section.values)
        table.by_guest.setdefault(guest, []).append(job)
    return table


def jobs(cluster: Cluster) -> dict[str, Job]:
    """All jobs by ID."""
    return cluster.fs.parsed(FILE, _parse).by_id


def of_guest(cluster: Cluster, vmid: int) -> list[Job]:
    return cluster.fs.parsed(FILE, _parse).by_guest.get(vmid, [])


def of_node(cluster: Cluster, node: str) -> list[Job]:
    """The jobs of the guests that are on a node now, sorted by ID."""
    by_guest = cluster.fs.parsed(FILE, _parse).by_guest
    if not by_guest:
        return []
    found: list[Job] = []
    for folder in ("qemu-server", "lxc"):
        for name in cluster.fs.names(f"nodes/{node}/{folder}"):
            found += by_guest.get(int(name.partition(".")[0]), [])
    return sorted(found, key=lambda job: job.id)


def towards(cluster: Cluster, vmid: int, target: str) -> Job | None:
    """The guest's job to a node."""
    return next((job for job in of_guest(cluster, vmid) if job.target == target), None)


def check_no_jobs(cluster: Cluster, vmid: int) -> None:
    """:raises Die: There is a replication job …"""
    for job in of_guest(cluster, vmid):
        raise Die(f"There is a replication job '{job.id}' for guest '{vmid}' - Please remove that first.")


def save(cluster: Cluster, node: Node, changed: dict[str, dict[str, str] | None]) -> None:
    """Write jobs: new values by ID, None to remove one.

    :raises Die: no quorum.
    """
    cluster.check_cfs_lock(node, "file-replication_cfg")
    sections = {job.id: dict(job.values) for job in jobs(cluster).values()}
    for name, values in changed.items():
        if values is None:
            sections.pop(name, None)
        else:
            sections[name] = values
    text = print_section_config(
        (Section("local", name, sections[name]) for name in sorted(sections)), frozenset({"disable"})
    )
    cluster.fs.write(FILE, text)


def switch_target(cluster: Cluster, node: Node, vmid: int, old: str, new: str) -> None:
    """ReplicationConfig.pm:switch_replication_job_target: the guest came to ``old``, where one job had its target."""
    changed: dict[str, dict[str, str] | None] = {}
    for job in of_guest(cluster, vmid):
        values = dict(job.values)
        if values["target"] == old:
            values["target"] = new
        values["source"] = old
        changed[job.id] = values
    if changed:
        save(cluster, node, changed)


def replicatable_volumes(
    cluster: Cluster, entry: VmEntry, config: GuestConfig, cleanup: bool = False, quiet: bool = False
) -> list[str]:
    """The volumes that replication covers, sorted (pve-facts §6.4).

    :param cleanup: also those that are excluded now. :param quiet: leave out what cannot be replicated.
    :raises Die: a volume cannot be replicated.
    """
    found = set()
    for volid, replicate in _candidates(entry, config, cleanup):
        if volid.startswith("/"):
            if replicate and not (cleanup or quiet):
                raise Die(f"unable to replicate local file/device '{volid}'")
            continue
        storage = volid.partition(":")[0]
        if ":" not in volid or cluster.storages.is_shared(storage):
            continue
        volume = cluster.storages.find(volid, entry.node)
        if volume is None or volume.vmid != entry.vmid or (not cleanup and not replicate):
            continue
        if cluster.storages.definition(storage).type != "zfspool":
            if cleanup or quiet:
                continue
            raise Die(f"missing replicate feature on volume '{volid}'")
        found.add(volid)
    return sorted(found)


def _candidates(entry: VmEntry, config: GuestConfig, cleanup: bool) -> list[tuple[str, bool]]:
    if entry.type == "qemu":
        return [(use.volid, use.replicate) for use in volume_uses(config).values() if not use.cdrom]
    found = []
    for section in (config.current, *config.snapshots.values()):
        for drive in drives(section, "lxc", unused=True):
            replicate = drive.options.get("replicate") != "0"
            if drive.volid.startswith("/"):
                if replicate and not cleanup:
                    raise Die(f"unable to replicate mountpoint type '{mount_type(drive.volid)}'")
                continue
            found.append((drive.volid, replicate))
    return found


def mount_type(volid: str) -> str:
    """LXC/Config.pm:classify_mountpoint."""
    if not volid.startswith("/"):
        return "volume"
    return "device" if volid.startswith("/dev/") else "bind"
