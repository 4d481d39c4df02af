# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every way in which the collection fails: one small hierarchy, each class with a ``kind`` for playbooks to branch on.

Messages are one sentence: what, where, how to fix. Texts of Proxmox VE are told apart in :func:`from_answer`, nowhere
else (pve-facts §0, §10, §15).
"""

from __future__ import annotations

import re
from typing import Any


class MobilityError(Exception):
    """Base of all: ``message`` for people, ``kind`` and ``details`` for playbooks."""

    kind = "invalid"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def failure(self) -> dict[str, Any]:
        """The ``failure`` value of a module's result."""
        return {"kind": self.kind, **self.details}


class Invalid(MobilityError):
    """The input is wrong, whatever the cluster looks like."""


class Unsupported(MobilityError):
    """This release, or this kind of guest, cannot do it."""

    kind = "unsupported"


class Conflict(MobilityError):
    """Somebody else is doing something that excludes it."""

    kind = "conflict"


class Blocked(MobilityError):
    """Findings forbid it; ``findings`` in the details."""

    kind = "blocked"


class TimedOut(MobilityError):
    """Not finished in time; what was started goes on."""

    kind = "timeout"


class TaskFailed(MobilityError):
    """A task ended badly; ``task`` and ``log_tail`` in the details."""

    kind = "task_failed"


class ApiError(MobilityError):
    """The API said no.

    :ivar status: HTTP status (also 595, 596, 599). :ivar reason: its words. :ivar parameters: errors by parameter.
    """

    def __init__(
        self, message: str, status: int = 0, reason: str = "", parameters: dict[str, str] | None = None, **details: Any
    ) -> None:
        super().__init__(message, **details)
        self.status = status
        self.reason = reason
        self.parameters = parameters or {}


class NotFound(ApiError):
    kind = "not_found"


class PermissionDenied(ApiError):
    kind = "permission"


class Locked(ApiError):
    """The guest, or a file, is locked by something else."""

    kind = "locked"


class NoQuorum(ApiError):
    kind = "no_quorum"


class NodeUnreachable(ApiError):
    """No answer from an API host, or from the node that it passed the request on to."""

    kind = "node_unreachable"


class Modified(ApiError):
    """The file is not as it was when it was read: its digest has changed, or what should be created is there."""

    kind = "conflict"


class NotActivated(ApiError):
    """A storage does not work on the node that took the request; nothing was written."""

    kind = "not_found"


class NotImplementedByRelease(ApiError):
    """HTTP 501: this release does not have the method."""

    kind = "unsupported"


class MaybeSent(ApiError):
    """A write went out and no answer came back: it may or may not have been carried out."""

    kind = "node_unreachable"


_PERMISSION = re.compile(r"Permission check failed \(([^,]+), ([^)]+)\)")
_LOCK = re.compile(r"(?:VM|CT) is locked \((\S+)\)")
_NO_QUORUM = ("no quorum", "cluster not ready")
_NOT_FOUND = ("does not exist", "no such", "hostname lookup")


def from_answer(
    status: int, reason: str, parameters: dict[str, str] | None, method: str, path: str, host: str
) -> ApiError:
    """The error for an HTTP answer of 400 and above.

    :param reason: reason phrase, or ``message`` of the body. :param host: the API host that answered.
    """
    reason = " ".join(reason.split())
    where = f"{method} {path} on {host}"
    facts: dict[str, Any] = {"status": status, "reason": reason, "parameters": parameters or {}}
    if status == 401:
        return PermissionDenied(
            f"{host} refused the credentials ({reason or 'no reason given'}): check api_user, api_token_id and"
            " api_token_secret (or api_password), and that the token has not expired.",
            **facts,
        )
    if status == 403:
        match = _PERMISSION.search(reason)
        if match:
            privileges = match[2].replace("|", " or ")
            return PermissionDenied(
                f"Permission is missing: {privileges} on {match[1]} ({where}). Give a role with it to the user, and to"
                " the token too when it has privilege separation.",
                path=match[1],
                privileges=match[2].split("|"),
                **facts,
            )
        return PermissionDenied(f"{host} does not permit {method} {path}: {reason}.", **facts)
    if status in (502, 504, 595, 596, 599):
        node = _node_of(path)
        return NodeUnreachable(
            f"{host} could not reach {'node ' + node if node else 'the node'} ({reason or status}, {where}): check that"
            " the node is up and that its pveproxy and pvedaemon run.",
            node=node,
            **facts,
        )
    if status == 501:
        return NotImplementedByRelease(f"This release of Proxmox VE does not know {method} {path}.", **facts)
    lowered = reason.lower()
    if match := _LOCK.search(reason):
        return Locked(
            f"{reason} ({where}): wait until what holds the lock has ended, or remove a left-over lock with"
            " qm unlock / pct unlock on the guest's node.",
            lock=match[1],
            **facts,
        )
    if any(text in lowered for text in _NO_QUORUM):
        return NoQuorum(
            f"The cluster has no quorum as seen from {host} ({reason}): bring back a majority of the nodes.", **facts
        )
    if "got timeout" in reason or "got lock request timeout" in reason:
        return Locked(f"Something else holds the lock ({reason}; {where}): try again when it has ended.", **facts)
    if "detected modified configuration" in reason or "already defined" in reason:
        return Modified(
            f"Somebody else changed the configuration meanwhile ({reason}; {where}): run this again.", **facts
        )
    if "could not activate storage" in reason:
        return NotActivated(f"{reason} ({where}).", **facts)
    if parameters:
        listed = "; ".join(f"{name}: {' '.join(str(text).split())}" for name, text in sorted(parameters.items()))
        return ApiError(f"Proxmox VE refused the request ({listed}; {where}).", **facts)
    if any(text in lowered for text in _NOT_FOUND):
        return NotFound(f"{reason} ({where}).", **facts)
    return ApiError(f"Proxmox VE said: {reason or f'HTTP {status}'} ({where}).", **facts)


def _node_of(path: str) -> str | None:
    match = re.match(r"/nodes/([^/]+)", path)
    return match[1] if match else None
