# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ha/resources.cfg and ha/groups.cfg (pve-ha-manager HA/Config.pm, HA/Resources.pm, HA/Groups.pm)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from lab.errors import Die
from lab.pve.formats import Section, parse_section_config, print_section_config, split_list

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.node import Node

RESOURCES = "ha/resources.cfg"
GROUPS = "ha/groups.cfg"
STATES = ("started", "stopped", "enabled", "disabled", "ignored")
RESOURCE_NUMBERS = ("max_restart", "max_relocate", "failback", "auto-rebalance")
RESOURCE_OPTIONS = ("state", "group", "comment", *RESOURCE_NUMBERS)
GROUP_OPTIONS = ("nodes", "restricted", "nofailback", "comment")
KINDS = {"vm": "qemu", "ct": "lxc"}
_TEXT_SAFE = " /,.:;!?()=+*@[]{}<>_-~"


def encode_text(text: str) -> str:
    """A comment as it is written into a section."""
    return quote(text, safe=_TEXT_SAFE)


@dataclass(frozen=True, slots=True)
class Resource:
    """One guest that HA manages.

    :ivar values: what the section says. The other fields are with defaults filled in.
    """

    sid: str
    kind: str
    vmid: int
    values: dict[str, str]
    state: str = field(init=False)
    failback: bool = field(init=False)
    max_restart: int = field(init=False)
    max_relocate: int = field(init=False)
    group: str | None = field(init=False)

    def __post_init__(self) -> None:
        values = self.values
        state = values.get("state", "started")
        put = object.__setattr__
        put(self, "state", "started" if state == "enabled" else state)
        put(self, "failback", values.get("failback", "1") == "1")
        put(self, "max_restart", int(values.get("max_restart", 1)))
        put(self, "max_relocate", int(values.get("max_relocate", 1)))
        put(self, "group", values.get("group"))

    @property
    def comment(self) -> str | None:
        return unquote(self.values["comment"]) if "comment" in self.values else None

    def changed(self, values: Mapping[str, str]) -> Resource:
        return Resource(self.sid, self.kind, self.vmid, dict(values))


def parse_resources(text: str) -> dict[str, Resource]:
    """Resources by sid, in file order."""
    found = {}
    for section in parse_section_config(text).values():
        if section.type in KINDS and section.id.isdigit():
            sid = f"{section.type}:{section.id}"
            found[sid] = Resource(sid, section.type, int(section.id), section.values)
    return found


def print_resources(resources: Iterable[Resource]) -> str:
    return print_section_config(Section(item.kind, str(item.vmid), item.values) for item in resources)


@dataclass(frozen=True, slots=True)
class Group:
    """An HA group, as releases before 9.0 know it. ``nodes``: priority by node."""

    id: str
    values: dict[str, str]

    @property
    def nodes(self) -> dict[str, int]:
        return parse_priorities(self.values.get("nodes", ""))

    @property
    def restricted(self) -> bool:
        return self.values.get("restricted") == "1"

    @property
    def nofailback(self) -> bool:
        return self.values.get("nofailback") == "1"


def parse_groups(text: str) -> dict[str, Group]:
    return {section.id: Group(section.id, section.values) for section in parse_section_config(text).values()}


def print_groups(groups: Iterable[Group]) -> str:
    return print_section_config(Section("group", item.id, item.values) for item in groups)


def parse_priorities(text: str) -> dict[str, int]:
    """``pve1:2,pve2`` → ``{pve1: 2, pve2: 0}``."""
    found = {}
    for item in split_list(text):
        node, _colon, priority = item.partition(":")
        found[node] = int(priority or 0)
    return found


def print_priorities(nodes: Mapping[str, int]) -> str:
    return ",".join(f"{node}:{nodes[node]}" if nodes[node] else node for node in sorted(nodes))


# ---------------------------------------------------------------- reading and writing


def resources(cluster: Cluster) -> dict[str, Resource]:
    return cluster.fs.parsed(RESOURCES, parse_resources)


def groups(cluster: Cluster) -> dict[str, Group]:
    return cluster.fs.parsed(GROUPS, parse_groups)


def groups_are_gone(cluster: Cluster, node: Node) -> bool:
    """Whether ``node`` says that groups have been migrated to rules."""
    return node.release >= (9, 0) and not groups(cluster)


def parse_sid(cluster: Cluster, text: str) -> str:
    """``vm:100`` for ``vm:100`` or ``100``.

    :raises Die: a guest without type that does not exist.
    """
    if text.isdigit():
        entry = cluster.guest(int(text))
        if entry is None:
            raise Die(f"unable to detect SID from VMID - VM/CT {text} does not exist")
        return f"{'ct' if entry.type == 'lxc' else 'vm'}:{text}"
    if not re.fullmatch(r"\S+:\S+", text):
        raise Die(f"unable to parse service id '{text}'")
    return text


def check_domain_lock(cluster: Cluster, node: Node, what: str) -> None:
    """:raises Die: the lock of the HA files cannot be had without quorum. ``what`` precedes the reason."""
    if not cluster.quorate(node):
        prefix = f"{what}: " if what else ""
        raise Die(f"{prefix}cfs-lock 'domain-ha' error: no quorum!")


def options_text(params: Mapping[str, Any], known: Iterable[str]) -> dict[str, str]:
    """API parameters as they are written into a section; an empty text drops the key."""
    found = {}
    for key in known:
        if key in params and params[key] != "":
            value = params[key]
            found[key] = encode_text(value) if key == "comment" else str(value)
    return found


def delete_options(values: dict[str, str], delete: str | None, known: Iterable[str], required: Iterable[str]) -> None:
    """What a PUT's ``delete`` does.

    :raises Die: unknown or required option.
    """
    for key in split_list(delete):
        if key not in known:
            raise Die(f"no such option '{key}'")
        if key in required:
            raise Die(f"unable to delete required option '{key}'")
        values.pop(key, None)
