# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``/access``: tickets, effective permissions, realms (pve-access-control API2/AccessControl.pm)."""

from __future__ import annotations

import re
from typing import Any

from lab.errors import Die, Forbidden, Unauthorized
from lab.http.formats import format_check
from lab.http.router import WORLD, Call, Param, opt, route
from lab.pve.formats import split_list
from lab.pve.roles import PRIVILEGES, exists
from lab.pve.users import Identity, identity_of

_CAP = {
    "vms": r"VM\.|Permissions\.Modify",
    "access": r"(User|Group)\.|Permissions\.Modify",
    "storage": r"Datastore\.|Permissions\.Modify",
    "nodes": r"Sys\.|Permissions\.Modify",
    "sdn": r"SDN\.|Permissions\.Modify",
    "dc": r"Sys\.Audit|Sys\.Modify|SDN\.",
    "mapping": r"Mapping\.|Permissions\.Modify",
}
_CAP_PATHS = ("/", "/nodes", "/access/groups", "/vms", "/storage", "/sdn", "/mapping")
_TOP_PATHS = ("/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms")


@format_check("pve-priv")
def _privilege(value: str) -> None:
    if value not in PRIVILEGES:
        raise ValueError(f"invalid privilege '{value}'")


@route("GET", "/access")
def index(_call: Call) -> list[dict[str, str]]:
    names = ("users", "groups", "roles", "acl", "domains", "openid", "tfa", "ticket", "password")
    return [{"subdir": name} for name in names]


@route("GET", "/access/ticket", permission=WORLD)
def get_ticket(_call: Call) -> None:
    return None


@route(
    "POST",
    "/access/ticket",
    Param("username", max_length=64),
    opt("realm", format="pve-realm", max_length=32),
    Param("password"),
    opt("otp"),
    opt("path", max_length=64, requires="privs"),
    opt("privs", format="pve-priv-list", max_length=64, requires="path"),
    opt("new-format", "boolean"),
    opt("tfa-challenge"),
    permission=WORLD,
    protected=True,
)
def create_ticket(call: Call) -> dict[str, Any]:
    users = call.cluster.users
    userid = call["username"]
    if call.get("realm"):
        userid = f"{userid}@{call['realm']}"
    holder = users.verify_ticket(call["password"])
    by_ticket = holder is not None and (holder.userid == userid or holder.userid == "root@pam")
    if not users.enabled(userid) or not (by_ticket or users.check_password(userid, call["password"])):
        raise Unauthorized("authentication failure", body=True)
    identity = Identity(userid)
    result: dict[str, Any] = {"username": userid, "cap": capabilities(call, identity)}
    if call.get("path") and call.get("privs"):
        if not users.may(identity, call["path"], *split_list(call["privs"])):
            raise Unauthorized("authentication failure", body=True)
    else:
        result["ticket"] = users.issue_ticket(userid)
        result["CSRFPreventionToken"] = users.issue_csrf(userid)
    if len(call.cluster.nodes) > 1 and users.may(identity, "/", "Sys.Audit"):
        result["clustername"] = call.cluster.name
    return result


def capabilities(call: Call, identity: Identity) -> dict[str, dict[str, int]]:
    """RPCEnvironment.pm:compute_api_permission: what the web interface may offer."""
    cap: dict[str, dict[str, int]] = {kind: {} for kind in _CAP}
    users = call.cluster.users
    for path in dict.fromkeys((*_CAP_PATHS, *users.cfg.acl_paths())):
        top = path.strip("/").partition("/")[0] or "dc"
        for privilege in users.permissions(identity, path):
            if not exists(privilege, call.node.release):
                continue
            if top == "pool":
                kinds = [kind for kind in ("vms", "storage") if re.match(_CAP[kind], privilege)]
            else:
                kinds = [top] if top in _CAP and re.match(_CAP[top], privilege) else []
            for kind in kinds:
                cap[kind][privilege] = 1
    return cap


@route("GET", "/access/permissions", opt("userid"), opt("path"))
def permissions(call: Call) -> dict[str, dict[str, int]]:
    users = call.cluster.users
    asked = identity_of(call.get("userid", call.identity.authuser))
    own_token = asked.token is not None and Identity(asked.userid) == call.identity
    if asked != call.identity and not own_token:
        call.require("/access", "Sys.Audit")
    if path := call.get("path"):
        return {path: _of_release(call, users.permissions(asked, path))}
    paths = dict.fromkeys((*_TOP_PATHS, *users.cfg.acl_paths()))
    for pool in users.cfg.pools.values():
        paths |= dict.fromkeys(f"/vms/{vmid}" for vmid in pool.vms)
        paths |= dict.fromkeys(f"/storage/{storage}" for storage in pool.storage)
    found = {path: _of_release(call, users.permissions(asked, path)) for path in paths}
    return {path: granted for path, granted in found.items() if granted}


def _of_release(call: Call, granted: dict[str, int]) -> dict[str, int]:
    return {name: flag for name, flag in sorted(granted.items()) if exists(name, call.node.release)}


@route("GET", "/access/domains", permission=WORLD)
def domains(call: Call) -> list[dict[str, str]]:
    entries = []
    for realm, (kind, comment) in call.cluster.users.realms().items():
        entry = {"realm": realm, "type": kind}
        if comment:
            entry["comment"] = comment
        entries.append(entry)
    return entries


@route(
    "PUT",
    "/access/password",
    Param("userid", format="pve-userid", max_length=64),
    Param("password", min_length=8, max_length=64),
    opt("confirmation-password", min_length=5, max_length=64),
    protected=True,
)
def change_password(call: Call) -> None:
    users = call.cluster.users
    userid = call["userid"]
    if userid not in users.cfg.users:
        raise Die(f"no such user ('{userid}')")
    if not call.identity.is_root_ticket:
        if call.identity.token is not None or userid == "root@pam" or userid.endswith("@pam"):
            raise Forbidden()
        if call.identity.userid != userid:
            call.require(f"/access/realm/{userid.partition('@')[2]}", "Realm.AllocateUser")
            call.require("/access/groups", "User.Modify")
    users.set_password(userid, call["password"])
