# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The least rights for what an account is for, and the steps from what is there to that.

Proxmox VE takes of the entries on the way from ``/`` to a path the nearest one, and no other. So what is wanted on
``/vms/100`` has to hold what is wanted on ``/vms`` too. Rights of a pool are added to those of the path.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.access import Access, Entry, Token
from ansible_collections.pve.mobility.plugins.module_utils.model.privileges import BY_NAME, Need, needs_of
from ansible_collections.pve.mobility.plugins.module_utils.model.release import Release

ROLES = {
    "/": "cluster",
    "/vms": "vms",
    "/storage": "storage",
    "/nodes": "nodes",
    "/sdn/zones": "sdn",
    "/sdn/zones/localnetwork": "network",
    "/mapping": "mapping",
}
"""What the role for a path is called, after the prefix; ``guests`` and ``storages`` for those that are named."""
SINGLE = {"/vms": "guests", "/pool": "guests", "/storage": "storages"}
SUFFIXES = frozenset({*ROLES.values(), *SINGLE.values()})


@dataclass(frozen=True, slots=True)
class Scope:
    """Where writing is permitted; everywhere when nothing of a kind is named. Reading is not narrowed by it."""

    pools: tuple[str, ...] = ()
    guests: tuple[int, ...] = ()
    storages: tuple[str, ...] = ()

    def paths(self, need: Need) -> list[str]:
        """Paths of ACL entries for a need."""
        base = need.path.partition("/{")[0] or "/"
        if need.path != base and not need.reads:
            if base == "/vms" and (self.pools or self.guests):
                return [*(f"/pool/{name}" for name in self.pools), *(f"/vms/{vmid}" for vmid in self.guests)]
            if base == "/storage" and self.storages:
                return [f"/storage/{name}" for name in self.storages]
        return [base]


@dataclass(frozen=True, slots=True)
class Grant:
    """What is wanted on a path. On ``/`` it does not go down: there it would reach everything, accounts too."""

    path: str
    role: str
    privileges: frozenset[str]

    @property
    def propagate(self) -> bool:
        return self.path != "/"


@dataclass(frozen=True, slots=True)
class Wanted:
    """An account with one token. ``privsep``: the token has rights of its own, which the user must have too."""

    user: str
    token: str
    grants: tuple[Grant, ...]
    prefix: str = "mobility"
    privsep: bool = True
    expire: int = 0
    comment: str = ""
    exclusive: bool = False
    renew: bool = False
    absent: bool = False

    @property
    def token_id(self) -> str:
        return f"{self.user}!{self.token}"

    @property
    def holders(self) -> tuple[str, ...]:
        """Who gets entries. root@pam has every right without."""
        user = () if self.user == "root@pam" else (self.user,)
        return (*user, *((self.token_id,) if self.privsep else ()))

    def owns(self, role: str) -> bool:
        head, dash, tail = role.rpartition("-")
        return bool(dash) and head == self.prefix and tail in SUFFIXES


@dataclass(frozen=True, slots=True)
class Step:
    """One write. ``secret``: its answer holds the secret of a token."""

    text: str
    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    secret: bool = False


def grants(features: Iterable[str], releases: Collection[Release], scope: Scope, prefix: str) -> tuple[Grant, ...]:
    """The least that the features need on nodes of these releases.

    :raises KeyError: there is no such feature.
    """
    found: dict[str, set[str]] = {}
    for need in needs_of(use for name in features for use in BY_NAME[name].uses):
        if any(need.on(release) for release in releases):
            for path in scope.paths(need):
                found.setdefault(path, set()).add(need.privilege)
    for path in sorted(found):
        above = _above(path, found)
        if above is not None:
            found[path] |= found[above]
    singles: dict[str, set[str]] = {}
    for path in found:
        if path not in ROLES:
            singles.setdefault(_suffix(path), set()).update(found[path])
    result = []
    for path, privileges in sorted(found.items()):
        above = _above(path, found)
        # Guests that are named all have the same role, so it holds what any of them needs.
        held = singles[_suffix(path)] if path not in ROLES else privileges
        if above is None or held != found[above]:
            result.append(Grant(path, f"{prefix}-{_suffix(path)}", frozenset(held)))
    return tuple(result)


def _suffix(path: str) -> str:
    return ROLES.get(path) or SINGLE["/" + path.split("/")[1]]


def _above(path: str, paths: Collection[str]) -> str | None:
    """The nearest path above that passes its rights down."""
    parts = path.split("/")
    for length in range(len(parts) - 1, 1, -1):
        if "/".join(parts[:length]) in paths:
            return "/".join(parts[:length])
    return None


def foreign(wanted: Wanted, seen: Access) -> list[Entry]:
    """Other rights of the account: above or below the wanted ones they would hide them, or be hidden."""
    return sorted(item for item in seen.entries if item.who in wanted.holders and not wanted.owns(item.role))


def entries(wanted: Wanted) -> frozenset[Entry]:
    if wanted.absent:
        return frozenset()
    return frozenset(
        Entry(grant.path, who, grant.role, grant.propagate) for grant in wanted.grants for who in wanted.holders
    )


