# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``users:``, ``roles:``, ``pools:`` and ``acl:``: who may do what."""

from __future__ import annotations

import re

from lab.cluster_file.reader import Map, as_int, as_names, fail, suggestion
from lab.pve.cluster import Cluster
from lab.pve.usercfg import Group, Pool, UserCfg


def read_accounts(top: Map, cluster: Cluster) -> None:
    """``users:``, ``roles:``, ``acl:``, ``pools:`` and groups, besides ``root@pam`` with password and token."""
    users = cluster.users
    users.add_user("root@pam", password="lab")
    users.add_token("root@pam", "lab", privsep=False)
    for name, privileges in top.map("roles").rest():
        _add_role(cluster, name, as_names(f"roles.{name}", privileges))
    for userid, spec in top.map("users").items():
        if not re.fullmatch(r"[^\s:/]+@[A-Za-z][\w.-]*", userid):
            fail(spec.where, f"'{userid}' is not a user ID such as auditor@pve")
        fields = {key: spec.text(key) for key in ("comment", "email", "firstname", "lastname") if spec.has(key)}
        password = spec.text("password")
        enabled = spec.flag("enabled", True)
        if userid == "root@pam":
            users.add_user(userid, password=password or "lab", **fields)
        else:
            users.add_user(userid, password=password, enable=int(enabled), **fields)
        for token, own in spec.map("tokens").items():
            users.add_token(userid, token, secret=own.text("secret"), privsep=own.flag("privsep", True))
            own.done()
        for group in spec.names("groups"):
            _add_to_group(cluster, group, userid)
        spec.done()
    for name, spec in top.map("pools").items():
        _add_pool(cluster, name, spec)
        spec.done()
    for index, row in enumerate(top.rows("acl")):
        spec = Map(f"acl[{index}]", row)
        path, role = spec.text("path", "/"), spec.text("role")
        who = spec.text("who")
        if who is None or role is None:
            fail(spec.where, "needs who and role (example: {path: /, who: auditor@pve, role: PVEAuditor})")
        if role not in users.cfg.roles:
            fail(spec.at("role"), f"there is no role '{role}'{suggestion(role, users.cfg.roles)}")
        userid = who.partition("!")[0]
        if not who.startswith("@") and userid not in users.cfg.users:
            fail(spec.at("who"), f"there is no user '{userid}'{suggestion(userid, users.cfg.users)}")
        users.grant(path, who, role, spec.flag("propagate", True))
        spec.done()


def _add_role(cluster: Cluster, name: str, privileges: list[str]) -> None:
    known = set().union(*cluster.users.cfg.roles.values())
    for privilege in privileges:
        if privilege not in known:
            fail(f"roles.{name}", f"there is no privilege '{privilege}'{suggestion(privilege, known)}")

    def change(cfg: UserCfg) -> None:
        cfg.roles[name] = frozenset(privileges)

    cluster.users.edit(change)


def _add_to_group(cluster: Cluster, group: str, userid: str) -> None:
    def change(cfg: UserCfg) -> None:
        cfg.groups.setdefault(group, Group()).users[userid] = None

    cluster.users.edit(change)


def _add_pool(cluster: Cluster, name: str, spec: Map) -> None:
    guests = [as_int(spec.at("guests"), item) for item in spec.names("guests")]
    storages = spec.names("storages")
    for vmid in guests:
        if cluster.guest(vmid) is None:
            fail(spec.at("guests"), f"there is no guest {vmid}")
    comment = spec.text("comment", "")

    def change(cfg: UserCfg) -> None:
        cfg.pools[name] = Pool(dict.fromkeys(guests), dict.fromkeys(storages), comment)

    cluster.users.edit(change)
