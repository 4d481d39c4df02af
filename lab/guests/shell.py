# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands about guests that Proxmox VE has only on the shell."""

from __future__ import annotations

from lab.control import shell_command
from lab.errors import Die
from lab.guests.replication.jobs import jobs, save
from lab.pve.cluster import Cluster
from lab.pve.node import Node


def _vmid(arguments: list[str]) -> int:
    if len(arguments) != 1 or not arguments[0].isdigit():
        raise Die("400 not enough arguments\nusage: unlock <vmid>")
    return int(arguments[0])


def _unlock(cluster: Cluster, node: Node, type: str, arguments: list[str]) -> None:
    entry = cluster.entry_on(node, type, _vmid(arguments))
    cluster.set_lock(entry, None)


@shell_command("qm unlock")
def qm_unlock(cluster: Cluster, node: Node, arguments: list[str]) -> None:
    """Drop the ``lock`` of a VM on this node."""
    _unlock(cluster, node, "qemu", arguments)


@shell_command("pct unlock")
def pct_unlock(cluster: Cluster, node: Node, arguments: list[str]) -> None:
    """Drop the ``lock`` of a container on this node."""
    _unlock(cluster, node, "lxc", arguments)


@shell_command("qm set")
def qm_set(cluster: Cluster, node: Node, arguments: list[str]) -> None:
    """``qm set <vmid> --lock <lock>``: the only key that the API does not set."""
    if len(arguments) != 3 or arguments[1] != "--lock":
        raise Die("400 only 'qm set <vmid> --lock <lock>' is known here")
    cluster.set_lock(cluster.entry_on(node, "qemu", _vmid(arguments[:1])), arguments[2])


@shell_command("pvesr delete")
def pvesr_delete(cluster: Cluster, node: Node, arguments: list[str]) -> None:
    """``pvesr delete <id> [--keep 1|--force 1]``."""
    flags = {word.lstrip("-") for word in arguments[1:] if word.startswith("--")}
    job = jobs(cluster).get(arguments[0] if arguments else "")
    if job is None:
        raise Die(f"no such job '{arguments[0] if arguments else ''}'")
    removal = {"remove_job": "local" if "keep" in flags else "full"}
    save(cluster, node, {job.id: None if "force" in flags else job.values | removal})
