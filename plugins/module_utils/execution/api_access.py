# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An account with the least rights for what it is for; the secret of its token goes to a file and nowhere else."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    Conflict,
    Invalid,
    MaybeSent,
    MobilityError,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.newest import (
    newest_host,
    refuse_if_keys_would_be_lost,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.rights import read_rights, require
from ansible_collections.pve.mobility.plugins.module_utils.model.access import Access, access
from ansible_collections.pve.mobility.plugins.module_utils.model.privileges import BY_NAME
from ansible_collections.pve.mobility.plugins.module_utils.model.release import USERS, text
from ansible_collections.pve.mobility.plugins.module_utils.planning.access import (
    Scope,
    Step,
    Wanted,
    foreign,
    grants,
    lines,
    plan,
)

_USER = re.compile(r"[^\s:/!]+@[A-Za-z][A-Za-z0-9.\-_]+")
_TOKEN = re.compile(r"[A-Za-z][A-Za-z0-9.\-_]+")
_NAME = re.compile(r"[A-Za-z0-9.\-_]+")


@dataclass(frozen=True, slots=True)
class Request:
    """:ivar secret_file: where the secret of a new token goes, None for nowhere."""

    wanted: Wanted
    features: tuple[str, ...]
    scope: Scope
    secret_file: Path | None = None


def from_options(options: Mapping[str, Any]) -> Request:
    """:raises Invalid: a value that cannot be right."""
    user, token, prefix = (str(options.get(name) or "").strip() for name in ("user", "token", "role"))
    if not _USER.fullmatch(user):
        raise Invalid(f"user '{user}' is no user of Proxmox VE: write it with its realm, such as mobility@pve.")
    if not _TOKEN.fullmatch(token):
        raise Invalid(f"token '{token}' cannot be the name of a token: it begins with a letter, and has two or more.")
    if not _NAME.fullmatch(prefix) or prefix.upper().startswith("PVE"):
        raise Invalid(f"role '{prefix}' cannot begin the names of roles: use letters and digits, and not PVE first.")
    features = tuple(dict.fromkeys(options.get("features") or ()))
    unknown = [name for name in features if name not in BY_NAME]
    if unknown:
        raise Invalid(f"features: there is no {unknown[0]}; there are {', '.join(BY_NAME)}.")
    absent = options.get("state") == "absent"
    if not features and not absent:
        raise Invalid(f"features is empty: say what the account is for, of {', '.join(BY_NAME)}.")
    privsep = options.get("privsep") is not False
    if user == "root@pam" and not privsep:
        raise Invalid("A token of root@pam without privilege separation may do everything: leave privsep on.")
    expire = int(options.get("expire") or 0)
    if expire < 0:
        raise Invalid("expire must be a Unix time, or 0 for never.")
    secret_file = options.get("secret_file")
    scope = Scope(
        tuple(dict.fromkeys(options.get("pools") or ())),
        tuple(dict.fromkeys(options.get("guests") or ())),
        tuple(dict.fromkeys(options.get("storages") or ())),
    )
    return Request(
        Wanted(
            user,
            token,
            (),
            prefix,
            privsep,
            expire,
            str(options.get("comment") or "").strip(),
            bool(options.get("exclusive")),
            bool(options.get("renew")),
            absent,
        ),
        features,
        scope,
        Path(secret_file) if secret_file else None,
    )


def run(session: Session, request: Request, check: bool = False) -> dict[str, Any]:
    """The module's result; it never holds the secret.

    Requests: 1 for each API host, 5, and 1 for each node; then 1 for each step.

    :raises MobilityError: it cannot be done, or must not be.
    """
    host = newest_host(session)
    session = host.session
    realm = request.wanted.user.rpartition("@")[2]
    require(read_rights(session), ["api_access"], "to give rights to others", realm=[realm])
    releases = {host.release, *refuse_if_keys_would_be_lost(host, USERS).values()}
    given = grants(request.features, releases, request.scope, request.wanted.prefix)
    wanted = replace(request.wanted, grants=given)
    seen = _read(session, wanted)
    others = foreign(wanted, seen)
    if others and not wanted.exclusive and not wanted.absent:
        first = others[0]
        more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
        raise Conflict(
            f"{first.who} has other rights already: {first.role} on {first.path}{more}, and what is nearer to a guest"
            " replaces what is above it. Take an account of its own, or set exclusive to take the others away. Nothing"
            " was changed.",
            foreign=[_row(item) for item in others],
        )
    steps = plan(wanted, seen)
    _needs_a_file(request, steps)
    if not check:
        _carry_out(session, steps, request)
    return {
        "changed": bool(steps),
        "user": wanted.user,
        "token": {"id": wanted.token_id, "created": any(step.secret for step in steps), **_where(request, steps)},
        "features": list(request.features),
        "releases": sorted(text(release) for release in releases),
        "roles": {grant.role: sorted(grant.privileges) for grant in given if not wanted.absent},
        "acl": [
            {"path": grant.path, "role": grant.role, "propagate": grant.propagate, "to": list(wanted.holders)}
            for grant in given
            if not wanted.absent
        ],
        "steps": [step.text for step in steps],
        "warnings": _warnings(request, wanted, seen, steps),
        "diff": {
            "before_header": "user.cfg",
            "after_header": "user.cfg",
            "before": lines(wanted, seen),
            "after": lines(wanted, None) if steps else lines(wanted, seen),
        },
    }


def _row(item: Any) -> dict[str, Any]:
    return {"path": item.path, "who": item.who, "role": item.role}


def _where(request: Request, steps: Sequence[Step]) -> dict[str, Any]:
    made = any(step.secret for step in steps)
    return {"secret_file": str(request.secret_file) if made and request.secret_file else None}


def _read(session: Session, wanted: Wanted) -> Access:
    users = session.get("/access/users", {"full": True}) or ()
    user = next((row for row in users if row.get("userid") == wanted.user), None)
    tokens = (user or {}).get("tokens") or ()
    roles = session.get("/access/roles") or ()
    return access(roles, session.get("/access/acl") or (), user, tokens, wanted.token)


def _needs_a_file(request: Request, steps: Sequence[Step]) -> None:
    """:raises Invalid: a token would be made whose secret nobody would have."""
    if not any(step.secret for step in steps):
        return
    if request.secret_file is None:
        raise Invalid(
            f"The token {request.wanted.token_id} is to be created, and its secret is told once: set secret_file to the"
            " file that takes it. Nothing was changed."
        )
    folder = request.secret_file.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise Invalid(
            f"secret_file {request.secret_file} cannot be written: {folder} must be a folder where this user may write."
            " Nothing was changed."
        )


def _carry_out(session: Session, steps: Sequence[Step], request: Request) -> None:
    done = 0
    try:
        for step in steps:
            if step.secret and request.secret_file is not None:
                _create_token(session, step, request.wanted.token_id, request.secret_file)
            else:
                _send(session, step)
            done += 1
    except MobilityError as error:
        error.message = f"{error.message.rstrip('.')} ({done} of {len(steps)} steps were done; run this again)."
        error.args = (error.message,)
        error.details |= {"done": [step.text for step in steps[:done]], "changed": done > 0}
        raise


def _send(session: Session, step: Step) -> Any:
    match step.method:
        case "POST":
            return session.post(step.path, dict(step.params))
        case "PUT":
            return session.put(step.path, dict(step.params))
        case _:
            return session.delete(step.path)


def _create_token(session: Session, step: Step, token: str, file: Path) -> None:
    """The file is there, for its owner alone, before there is anything to write: a secret is told only once."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as problem:
        raise Invalid(f"secret_file {file} cannot be written ({problem.strerror}).") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as writer:
            try:
                answer = _send(session, step)
            except MaybeSent as lost:
                raise MaybeSent(
                    f"Nobody answered whether {token} was created, and its secret would be lost"
                    f" ({lost.reason or 'no answer'}): run this again with renew",
                    reason=lost.reason,
                ) from None
            writer.write(f"{answer['value']}\n")
        draft.replace(file)
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()


def _warnings(request: Request, wanted: Wanted, seen: Access, steps: Sequence[Step]) -> list[str]:
    found: list[str] = []
    if wanted.absent:
        return found
    if seen.user and not seen.enabled:
        found.append(f"{wanted.user} is disabled, so its tokens do not work: enable it if that is not meant.")
    if seen.groups:
        found.append(
            f"{wanted.user} is in {', '.join(seen.groups)}: where it has no entry of its own, it has the rights of"
            " these groups too."
        )
    if seen.token is not None and not wanted.renew and request.secret_file and not request.secret_file.exists():
        found.append(
            f"The token {wanted.token_id} is there, but {request.secret_file} is not: nobody can read its secret again;"
            " set renew to replace it."
        )
    mended = {step.path.rpartition("/")[2] for step in steps if step.method == "PUT" and "/roles/" in step.path}
    own = {wanted.user, wanted.token_id}
    others = sorted({item.who for item in seen.entries if item.role in mended and item.who not in own})
    if others:
        found.append(f"The roles are also given to {', '.join(others)}, whose rights change with them.")
    return found
