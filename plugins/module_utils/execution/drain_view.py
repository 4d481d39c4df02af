# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a drain knows of the cluster at a moment: the list of resources, seconds old, and a snapshot, minutes old."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import PermissionDenied
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.collect import EVERYTHING, Wanted, collect
from ansible_collections.pve.mobility.plugins.module_utils.execution.locate import read_resources
from ansible_collections.pve.mobility.plugins.module_utils.execution.prepare import Around
from ansible_collections.pve.mobility.plugins.module_utils.execution.request import MoveRequest
from ansible_collections.pve.mobility.plugins.module_utils.execution.selector import Selector
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Resources
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob, replication_job
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.planning.policy import Policy

FRESH = 5.0
"""Seconds for which the list of resources is good enough to begin moves by; each guest is asked besides."""
SNAPSHOT = 300.0
"""Seconds for which storages, devices, rules and configurations are good enough to judge by."""


@dataclass(slots=True)
class View:
    """:ivar nodes: whose guests are moved; snapshots made on the way read the configurations of these only."""

    session: Session
    clock: Clock
    policy: Policy
    nodes: tuple[str, ...] = ()
    _seen: Resources | None = None
    _seen_at: float = 0.0
    _by_vmid: dict[int, Guest] = field(default_factory=dict)
    _state: ClusterState | None = None
    _state_at: float = 0.0
    _time: tuple[int, float] | None = None

    def forget(self) -> None:
        """Something has changed: the next look is a new one."""
        self._seen = None

    def start_with(self, state: ClusterState) -> None:
        """A snapshot that was just made."""
        self._state, self._state_at = state, self.clock.monotonic()

    def seen(self) -> Resources:
        """One list of guests for all that begin at about the same time."""
        now = self.clock.monotonic()
        if self._seen is None or now - self._seen_at > FRESH:
            self._seen, self._seen_at = read_resources(self.session), now
            self._by_vmid = {guest.vmid: guest for guest in self._seen.guests}
        return self._seen

    def guests(self) -> tuple[Guest, ...]:
        return self.seen().guests

    def guest(self, vmid: int) -> Guest | None:
        self.seen()
        return self._by_vmid.get(vmid)

    def state(self) -> ClusterState:
        """A snapshot, not older than some minutes."""
        now = self.clock.monotonic()
        if self._state is None or now - self._state_at > SNAPSHOT:
            wanted = Wanted(EVERYTHING, Selector(nodes=frozenset(self.nodes)))
            self._state, self._state_at = collect(self.session, wanted), now
        return self._state

    def around(self, arriving: Mapping[str, frozenset[int]]) -> Around:
        """For :func:`decide`. What moves and what fills up is as fresh as the list of resources."""
        seen = self.seen()
        state = replace(self.state(), nodes=seen.nodes, guests=seen.guests)
        judge = self.policy.judge
        return Around(state, seen, arriving, judge.thresholds, judge.zfs)

    def request(self, base: MoveRequest, guest: Guest, targets: tuple[str, ...]) -> MoveRequest:
        """The HA manager takes none of the options (pve-facts §1.4)."""
        plain = replace(base, guest=str(guest.vmid), targets=targets)
        if guest.hastate is None or guest.hastate == "ignored":
            return plain
        return replace(plain, storage_map={}, bwlimit=None, restart_timeout=None, with_local_disks=True)

    def by_room(self, source: str) -> list[str]:
        """Other nodes on which guests may be, those with the most free memory first."""
        to = self.policy.to
        nodes = [
            node
            for node in self.seen().nodes
            if node.online and not node.maintenance and node.name != source and (to is None or node.name in to)
        ]
        return [node.name for node in sorted(nodes, key=lambda node: (node.mem - node.maxmem, node.name))]

    def jobs(self, guest: Guest) -> tuple[ReplicationJob, ...]:
        rows = self.session.get(f"/nodes/{guest.node}/replication", {"guest": guest.vmid})
        return tuple(replication_job(row) for row in rows or ())

    def cluster_time(self, node: str) -> int:
        """Unix time in the cluster; 0 when it may not be asked, so that every copy counts as old."""
        now = self.clock.monotonic()
        if self._time is None or now - self._time[1] > SNAPSHOT:
            try:
                self._time = int(self.session.get(f"/nodes/{node}/time").get("time", 0)), now
            except PermissionDenied:
                self._time = 0, now
        then, at = self._time
        return int(then + now - at) if then else 2**62
