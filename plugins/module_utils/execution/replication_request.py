# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a user asks of ``replication_job``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid
from ansible_collections.pve.mobility.plugins.module_utils.planning.replica_set import Cleanup, Settings

LEAST_RATE = 1.0
"""MB/s; Proxmox VE takes nothing below (pve-facts §6.1)."""
LONGEST_COMMENT = 4096
LONGEST_SCHEDULE = 128


@dataclass(frozen=True, slots=True)
class ReplicationRequest:
    """The options of ``replication_job``; units as in the module's documentation.

    :ivar replicas: nodes that hold the guest's data, its own among them; None: declared by ``target``, or, for
        removal, all jobs are meant. ``timeout`` in seconds, 0 for none.
    """

    guest: str
    replicas: tuple[str, ...] | None = None
    target: str | None = None
    settings: Settings = field(default_factory=Settings)
    present: bool = True
    cleanup: Cleanup = Cleanup.FULL
    wait_for_sync: bool = False
    sync_now: bool = False
    timeout: float = 3600.0


def from_options(options: Mapping[str, Any]) -> ReplicationRequest:
    """Check the options of the module.

    :raises Invalid: a value that cannot be right.
    """
    present = options.get("state", "present") == "present"
    replicas = _names(options["replicas"]) if options.get("replicas") is not None else None
    target = str(options.get("target") or "").strip() or None
    if replicas is not None and target is not None:
        raise Invalid("Give replicas, the nodes that hold the guest's data, or target, the node of one job; not both.")
    if present and replicas is None and target is None:
        raise Invalid("Say where the copies shall be: replicas: [pve1, pve2], or target: pve2.")
    if replicas is not None and not replicas:
        raise Invalid("replicas is empty: name the nodes, or remove all jobs with state: absent.")
    if not present and (options.get("wait_for_sync") or options.get("sync_now")):
        raise Invalid("wait_for_sync and sync_now make no sense with state: absent.")
    if options.get("enabled") is False and (options.get("wait_for_sync") or options.get("sync_now")):
        raise Invalid("wait_for_sync and sync_now make no sense with enabled: false: a disabled job does not run.")
    return ReplicationRequest(
        str(options["guest"]).strip(),
        replicas,
        target,
        settings_from(options),
        present,
        Cleanup(options.get("cleanup") or "full"),
        bool(options.get("wait_for_sync")),
        bool(options.get("sync_now")),
        float(options.get("timeout") or 0),
    )


def settings_from(options: Mapping[str, Any]) -> Settings:
    """``schedule``, ``rate``, ``comment`` and ``enabled`` of a module or of a rule of a policy.

    :raises Invalid: a value that Proxmox VE would refuse.
    """
    rate = options.get("rate")
    if rate is not None and rate != 0 and rate < LEAST_RATE:
        raise Invalid(f"rate is {rate:g} MB/s: Proxmox VE takes {LEAST_RATE:g} and more, or 0 for no limit.")
    schedule = options.get("schedule")
    if schedule is not None and not str(schedule).strip():
        raise Invalid('schedule is empty: give a calendar event such as "*/15", or leave the option out.')
    if schedule is not None and len(schedule) > LONGEST_SCHEDULE:
        raise Invalid(f"schedule is longer than {LONGEST_SCHEDULE} characters.")
    comment = options.get("comment")
    if comment is not None and len(comment) > LONGEST_COMMENT:
        raise Invalid(f"comment is longer than {LONGEST_COMMENT} characters.")
    return Settings(
        None if schedule is None else str(schedule).strip(),
        None if rate is None else float(rate),
        None if comment is None else str(comment).rstrip("\n"),
        options.get("enabled"),
    )


def _names(value: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(name).strip() for name in value if str(name).strip()))
