# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``/access/users`` and their tokens (pve-access-control API2/User.pm)."""

from __future__ import annotations

from typing import Any

from lab.errors import BadParameters, Die, Forbidden
from lab.http.router import Call, Param, opt, route
from lab.pve.formats import split_list
from lab.pve.usercfg import Token, User, UserCfg

USERID = Param("userid", format="pve-userid", max_length=64)
TOKENID = Param("tokenid", pattern=r"[A-Za-z][A-Za-z0-9.\-_]+")
_FIELDS = (
    opt("enable", "boolean"),
    opt("expire", "integer", minimum=0),
    opt("firstname", max_length=1024),
    opt("lastname", max_length=1024),
    opt("email", format="email-opt", max_length=254),
    opt("comment", max_length=2048),
    opt("keys", pattern=r"[0-9a-zA-Z!=]{0,4096}"),
)
_FIELD_NAMES = tuple(param.name for param in _FIELDS)
_TEXTS = ("firstname", "lastname", "email", "comment", "keys")


# ---------------------------------------------------------------- who may


def _in_a_group_of(call: Call, userid: str, *privileges: str) -> bool:
    """Whether the caller has one of the privileges on all groups, or on one that ``userid`` belongs to."""
    if call.may("/access/groups", *privileges, any_of=True):
        return True
    groups = call.cluster.users.cfg.groups
    return any(
        userid in group.users and call.may(f"/access/groups/{name}", *privileges, any_of=True)
        for name, group in groups.items()
    )


def _require_modify(call: Call) -> None:
    if not _in_a_group_of(call, _existing(call), "User.Modify"):
        raise Forbidden()


def _require_modify_or_audit(call: Call) -> None:
    if not _in_a_group_of(call, _existing(call), "User.Modify", "Sys.Audit"):
        raise Forbidden()


def _require_create(call: Call) -> None:
    realm = str(call.get("userid", "")).rpartition("@")[2]
    call.require(f"/access/realm/{realm}", "Realm.AllocateUser")
    if call.may("/access/groups", "User.Modify"):
        return
    groups = split_list(call.get("groups"))
    if not groups:
        raise Forbidden("/access/groups", "User.Modify")
    for group in groups:
        call.require(f"/access/groups/{group}", "User.Modify")


def _require_delete(call: Call) -> None:
    call.require(f"/access/realm/{call['userid'].rpartition('@')[2]}", "Realm.AllocateUser")
    _require_modify(call)


def _require_self_or_modify(call: Call) -> None:
    """A token is not its user: only the user itself counts as self."""
    if call.identity.authuser == call["userid"] and call["userid"] in call.cluster.users.cfg.users:
        return
    _require_modify(call)


def _existing(call: Call) -> str:
    userid: str = call["userid"]
    _user(call.cluster.users.cfg, userid)
    return userid


def _user(cfg: UserCfg, userid: str) -> User:
    if userid not in cfg.users:
        raise Die(f"no such user ('{userid}')")
    return cfg.users[userid]


def _token(cfg: UserCfg, userid: str, name: str) -> Token:
    tokens = _user(cfg, userid).tokens
    if name not in tokens:
        raise Die(f"no such token '{name}' for user '{userid}'")
    return tokens[name]


# ---------------------------------------------------------------- users


def _fields(user: User) -> dict[str, Any]:
    """Fields as parsing the file yields them: an empty email shows only when something stands behind it."""
    fields: dict[str, Any] = {"enable": user.enable, "expire": user.expire}
    fields |= {name: getattr(user, name) for name in _TEXTS if getattr(user, name)}
    if user.comment or user.keys:
        fields.setdefault("email", "")
    return fields


def _token_info(token: Token) -> dict[str, Any]:
    info: dict[str, Any] = {"privsep": token.privsep, "expire": token.expire or 0}
    if token.comment:
        info["comment"] = token.comment
    return info


def _groups(call: Call, userid: str) -> list[str]:
    return sorted(name for name, group in call.cluster.users.cfg.groups.items() if userid in group.users)


@route("GET", "/access/users", opt("enabled", "boolean"), opt("full", "boolean"), protected=True)
def list_users(call: Call) -> list[dict[str, Any]]:
    realms = call.cluster.users.realms()
    rows = []
    for userid, user in sorted(call.cluster.users.cfg.users.items()):
        own = userid == call.identity.authuser
        if not own and not _in_a_group_of(call, userid, "User.Modify", "Sys.Audit"):
            continue
        if "enabled" in call.params and bool(user.enable) != bool(call["enabled"]):
            continue
        row = {**_fields(user), "userid": userid}
        realm = userid.rpartition("@")[2]
        if realm in realms:
            row["realm-type"] = realms[realm][0]
        if call.get("full"):
            row["groups"] = ",".join(_groups(call, userid))
            row["tokens"] = [{"tokenid": name, **_token_info(token)} for name, token in sorted(user.tokens.items())]
        rows.append(row)
    return rows


@route(
    "POST",
    "/access/users",
    USERID,
    *_FIELDS,
    opt("password", min_length=5, max_length=64),
    opt("groups", format="pve-groupid-list"),
    permission=_require_create,
    protected=True,
)
def create_user(call: Call) -> None:
    userid = call["userid"]

    def change(cfg: UserCfg) -> None:
        if userid in cfg.users:
            raise Die(f"user '{userid}' already exists")
        fields = {name: call[name] for name in _FIELD_NAMES if name in call.params}
        cfg.users[userid] = User(**fields)
        _join(cfg, userid, split_list(call.get("groups")))

    call.cluster.users.edit(change, call.node, "create user failed")
    if "password" in call.params:
        call.cluster.users.set_password(userid, call["password"])


