# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``/access/acl``, ``/access/roles`` and ``/access/groups`` (pve-access-control API2/{ACL,Role,Group}.pm)."""

from __future__ import annotations

import re
from typing import Any

from lab.errors import BadParameters, Die, Forbidden
from lab.http.router import Call, Param, check, opt, route
from lab.pve.formats import split_list
from lab.pve.roles import exists, predefined
from lab.pve.usercfg import Group, UserCfg, normalize_path

_NAME = r"[A-Za-z0-9.\-_]+"
_ACL_PATH = re.compile(
    rf"/|/(access|nodes|pool|sdn|storage|vms|mapping)|/access/(groups|realm)(/{_NAME})?|/nodes/{_NAME}"
    rf"|/pool/{_NAME}(/{_NAME}){{0,2}}|/sdn/(controllers|dns|fabrics|ipams|prefix-lists|route-maps)(/{_NAME})?"
    rf"|/sdn/zones(/{_NAME}(/{_NAME}(/[1-9][0-9]{{0,3}})?)?)?|/storage/{_NAME}|/vms/[1-9][0-9]{{2,}}"
    rf"|/mapping/{_NAME}(/{_NAME})?"
)
"""AccessControl.pm:check_path."""


# ---------------------------------------------------------------- ACLs


def _may_modify(call: Call, path: str) -> bool:
    return call.may(path, *_modifying(path), any_of=True)


def _modifying(path: str) -> tuple[str, ...]:
    """RPCEnvironment.pm:check_perm_modify."""
    own = {"storage": "Datastore.Allocate", "vms": "VM.Allocate", "pool": "Pool.Allocate"}
    kind, _slash, name = path.strip("/").partition("/")
    return ("Permissions.Modify", own[kind]) if name and kind in own else ("Permissions.Modify",)


def _require_modify(call: Call) -> None:
    path = normalize_path(str(call.get("path", "")))
    call.require(path, *_modifying(path), any_of=True)


@route("GET", "/access/acl")
def list_acl(call: Call) -> list[dict[str, Any]]:
    cfg = call.cluster.users.cfg
    audit = call.may("/access", "Sys.Audit")
    rows = []
    for path in cfg.acl_paths():
        if not audit and not _may_modify(call, path):
            continue
        node = cfg.acl[path]
        for kind, grants in (("user", node.users), ("group", node.groups), ("token", node.tokens)):
            for who, roles in grants.items():
                for role, propagate in roles.items():
                    rows.append({"path": path, "type": kind, "ugid": who, "roleid": role, "propagate": propagate})
    return rows


@route(
    "PUT",
    "/access/acl",
    Param("path"),
    Param("roles", format="pve-roleid-list"),
    opt("users", format="pve-userid-list"),
    opt("groups", format="pve-groupid-list"),
    opt("tokens", format="pve-tokenid-list"),
    opt("propagate", "boolean"),
    opt("delete", "boolean"),
    permission=_require_modify,
    protected=True,
)
def update_acl(call: Call) -> None:
    who = [("users", name) for name in split_list(call.get("users"))]
    who += [("groups", name) for name in split_list(call.get("groups"))]
    who += [("tokens", name) for name in split_list(call.get("tokens"))]
    if not who:
        text = "either 'users', 'groups' or 'tokens' is required."
        raise BadParameters(dict.fromkeys(("users", "groups", "tokens"), text))
    path = normalize_path(call["path"])
    remove = bool(call.get("delete"))
    if not remove and not _ACL_PATH.fullmatch(path):
        raise BadParameters({"path": f"invalid ACL path '{call['path']}'"})

    def change(cfg: UserCfg) -> None:
        node = cfg.acl_node(path)
        for role in split_list(call["roles"]):
            if role not in cfg.roles:
                raise Die(f"role '{role}' does not exist")
            _check_subset(call, cfg, path, role, remove)
            for kind, name in who:
                _check_exists(cfg, kind, name)
                grants = getattr(node, kind)
                if remove:
                    grants.get(name, {}).pop(role, None)
                else:
                    grants.setdefault(name, {})[role] = int(call.get("propagate", 1))

    call.cluster.users.edit(change, call.node, "ACL update failed")


def _check_subset(call: Call, cfg: UserCfg, path: str, role: str, remove: bool) -> None:
    """Who may only hand out VM.Allocate's share may hand out no more than they have."""
    own = call.cluster.users.permissions(call.identity, path)
    if "Permissions.Modify" in own:
        return
    if role == "NoAccess" or not cfg.roles[role] <= set(own):
        verb = "remove" if remove else "add"
        text = f"Cannot {verb} role '{role}' - requires 'Permissions.Modify' or superset of privileges."
        raise BadParameters({"role": text})


def _check_exists(cfg: UserCfg, kind: str, name: str) -> None:
    match kind:
        case "groups":
            if name not in cfg.groups:
                raise Die(f"group '{name}' does not exist")
        case "users":
            if name not in cfg.users:
                raise Die(f"user '{name}' does not exist")
        case _:
            userid, _bang, token = name.partition("!")
            if userid not in cfg.users:
                raise Die(f"no such user ('{userid}')")
            if token not in cfg.users[userid].tokens:
                raise Die(f"no such token '{token}' for user '{userid}'")


# ---------------------------------------------------------------- roles

_ROLE = Param("roleid", format="pve-roleid")
_PRIVS = opt("privs", format="pve-priv-list")
_MAY_EDIT_ROLES = check("/access", "Sys.Modify")


