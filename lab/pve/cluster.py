# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster as a whole: nodes, membership, quorum, and access to everything that the nodes share."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lab.errors import Die
from lab.faults import Faults
from lab.pve.formats import GuestConfig, parse_guest_config, parse_key_value, print_guest_config
from lab.pve.locks import Locks
from lab.pve.node import Node
from lab.pve.pmxcfs import Pmxcfs, VmEntry
from lab.pve.pvestatd import Pvestatd
from lab.pve.storage import Storages
from lab.pve.tasks import Tasks
from lab.pve.traits import DEFAULT, Traits
from lab.pve.upgrade import boot_kernel
from lab.pve.users import Users
from lab.sim.engine import Engine, Sim
from lab.sim.network import Network

if TYPE_CHECKING:
    from lab.guests.replication.scheduler import Replication
    from lab.ha.stack import HaStack

CORO_DEAD_AFTER = 7.0
"""Seconds until corosync drops a dead node (timelines 09)."""


class Cluster:
    """One lab.

    :ivar fs: /etc/pve. :ivar tasks: workers and their logs. :ivar storages: definitions and volumes.
    :ivar users: accounts, tokens and privileges. :ivar faults: what goes wrong on demand.
    :ivar ha, replication: the HA stack and the replication schedulers (set by the loader).
    :ivar statd: what the nodes' pvestatd told about guests and storages.
    """

    def __init__(self, engine: Engine, name: str = "lab") -> None:
        self.engine = engine
        self.name = name
        self.on_membership: list[Callable[[Node], None]] = []
        """Called after a node joined or left the membership."""
        self.fs = Pmxcfs()
        self.nodes: dict[str, Node] = {}
        self.locks = Locks(engine)
        self.tasks = Tasks(self)
        self.network = Network(engine)
        self.users = Users(self)
        self.storages = Storages(self)
        self.faults = Faults()
        self.ha: HaStack
        self.replication: Replication
        self.statd = Pvestatd(self)
        self.traits: dict[int, Traits] = {}
        self.file: dict[str, Any] = {}
        """Parts of the cluster file that describe behaviour rather than state, by their key (``faults``, ``ha``)."""
        self.on_change: list[Callable[[Node], None]] = []
        """Called after a node's port began or ceased to answer (power, link, pveproxy)."""

    # ------------------------------------------------------------ nodes and quorum

    def add_node(self, node: Node) -> None:
        self.nodes[node.name] = node

    def node(self, name: str) -> Node:
        """:raises Die: ``no such cluster node '<name>'``."""
        if name not in self.nodes:
            raise Die(f"no such cluster node '{name}'")
        return self.nodes[name]

    def partition(self, node: Node) -> list[Node]:
        """The nodes that ``node`` can see, itself included."""
        if not node.up or not node.member:
            return [node]
        return [other for other in self.nodes.values() if other.up and other.member]

    def quorate(self, node: Node) -> bool:
        """Whether ``node`` belongs to the majority."""
        return len(self.nodes) == 1 or len(self.partition(node)) * 2 > len(self.nodes)

    def sees_online(self, viewer: Node, node: Node) -> bool:
        """Whether corosync on ``viewer`` counts ``node`` as online."""
        if viewer is node:
            return True
        return viewer.member and node.member

    def check_quorum(self, node: Node) -> None:
        if not self.quorate(node):
            raise Die("cluster not ready - no quorum?")

    def changed(self, node: Node) -> None:
        """Tell those who watch a node's port."""
        for hook in self.on_change:
            hook(node)

    def power_off(self, node: Node) -> None:
        """Pull the plug: processes are gone at once, the cluster notices later."""
        node.powered = False
        self.changed(node)
        node.running.clear()
        for task in list(self.tasks.running(node.name)):
            from lab.pve.tasks import Signal

            self.tasks.signal(task, Signal.KILL)
        self._leave_later(node)

    def cut_off(self, node: Node) -> None:
        """The node loses its network but goes on running."""
        node.linked = False
        self.changed(node)
        self._leave_later(node)

    def power_on(self, node: Node, boot_seconds: float | None = None) -> None:
        """Boot a node; it joins after ``boot_seconds`` (those of the node unless given)."""

        def boot() -> Sim:
            yield self.engine.sleep(node.boot_seconds if boot_seconds is None else boot_seconds)
            if node.powered:
                return
            node.kernel = boot_kernel(node)
            node.powered = True
            node.linked = True
            node.proxy_up = node.daemon_up = True
            node.proxy_starts += 1
            node.daemon_starts += 1
            node.boot_time = self.engine.now
            self.changed(node)
            yield self.engine.sleep(CORO_DEAD_AFTER)
            self._set_member(node, True)

        self.engine.spawn(boot())

    def reconnect(self, node: Node) -> None:
        """The network of a cut-off node works again."""
        node.linked = True
        self.changed(node)
        self._set_member(node, True)

    def _leave_later(self, node: Node) -> None:
        def leave() -> Sim:
            yield self.engine.sleep(CORO_DEAD_AFTER)
            if not node.up:
                self._set_member(node, False)

        self.engine.spawn(leave())

    def _set_member(self, node: Node, member: bool) -> None:
        node.member = member
        for hook in self.on_membership:
            hook(node)

    # ------------------------------------------------------------ files

    def write(self, node: Node, path: str, text: str) -> None:
        """Write a file of /etc/pve from ``node``.

        :raises Die: without quorum /etc/pve is read-only.
        """
        if not self.quorate(node):
            raise Die(f"unable to open file '/etc/pve/{path}.tmp.{node.new_pid()}' - Permission denied")
        self.fs.write(path, text)

    def write_locked(self, node: Node, path: str, text: str) -> None:
        """Write a cluster-wide file under its cfs lock (``cfs-lock 'file-storage_cfg' error: no quorum!``)."""
        self.check_cfs_lock(node, f"file-{path.rpartition('/')[2].replace('.', '_')}")
        self.fs.write(path, text)

    def check_cfs_lock(self, node: Node, name: str) -> None:
        if not self.quorate(node):
            raise Die(f"cfs-lock '{name}' error: no quorum!")

    # ------------------------------------------------------------ guests

    def guest(self, vmid: int) -> VmEntry | None:
        return self.fs.vmlist.get(vmid)

    def config(self, entry: VmEntry) -> GuestConfig:
        """The parsed configuration; do not change it, change a :meth:`GuestConfig.copy`."""
        return self.fs.parsed(entry.path, parse_guest_config)

    def config_on(self, node: Node, type: str, vmid: int) -> GuestConfig:
        """The configuration of a guest that must be on ``node``.

        :raises Die: ``Configuration file 'nodes/<n>/qemu-server/<id>.conf' does not exist``.
        """
        return self.config(self.entry_on(node, type, vmid))

    def entry_on(self, node: Node, type: str, vmid: int) -> VmEntry:
        entry = self.guest(vmid)
        if entry is None or entry.node != node.name or entry.type != type:
            path = VmEntry(vmid, node.name, type).path
            raise Die(f"Configuration file '{path}' does not exist")
        return entry

    def write_config(self, node: Node, entry: VmEntry, config: GuestConfig) -> None:
        self.write(node, entry.path, print_guest_config(config))

    def set_lock(self, entry: VmEntry, lock: str | None) -> None:
        """Set or drop the ``lock`` property of a guest."""
        config = self.config(entry).copy()
        if lock is None:
            config.current.pop("lock", None)
        else:
            config.current["lock"] = lock
        self.write_config(self.nodes[entry.node], entry, config)

    def trait(self, vmid: int) -> Traits:
        return self.traits.get(vmid, DEFAULT)

    def is_running(self, entry: VmEntry) -> bool:
        running = self.nodes[entry.node].running.get(entry.vmid)
        return running is not None and not running.incoming

    # ------------------------------------------------------------ datacenter.cfg and time

    def options(self) -> dict[str, str]:
        """datacenter.cfg as raw strings."""
        return self.fs.parsed("datacenter.cfg", parse_key_value)

    def stamp(self) -> str:
        """``2026-11-23 03:57:58``: the prefix of a migration log line."""
        return self.when().strftime("%Y-%m-%d %H:%M:%S")

    def when(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self.engine.now, dt.UTC)