def _join(cfg: UserCfg, userid: str, groups: list[str]) -> None:
    for group in groups:
        if group not in cfg.groups:
            raise Die(f"no such group '{group}'")
        cfg.groups[group].users[userid] = None


def _leave(cfg: UserCfg, userid: str) -> None:
    for group in cfg.groups.values():
        group.users.pop(userid, None)


@route("GET", "/access/users/{userid}", USERID, permission=_require_modify_or_audit)
def read_user(call: Call) -> dict[str, Any]:
    user = _user(call.cluster.users.cfg, call["userid"])
    data = {**_fields(user), "groups": _groups(call, call["userid"])}
    data["tokens"] = {name: _token_info(token) for name, token in user.tokens.items()} or None
    return data


@route(
    "PUT",
    "/access/users/{userid}",
    USERID,
    *_FIELDS,
    opt("groups", format="pve-groupid-list"),
    opt("append", "boolean", requires="groups"),
    permission=_require_modify,
    protected=True,
)
def update_user(call: Call) -> None:
    userid = call["userid"]

    def change(cfg: UserCfg) -> None:
        user = _user(cfg, userid)
        for name in _FIELD_NAMES:
            if name in call.params:
                setattr(user, name, call[name])
        if "groups" in call.params and not call.get("append"):
            _leave(cfg, userid)
        _join(cfg, userid, split_list(call.get("groups")))

    call.cluster.users.edit(change, call.node, "update user failed")


@route("DELETE", "/access/users/{userid}", USERID, permission=_require_delete, protected=True)
def delete_user(call: Call) -> None:
    userid = call["userid"]

    def change(cfg: UserCfg) -> None:
        user = _user(cfg, userid)
        for name in user.tokens:
            call.cluster.users.forget_token(f"{userid}!{name}")
            _drop_grants(cfg, f"{userid}!{name}")
        _leave(cfg, userid)
        _drop_grants(cfg, userid)
        del cfg.users[userid]

    call.cluster.users.edit(change, call.node, "delete user failed")
    call.cluster.users.forget_password(userid)


def _drop_grants(cfg: UserCfg, who: str) -> None:
    for node in cfg.acl.values():
        node.users.pop(who, None)
        node.tokens.pop(who, None)


# ---------------------------------------------------------------- tokens


@route("GET", "/access/users/{userid}/token", USERID, permission=_require_self_or_modify)
def list_tokens(call: Call) -> list[dict[str, Any]]:
    tokens = _user(call.cluster.users.cfg, call["userid"]).tokens
    return [{"tokenid": name, **_token_info(token)} for name, token in tokens.items()]


@route("GET", "/access/users/{userid}/token/{tokenid}", USERID, TOKENID, permission=_require_self_or_modify)
def read_token(call: Call) -> dict[str, Any]:
    return _token_info(_token(call.cluster.users.cfg, call["userid"], call["tokenid"]))


_TOKEN_FIELDS = (opt("expire", "integer", minimum=0), opt("privsep", "boolean"), opt("comment"))


@route(
    "POST",
    "/access/users/{userid}/token/{tokenid}",
    USERID,
    TOKENID,
    *_TOKEN_FIELDS,
    permission=_require_self_or_modify,
    protected=True,
)
def create_token(call: Call) -> dict[str, Any]:
    users = call.cluster.users
    userid, name = call["userid"], call["tokenid"]
    if name in _user(users.cfg, userid).tokens:
        raise BadParameters({"tokenid": "Token already exists."})

    def change(cfg: UserCfg) -> None:
        token = Token(call.get("privsep", 1), call.get("expire"), call.get("comment", ""))
        _user(cfg, userid).tokens[name] = token

    users.edit(change, call.node, "generating token failed")
    info: dict[str, Any] = {"privsep": 1}
    # What the client sent is echoed as it came: text, from a form.
    info |= {key: str(call[key]) for key in ("privsep", "expire", "comment") if call.params.get(key) not in {None, ""}}
    full = f"{userid}!{name}"
    return {"info": info, "value": users.set_token_secret(full), "full-tokenid": full}


@route(
    "PUT",
    "/access/users/{userid}/token/{tokenid}",
    USERID,
    TOKENID,
    *_TOKEN_FIELDS,
    opt("regenerate", "boolean", since=(9, 1)),
    opt("delete", format="pve-configid-list", since=(9, 1)),
    permission=_require_self_or_modify,
    protected=True,
)
def update_token(call: Call) -> dict[str, Any]:
    users = call.cluster.users
    userid, name = call["userid"], call["tokenid"]
    _token(users.cfg, userid, name)

    def change(cfg: UserCfg) -> None:
        token = _token(cfg, userid, name)
        for key in ("privsep", "expire", "comment"):
            if key in call.params:
                setattr(token, key, call[key])
        for key in split_list(call.get("delete")):
            if key != "comment":
                raise BadParameters({"delete": f"unknown option '{key}'"})
            token.comment = ""

    users.edit(change, call.node, "updating token info failed")
    result = _token_info(_token(users.cfg, userid, name))
    if call.get("regenerate"):
        full = f"{userid}!{name}"
        result |= {"value": users.set_token_secret(full), "full-tokenid": full}
    return result


@route(
    "DELETE",
    "/access/users/{userid}/token/{tokenid}",
    USERID,
    TOKENID,
    permission=_require_self_or_modify,
    protected=True,
)
def delete_token(call: Call) -> None:
    userid, name = call["userid"], call["tokenid"]
    _token(call.cluster.users.cfg, userid, name)

    def change(cfg: UserCfg) -> None:
        del _user(cfg, userid).tokens[name]
        _drop_grants(cfg, f"{userid}!{name}")

    call.cluster.users.edit(change, call.node, "deleting token failed")
    call.cluster.users.forget_token(f"{userid}!{name}")
