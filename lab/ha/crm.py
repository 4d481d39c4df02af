# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which node's CRM is active, and its rounds (HA/CRM.pm). One process stands for the CRMs of all nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import simpy

from lab.ha.commands import COMMANDS
from lab.ha.locks import LIFETIME
from lab.ha.manager import Manager
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from lab.ha.stack import HaStack
    from lab.pve.node import Node

ROUND = 10.0
POLL = 5.0
"""Seconds in which the CRM of a node that is not active looks whether it should be."""
IDLE_ROUNDS = 90
"""Rounds without any service after which the master gives the lock back."""
START_SECONDS = 10.0
"""After its node joined, a CRM needs that long until it can be elected."""


class Crm:
    """The CRMs of a cluster.

    :ivar master: name of the node whose CRM holds the manager lock; None when nobody does.
    """

    def __init__(self, stack: HaStack) -> None:
        self._stack = stack
        self._cluster = stack.cluster
        self._engine = stack.cluster.engine
        self.master: str | None = None
        self.manager: Manager | None = None
        self._boot = 0.0
        self._renewed = float("-inf")
        self._idle_rounds = 0
        self._call: simpy.Event | None = None
        self._joined: dict[str, float] = {}
        self._cluster.on_membership.append(self._membership)

    def start(self, phase: float) -> None:
        """:param phase: seconds until the first round."""
        self._engine.spawn(self._run(phase))

    def appoint(self, node: Node) -> None:
        """Make a node's CRM the active one, as found when the lab starts."""
        self.master = node.name
        self._boot = node.boot_time
        self._renewed = self._engine.now
        self.manager = Manager(self._stack, node)

    def wake(self) -> None:
        """There may be something to do: a new resource, a command."""
        if self._call is not None and not self._call.triggered:
            self._call.succeed()

    # ------------------------------------------------------------ the loop

    def _run(self, phase: float) -> Sim:
        yield self._engine.sleep(phase)
        while True:
            if self.master is None:
                yield from self._elect()
            elif not self._able():
                yield from self._outage()
            else:
                self._renewed = self._engine.now
                if self._idle():
                    continue
                assert self.manager is not None
                self.manager.manage()
                yield self._engine.sleep(ROUND)

    def _able(self) -> bool:
        """Whether the master still lives (as the same process) and has quorum."""
        assert self.master is not None
        node = self._cluster.nodes[self.master]
        return node.powered and node.boot_time == self._boot and self._cluster.quorate(node)

    def _idle(self) -> bool:
        """Count rounds without services; after many of them nobody is master any more."""
        status = self._stack.status
        if self._stack.resources() or status.services or status.disarm is not None:
            self._idle_rounds = 0
            return False
        self._idle_rounds += 1
        if self._idle_rounds <= IDLE_ROUNDS:
            return False
        self._stack.log(str(self.master), "pve-ha-crm",
                        f"cluster had no service configured for {IDLE_ROUNDS} rounds, going idle.")  # fmt: skip
        self._idle_rounds = 0
        self.master = self.manager = None
        self._renewed = float("-inf")
        return True

    def _outage(self) -> Sim:
        """The master is gone or has no quorum: the others wait for the end of its lock's life."""
        assert self.master is not None
        self.manager = None
        while self._engine.now - self._renewed <= LIFETIME:
            yield self._engine.sleep(min(POLL, self._renewed + LIFETIME - self._engine.now + 0.1))
            if self._able():
                self._stack.log(self.master, "pve-ha-crm", "status change lost_manager_lock => master")
                self.manager = Manager(self._stack, self._cluster.nodes[self.master])
                return
        self.master = None

    def _elect(self) -> Sim:
        """The first CRM that asks becomes master, when there is something to manage."""
        while not self._wanted():
            self._call = self._engine.event()
            yield self._call
            yield self._engine.sleep(POLL / 2)
        candidates = [node for node in self._cluster.nodes.values() if self._eligible(node)]
        if not candidates:
            yield self._engine.sleep(POLL)
            return
        names = list(self._cluster.nodes)
        turns = {node.name: (names.index(node.name) * 3.1 + 0.4) % POLL for node in candidates}
        node = min(candidates, key=lambda item: turns[item.name])
        yield self._engine.sleep(turns[node.name])
        if self._eligible(node):
            self._stack.begin()
            self.appoint(node)
            self._stack.log(node.name, "pve-ha-crm", "status change slave => master")

    def _eligible(self, node: Node) -> bool:
        if not node.powered or not self._cluster.quorate(node):
            return False
        return self._engine.now - self._joined.get(node.name, float("-inf")) >= START_SECONDS

    def _wanted(self) -> bool:
        """CRM.pm:can_get_active: services, commands, or something left to clean up."""
        status = self._stack.status
        left = any(
            state == "maintenance" and not status.node_request.get(node, {}).get("maintenance")
            for node, state in status.node_status.items()
        )
        return bool(
            self._stack.resources() or self._cluster.fs.read(COMMANDS) or status.services or status.disarm or left
        )

    def _membership(self, node: Node) -> None:
        if node.member:
            self._joined[node.name] = self._engine.now
