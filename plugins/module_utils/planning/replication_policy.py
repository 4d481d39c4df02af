# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A policy for replication: which guests are meant, where their data shall be, and what that means for every job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob
from ansible_collections.pve.mobility.plugins.module_utils.model.schedule import DEFAULT
from ansible_collections.pve.mobility.plugins.module_utils.planning.replica_set import (
    Plan,
    Settings,
    change,
    effective,
    plan,
)
from ansible_collections.pve.mobility.plugins.module_utils.planning.schedule_spread import Slot, spread


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a policy; of those that match a guest the first counts.

    :ivar sets: sets of nodes. A guest belongs to the first that has its node; with a single set that is not needed.
    :ivar spread: shift the schedule so that the jobs of a node do not all fire in the same minute.
    """

    name: str
    sets: tuple[tuple[str, ...], ...]
    settings: Settings = field(default_factory=Settings)
    spread: bool = True

    def replicas(self, node: str) -> tuple[str, ...] | None:
        """The nodes that hold the data of a guest on ``node``; None when no set has it."""
        if len(self.sets) == 1:
            return self.sets[0]
        return next((nodes for nodes in self.sets if node in nodes), None)


@dataclass(slots=True)
class GuestPlan:
    """What the policy means for one guest. ``homeless``: it is on a node of none of the sets.

    :ivar refused: nodes of its set to which it cannot be replicated.
    """

    guest: Guest
    rule: Rule
    replicas: tuple[str, ...]
    plan: Plan
    jobs: tuple[ReplicationJob, ...]
    schedules: Mapping[str, str] = field(default_factory=dict)
    homeless: bool = False
    refused: tuple[str, ...] = ()

    @property
    def nodes(self) -> tuple[str, ...]:
        """All nodes that hold its data, or will, its own among them."""
        return tuple(sorted({self.guest.node, *self.copies}))

    @property
    def copies(self) -> tuple[str, ...]:
        """Nodes that get copies."""
        return tuple(name for name in self.targets if name not in self.refused)

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(name for name in self.replicas if name != self.guest.node)

    @property
    def outside(self) -> bool:
        return self.guest.node not in self.replicas

    def settings(self, target: str) -> Settings:
        """Those of the job to a node: the rule's, with the schedule that it has by the spread."""
        return replace(self.rule.settings, schedule=self.schedules.get(target, self.rule.settings.schedule))


def plan_policy(
    chosen: Iterable[tuple[Guest, Rule]],
    jobs: Iterable[ReplicationJob],
    refused: Mapping[int, frozenset[str] | None],
    reachable: frozenset[str] | None = None,
) -> list[GuestPlan]:
    """Every guest that a rule is about, with what is to be done.

    :param refused: guests that cannot be replicated: at all (None), or to some nodes. :param reachable: nodes that are
        up; None: all.
    """
    of_guest: dict[int, list[ReplicationJob]] = {}
    for job in jobs:
        of_guest.setdefault(job.guest, []).append(job)
    found: list[GuestPlan] = []
    for guest, rule in chosen:
        replicas = rule.replicas(guest.node)
        own = effective(of_guest.get(guest.vmid, ()), guest.node)
        if replicas is None:
            found.append(GuestPlan(guest, rule, (), Plan(keep=own), own, homeless=True))
            continue
        item = GuestPlan(guest, rule, replicas, Plan(), own)
        item.refused = tuple(name for name in item.targets if _refuses(refused, guest.vmid, name, own))
        item.plan = plan(guest.vmid, item.copies, own, Settings(enabled=None), exact=True, reachable=reachable)
        found.append(item)
    _schedule(found, of_guest)
    for item in found:
        if not item.homeless:
            updates = (change(job, item.settings(job.target)) for job in item.plan.keep)
            item.plan = replace(item.plan, update=tuple(update for update in updates if update is not None))
    return found


def _refuses(
    refused: Mapping[int, frozenset[str] | None], vmid: int, target: str, jobs: Iterable[ReplicationJob]
) -> bool:
    """Jobs that exist are never held back: only new ones would be refused."""
    if vmid not in refused or any(job.target == target for job in jobs):
        return False
    nodes = refused[vmid]
    return nodes is None or target in nodes


def _schedule(found: list[GuestPlan], of_guest: Mapping[int, list[ReplicationJob]]) -> None:
    """Give each job of a rule that spreads its minute."""
    slots, managed = [], set()
    for item in found:
        if item.homeless or not item.rule.spread or not (item.rule.settings.schedule or item.plan.create):
            continue
        wanted = item.rule.settings.schedule or DEFAULT
        present = {job.target: job for job in item.plan.keep}
        for target in (*present, *item.plan.create):
            job = present.get(target)
            if job is not None and item.rule.settings.schedule is None:
                # Nothing is said about the schedule of jobs that are there.
                continue
            managed.add((item.guest.vmid, target))
            slots.append(Slot((item.guest.vmid, target), item.guest.node, wanted, job.schedule if job else None))
    nodes = {item.guest.vmid: item.guest.node for item in found}
    others = [
        (nodes.get(job.guest, job.source), job.schedule)
        for jobs in of_guest.values()
        for job in jobs
        if (job.guest, job.target) not in managed and not job.disabled and job.removing is None
    ]
    chosen = spread(slots, others)
    for item in found:
        item.schedules = {
            target: chosen[item.guest.vmid, target] for target in item.targets if (item.guest.vmid, target) in chosen
        }
