# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One guest to one node: what is asked, and what is known about it before it is judged."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Node
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig
from ansible_collections.pve.mobility.plugins.module_utils.model.ha import HaStatus
from ansible_collections.pve.mobility.plugins.module_utils.model.ha_config import HaRule
from ansible_collections.pve.mobility.plugins.module_utils.model.precondition import Precondition
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.model.thresholds import Thresholds
from ansible_collections.pve.mobility.plugins.module_utils.model.travel import Travel, travelling
from ansible_collections.pve.mobility.plugins.module_utils.model.zfs_facts import ZfsFacts


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
    :ivar state: the cluster, as far as it was read: ``migrate`` asks for little, ``preflight`` for everything. A check
        that needs a part asks whether the state knows it. :ivar arriving: vmids of guests that the same work brings to
        the target, this one not among them. :ivar leaving: vmids that it takes away from there first.
        :ivar along: an HA rule takes it along with another guest, so that the HA manager starts the move, by force.
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
    state: ClusterState = field(default_factory=ClusterState)
    thresholds: Thresholds = field(default_factory=Thresholds)
    zfs: Mapping[str, ZfsFacts] = field(default_factory=dict)
    arriving: frozenset[int] = frozenset()
    leaving: frozenset[int] = frozenset()
    along: bool = False

    @property
    def live(self) -> bool:
        return self.mode is Mode.ONLINE

    @property
    def managed(self) -> bool:
        """Through the HA manager, which ignores most options of a move."""
        return self.ha is not None

    @property
    def config(self) -> GuestConfig | None:
        """None when it was not read."""
        return self.state.config(self.guest.vmid)

    @property
    def volumes(self) -> tuple[Travel, ...]:
        """Its volumes on their way; empty when its configuration was not read."""
        config = self.config
        mapping = {} if self.managed else self.storage_map
        return travelling(self.state, config, self.target.name, mapping) if config is not None else ()
