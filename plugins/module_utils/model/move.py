# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One guest to one node: what is asked, and what is known about it before it is judged."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Node
from ansible_collections.pve.mobility.plugins.module_utils.model.ha import HaStatus
from ansible_collections.pve.mobility.plugins.module_utils.model.ha_config import HaRule
from ansible_collections.pve.mobility.plugins.module_utils.model.precondition import Precondition
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob


class Mode(enum.Enum):
    """How a guest moves."""

    ONLINE = "online"
    RESTART = "restart"
    OFFLINE = "offline"


def natural_mode(guest: Guest, running: bool) -> Mode:
    """The mode that keeps a guest in the state it has, with the shortest pause."""
    if not running:
        return Mode.OFFLINE
    return Mode.ONLINE if guest.type == "qemu" else Mode.RESTART


@dataclass(frozen=True, slots=True)
class MoveFacts:
    """A move and the facts about it.

    :ivar storage_map: source storage → target storage; the key ``""`` is the default for all others.
    :ivar ha: None when the HA manager does not handle the guest. :ivar rules: its HA rules, for HA guests.
    """

    guest: Guest
    target: Node
    mode: Mode
    precondition: Precondition
    ha: HaStatus | None = None
    replication: tuple[ReplicationJob, ...] = ()
    with_local_disks: bool = True
    storage_map: Mapping[str, str] = field(default_factory=dict)
    force: bool = False
    rules: tuple[HaRule, ...] = ()

    @property
    def live(self) -> bool:
        return self.mode is Mode.ONLINE
