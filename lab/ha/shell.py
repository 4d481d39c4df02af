# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``ha-manager`` and the programs that shut a node down, for the control path's shell (CLI/ha_manager.pm)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.control import shell_command
from lab.errors import Die
from lab.ha.config import Resource, check_domain_lock, parse_sid
from lab.ha.shutdown import shut_down
from lab.ha.stack import motion_output
from lab.ha.status import current

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.node import Node


def _usage(wanted: int, arguments: list[str], text: str) -> None:
    if len(arguments) != wanted:
        raise Die(f"400 not enough arguments\nha-manager {text}")


@shell_command("ha-manager crm-command node-maintenance")
def node_maintenance(cluster: Cluster, node: Node, arguments: list[str]) -> None:
    """The only way to it: there is no API for maintenance mode (pve-facts §7.5)."""
    _usage(2, arguments, "crm-command node-maintenance enable|disable <node>")
    action, name = arguments
    if action not in {"enable", "disable"}:
        raise Die(f"unknown command 'crm-command node-maintenance {action}'")
    cluster.node(name)
    cluster.ha.queue(f"{action}-node-maintenance {name}", node)


def _move(cluster: Cluster, node: Node, arguments: list[str], task: str) -> str:
    _usage(2, arguments, f"{task} <sid> <node>")
    answer = cluster.ha.request_move(parse_sid(cluster, arguments[0]), arguments[1], task, node)
    if node.release < (9, 0):
        return ""
    lines, failed = motion_output(answer, task)
    text = "".join(f"{line}\n" for line in lines)
    if failed:
        raise Die(text.rstrip("\n"))
    return text


@shell_command("ha-manager migrate")
def migrate(cluster: Cluster, node: Node, arguments: list[str]) -> str:
    return _move(cluster, node, arguments, "migrate")


@shell_command("ha-manager relocate")
def relocate(cluster: Cluster, node: Node, arguments: list[str]) -> str:
    return _move(cluster, node, arguments, "relocate")


@shell_command("ha-manager crm-command migrate")
def crm_migrate(cluster: Cluster, node: Node, arguments: list[str]) -> str:
    return _move(cluster, node, arguments, "migrate")


@shell_command("ha-manager crm-command relocate")
def crm_relocate(cluster: Cluster, node: Node, arguments: list[str]) -> str:
    return _move(cluster, node, arguments, "relocate")


@shell_command("ha-manager crm-command stop")
def crm_stop(cluster: Cluster, node: Node, arguments: list[str]) -> None:
    _usage(2, arguments, "crm-command stop <sid> <timeout>")
    sid = parse_sid(cluster, arguments[0])
    if not cluster.ha.manages(sid):
        raise Die(f"resource '{sid}' is not HA managed")
    cluster.ha.check_state(sid, None)
    cluster.ha.queue(f"stop {sid} {int(arguments[1])}", node)


@shell_command("ha-manager crm-command disarm-ha")
def disarm(cluster: Cluster, node: Node, arguments: list[str]) -> None:
    _usage(1, arguments, "crm-command disarm-ha freeze|ignore")
    cluster.ha.queue(f"disarm-ha {arguments[0]}", node)


@shell_command("ha-manager crm-command arm-ha")
def arm(cluster: Cluster, node: Node, _arguments: list[str]) -> None:
    cluster.ha.queue("arm-ha", node)


@shell_command("ha-manager status")
def status(cluster: Cluster, node: Node, _arguments: list[str]) -> str:
    return "".join(f"{row['type']} {row['status']}\n" for row in current(cluster.ha, node))


@shell_command("ha-manager config")
def config(cluster: Cluster, _node: Node, _arguments: list[str]) -> str:
    blocks = []
    for sid, resource in sorted(cluster.ha.resources().items()):
        blocks.append(f"{sid}\n" + "".join(f"\t{key} {value}\n" for key, value in sorted(resource.values.items())))
    return "\n".join(blocks)


def _options(arguments: list[str]) -> dict[str, str]:
    """``--state started`` and ``--state=started``."""
    words = [part for word in arguments for part in word.split("=", 1)]
    if len(words) % 2 or any(not word.startswith("--") for word in words[::2]):
        raise Die("400 unable to parse option")
    return {word.removeprefix("--"): value for word, value in zip(words[::2], words[1::2], strict=True)}


@shell_command("ha-manager add")
def add(cluster: Cluster, node: Node, arguments: list[str]) -> None:
    _usage(1, arguments[:1], "add <sid> [OPTIONS]")
    sid = parse_sid(cluster, arguments[0])
    known = dict(cluster.ha.resources())
    check_domain_lock(cluster, node, "create resource failed")
    if sid in known:
        raise Die(f"create resource failed: resource ID '{sid}' already defined")
    kind, _colon, name = sid.partition(":")
    if not name.isdigit() or cluster.guest(int(name)) is None:
        raise Die(f"resource '{sid}' does not exist in cluster")
    known[sid] = Resource(sid, kind, int(name), _options(arguments[1:]))
    cluster.ha.write_resources(known)


@shell_command("ha-manager set")
def set_resource(cluster: Cluster, node: Node, arguments: list[str]) -> None:
    _usage(1, arguments[:1], "set <sid> [OPTIONS]")
    sid, options = parse_sid(cluster, arguments[0]), _options(arguments[1:])
    cluster.ha.check_state(sid, options.get("state"))
    check_domain_lock(cluster, node, "update resources config failed")
    known = dict(cluster.ha.resources())
    if sid not in known:
        raise Die(f"update resources config failed: no such resource '{sid}'")
    known[sid] = known[sid].changed({**known[sid].values, **options})
    cluster.ha.write_resources(known)


@shell_command("ha-manager remove")
def remove(cluster: Cluster, node: Node, arguments: list[str]) -> None:
    _usage(1, arguments, "remove <sid>")
    sid = parse_sid(cluster, arguments[0])
    known = dict(cluster.ha.resources())
    if known.pop(sid, None) is None:
        raise Die(f"cannot delete service '{sid}', not HA managed!")
    check_domain_lock(cluster, node, "delete resource failed")
    cluster.ha.write_resources(known)


@shell_command("reboot")
def reboot(cluster: Cluster, node: Node, _arguments: list[str]) -> None:
    shut_down(cluster, node, "reboot")


@shell_command("poweroff")
def poweroff(cluster: Cluster, node: Node, _arguments: list[str]) -> None:
    shut_down(cluster, node, "poweroff")
