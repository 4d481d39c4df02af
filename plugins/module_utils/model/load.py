# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What running guests have been promised of a node's memory and processors."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig


@dataclass(frozen=True, slots=True)
class Load:
    """Memory in bytes.

    :ivar memory: what the guests may use in all. :ivar least: what ballooning leaves them at the least.
    :ivar used: what they use at the moment. :ivar cpus: virtual CPUs.
    """

    memory: int = 0
    least: int = 0
    used: int = 0
    cpus: float = 0.0

    def __add__(self, other: Load) -> Load:
        return Load(
            self.memory + other.memory, self.least + other.least, self.used + other.used, self.cpus + other.cpus
        )

    def __sub__(self, other: Load) -> Load:
        return Load(
            self.memory - other.memory, self.least - other.least, self.used - other.used, self.cpus - other.cpus
        )


NONE = Load()


def load_of(guest: Guest, config: GuestConfig | None) -> Load:
    """Of one guest while it runs; a container without a limit counts with no CPUs, because it takes what is left."""
    least = min(config.balloon or guest.maxmem, guest.maxmem) if config is not None else guest.maxmem
    cpus = guest.maxcpu if guest.type == "qemu" else float(config.cores) if config is not None else 0.0
    return Load(guest.maxmem, least, min(guest.mem, guest.maxmem), cpus)
