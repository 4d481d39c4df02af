# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts, tokens, roles and ACLs (``/etc/pve/user.cfg``), and the privileges that follow from them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.errors import Die, Forbidden
from lab.pve.formats import parse_section_config
from lab.pve.roles import exists, predefined
from lab.pve.usercfg import Token, User, UserCfg, normalize_path, parse_user_cfg, print_user_cfg

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.node import Node

TICKET_LIFETIME = 7200
"""Seconds of lab time."""
GRACE = 300
USER_CFG = "user.cfg"
TOKEN_CFG = "priv/token.cfg"
SHADOW_CFG = "priv/shadow.cfg"
"""Passwords. Of the pam realm too: the lab's nodes have no /etc/shadow."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: a user, perhaps by one of its API tokens."""

    userid: str
    token: str | None = None

    @property
    def authuser(self) -> str:
        """``root@pam`` or ``root@pam!name``: what UPIDs carry."""
        return f"{self.userid}!{self.token}" if self.token else self.userid

    @property
    def is_root_ticket(self) -> bool:
        """root@pam itself; a token of root does not count (pve-facts §1.2)."""
        return self.userid == "root@pam" and self.token is None


def identity_of(authuser: str) -> Identity:
    userid, _bang, token = authuser.partition("!")
    return Identity(userid, token or None)


def _json(text: str) -> dict[str, str]:
    return json.loads(text) if text else {}


