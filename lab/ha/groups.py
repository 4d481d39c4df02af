# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups become rules once every node runs 9.0 or newer (HA/Manager.pm:try_persistent_group_migration)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.errors import Die
from lab.ha.config import GROUPS, RESOURCES, Group, Resource, groups, print_resources, resources
from lab.ha.rules import RULES, all_rules, print_rules

if TYPE_CHECKING:
    from lab.ha.manager import Manager

FIRST_ROUNDS = 3
"""Rounds that a new manager waits before it tries."""
NEXT_ROUNDS = 6


def with_failback(own: dict[str, Resource], known: dict[str, Group]) -> dict[str, Resource]:
    """HA/Groups.pm:migrate_groups_to_resources."""
    found = dict(own)
    for sid, resource in own.items():
        group = known.get(resource.group or "")
        if group is not None:
            found[sid] = resource.changed({**resource.values, "failback": str(int(not group.nofailback))})
    return found


def try_migration(manager: Manager) -> None:
    if manager.node.release < (9, 0) or not groups(manager.cluster):
        return
    manager.group_rounds -= 1
    if manager.group_rounds > 0:
        return
    manager.group_rounds = NEXT_ROUNDS
    manager.log("start ha group migration...")
    try:
        _check(manager)
    except Die as reason:
        manager.log(f"abort ha groups migration: {reason.reason}")
        manager.log("ha groups migration failed")
        return
    _migrate(manager)
    manager.log("ha groups migration successful")


def _check(manager: Manager) -> None:
    """:raises Die: why groups have to stay."""
    for name in sorted(manager.nodes.status):
        if not manager.nodes.is_online(name):
            raise Die(f"node '{name}' is not online")
        lrm = manager.stack.lrm_status[name]
        idle = lrm.state == "wait_for_agent_lock" and not manager.status.active_on(name)
        if lrm.state != "active" and not idle:
            raise Die(f"lrm '{name}' is not in state 'active' or 'idle'")
        if lrm.mode != "active":
            raise Die(f"lrm '{name}' is not in mode 'active'")
        if manager.cluster.nodes[name].release < (9, 0):
            raise Die(f"node '{name}' needs at least pve-manager version '9.0.0~16'")


def _migrate(manager: Manager) -> None:
    fs, known = manager.cluster.fs, groups(manager.cluster)
    fs.write(RULES, print_rules(all_rules(manager.cluster).values()))
    changed = []
    for resource in resources(manager.cluster).values():
        values = dict(resource.values)
        group = known.get(values.pop("group", ""))
        if group is not None and group.nofailback:
            values["failback"] = "0"
        changed.append(resource.changed(values))
    fs.write(RESOURCES, print_resources(changed))
    fs.delete(GROUPS)
