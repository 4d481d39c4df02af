# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disarming the HA stack (9.2; HA/Manager.pm:handle_disarm)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.ha.manager import Manager

_FREEZABLE = frozenset({"started", "stopped", "request_stop", "request_start", "request_start_balance"})
_BUSY = frozenset({"fence", "recovery", "migrate", "relocate"})


def handle_disarm(manager: Manager) -> set[str] | None:
    """Go on disarming.

    :returns: services that must come to rest first and are to be managed as usual; None when there are none: then the
        state machine stands still.
    """
    disarm = manager.status.disarm
    assert disarm is not None
    busy = {sid for sid, service in manager.services.items() if service.state in _BUSY}
    if busy:
        for sid in sorted(busy):
            manager.log(f"deferring disarm - service '{sid}' is in '{manager.services[sid].state}' state")
        return busy
    for sid in sorted(manager.services):
        service = manager.services[sid]
        freeze = disarm["mode"] == "freeze"
        if freeze and service.state not in _FREEZABLE:
            continue
        if freeze:
            manager.log(f"disarm: freezing service '{sid}' (was '{service.state}')")
            service.state = "freeze"
            service.uid = manager.status.new_uid("freeze")
        service.target = service.cmd = service.failed_nodes = service.timeout = None
        service.running = False
    if disarm["state"] != "disarmed" and all(manager.modes.get(node) == "disarm" for node in manager.nodes.online()):
        manager.log("all LRMs disarmed, HA stack is now fully disarmed")
        disarm["state"] = "disarmed"
    return None