class Users:
    """Users, tokens and ACLs of the cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    # ------------------------------------------------------------ configuration

    @property
    def cfg(self) -> UserCfg:
        """The current configuration; change it only through :meth:`edit`."""
        return self._cluster.fs.parsed(USER_CFG, parse_user_cfg)

    def edit(self, change: Callable[[UserCfg], None], node: Node | None = None, failed: str = "") -> None:
        """Change user.cfg under its lock.

        :param node: the node that writes; None for the loader, which needs no quorum.
        :param failed: put before the error, as ``lock_user_config`` does.
        """
        cfg = parse_user_cfg(self._cluster.fs.read(USER_CFG) or "")
        try:
            if node is not None:
                self._cluster.check_cfs_lock(node, "file-user_cfg")
            change(cfg)
        except Die as fault:
            raise Die(f"{failed}: {fault.reason}" if failed else fault.reason) from fault
        if node is not None:
            # Reading the file, a node leaves out privileges that it does not know; writing it, it loses them for all.
            for role in cfg.roles.keys() - predefined().keys():
                cfg.roles[role] = frozenset(name for name in cfg.roles[role] if exists(name, node.release))
        self._cluster.fs.write(USER_CFG, print_user_cfg(cfg))

    def realms(self) -> dict[str, tuple[str, str]]:
        """Realm → (type, comment)."""
        found = {
            "pam": ("pam", "Linux PAM standard authentication"),
            "pve": ("pve", "Proxmox VE authentication server"),
        }
        for section in self._cluster.fs.parsed("domains.cfg", parse_section_config).values():
            found[section.id] = (section.type, section.values.get("comment", ""))
        return found

    # ------------------------------------------------------------ setting up

    def add_user(self, userid: str, password: str | None = None, **fields: str | int) -> None:
        """Create or replace an account; ``fields`` as in :class:`lab.pve.usercfg.User`."""

        def change(cfg: UserCfg) -> None:
            user = User(**fields)  # type: ignore[arg-type]
            user.tokens = cfg.users[userid].tokens if userid in cfg.users else {}
            cfg.users[userid] = user

        self.edit(change)
        if password is not None:
            self.set_password(userid, password)

    def add_token(self, userid: str, name: str, *, secret: str | None = None, privsep: bool = True) -> str:
        """Create or replace a token; the value is its secret."""

        def change(cfg: UserCfg) -> None:
            cfg.users.setdefault(userid, User()).tokens[name] = Token(int(privsep))

        self.edit(change)
        return self.set_token_secret(f"{userid}!{name}", secret)

    def grant(self, path: str, who: str, role: str, propagate: bool = True) -> None:
        """Add an ACL entry; ``who`` is a user, a token ``user@realm!name``, or ``@group``."""

        def change(cfg: UserCfg) -> None:
            node = cfg.acl_node(normalize_path(path))
            if who.startswith("@"):
                node.groups.setdefault(who[1:], {})[role] = int(propagate)
            else:
                grants = node.tokens if "!" in who else node.users
                grants.setdefault(who, {})[role] = int(propagate)

        self.edit(change)

    def set_password(self, userid: str, password: str) -> None:
        shadow = _json(self._cluster.fs.read(SHADOW_CFG) or "")
        shadow[userid] = self._hash(userid, password)
        self._cluster.fs.write(SHADOW_CFG, json.dumps(shadow, sort_keys=True))

    def set_token_secret(self, tokenid: str, secret: str | None = None) -> str:
        """Store a token's secret, a new random one when none is given."""
        secret = secret or str(uuid.UUID(int=self._cluster.engine.random.getrandbits(128), version=4))
        tokens = _json(self._cluster.fs.read(TOKEN_CFG) or "")
        tokens[tokenid] = secret
        self._cluster.fs.write(TOKEN_CFG, json.dumps(tokens, sort_keys=True))
        return secret

    def forget_token(self, tokenid: str) -> None:
        tokens = _json(self._cluster.fs.read(TOKEN_CFG) or "")
        tokens.pop(tokenid, None)
        self._cluster.fs.write(TOKEN_CFG, json.dumps(tokens, sort_keys=True))

    def forget_password(self, userid: str) -> None:
        shadow = _json(self._cluster.fs.read(SHADOW_CFG) or "")
        shadow.pop(userid, None)
        self._cluster.fs.write(SHADOW_CFG, json.dumps(shadow, sort_keys=True))

    @staticmethod
    def _hash(userid: str, password: str) -> str:
        return hashlib.sha256(f"{userid}\0{password}".encode()).hexdigest()

    # ------------------------------------------------------------ authentication

    def enabled(self, userid: str) -> bool:
        user = self.cfg.users.get(userid)
        return user is not None and bool(user.enable) and not (user.expire and user.expire < self._cluster.engine.now)

    def check_password(self, userid: str, password: str) -> bool:
        """Whether the account may log in with this password."""
        shadow = self._cluster.fs.parsed(SHADOW_CFG, _json)
        return self.enabled(userid) and shadow.get(userid) == self._hash(userid, password)

    def issue_ticket(self, userid: str) -> str:
        stamp = f"{int(self._cluster.engine.now):08X}"
        return f"PVE:{userid}:{stamp}::{self._sign('ticket', userid, stamp)}"

    def issue_csrf(self, userid: str) -> str:
        stamp = f"{int(self._cluster.engine.now):08X}"
        return f"{stamp}:{self._sign('csrf', userid, stamp)}"

    def verify_ticket(self, ticket: str) -> Identity | None:
        """The user of a valid ticket; a ticket of any node is valid on all of them."""
        match = re.fullmatch(r"PVE:(\S+?):([0-9A-F]{8})::(\S+)", ticket)
        if not match or not self._fresh(match[2]) or match[3] != self._sign("ticket", match[1], match[2]):
            return None
        return Identity(match[1]) if self.enabled(match[1]) else None

    def verify_csrf(self, identity: Identity, token: str) -> bool:
        stamp, _colon, signature = token.partition(":")
        return self._fresh(stamp) and signature == self._sign("csrf", identity.userid, stamp)

    def verify_token(self, text: str) -> Identity | None:
        """The owner of ``user@realm!name=secret``."""
        tokenid, _equals, secret = text.rpartition("=")
        identity = identity_of(tokenid)
        if identity.token is None or not self.enabled(identity.userid):
            return None
        token = self.cfg.users[identity.userid].tokens.get(identity.token)
        if token is None or (token.expire and token.expire < self._cluster.engine.now):
            return None
        return identity if self._cluster.fs.parsed(TOKEN_CFG, _json).get(tokenid) == secret else None

    def _fresh(self, stamp: str) -> bool:
        if not re.fullmatch(r"[0-9A-F]{8}", stamp):
            return False
        return -GRACE < self._cluster.engine.now - int(stamp, 16) < TICKET_LIFETIME

    def _sign(self, *parts: str) -> str:
        key = f"authkey of {self._cluster.name}".encode()
        return base64.b64encode(hmac.digest(key, "\0".join(parts).encode(), "sha256")).decode()

    # ------------------------------------------------------------ authorization

    def permissions(self, identity: Identity, path: str) -> dict[str, int]:
        """Privileges on a path → whether they propagate (RPCEnvironment.pm:permissions). Do not change the answer."""
        cfg = self.cfg
        path = normalize_path(path)
        key = (identity.authuser, path)
        if key not in cfg.computed:
            cfg.computed[key] = self._compute(cfg, identity, path)
        return cfg.computed[key]

    def may(self, identity: Identity, path: str, *privileges: str, any_of: bool = False) -> bool:
        granted = self.permissions(identity, path)
        return (any if any_of else all)(privilege in granted for privilege in privileges)

    def require(self, identity: Identity, path: str, *privileges: str, any_of: bool = False) -> None:
        """:raises Forbidden: with Proxmox VE's text: all of ``any_of``, else the first that is missing."""
        granted = self.permissions(identity, path)
        missing = [privilege for privilege in privileges if privilege not in granted]
        if any_of and len(missing) == len(privileges):
            raise Forbidden(path, *privileges)
        if missing and not any_of:
            raise Forbidden(path, missing[0])

    def _compute(self, cfg: UserCfg, identity: Identity, path: str) -> dict[str, int]:
        owner = Identity(identity.userid)
        if identity == owner and owner.userid == "root@pam":
            return dict.fromkeys(predefined()["Administrator"], 1)
        if identity.token is not None:
            user = cfg.users.get(identity.userid)
            token = user.tokens.get(identity.token) if user is not None else None
            if token is None:
                return {}
            if not token.privsep:
                return self.permissions(owner, path)
        privileges: dict[str, int] = {}
        for role, propagate in self._roles_with_pools(cfg, identity, path).items():
            for privilege in cfg.roles.get(role, ()):
                privileges[privilege] = privileges.get(privilege, 0) or propagate
        if identity.token is not None and owner.userid != "root@pam":
            of_owner = self.permissions(owner, path)
            privileges = {name: int(flag and of_owner[name]) for name, flag in privileges.items() if name in of_owner}
        return privileges

    def _roles_with_pools(self, cfg: UserCfg, identity: Identity, path: str) -> dict[str, int]:
        roles = self._roles(cfg, identity, path)
        kind, _slash, name = path.strip("/").partition("/")
        if kind not in {"vms", "storage"} or "NoAccess" in roles:
            return roles
        from_pools: dict[str, int] = {}
        for pool, members in cfg.pools.items():
            listed = name in members.storage if kind == "storage" else name.isdigit() and int(name) in members.vms
            if listed:
                from_pools |= dict.fromkeys(self._roles(cfg, identity, f"/pool/{pool}"), 0)
        return {"NoAccess": 0} if "NoAccess" in from_pools else from_pools | roles

    @staticmethod
    def _roles(cfg: UserCfg, identity: Identity, path: str) -> dict[str, int]:
        """AccessControl.pm:roles: the nearest entry on the way down wins, a user's own over its groups'."""
        parts = path.strip("/").split("/") if path != "/" else []
        roles: dict[str, int] = {}
        for depth in range(len(parts) + 1):
            node = cfg.acl.get("/" + "/".join(parts[:depth]))
            if node is None:
                continue
            final = depth == len(parts)
            if identity.token is not None:
                candidates = [node.tokens.get(identity.authuser, {})]
            else:
                in_groups: dict[str, int] = {}
                for group, grants in node.groups.items():
                    if group in cfg.groups and identity.userid in cfg.groups[group].users:
                        in_groups |= {role: flag for role, flag in grants.items() if final or flag}
                candidates = [node.users.get(identity.userid, {}), in_groups]
            for grants in candidates:
                applying = {role: flag for role, flag in grants.items() if final or flag}
                if applying:
                    roles = applying
                    break
        return {"NoAccess": roles["NoAccess"]} if "NoAccess" in roles else roles
