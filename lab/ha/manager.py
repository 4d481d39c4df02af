# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One round of the active CRM (HA/Manager.pm:manage)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.ha import groups, transitions
from lab.ha.commands import take_commands
from lab.ha.config import GROUPS, RESOURCES, Group, Resource, resources
from lab.ha.config import groups as groups_of
from lab.ha.disarm import handle_disarm
from lab.ha.placement import Usage
from lab.ha.rules import NO_RULES, RULES, all_rules, compile_rules
from lab.ha.state import NodeStates, Result, Service
from lab.pve.formats import parse_property_string

if TYPE_CHECKING:
    from lab.ha.stack import HaStack
    from lab.pve.node import Node

_FREEZE_AT_RESTART = frozenset({"started", "stopped", "request_stop"})


class Manager:
    """The manager that lives on the master node; a new master begins with a new one."""

    def __init__(self, stack: HaStack, node: Node) -> None:
        self.stack = stack
        self.cluster = stack.cluster
        self.node = node
        self.status = stack.status
        self.services = stack.status.services
        self.nodes = NodeStates(stack.cluster, stack.status.node_status)
        self.rules = NO_RULES
        self.usage: Usage
        self.stuck: dict[str, None] = {}
        """Services that a fault keeps from acting on their command."""
        self.modes: dict[str, str] = {}
        self.group_rounds = groups.FIRST_ROUNDS
        self._compiled_from: tuple[str | None, ...] | None = None
        self._order: list[str] = []
        self._config_seen: dict[str, Resource] | None = None
        self.rebalance_on_start = False
        self._grouped: tuple[dict[str, Resource], dict[str, Group], dict[str, Resource]] | None = None
        self._world: tuple[object, ...] = ()
        stack.status.master_node = node.name

    def log(self, text: str) -> None:
        self.stack.log(self.node.name, "pve-ha-crm", text)

    # ------------------------------------------------------------ one round

    def manage(self) -> None:
        stack = self.stack
        self.modes = {name: lrm.mode if lrm.timestamp else "unknown" for name, lrm in stack.lrm_status.items()}
        self._update_nodes()
        if self.nodes.get(self.node.name) not in {"online", "maintenance"}:
            self.log("master seems offline")
            return
        groups.try_migration(self)
        config = self._config()
        if self.status.disarm is None:
            self._adopt(config)
        crs = parse_property_string(self.cluster.options().get("crs", ""), "ha")
        mode = crs.get("ha", "basic")
        self.rebalance_on_start = crs.get("ha-rebalance-on-start") == "1"
        self.usage = Usage(self.cluster, self.services, self.nodes.online(), mode, self.node.release >= (9, 2))
        self._compile()
        take_commands(self)
        deferred = None
        if self.status.disarm is not None:
            deferred = handle_disarm(self)
            if deferred is None:
                self._flush()
                return
        self._run_states(config, deferred)
        self._world = self._seen_world(config)
        self._flush()

    def _update_nodes(self) -> None:
        online = [node.name for node in self.cluster.nodes.values() if self.cluster.sees_online(self.node, node)]
        self.nodes.update(online, self.modes)
        for message in self.nodes.messages:
            self.log(message)
        self.nodes.messages.clear()

    def _config(self) -> dict[str, Resource]:
        """The resources; a group's ``nofailback`` goes for those that are in it."""
        own, known = resources(self.cluster), groups_of(self.cluster)
        if not known:
            return own
        if self._grouped is None or self._grouped[0] is not own or self._grouped[1] is not known:
            self._grouped = own, known, groups.with_failback(own, known)
        return self._grouped[2]

    def _adopt(self, config: dict[str, Resource]) -> None:
        """Add services that are new in the configuration, drop those that are gone from it."""
        services = self.services
        if len(self._order) == len(services) == len(config) and self._config_seen is config:
            return
        for sid in sorted(config.keys() - services.keys()):
            resource = config[sid]
            entry = self.cluster.guest(resource.vmid)
            if resource.state == "ignored" or entry is None:
                continue
            self.log(f"adding new service '{sid}' on node '{entry.node}'")
            state = "request_start" if resource.state == "started" else "request_stop"
            services[sid] = Service(state, entry.node, self.status.new_uid("started"))
        for sid in [sid for sid in services if sid not in config or config[sid].state == "ignored"]:
            reason = "ignored state requested" if sid in config else "no config"
            self.log(f"removing stale service '{sid}' ({reason})")
            del services[sid]
        self._order = sorted(services)
        self._config_seen = config

    def _compile(self) -> None:
        fs = self.cluster.fs
        source = (fs.read(RULES), fs.read(GROUPS), fs.read(RESOURCES), ",".join(self.nodes.status))
        if source == self._compiled_from:
            return
        self._compiled_from = source
        self.rules, messages = compile_rules(all_rules(self.cluster), sorted(self.nodes.status))
        for message in messages:
            self.log(message)

    # ------------------------------------------------------------ the state machine

    def _run_states(self, config: dict[str, Resource], deferred: set[str] | None) -> None:
        services = self.services
        order = [sid for sid in self._order if sid in services] if self.status.disarm else self._order
        if deferred is not None:
            order = sorted(deferred)
        calm = deferred is None and self._world == self._seen_world(config)
        while True:
            changed = False
            for sid in order:
                service = services[sid]
                if calm and self._at_rest(sid, service):
                    continue
                before = service.state
                if sid not in self.stuck:
                    transitions.next_state(self, sid, config.get(sid), service)
                if self.modes.get(service.node) == "restart" and service.state in _FREEZE_AT_RESTART:
                    self.change(sid, "freeze")
                changed = changed or service.state != before
            if self._fence(order):
                changed = True
            if not changed:
                return

    def _seen_world(self, config: dict[str, Resource]) -> tuple[object, ...]:
        """What the choice of nodes rests on, but for other services."""
        return id(config), self._compiled_from, tuple(self.nodes.status.items()), tuple(self.modes.items())

    def _at_rest(self, sid: str, service: Service) -> bool:
        """Nothing to do for a service of which nothing new is known; this keeps rounds with thousands cheap."""
        return (
            service.state == "started"
            and service.cmd is None
            and service.maintenance_node is None
            and self.result(service) is None
            and self.nodes.status.get(service.node) == "online"
            and sid not in self.rules.together
            and sid not in self.rules.apart
        )

    def _fence(self, order: list[str]) -> bool:
        """Take over the services of nodes whose lock can be had; whether anything changed."""
        changed = False
        done: dict[str, bool] = {}
        for sid in order:
            service = self.services[sid]
            if service.state != "fence":
                continue
            if service.node not in done:
                done[service.node] = self._fence_node(service.node)
            if done[service.node]:
                self.change(sid, "recovery")
                changed = True
        for node, state in sorted(self.nodes.status.items()):
            if state == "fence" and node not in done:
                self.log(f"node '{node}' in fence state but no services to-fence! admin interference?!")
                changed = self._fence_node(node) or changed
        return changed

    def _fence_node(self, node: str) -> bool:
        if self.nodes.get(node) != "fence":
            self.nodes.set(node, "fence")
        got = self.stack.locks.steal(node)
        if got:
            self.log(f"fencing: acknowledged - got agent lock for node '{node}'")
            self.nodes.set(node, "unknown")
        for message in self.nodes.messages:
            self.log(message)
        self.nodes.messages.clear()
        return got

    def result(self, service: Service) -> Result | None:
        """What the LRM says of the service's present uid."""
        lrm = self.stack.lrm_status.get(service.node)
        return lrm.results.get(service.uid) if lrm is not None else None

    def change(self, sid: str, state: str, *, node: str | None = None, target: str | None = None,
               timeout: int | None = None) -> None:  # fmt: skip
        """Enter a new state; everything but failed nodes and the node to return to is forgotten."""
        service = self.services[sid]
        before = service.state
        service.state = state
        service.target, service.timeout = target, timeout
        service.cmd, service.running = None, False
        if node is not None:
            service.node = node
        self.usage.moved(sid, service)
        service.uid = self.status.new_uid(state)
        values = (("node", node), ("target", target), ("timeout", timeout))
        details = ", ".join(f"{key} = {value}" for key, value in values if value is not None)
        self.log(f"service '{sid}': state changed from '{before}' to '{state}'{f'  ({details})' if details else ''}")

    def _flush(self) -> None:
        self.status.timestamp = self.cluster.engine.now
        self.status.reindex()