def _known_to(call: Call) -> None:
    """A node knows the privileges of its own release only (AccessControl.pm:verify_privname)."""
    for name in split_list(call.get("privs")):
        if not exists(name, call.node.release):
            raise BadParameters({"privs": f"invalid format - invalid privilege '{name}'\n"})


@route("GET", "/access/roles")
def list_roles(call: Call) -> list[dict[str, Any]]:
    rows = []
    for role, privileges in call.cluster.users.cfg.roles.items():
        shown = sorted(name for name in privileges if exists(name, call.node.release))
        rows.append({"roleid": role, "privs": ",".join(shown), "special": int(role in predefined())})
    return rows


@route("GET", "/access/roles/{roleid}", _ROLE)
def read_role(call: Call) -> dict[str, int]:
    roles = call.cluster.users.cfg.roles
    if call["roleid"] not in roles:
        raise Die(f"role '{call['roleid']}' does not exist")
    return {name: 1 for name in sorted(roles[call["roleid"]]) if exists(name, call.node.release)}


@route("POST", "/access/roles", _ROLE, _PRIVS, permission=_MAY_EDIT_ROLES, protected=True)
def create_role(call: Call) -> None:
    role = call["roleid"]
    if role.upper().startswith("PVE"):
        text = "cannot use role ID starting with the (case-insensitive) 'PVE' namespace"
        raise BadParameters({"roleid": text})
    _known_to(call)

    def change(cfg: UserCfg) -> None:
        if role in cfg.roles:
            raise Die(f"role '{role}' already exists")
        cfg.roles[role] = frozenset(split_list(call.get("privs")))

    call.cluster.users.edit(change, call.node, "create role failed")


@route(
    "PUT",
    "/access/roles/{roleid}",
    _ROLE,
    _PRIVS,
    opt("append", "boolean", requires="privs"),
    permission=_MAY_EDIT_ROLES,
    protected=True,
)
def update_role(call: Call) -> None:
    role = call["roleid"]
    if role in predefined():
        raise Die(f"auto-generated role '{role}' cannot be modified")
    _known_to(call)

    def change(cfg: UserCfg) -> None:
        if role not in cfg.roles:
            raise Die(f"role '{role}' does not exist")
        kept = cfg.roles[role] if call.get("append") else frozenset()
        cfg.roles[role] = kept | frozenset(split_list(call.get("privs")))

    call.cluster.users.edit(change, call.node, "update role failed")


@route("DELETE", "/access/roles/{roleid}", _ROLE, permission=_MAY_EDIT_ROLES, protected=True)
def delete_role(call: Call) -> None:
    role = call["roleid"]
    if role in predefined():
        raise Die(f"auto-generated role '{role}' cannot be deleted")

    def change(cfg: UserCfg) -> None:
        if cfg.roles.pop(role, None) is None:
            raise Die(f"role '{role}' does not exist")

    call.cluster.users.edit(change, call.node, "delete role failed")


# ---------------------------------------------------------------- groups

_GROUP = Param("groupid", format="pve-groupid")
_SEES = ("User.Modify", "Sys.Audit", "Group.Allocate")


@route("GET", "/access/groups")
def list_groups(call: Call) -> list[dict[str, Any]]:
    rows = []
    for name, group in call.cluster.users.cfg.groups.items():
        if call.may(f"/access/groups/{name}", *_SEES, any_of=True):
            row = {"groupid": name, "users": ",".join(sorted(group.users))}
            rows.append({**row, "comment": group.comment} if group.comment else row)
    return rows


def _may_read_group(call: Call) -> None:
    if not call.may("/access/groups", "Sys.Audit", "Group.Allocate", any_of=True):
        raise Forbidden("/access/groups", "Sys.Audit", "Group.Allocate")


@route("GET", "/access/groups/{groupid}", _GROUP, permission=_may_read_group)
def read_group(call: Call) -> dict[str, Any]:
    groups = call.cluster.users.cfg.groups
    if call["groupid"] not in groups:
        raise Die(f"group '{call['groupid']}' does not exist")
    group = groups[call["groupid"]]
    row: dict[str, Any] = {"members": sorted(group.users)}
    return {**row, "comment": group.comment} if group.comment else row


_MAY_EDIT_GROUPS = check("/access/groups", "Group.Allocate")


@route("POST", "/access/groups", _GROUP, opt("comment"), permission=_MAY_EDIT_GROUPS, protected=True)
def create_group(call: Call) -> None:
    def change(cfg: UserCfg) -> None:
        if call["groupid"] in cfg.groups:
            raise Die(f"group '{call['groupid']}' already exists")
        cfg.groups[call["groupid"]] = Group(comment=call.get("comment", ""))

    call.cluster.users.edit(change, call.node, "create group failed")


@route("PUT", "/access/groups/{groupid}", _GROUP, opt("comment"), permission=_MAY_EDIT_GROUPS, protected=True)
def update_group(call: Call) -> None:
    def change(cfg: UserCfg) -> None:
        if call["groupid"] not in cfg.groups:
            raise Die(f"group '{call['groupid']}' does not exist")
        cfg.groups[call["groupid"]].comment = call.get("comment", cfg.groups[call["groupid"]].comment)

    call.cluster.users.edit(change, call.node, "update group failed")


@route("DELETE", "/access/groups/{groupid}", _GROUP, permission=_MAY_EDIT_GROUPS, protected=True)
def delete_group(call: Call) -> None:
    def change(cfg: UserCfg) -> None:
        if cfg.groups.pop(call["groupid"], None) is None:
            raise Die(f"group '{call['groupid']}' does not exist")
        for node in cfg.acl.values():
            node.groups.pop(call["groupid"], None)

    call.cluster.users.edit(change, call.node, "delete group failed")
