# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Replays a plan moment by moment and looks whether it holds, by the snapshot alone.

Nothing is taken from the planner's own books: sizes, rules and replicas are read from the cluster's state again. Guests
take room on both nodes while they move. Memory is what running guests are promised: it never exceeds what a node has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.move import Mode
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.model.travel import travelling
from ansible_collections.pve.mobility.plugins.module_utils.planning.levels import Level, beyond, level, levels
from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import (
    Fate,
    Move,
    Proof,
    Room,
    Stay,
    Step,
    Work,
)
from ansible_collections.pve.mobility.plugins.module_utils.planning.policy import Policy

Place = tuple[str, str]
"""A node, and a storage on it; the storage is empty for memory."""


@dataclass(slots=True)
class _Replay:
    state: ClusterState
    policy: Policy
    where: dict[int, str]
    moving: dict[int, str] = field(default_factory=dict)
    """vmid → target, while it moves."""
    data: dict[int, set[str]] = field(default_factory=dict)
    """vmid → nodes that hold its data, for replicated guests."""
    used: dict[Place, int] = field(default_factory=dict)
    limit: dict[Place, int] = field(default_factory=dict)
    known: dict[str, Level] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    off: set[str] = field(default_factory=set)
    touched: dict[Place, tuple[int, int, float]] = field(default_factory=dict)
    apart: dict[int, set[int]] = field(default_factory=dict)

    def say(self, sentence: str) -> None:
        if sentence not in self.broken:
            self.broken.append(sentence)


def prove(
    state: ClusterState,
    moves: Sequence[Move],
    steps: Sequence[Step],
    policy: Policy,
    stays: Iterable[Stay] = (),
    releases_only: bool = False,
) -> Proof:
    """:param releases_only: 9.2.4 and 9.2.11 count as the same. :returns: rooms that are touched, and what breaks."""
    replay = _begin(state, policy, releases_only)
    stopped: dict[int, set[int]] = {}
    for stay in stays:
        if stay.fate is Fate.STOP:
            stopped.setdefault(stay.step, set()).add(stay.guest)
    by_step: dict[int, list[Move]] = {}
    for move in moves:
        by_step.setdefault(move.step, []).append(move)
    rooms: list[Room] = []
    newest = beyond(replay.known)
    for step in steps:
        replay.touched = {}
        before = dict(replay.used)
        own = by_step.get(step.number, [])
        # What a failback brings back moves after the node was worked on.
        out = [move for move in own if move.target != step.node or step.kind is Work.HOME]
        _carry(replay, out)
        if step.kind is Work.UPGRADE and not step.skipped:
            _empty(replay, step, stopped.get(step.number, set()))
        if step.kind in (Work.UPGRADE, Work.INSTALL) and not step.skipped:
            replay.known[step.node] = level(policy.goal) if policy.goal else newest
        _carry(replay, [move for move in own if move not in out])
        rooms += _rooms(replay, step.number, before)
    return Proof(tuple(rooms), tuple(replay.broken))


def _begin(state: ClusterState, policy: Policy, releases_only: bool) -> _Replay:
    replay = _Replay(state, policy, {guest.vmid: guest.node for guest in state.guests})
    replay.known = levels(state, releases_only)
    for job in state.replication_jobs:
        if job.removing is None:
            replay.data.setdefault(job.guest, set()).update((job.source, job.target))
    thresholds = policy.judge.thresholds
    for node in state.nodes:
        replay.used[node.name, ""] = sum(guest.maxmem for guest in state.guests_on(node.name) if guest.running)
        replay.limit[node.name, ""] = node.maxmem
    for item in state.storage_status:
        if item.active and item.total:
            place = (item.node, item.storage)
            replay.used[place] = item.total - item.avail
            replay.limit[place] = int(item.total - item.total * thresholds.storage_headroom / 100)
    for rule in state.ha_rules:
        if rule.active and rule.type == "resource-affinity" and not rule.positive:
            vmids = {vmid for sid in rule.sids if (vmid := _managed(state, sid)) is not None}
            for vmid in vmids:
                replay.apart.setdefault(vmid, set()).update(vmids - {vmid})
    return replay


def _managed(state: ClusterState, sid: str) -> int | None:
    resource = state.ha_resource(sid)
    return resource.vmid if resource is not None and resource.state != "ignored" else None


def _carry(replay: _Replay, moves: Sequence[Move]) -> None:
    """Begin and end moves in the order of time; at the same moment those that end go first."""
    moments = sorted(
        [(move.start, 1, move.id, move) for move in moves] + [(move.end, 0, move.id, move) for move in moves],
        key=lambda item: item[:3],
    )
    ended: set[int] = set()
    for moment, begins, _number, move in moments:
        if begins:
            for other in move.after:
                if other not in ended and any(item.id == other for item in moves):
                    replay.say(f"{move.label} would begin before a move that it waits for has ended.")
            _start(replay, move, moment)
        else:
            _finish(replay, move)
            ended.add(move.id)


