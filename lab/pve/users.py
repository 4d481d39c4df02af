# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts, tokens, roles and ACLs (``/etc/pve/user.cfg``), and the privileges that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.errors import Forbidden

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster


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


class Users:
    """Users, tokens and ACLs of the cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def may(self, identity: Identity, path: str, *privileges: str, any_of: bool = False) -> bool:
        return identity.userid == "root@pam"

    def require(self, identity: Identity, path: str, *privileges: str, any_of: bool = False) -> None:
        """:raises Forbidden: with Proxmox VE's text."""
        if not self.may(identity, path, *privileges, any_of=any_of):
            raise Forbidden(path, *privileges)
