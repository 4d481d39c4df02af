# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the API says no. Each class is one status family of pve-facts §0 and §15."""

from __future__ import annotations


class ApiFault(Exception):
    """An HTTP error answer.

    :param status: HTTP status, also AnyEvent's pseudo codes 595, 596, 599.
    :param reason: the HTTP reason phrase, without a trailing newline.
    :param errors: parameter errors, only with status 400.
    :param body: whether a JSON body is sent (authentication and proxy failures have none).
    """

    newline = "\n"
    """What ``message`` in the body ends with: Perl's exceptions end with a newline."""

    def __init__(self, status: int, reason: str, errors: dict[str, str] | None = None, body: bool = True) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.errors = errors
        self.body = body


class Die(ApiFault):
    """Perl's ``die "text\\n"``: HTTP 500 in a handler, the task's error in a worker."""

    def __init__(self, text: str) -> None:
        super().__init__(500, text)


class BadParameters(ApiFault):
    """HTTP 400 ``Parameter verification failed.`` with a reason per parameter."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(400, "Parameter verification failed.", errors)


class Forbidden(ApiFault):
    """HTTP 403 with Proxmox VE's own text; ``privileges`` joined by ``|`` when any of them would do.

    Without arguments it says nothing about what is missing, as checks written by hand in a handler do.
    """

    def __init__(self, path: str = "", *privileges: str) -> None:
        detail = ", ".join(filter(None, (path, "|".join(privileges))))
        super().__init__(403, f"Permission check failed ({detail})" if detail else "Permission check failed")


class NotImplementedHere(ApiFault):
    """HTTP 501: this release has no such path or method."""

    newline = ""

    def __init__(self, method: str, path: str) -> None:
        super().__init__(501, f"Method '{method} {path}' not implemented")


class Unauthorized(ApiFault):
    """HTTP 401, sent after a delay of three seconds."""

    def __init__(self, reason: str, body: bool = False) -> None:
        super().__init__(401, reason, body=body)


class ProxyFault(ApiFault):
    """595/596/599: the daemon or node that should have answered did not."""

    def __init__(self, reason: str, status: int = 595) -> None:
        super().__init__(status, reason, body=False)
