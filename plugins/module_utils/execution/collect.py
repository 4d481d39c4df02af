# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One snapshot of the cluster, read concurrently.

Requests, when everything but the history is asked for: at most 20 for the cluster; 5 for each node that is online, one
of them only where replicated guests are; 1 for each guest. Besides, once for each combination of QEMU packages its
machine versions, and the processes of a node only where their machine version can matter: where QEMU is newer than on
another node, or a guest has a VNC clipboard. A local storage with cloud-init drives, or with hook scripts, is 1 more
for each node, and so is one with disks of guests that the HA manager keeps stopped, for their nodes. Nodes and guests
alone are 1 request.

A guest that moves while it is being read is looked up again, once; one that vanishes is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.collect_cluster import ClusterReading
from ansible_collections.pve.mobility.plugins.module_utils.execution.collect_guests import GuestReading
from ansible_collections.pve.mobility.plugins.module_utils.execution.collect_history import HistoryReading
from ansible_collections.pve.mobility.plugins.module_utils.execution.collect_nodes import NodeReading
from ansible_collections.pve.mobility.plugins.module_utils.execution.collect_volumes import VolumeReading
from ansible_collections.pve.mobility.plugins.module_utils.execution.locate import read_resources
from ansible_collections.pve.mobility.plugins.module_utils.execution.reader import Reader
from ansible_collections.pve.mobility.plugins.module_utils.execution.selector import Selector
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Resources
from ansible_collections.pve.mobility.plugins.module_utils.model.state import PARTS, ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.model.unknown import Unknown

FREE = frozenset({"nodes", "guests"})
"""Parts that the first request has already."""

EVERYTHING = frozenset(PARTS) - {"history"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to collect. ``history``: how many logs are read of each node, when that part is wanted."""

    parts: frozenset[str] = EVERYTHING
    guests: Selector = field(default_factory=Selector)
    history: int = 10


def collect(session: Session, wanted: Wanted) -> ClusterState:
    """Read a snapshot.

    :raises ApiError: no API host answers, or they refuse the credentials. All else is in the snapshot's ``unknown``.
    """
    seen = read_resources(session)
    fields: dict[str, Any] = {"nodes": seen.nodes, "guests": wanted.guests.chosen(seen.guests)}
    unknown: list[Unknown] = []
    if wanted.parts - FREE:
        with Reader(session) as reader:
            fields |= _read(reader, wanted, seen, fields["guests"])
            unknown = reader.unknown
    kept = {name for part in wanted.parts for name in PARTS[part]}
    return ClusterState(
        parts=tuple(part for part in PARTS if part in wanted.parts),
        unknown=tuple(sorted(set(unknown), key=_order)),
        **{name: value for name, value in fields.items() if name in kept},
    )


def _read(reader: Reader, wanted: Wanted, seen: Resources, guests: tuple[Guest, ...]) -> dict[str, Any]:
    parts = wanted.parts
    cluster = ClusterReading(reader, parts)
    reader.each(cluster.steps())
    cluster.note_what_is_hidden()
    for node in seen.nodes:
        if not node.online:
            reader.give_up(node.name, f"{node.name} is {node.status}.")
    nodes = NodeReading(reader, parts, seen.nodes, _with_jobs(cluster, guests))
    configs = GuestReading(reader, guests)
    plan: list[Callable[[], Any]] = []
    by_node: dict[str, list[Guest]] = {}
    for guest in guests if "guest_configs" in parts else ():
        by_node.setdefault(guest.node, []).append(guest)
    for node in seen.nodes:
        plan.append(_node(reader, node.name, nodes.steps(node.name), configs.steps(by_node.get(node.name, ()))))
    reader.each(plan)
    history = HistoryReading(reader, seen.nodes, guests if wanted.guests else None, wanted.history)
    later: list[Callable[[], Any]] = [*nodes.later(configs.guests(), configs.found)]
    volumes = VolumeReading(reader, configs.found.values(), cluster.storages, cluster.resting)
    if volumes.wanted:
        cluster.note_hidden_volumes()
    later += volumes.steps(nodes.storages)
    if "history" in parts:
        later += history.steps()
    reader.each(later)
    _say_what_is_dead(reader, parts, seen, by_node)
    return {
        **cluster.fields(guests, nodes.jobs),
        **nodes.fields(cluster),
        "guests": configs.guests(),
        "guest_configs": tuple(configs.found[vmid] for vmid in sorted(configs.found)),
        "history": history.found(),
        "volumes": volumes.found(),
    }


def _with_jobs(cluster: ClusterReading, guests: Iterable[Guest]) -> frozenset[str]:
    """Nodes that can say how a replication job is doing: those where the guests are now."""
    replicated = {job.guest for job in cluster.jobs}
    return frozenset(guest.node for guest in guests if guest.vmid in replicated)


def _node(
    reader: Reader, name: str, steps: list[Callable[[bool], Any]], guests: list[Callable[[], Any]]
) -> Callable[[], Iterable[Callable[[], Any]]]:
    """Everything of one node: one request to see whether it answers, the others only then."""

    def work() -> Iterable[Callable[[], Any]]:
        if reader.dead(name):
            return ()
        if steps:
            steps[0](True)
        elif guests:
            guests[0]()
        if reader.dead(name):
            return ()
        return [*(_patiently(step) for step in steps[1:]), *guests[0 if steps else 1 :]]

    return work


def _patiently(step: Callable[[bool], Any]) -> Callable[[], None]:
    def work() -> None:
        step(False)

    return work


def _say_what_is_dead(reader: Reader, parts: frozenset[str], seen: Resources, by_node: dict[str, list[Guest]]) -> None:
    for node in seen.nodes:
        if not reader.dead(node.name):
            continue
        why = reader.why_dead(node.name)
        for part in ("node_facts", "storages", "running", "replication", "history"):
            if part in parts:
                reader.missing(part, why, node=node.name)
        if by_node.get(node.name):
            reader.missing("guest_configs", why, node=node.name)


def _order(item: Unknown) -> tuple[str, str, int, str]:
    return (item.part, item.node or "", item.vmid or 0, item.why)
