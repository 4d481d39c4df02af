# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of ``/etc/pve/user.cfg`` (pve-access-control AccessControl.pm:parse_user_config)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from lab.pve.formats import split_list
from lab.pve.roles import predefined


@dataclass(slots=True)
class Token:
    """An API token; ``expire`` None or 0: never."""

    privsep: int = 1
    expire: int | None = None
    comment: str = ""


@dataclass(slots=True)
class User:
    """An account; ``expire`` 0: never."""

    enable: int = 1
    expire: int = 0
    firstname: str = ""
    lastname: str = ""
    email: str = ""
    comment: str = ""
    keys: str = ""
    tokens: dict[str, Token] = field(default_factory=dict)


@dataclass(slots=True)
class Group:
    users: dict[str, None] = field(default_factory=dict)
    comment: str = ""


@dataclass(slots=True)
class Pool:
    vms: dict[int, None] = field(default_factory=dict)
    storage: dict[str, None] = field(default_factory=dict)
    comment: str = ""


Grants = dict[str, dict[str, int]]
"""Who → role → propagate."""


@dataclass(slots=True)
class AclNode:
    """What is granted on one path."""

    users: Grants = field(default_factory=dict)
    groups: Grants = field(default_factory=dict)
    tokens: Grants = field(default_factory=dict)


@dataclass(slots=True)
class UserCfg:
    """The parsed file. ``computed`` caches effective privileges for this content."""

    users: dict[str, User] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    pools: dict[str, Pool] = field(default_factory=dict)
    roles: dict[str, frozenset[str]] = field(default_factory=dict)
    acl: dict[str, AclNode] = field(default_factory=dict)
    computed: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)

    def acl_node(self, path: str) -> AclNode:
        return self.acl.setdefault(path, AclNode())

    def acl_paths(self) -> Iterator[str]:
        """Paths with entries, parents before children."""
        return iter(sorted(path for path, node in self.acl.items() if node.users or node.groups or node.tokens))


def normalize_path(path: str) -> str:
    """``//vms/100/`` → ``/vms/100``."""
    return "/" + "/".join(part for part in path.split("/") if part)


def parse_user_cfg(text: str) -> UserCfg:
    cfg = UserCfg(roles=dict(predefined()))
    cfg.users["root@pam"] = User()
    for line in text.splitlines():
        kind, _colon, rest = line.strip().partition(":")
        data = [item.strip() for item in rest.split(":")] + [""] * 8
        match kind:
            case "user":
                cfg.users[data[0]] = User(
                    int(data[1] == "1"),
                    int(data[2] or 0),
                    unquote(data[3]),
                    unquote(data[4]),
                    unquote(data[5]),
                    unquote(data[6]),
                    data[7],
                )
            case "token":
                userid, _bang, name = data[0].partition("!")
                if userid in cfg.users:
                    token = Token(int(data[2] == "1"), int(data[1] or 0), unquote(data[3]))
                    cfg.users[userid].tokens[name] = token
            case "group":
                cfg.groups[data[0]] = Group(dict.fromkeys(split_list(data[1])), unquote(data[2]))
            case "pool":
                vms = dict.fromkeys(int(vmid) for vmid in split_list(data[2]))
                cfg.pools[data[0]] = Pool(vms, dict.fromkeys(split_list(data[3])), unquote(data[1]))
            case "role":
                cfg.roles[data[0]] = frozenset(split_list(data[1]))
            case "acl":
                _parse_acl(cfg, data)
    return cfg


def _parse_acl(cfg: UserCfg, data: list[str]) -> None:
    node = cfg.acl_node(normalize_path(data[1]))
    for who in split_list(data[2]):
        grants, name = node.users, who
        if who.startswith("@"):
            grants, name = node.groups, who[1:]
        elif "!" in who:
            grants = node.tokens
        for role in split_list(data[3]):
            grants.setdefault(name, {})[role] = int(data[0] == "1")


def _encode(text: str) -> str:
    return "".join(char if char not in ":%\n" else f"%{ord(char):02X}" for char in text)


def print_user_cfg(cfg: UserCfg) -> str:
    lines = []
    for name, user in sorted(cfg.users.items()):
        names = ":".join(_encode(item) for item in (user.firstname, user.lastname, user.email, user.comment))
        lines.append(f"user:{name}:{user.enable}:{user.expire}:{names}:{user.keys}:")
        for tokenid, token in sorted(user.tokens.items()):
            lines.append(f"token:{name}!{tokenid}:{token.expire or 0}:{token.privsep}:{_encode(token.comment)}:")
    lines.append("")
    for name, group in sorted(cfg.groups.items()):
        lines.append(f"group:{name}:{','.join(sorted(group.users))}:{_encode(group.comment)}:")
    lines.append("")
    for name, pool in sorted(cfg.pools.items()):
        vms = ",".join(str(vmid) for vmid in sorted(pool.vms))
        lines.append(f"pool:{name}:{_encode(pool.comment)}:{vms}:{','.join(sorted(pool.storage))}:")
    lines.append("")
    for name, privileges in sorted(cfg.roles.items()):
        if name not in predefined():
            lines.append(f"role:{name}:{','.join(sorted(privileges))}:")
    lines.append("")
    for path in cfg.acl_paths():
        lines += _acl_lines(path, cfg.acl[path])
    return "".join(f"{line}\n" for line in lines)


def _acl_lines(path: str, node: AclNode) -> list[str]:
    members: dict[tuple[int, str], list[str]] = {}
    for prefix, grants in (("@", node.groups), ("", node.users), ("", node.tokens)):
        for who, roles in grants.items():
            for propagate in (0, 1):
                chosen = ",".join(sorted(role for role, flag in roles.items() if flag == propagate))
                if chosen:
                    members.setdefault((propagate, chosen), []).append(prefix + who)
    return [
        f"acl:{propagate}:{path}:{','.join(sorted(who))}:{roles}:"
        for (propagate, roles), who in sorted(members.items())
    ]
