# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who to talk to and as whom: the connection options, read and checked before the first request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid

CONNECT_TIMEOUT = 5.0
"""Seconds to wait for a TCP connection; an API host that is off must not hold up the next one for long."""


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach the API.

    :ivar hosts: ``host`` or ``host:port``, in the order in which they are tried; empty on a node itself (``pvesh``).
    :ivar timeout: seconds to wait for an answer.
    :ivar verify: True, False, or the path of a CA file.
    """

    hosts: tuple[str, ...]
    user: str = ""
    password: str | None = field(default=None, repr=False)
    token_name: str | None = None
    token_secret: str | None = field(default=None, repr=False)
    verify: bool | str = True
    timeout: float = 30.0

    @property
    def uses_token(self) -> bool:
        return self.token_name is not None

    @property
    def is_root_ticket(self) -> bool:
        """Only root@pam with a password may use ``migration_type`` and the like; a token of root may not."""
        return not self.hosts or (self.user == "root@pam" and not self.uses_token)


def from_options(options: Mapping[str, Any]) -> Connection:
    """Check the connection options of a module.

    :raises Invalid: user or credentials are missing or contradict each other.
    """
    port = options.get("api_port") or 8006
    hosts = tuple(_with_port(host, port) for host in _hosts(options.get("api_host")))
    verify: bool | str = options.get("validate_certs", True)
    if verify and options.get("ca_path"):
        verify = options["ca_path"]
    if not hosts:
        return Connection(())
    user, token_name = options.get("api_user") or "", options.get("api_token_id")
    if token_name and "!" in token_name:
        token_user, _mark, token_name = token_name.partition("!")
        if user and user != token_user:
            raise Invalid(f"api_token_id belongs to {token_user}, but api_user is {user}: give the one or the other.")
        user = token_user
    secret, password = options.get("api_token_secret"), options.get("api_password")
    if not user:
        raise Invalid("No user for the API: set api_user (or PROXMOX_USER), for example automation@pve.")
    if "@" not in user:
        raise Invalid(f"api_user '{user}' has no realm: write {user}@pam or {user}@pve.")
    if token_name and not secret:
        raise Invalid(f"api_token_id is set but api_token_secret is not: both are needed for the token of {user}.")
    if secret and not token_name:
        raise Invalid("api_token_secret is set but api_token_id is not: name the token.")
    if not token_name and not password:
        raise Invalid(
            f"No credentials for {user}: set api_token_id and api_token_secret (PROXMOX_TOKEN_ID,"
            " PROXMOX_TOKEN_SECRET), or api_password (PROXMOX_PASSWORD)."
        )
    timeout = float(options.get("api_timeout") or 30)
    if token_name:
        return Connection(hosts, user, None, token_name, secret, verify, timeout)
    return Connection(hosts, user, password, None, None, verify, timeout)


def _hosts(value: Any) -> list[str]:
    """A list, or a comma-separated string as it comes from the environment."""
    items = value if isinstance(value, list) else str(value or "").split(",")
    return [str(item).strip() for item in items if str(item).strip()]


def _with_port(host: str, port: int) -> str:
    if host.startswith("["):
        return host if "]:" in host else f"{host}:{port}"
    if host.count(":") > 1:
        return f"[{host}]:{port}"
    return host if ":" in host else f"{host}:{port}"