def _start(replay: _Replay, move: Move, moment: float) -> None:
    guest = replay.state.guest(move.guest)
    if guest is None or replay.where.get(move.guest) != move.source:
        replay.say(f"{move.label} is not on {move.source} when it is to leave it.")
        return
    if replay.known.get(move.target, ()) < replay.known.get(move.source, ()):
        replay.say(f"{move.label} would go from {move.source} to an older release on {move.target}.")
    if guest.vmid in replay.moving:
        replay.say(f"{move.label} would move twice at once.")
    replay.moving[guest.vmid] = move.target
    _rules(replay, guest, move)
    for place, size in _takes(replay, guest, move).items():
        _add(replay, place, size, moment, move)


def _rules(replay: _Replay, guest: Guest, move: Move) -> None:
    holders = replay.data.get(guest.vmid)
    if holders and move.mode is Mode.ONLINE and move.target not in holders:
        replay.say(f"{move.label} would go to {move.target}, which holds no replica of it.")
    for other in sorted(replay.apart.get(guest.vmid, ())):
        if move.target in (replay.where.get(other), replay.moving.get(other)):
            replay.say(f"{move.label} would be beside guest {other} on {move.target}, which a rule forbids.")
    for rule in replay.state.rules_of(guest.sid):
        if not rule.active or rule.type != "node-affinity" or _managed(replay.state, guest.sid) is None:
            continue
        inside = move.target in rule.nodes
        if (rule.positive and rule.strict and not inside) or (not rule.positive and inside):
            replay.say(f"{move.label} would go to {move.target} against rule {rule.id}.")


def _takes(replay: _Replay, guest: Guest, move: Move) -> dict[Place, int]:
    """What is taken on the target, in full: replicas lie there already."""
    found: dict[Place, int] = {}
    if guest.running:
        found[move.target, ""] = guest.maxmem
    config = replay.state.config(guest.vmid)
    holders = replay.data.get(guest.vmid, set())
    mapping: Mapping[str, str] = {} if move.ha else replay.policy.judge.storage_map
    for volume in travelling(replay.state, config, move.target, mapping) if config is not None else ():
        there = move.target in holders and volume.disk.replicate
        storage = volume.storage
        kept = there and storage is not None and storage.type == "zfspool" and volume.to == storage.id
        if volume.copied and not kept:
            place = (move.target, volume.to)
            found[place] = found.get(place, 0) + (volume.disk.size or 0)
    return found


def _add(replay: _Replay, place: Place, size: int, moment: float, move: Move) -> None:
    if place not in replay.used or not size:
        return
    before = replay.used[place]
    replay.used[place] = now = before + size
    seen = replay.touched.get(place)
    if seen is None or now > seen[1]:
        replay.touched[place] = (before if seen is None else seen[0], now, moment)
    limit = replay.limit[place]
    if limit and now > limit:
        node, storage = place
        what = f"storage {storage}" if storage else "memory"
        replay.say(f"{move.label} would fill the {what} of {node}: {_gib(now)} of {_gib(limit)} GiB.")


def _finish(replay: _Replay, move: Move) -> None:
    guest = replay.state.guest(move.guest)
    if guest is None or replay.moving.pop(move.guest, None) is None:
        return
    freed = _frees(replay, guest, move)
    for place, size in freed.items():
        if place in replay.used:
            replay.used[place] -= size
            replay.touched.setdefault(place, (replay.used[place] + size, replay.used[place] + size, move.end))
    holders = replay.data.get(guest.vmid)
    if holders is not None and move.target not in holders:
        # Its data goes along, and the place that it leaves is no replica (pve-facts §6.5).
        holders.discard(move.source)
        holders.add(move.target)
    replay.where[guest.vmid] = move.target


def _frees(replay: _Replay, guest: Guest, move: Move) -> dict[Place, int]:
    found: dict[Place, int] = {}
    if guest.running:
        found[move.source, ""] = guest.maxmem
    config = replay.state.config(guest.vmid)
    holders = replay.data.get(guest.vmid, set())
    for volume in travelling(replay.state, config, move.target, {}) if config is not None else ():
        storage = volume.storage
        kept = storage is not None and storage.type == "zfspool" and volume.disk.replicate and move.target in holders
        if volume.copied and not kept and storage is not None:
            place = (move.source, storage.id)
            found[place] = found.get(place, 0) + (volume.disk.size or 0)
    return found


def _empty(replay: _Replay, step: Step, stopped: set[int]) -> None:
    for guest in replay.state.guests:
        if guest.running and replay.where[guest.vmid] == step.node and guest.vmid not in stopped:
            replay.say(f"{guest.label} would still run on {step.node} when it restarts.")


def _rooms(replay: _Replay, step: int, before: Mapping[Place, int]) -> list[Room]:
    found = []
    for place in sorted(replay.touched):
        _first, peak, moment = replay.touched[place]
        node, storage = place
        start = before.get(place, 0)
        found.append(
            Room(step, node, storage, start, max(peak, start), replay.used[place], replay.limit[place], moment)
        )
    return found


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f}".removesuffix(".0")
