# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HA stack of a cluster as other parts see it."""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING, Any

from lab.errors import Die
from lab.ha import config
from lab.ha.commands import COMMANDS, blocking
from lab.ha.config import Resource
from lab.ha.crm import Crm
from lab.ha.initial import found_running
from lab.ha.locks import AgentLocks
from lab.ha.lrm import Lrm
from lab.ha.rules import Compiled, all_rules, compile_rules
from lab.ha.state import MANAGER_STATUS, LrmStatus, ManagerStatus
from lab.pve.formats import parse_property_string
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.pve.cluster import Cluster
    from lab.pve.node import Node
    from lab.pve.pmxcfs import VmEntry

CRM_PHASE = 1.0
LRM_AFTER_CRM = (8.5, 2.5, 5.0)
"""Seconds by which the LRMs of the first nodes follow the CRM (timelines 04)."""
START_SECONDS = 2.0
"""After a node joined, its LRM needs that long to start."""
REBOOT_SECONDS = 45.0


class CommandFailed(Die):
    """The program ``ha-manager`` fails; ``lines`` is what it prints."""

    def __init__(self, command: str, lines: list[str], exit_code: int = 2) -> None:
        super().__init__(f"command '{command}' failed: exit code {exit_code}")
        self.lines = lines


class HaStack:
    """Resources, rules, CRM and LRMs.

    :ivar status: ha/manager_status. :ivar lrm_status: nodes/<n>/lrm_status. :ivar delayed: commands that a fault
        keeps back, with the time at which the CRM sees them. :ivar journal: the last lines of the daemons.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.status = ManagerStatus()
        self.lrm_status: dict[str, LrmStatus] = {}
        self.lrms: dict[str, Lrm] = {}
        self.delayed: list[tuple[float, str]] = []
        self.journal: deque[tuple[float, str, str, str]] = deque(maxlen=2000)
        self.locks = AgentLocks(cluster)
        self.crm = Crm(self)
        self._compiled: tuple[tuple[str | None, ...], Compiled] | None = None

    # ------------------------------------------------------------ life

    def start(self) -> None:
        """Bring the daemons to life, from the status files if there are any."""
        cluster = self.cluster
        text = cluster.fs.read(MANAGER_STATUS)
        if text is not None:
            self.status = ManagerStatus.load(text)
            for name in cluster.nodes:
                lrm = cluster.fs.read(f"nodes/{name}/lrm_status")
                if lrm is not None:
                    self.lrm_status[name] = LrmStatus.from_dict(json.loads(lrm))
        elif self.resources() or cluster.file.get("ha"):
            found_running(self, cluster.file.get("ha") or {})
        if self.status.master_node is not None:
            self.begin()
            master = cluster.nodes[self.status.master_node]
            if master.powered and cluster.quorate(master):
                self.crm.appoint(master)
        self.crm.start(CRM_PHASE)
        cluster.on_membership.append(self._membership)
        cluster.on_change.append(self._power)

    def begin(self) -> None:
        """Start the LRMs; before anything is managed they would only write that they wait."""
        if self.lrms:
            return
        for number, node in enumerate(self.cluster.nodes.values()):
            if node.powered:
                after = LRM_AFTER_CRM[number] if number < len(LRM_AFTER_CRM) else (number * 6.18) % 10.0
                if node.name not in self.lrm_status and self.cluster.quorate(node):
                    self.lrm_status[node.name] = LrmStatus(timestamp=self.cluster.engine.now)
                status = self.lrm_status.get(node.name)
                busy = status is not None and status.state != "wait_for_agent_lock"
                self._start_lrm(node, (CRM_PHASE + after) % (10.0 if busy else 5.0))
                if status is not None:
                    self.lrms[node.name].adopt(status)

    def _start_lrm(self, node: Node, phase: float) -> None:
        self.lrms[node.name] = Lrm(self, node, phase)

    def flush(self) -> None:
        """Write the status files, which the daemons keep in memory, into /etc/pve."""
        if self.status.master_node is not None:
            text = json.dumps({**self.status.as_dict(), "uids": self.status.uids})
            self.cluster.fs.write(MANAGER_STATUS, text)
            for name, lrm in self.lrm_status.items():
                self.cluster.fs.write(f"nodes/{name}/lrm_status", json.dumps(lrm.as_dict()))

    def _membership(self, node: Node) -> None:
        if node.member and node.powered and self.lrms and node.name not in self.lrms:
            self._start_lrm(node, START_SECONDS)

    def _power(self, node: Node) -> None:
        if not node.powered and node.name in self.lrms:
            self.lrms.pop(node.name).die()

    def reset_node(self, node: Node) -> None:
        """The watchdog resets a node; it boots, whatever its network does."""
        self.log(node.name, "watchdog-mux", "client watchdog expired - disable watchdog updates")
        self.cluster.power_off(node)

        def boot() -> Sim:
            yield self.cluster.engine.sleep(REBOOT_SECONDS)
            if node.powered:
                return
            if node.linked:
                self.cluster.power_on(node, 0.0)
                return
            node.powered = True
            node.boot_time = self.cluster.engine.now
            node.proxy_starts += 1
            node.daemon_starts += 1
            self.cluster.changed(node)

        self.cluster.engine.spawn(boot())

    def log(self, node: str, daemon: str, text: str) -> None:
        self.journal.append((self.cluster.engine.now, node, daemon, text))

    # ------------------------------------------------------------ what others ask

    def resources(self) -> dict[str, Resource]:
        return config.resources(self.cluster)

    def shutdown_policy(self) -> str:
        text = self.cluster.options().get("ha", "")
        return parse_property_string(text, "shutdown_policy").get("shutdown_policy", "conditional")

    @staticmethod
    def sid(entry: VmEntry) -> str:
        return f"{'ct' if entry.type == 'lxc' else 'vm'}:{entry.vmid}"

    def managed(self, entry: VmEntry) -> bool:
        """Whether the HA manager moves this guest (configured, not ignored, not disarmed with mode ignore)."""
        return self.manages(self.sid(entry))

    def manages(self, sid: str) -> bool:
        resource = self.resources().get(sid)
        if resource is None or resource.state == "ignored":
            return False
        return self.status.disarm is None or self.status.disarm["mode"] != "ignore"

    def status_block(self, entry: VmEntry) -> dict[str, Any]:
        """``ha`` of a guest's status/current."""
        if not self.managed(entry):
            return {"managed": 0}
        sid = self.sid(entry)
        service = self.status.services.get(sid)
        block: dict[str, Any] = {"managed": 1, "state": service.state if service is not None else None}
        group = self.resources()[sid].group
        return block if group is None else block | {"group": group}

    def hastate(self, entry: VmEntry) -> str | None:
        """``hastate`` in /cluster/resources: the state, or what is wanted as long as there is none."""
        sid = self.sid(entry)
        if sid in self.status.services:
            return self.status.services[sid].state
        resource = self.resources().get(sid)
        return resource.values.get("state") if resource is not None else None

    def guest_states(self) -> dict[int, str | None]:
        """:meth:`hastate` of every resource, by vmid."""
        states: dict[int, str | None] = {
            resource.vmid: resource.values.get("state") for resource in self.resources().values()
        }
        for sid, service in self.status.services.items():
            states[int(sid.partition(":")[2])] = service.state
        return states

    def node_hastate(self, node: str) -> str | None:
        return self.status.node_status.get(node)

    def node_states(self) -> dict[str, str]:
        """``hastate`` of the nodes that the HA manager knows (online, maintenance, fence, unknown)."""
        return self.status.node_status

    # ------------------------------------------------------------ rules

    def compiled(self) -> Compiled:
        """The rules as they are now (the CRM follows in its next round)."""
        fs = self.cluster.fs
        source = (fs.read("ha/rules.cfg"), fs.read(config.GROUPS), fs.read(config.RESOURCES),
                  ",".join(self.status.node_status))  # fmt: skip
        if self._compiled is None or self._compiled[0] != source:
            rules, _messages = compile_rules(all_rules(self.cluster), sorted(self.status.node_status))
            self._compiled = source, rules
        return self._compiled[1]

    def dependent_resources(self, entry: VmEntry) -> list[str]:
        """Services that will move along."""
        return self.companions(self.sid(entry)) if self.managed(entry) else []

    def companions(self, sid: str) -> list[str]:
        return sorted(other for other in self.compiled().together.get(sid, ()) if other in self.status.services)

    def blocking_resources(self, entry: VmEntry, node: str) -> list[dict[str, str]]:
        """Services on an online node that keep the guest from moving there."""
        return self.blockers(self.sid(entry), node) if self.managed(entry) else []

    def blockers(self, sid: str, node: str) -> list[dict[str, str]]:
        if self.status.node_status.get(node) != "online":
            return []
        others = self.compiled().apart.get(sid, frozenset())
        return [{"sid": other, "cause": "resource-affinity"} for other in blocking(self.status.services, others, node)]

    # ------------------------------------------------------------ requests

    def queue(self, command: str, node: Node | None = None) -> None:
        """Append to ha/crm_commands.

        :param node: where the request is made. :raises Die: it has no quorum.
        """
        if node is not None:
            config.check_domain_lock(self.cluster, node, "")
        self.cluster.fs.write(COMMANDS, (self.cluster.fs.read(COMMANDS) or "") + f"{command}\n")
        self.crm.wake()

    def request_move(self, sid: str, target: str, task: str = "migrate", node: Node | None = None) -> dict[str, Any]:
        """What ``POST /cluster/ha/resources/{sid}/migrate|relocate`` does and answers (9.0).

        :raises Die: not managed, in error, no quorum.
        """
        if not self.manages(sid):
            raise Die(f"resource '{sid}' is not HA managed")
        self.check_state(sid, None)
        self.queue(f"{task} {sid} {target}", node)
        answer: dict[str, Any] = {"sid": sid, "requested-node": target}
        if companions := self.companions(sid):
            answer["comigrated-resources"] = companions
        if blockers := self.blockers(sid, target):
            answer["blocking-resources"] = blockers
        return answer

    def request_migrate(
        self, sid: str, target: str, log: Callable[[str], None] | None = None, task: str = "migrate"
    ) -> list[str]:
        """What the program ``ha-manager migrate|relocate`` does; the value is what it prints.

        :param log: called with each line, also when it fails.
        :raises CommandFailed: blocked by another service; the command is queued all the same (pve-facts §1.4).
        """
        entry = self.cluster.guest(int(sid.partition(":")[2]))
        release = self.cluster.nodes[entry.node].release if entry is not None else (9, 2)
        failure: list[str] | None = None
        try:
            answer = self.request_move(sid, target, task)
        except Die as reason:
            failure, lines = [reason.reason], [reason.reason]
        else:
            lines = []
            if release >= (9, 0):
                lines, failed = motion_output(answer, task)
                failure = lines if failed else None
        if log is not None:
            for line in lines:
                log(line)
        if failure is not None:
            raise CommandFailed(f"ha-manager {task} {sid} {target}", failure, 2 if len(failure) > 1 else 255)
        return lines

    def check_state(self, sid: str, wanted: str | None) -> None:
        """:raises Die: a service in error may only be disabled."""
        service = self.status.services.get(sid)
        if service is not None and service.state == "error" and wanted != "disabled" and self.manages(sid):
            raise Die(f"service '{sid}' in error state, must be disabled and fixed first")

    def request_state(self, sid: str, state: str) -> None:
        """``ha-manager set <sid> --state <state>``.

        :raises Die: no such resource, or in error.
        """
        self.check_state(sid, state)
        self.set_state(sid, state)

    def set_state(self, sid: str, state: str) -> None:
        """:raises Die: no such resource."""
        known = dict(self.resources())
        if sid not in known:
            raise Die(f"no such resource '{sid}'")
        known[sid] = known[sid].changed({**known[sid].values, "state": state})
        self.write_resources(known)

    def write_resources(self, known: dict[str, Resource]) -> None:
        self.cluster.fs.write(config.RESOURCES, config.print_resources(known.values()))
        self.crm.wake()


def motion_output(answer: dict[str, Any], task: str) -> tuple[list[str], bool]:
    """What the program prints of a request to move, and whether it fails."""
    sid, target = answer["sid"], answer["requested-node"]
    if blockers := answer.get("blocking-resources"):
        lines = [f"cannot {task} resource '{sid}' to node '{target}':", ""]
        lines += [f"- resource '{item['sid']}' on target node '{target}' in negative affinity with resource '{sid}'"
                  for item in blockers]  # fmt: skip
        return lines, True
    together = answer.get("comigrated-resources", ())
    return [f"also {task} resource '{other}' in positive affinity with resource '{sid}' to target node '{target}'"
            for other in together], False  # fmt: skip
