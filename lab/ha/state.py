# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the HA manager and the LRMs keep in ha/manager_status and nodes/<n>/lrm_status."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.ha.config import Resource
    from lab.pve.cluster import Cluster

SUCCESS, ERROR, TRY_AGAIN, WRONG_NODE = 0, 1, 2, 3
UNKNOWN_SERVICE, IGNORED, DIED = 7, 8, 255
"""Exit codes of an LRM's worker (HA/Tools.pm); 255 is a worker that died."""

INACTIVE = frozenset({"stopped", "freeze", "error", "request_start"})
"""States in which a service does not count as active on its node."""
MANAGER_STATUS = "ha/manager_status"
STALE = 30.0
"""Seconds after which a status counts as left by somebody dead (API2/HA/Status.pm)."""


@dataclass(slots=True)
class Service:
    """The state of one service as the CRM keeps it.

    :ivar uid: changes whenever the LRM is to do something (again); its results are found by it.
    :ivar cmd: a command that waits for the service to be able to take it.
    :ivar maintenance_node: where it returns to when that node leaves maintenance.
    """

    state: str
    node: str
    uid: str
    target: str | None = None
    cmd: list[str] | None = None
    running: bool = False
    maintenance_node: str | None = None
    failed_nodes: list[str] | None = None
    timeout: int | None = None

    def as_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = {"state": self.state, "node": self.node, "uid": self.uid}
        for name in ("target", "cmd", "maintenance_node", "failed_nodes", "timeout"):
            value = getattr(self, name)
            if value is not None:
                values[name] = list(value) if isinstance(value, list) else value
        if self.running:
            values["running"] = 1
        return values


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a command."""

    sid: str
    state: str
    exit_code: int

    def as_dict(self) -> dict[str, Any]:
        return {"sid": self.sid, "state": self.state, "exit_code": self.exit_code}


@dataclass(slots=True)
class LrmStatus:
    """The last thing an LRM wrote. ``timestamp`` 0: it never wrote anything."""

    state: str = "wait_for_agent_lock"
    mode: str = "active"
    results: dict[str, Result] = field(default_factory=dict)
    timestamp: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        if not self.timestamp:
            return {"mode": "unknown"}
        results = {uid: result.as_dict() for uid, result in self.results.items()}
        return {"state": self.state, "mode": self.mode, "results": results, "timestamp": int(self.timestamp)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LrmStatus:
        results = {uid: Result(**result) for uid, result in values.get("results", {}).items()}
        return cls(values.get("state", "wait_for_agent_lock"), values.get("mode", "active"), results,
                   values.get("timestamp", 0.0))  # fmt: skip


@dataclass(slots=True)
class ManagerStatus:
    """ha/manager_status.

    :ivar of_node: services by node or target; made anew at the end of each round of the CRM.
    """

    services: dict[str, Service] = field(default_factory=dict)
    node_status: dict[str, str] = field(default_factory=dict)
    node_request: dict[str, dict[str, int]] = field(default_factory=dict)
    disarm: dict[str, str] | None = None
    master_node: str | None = None
    timestamp: float = 0.0
    uids: int = 0
    of_node: dict[str, list[str]] = field(default_factory=dict)

    def new_uid(self, state: str) -> str:
        """22 characters, as md5_base64 gives."""
        self.uids += 1
        return base64.b64encode(hashlib.md5(f"{state}{self.uids}".encode()).digest()).decode()[:22]

    def reindex(self) -> None:
        index: dict[str, list[str]] = {}
        for sid, service in self.services.items():
            index.setdefault(service.node, []).append(sid)
            if service.target is not None and service.target != service.node:
                index.setdefault(service.target, []).append(sid)
        self.of_node = index

    def active_on(self, node: str) -> int:
        """Services that keep a node busy, those on their way to it included."""
        services = self.services
        return sum(1 for sid in self.of_node.get(node, ()) if sid in services and services[sid].state not in INACTIVE)

    def has_configured(self, node: str) -> bool:
        return any(sid in self.services and self.services[sid].node == node for sid in self.of_node.get(node, ()))

    def fenced_on(self, node: str) -> bool:
        services = self.services
        return any(
            sid in services and services[sid].state == "fence" and services[sid].node == node
            for sid in self.of_node.get(node, ())
        )

    def as_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if self.master_node is not None:
            values |= {
                "master_node": self.master_node, "node_status": dict(self.node_status),
                "service_status": {sid: service.as_dict() for sid, service in self.services.items()},
                "timestamp": int(self.timestamp),
            }  # fmt: skip
        if self.node_request:
            values["node_request"] = {node: dict(request) for node, request in self.node_request.items()}
        if self.disarm is not None:
            values["disarm"] = dict(self.disarm)
        return values

    @classmethod
    def load(cls, text: str) -> ManagerStatus:
        """From the text of ha/manager_status."""
        values = json.loads(text)
        services = {}
        for sid, state in values.get("service_status", {}).items():
            services[sid] = Service(**{**state, "running": bool(state.get("running"))})
        status = cls(
            services, values.get("node_status", {}), values.get("node_request", {}), values.get("disarm"),
            values.get("master_node"), values.get("timestamp", 0), values.get("uids", len(services)),
        )  # fmt: skip
        status.reindex()
        return status


class NodeStates:
    """HA/NodeStatus.pm: the manager's opinion of the nodes."""

    FENCE_DELAY = 60.0

    def __init__(self, cluster: Cluster, status: dict[str, str]) -> None:
        self._cluster = cluster
        self.status = status
        self.last_online: dict[str, float] = {}
        self.messages: list[str] = []

    def get(self, node: str) -> str:
        return self.status.get(node, "unknown")

    def is_online(self, node: str) -> bool:
        return self.status.get(node) == "online"

    def online(self) -> list[str]:
        return sorted(node for node, state in self.status.items() if state == "online")

    def offline_delayed(self, node: str) -> bool:
        """Whether a node has not been online for so long that it may be fenced."""
        if self.get(node) == "online":
            return False
        now = self._cluster.engine.now
        return now - self.last_online.setdefault(node, now) >= self.FENCE_DELAY

    def set(self, node: str, state: str) -> None:
        before = self.get(node)
        if state != before:
            self.status[node] = state
            self.messages.append(f"node '{node}': state changed from '{before}' => '{state}'")

    def update(self, online: Iterable[str], modes: Mapping[str, str]) -> None:
        """:param online: members of the quorate partition. :param modes: of the LRMs."""
        members = set(online)
        for node in sorted(members):
            self.last_online[node] = self._cluster.engine.now
            mode = modes.get(node, "unknown")
            match self.get(node):
                case "online" if mode == "maintenance":
                    self.set(node, "maintenance")
                case "unknown" | "gone":
                    self.status.setdefault(node, "unknown")
                    self.set(node, "online")
                case "maintenance" if mode != "maintenance":
                    self.set(node, "online")
        for node in sorted(set(self.status) | set(self._cluster.nodes)):
            if node in members:
                continue
            match self.status.setdefault(node, "unknown"):
                case "online":
                    self.set(node, "unknown")
                case "maintenance" if modes.get(node, "unknown") != "maintenance":
                    self.set(node, "unknown")


def verbose_state(service: Service | None, resource: Resource | None, exists: bool) -> str:
    """HA/Tools.pm:get_verbose_service_state. ``exists``: the guest has a configuration somewhere."""
    if resource is None:
        return "deleting"
    if resource.state == "ignored":
        return "ignored"
    if not exists:
        return "not found"
    if service is None:
        return "queued"
    wanted, state = resource.state, service.state
    match state:
        case "stopped" if wanted in {"started", "disabled"}:
            return "starting" if wanted == "started" else "disabled"
        case "started" if not service.running:
            return "starting"
        case "started" if wanted in {"stopped", "disabled"}:
            return "stopping"
        case "error" if wanted == "disabled":
            return "clearing error flag"
    return state
