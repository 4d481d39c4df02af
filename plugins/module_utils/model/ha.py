# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The HA manager's view: ``GET /cluster/ha/status/manager_status`` (pve-facts §7.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.names import NodeName, Sentence

MOVING = frozenset({"migrate", "relocate"})


@dataclass(frozen=True, slots=True)
class Service:
    """What the HA manager wants with a guest. ``command`` is a request that it has not acted on yet."""

    sid: str
    state: str
    node: NodeName
    target: NodeName | None = None
    command: tuple[Sentence, ...] = ()
    uid: str = ""


@dataclass(frozen=True, slots=True)
class LrmResult:
    """How a local resource manager's last action for a service ended."""

    sid: str
    node: NodeName
    state: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class HaStatus:
    """One look at the HA manager. ``timestamp`` is of its master's last round, Unix seconds.

    :ivar written: when each node's local resource manager wrote last, by that node's own clock.
    """

    master: NodeName | None = None
    timestamp: int = 0
    quorate: bool = True
    services: Mapping[str, Service] = field(default_factory=dict)
    nodes: Mapping[NodeName, str] = field(default_factory=dict)
    results: tuple[LrmResult, ...] = ()
    disarm_mode: str | None = None
    written: Mapping[NodeName, int] = field(default_factory=dict)

    def node_state(self, name: str) -> str:
        """online, maintenance, unknown, fence or gone."""
        return self.nodes.get(name, "unknown")


def ha_status(answer: Mapping[str, Any]) -> HaStatus:
    """From the data of ``GET /cluster/ha/status/manager_status``."""
    manager = answer.get("manager_status") or {}
    services = {}
    for sid, row in (manager.get("service_status") or {}).items():
        command = row.get("cmd") or ()
        services[sid] = Service(
            sid,
            str(row.get("state", "")),
            str(row.get("node", "")),
            row.get("target"),
            tuple(str(part) for part in command) if isinstance(command, list | tuple) else (str(command),),
            str(row.get("uid", "")),
        )
    results = []
    for node, lrm in (answer.get("lrm_status") or {}).items():
        for row in ((lrm or {}).get("results") or {}).values():
            results.append(
                LrmResult(str(row.get("sid", "")), node, str(row.get("state", "")), int(row.get("exit_code", 0)))
            )
    disarm = manager.get("disarm") or {}
    return HaStatus(
        manager.get("master_node"),
        int(manager.get("timestamp", 0) or 0),
        str((answer.get("quorum") or {}).get("quorate", "1")) == "1",
        services,
        dict(manager.get("node_status") or {}),
        tuple(results),
        disarm.get("mode") if isinstance(disarm, Mapping) else None,
        {node: int((lrm or {}).get("timestamp", 0) or 0) for node, lrm in (answer.get("lrm_status") or {}).items()},
    )
