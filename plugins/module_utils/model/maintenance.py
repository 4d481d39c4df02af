# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far a node is in or out of HA maintenance mode, from ``manager_status`` (pve-facts §7.5).

Four places tell of it, in this order: the request that the manager has taken, the mode of the node's local resource
manager, the state of the node, and the services that have yet to leave. ``ha-manager status`` shows the second one,
which is too early.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.ha import MOVING

AT_REST = frozenset({"stopped", "freeze", "error", "ignored", "disabled", "request_stop", "deleting"})
"""States of services that maintenance mode leaves where they are."""


@dataclass(frozen=True, slots=True)
class OnNode:
    """A service that is on the node. ``active``: it has to leave before the node is empty."""

    sid: str
    state: str
    target: str | None = None

    @property
    def active(self) -> bool:
        return self.state not in AT_REST


@dataclass(frozen=True, slots=True)
class Maintenance:
    """One look.

    :ivar known: the HA manager knows the node. :ivar managed: guests are under HA at all. :ivar node_state: ``online``,
        ``maintenance``, ``unknown``, ``fence`` or ``gone``. :ivar mode: of the local resource manager.
    :ivar services: on the node. :ivar arriving: services on their way to it. :ivar to_return: services that maintenance
        mode has moved away, and that come back when it ends. :ivar disarmed: how HA is disarmed, if it is.
    """

    node: str
    known: bool
    managed: bool
    requested: bool
    node_state: str
    mode: str
    services: tuple[OnNode, ...] = ()
    arriving: tuple[str, ...] = ()
    to_return: tuple[str, ...] = ()
    disarmed: str | None = None

    @property
    def switched_on(self) -> bool:
        """It is, or it will be without anybody's doing."""
        return self.requested or self.node_state == "maintenance"

    @property
    def leaving(self) -> tuple[OnNode, ...]:
        """Services that have yet to leave, or to arrive elsewhere."""
        return tuple(item for item in self.services if item.active)

    @property
    def entered(self) -> bool:
        """In maintenance mode, and empty of active services."""
        return (
            self.node_state == "maintenance" and self.mode == "maintenance" and not self.leaving and not self.arriving
        )

    @property
    def left(self) -> bool:
        """Out of it, and what had to come back is back."""
        return self.calm and not self.to_return

    @property
    def calm(self) -> bool:
        """Out of it, and nothing moves; what has not come back may be kept away by a rule."""
        moving = any(item.state in MOVING for item in self.services) or bool(self.arriving)
        return not self.requested and self.node_state == "online" and self.mode == "active" and not moving


def maintenance(answer: Mapping[str, Any], node: str) -> Maintenance:
    """From the data of ``GET /cluster/ha/status/manager_status``."""
    manager = answer.get("manager_status") or {}
    services, arriving, to_return = [], [], []
    rows = manager.get("service_status") or {}
    for sid, row in sorted(rows.items()):
        if row.get("node") == node:
            services.append(OnNode(str(sid), str(row.get("state", "")), row.get("target")))
        elif row.get("target") == node and row.get("state") in MOVING:
            arriving.append(str(sid))
        if row.get("maintenance_node") == node and row.get("node") != node:
            to_return.append(str(sid))
    lrm = (answer.get("lrm_status") or {}).get(node) or {}
    disarm = manager.get("disarm") or {}
    state = (manager.get("node_status") or {}).get(node)
    return Maintenance(
        node,
        state is not None,
        bool(rows),
        bool(((manager.get("node_request") or {}).get(node) or {}).get("maintenance")),
        str(state or "unknown"),
        str(lrm.get("mode", "unknown")),
        tuple(services),
        tuple(arriving),
        tuple(to_return),
        disarm.get("mode") if isinstance(disarm, Mapping) else None,
    )