def plan(wanted: Wanted, seen: Access) -> list[Step]:
    """Steps in an order in which nothing is ever wider than wanted for longer than it was before."""
    who = {wanted.user, wanted.token_id}
    now = {item for item in seen.entries if item.who in who and (wanted.owns(item.role) or wanted.exclusive)}
    then = entries(wanted)
    renewed = wanted.renew and seen.token is not None and not wanted.absent
    lost = {item for item in now if item.who == wanted.token_id} if renewed or _leaves(wanted, seen) else set()
    steps = [_remove(item) for item in sorted(now - then - lost)]
    steps += _roles(wanted, seen)
    if wanted.absent:
        return [*steps, *_token(wanted, seen), *_unused(wanted, seen)]
    if not seen.user:
        steps.append(
            Step(f"create the user {wanted.user}", "POST", "/access/users", {"userid": wanted.user, "enable": True})
        )
    added = sorted(then - (now - lost))
    steps += [_add(item) for item in added if item.who == wanted.user]
    steps += _token(wanted, seen)
    steps += [_add(item) for item in added if item.who != wanted.user]
    return [*steps, *_unused(wanted, seen)]


def _leaves(wanted: Wanted, seen: Access) -> bool:
    return wanted.absent and seen.token is not None


def _roles(wanted: Wanted, seen: Access) -> list[Step]:
    steps = []
    for role, privileges in sorted(_wanted_roles(wanted).items()):
        found = seen.roles.get(role)
        listed = ",".join(sorted(privileges))
        if found is None:
            params = {"roleid": role, "privs": listed}
            steps.append(Step(f"create the role {role} ({listed})", "POST", "/access/roles", params))
        elif found != privileges:
            words = [f"add {', '.join(sorted(privileges - found))}"] if privileges - found else []
            words += [f"take away {', '.join(sorted(found - privileges))}"] if found - privileges else []
            steps.append(
                Step(f"mend the role {role}: {'; '.join(words)}", "PUT", f"/access/roles/{role}", {"privs": listed})
            )
    return steps


def _wanted_roles(wanted: Wanted) -> dict[str, frozenset[str]]:
    return {} if wanted.absent else {grant.role: grant.privileges for grant in wanted.grants}


def _unused(wanted: Wanted, seen: Access) -> list[Step]:
    """Roles of ours that nobody needs any more."""
    who = {wanted.user, wanted.token_id}
    kept = set(_wanted_roles(wanted)) | {item.role for item in seen.entries if item.who not in who}
    return [
        Step(f"remove the role {role}", "DELETE", f"/access/roles/{role}")
        for role in sorted(seen.roles)
        if wanted.owns(role) and role not in kept
    ]


def _token(wanted: Wanted, seen: Access) -> list[Step]:
    path = f"/access/users/{wanted.user}/token/{wanted.token}"
    if wanted.absent:
        return [Step(f"remove the token {wanted.token_id}", "DELETE", path)] if seen.token is not None else []
    after = Token(wanted.privsep, wanted.expire, wanted.comment)
    params = {"privsep": after.privsep, "expire": after.expire, "comment": after.comment}
    create = Step(f"create the token {wanted.token_id}", "POST", path, params, secret=True)
    if seen.token is None:
        return [create]
    if wanted.renew:
        return [Step(f"remove the token {wanted.token_id}", "DELETE", path), create]
    if seen.token != after:
        return [Step(f"change the token {wanted.token_id}", "PUT", path, params)]
    return []


def _kind(item: Entry) -> str:
    return "tokens" if "!" in item.who else "users"


def _add(item: Entry) -> Step:
    params = {"path": item.path, "roles": item.role, _kind(item): item.who, "propagate": item.propagate}
    return Step(f"give {item.who} {item.role} on {item.path}", "PUT", "/access/acl", params)


def _remove(item: Entry) -> Step:
    params = {"path": item.path, "roles": item.role, _kind(item): item.who, "delete": True}
    return Step(f"take {item.role} on {item.path} from {item.who}", "PUT", "/access/acl", params)


def lines(wanted: Wanted, seen: Access | None) -> str:
    """For a diff: the account as it is (``seen``), or as it will be."""
    rows = []
    if seen is None:
        roles, held = _wanted_roles(wanted), sorted(entries(wanted))
        user, token = not wanted.absent, Token(wanted.privsep, wanted.expire, wanted.comment)
        there = not wanted.absent
    else:
        roles = {name: privileges for name, privileges in seen.roles.items() if wanted.owns(name)}
        held = sorted(item for item in seen.entries if item.who in (wanted.user, wanted.token_id))
        user, token, there = seen.user, seen.token or Token(), seen.token is not None
    if user:
        rows.append(f"user {wanted.user}")
    if there:
        own = "rights of its own" if token.privsep else "the rights of the user"
        end = f"until {token.expire}" if token.expire else "without end"
        rows.append(f"token {wanted.token_id}: {own}, {end}{f', {token.comment}' if token.comment else ''}")
    rows += [f"role {name}: {', '.join(sorted(privileges))}" for name, privileges in sorted(roles.items())]
    rows += [f"acl {item.path}: {item.who} {item.role}{'' if item.propagate else ', not below'}" for item in held]
    return "".join(f"{row}\n" for row in rows)
