# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a user asks of ``migrate``, checked as far as it can be without the cluster."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.connection import Connection
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid, Unsupported
from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import kinds
from ansible_collections.pve.mobility.plugins.module_utils.execution.accepting import accepted


@dataclass(frozen=True, slots=True)
class MoveRequest:
    """The options of ``migrate``; units as in the module's documentation.

    ``storage_map``: source → target storage, key ``""`` for the default. ``timeout`` in seconds, 0 for none.
    """

    guest: str
    targets: tuple[str, ...]
    mode: str = "auto"
    with_local_disks: bool = True
    storage_map: Mapping[str, str] = field(default_factory=dict)
    bwlimit: int | None = None
    migration_type: str | None = None
    migration_network: str | None = None
    with_conntrack_state: bool | None = None
    restart_timeout: int | None = None
    sync_first: bool | None = None
    sync_max_age: int = 900
    preflight: str = "enforce"
    accept: frozenset[str] = frozenset()
    timeout: float = 3600.0
    on_timeout: str = "leave"

    @property
    def dropped_by_ha(self) -> list[str]:
        """Options given that the HA manager would silently ignore (pve-facts §1.4)."""
        given = {
            "target_storage": bool(self.storage_map),
            "bwlimit": self.bwlimit is not None,
            "migration_type": self.migration_type is not None,
            "migration_network": self.migration_network is not None,
            "with_conntrack_state": bool(self.with_conntrack_state),
            "restart_timeout": self.restart_timeout is not None,
            "with_local_disks": not self.with_local_disks,
        }
        return [name for name, used in given.items() if used]


def from_options(options: Mapping[str, Any], connection: Connection) -> MoveRequest:
    """Check the options of a module.

    :raises Invalid: a value that cannot be right. :raises Unsupported: an option that this login may not use.
    """
    targets = tuple(dict.fromkeys(str(node).strip() for node in options["target"] if str(node).strip()))
    if not targets:
        raise Invalid("target is empty: name a node, or several, best first.")
    if options.get("bwlimit") is not None and options["bwlimit"] < 0:
        raise Invalid("bwlimit must be 0 (unlimited) or more, in KiB/s.")
    if options.get("restart_timeout") is not None and options["restart_timeout"] < 1:
        raise Invalid("restart_timeout must be at least 1 second.")
    if options.get("timeout", 0) < 0:
        raise Invalid("timeout must be 0 (none) or more seconds.")
    for name in ("migration_type", "migration_network"):
        if options.get(name) is not None and not connection.is_root_ticket:
            raise Unsupported(
                f"{name} may only be given by root@pam with a password: Proxmox VE refuses it to API tokens, even"
                " root's. Log in with api_user: root@pam and api_password, or set it for the whole datacenter"
                " (pve.mobility.cluster_options, migration)."
            )
    return MoveRequest(
        guest=str(options["guest"]).strip(),
        targets=targets,
        mode=options.get("mode") or "auto",
        with_local_disks=options.get("with_local_disks", True),
        storage_map=storage_map(options.get("target_storage")),
        bwlimit=options.get("bwlimit"),
        migration_type=options.get("migration_type"),
        migration_network=_network(options.get("migration_network")),
        with_conntrack_state=options.get("with_conntrack_state"),
        restart_timeout=options.get("restart_timeout"),
        sync_first=options.get("sync_first"),
        sync_max_age=options.get("sync_max_age", 900),
        preflight=options.get("preflight") or "enforce",
        accept=accepted(options, kinds()),
        timeout=float(options.get("timeout") or 0),
        on_timeout=options.get("on_timeout") or "leave",
    )


def storage_map(value: Any) -> dict[str, str]:
    """A storage, a mapping source → target, or Proxmox VE's own ``a:b,c`` spelling.

    :raises Invalid: two defaults, a source twice, or an empty name.
    """
    if not value:
        return {}
    if isinstance(value, Mapping):
        pairs = [(str(source).strip(), str(target).strip()) for source, target in value.items()]
    else:
        pairs = []
        for part in str(value).split(","):
            source, colon, target = part.strip().partition(":")
            pairs.append((source, target) if colon else ("", source))
    result: dict[str, str] = {}
    for source, target in pairs:
        if not target:
            raise Invalid(f"target_storage: no target storage is given for {source or 'the default'}.")
        if source in result:
            raise Invalid(f"target_storage: {source or 'the default'} is mapped twice.")
        result[source] = target
    return result


def print_storage_map(mapping: Mapping[str, str]) -> str:
    """Proxmox VE's spelling."""
    return ",".join(f"{source}:{target}" if source else target for source, target in mapping.items())


def _network(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        raise Invalid(f"migration_network must be a network such as 10.1.2.0/24: {error}.") from None
