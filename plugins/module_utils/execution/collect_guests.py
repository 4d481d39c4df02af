# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The configurations of guests: one request each, two for one that moves at that moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import NotFound
from ansible_collections.pve.mobility.plugins.module_utils.execution.locate import read_resources
from ansible_collections.pve.mobility.plugins.module_utils.execution.reader import Reader
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Resources
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig, guest_config


class GuestReading:
    """:ivar found: configurations by vmid."""

    def __init__(self, reader: Reader, guests: Iterable[Guest]) -> None:
        self.reader = reader
        self.found: dict[int, GuestConfig] = {}
        self._guests = {guest.vmid: guest for guest in guests}
        self._lock = threading.Lock()
        self._again: Resources | None = None

    def guests(self) -> tuple[Guest, ...]:
        """The guests as they were when they were read: moved ones on their new node, vanished ones left out."""
        return tuple(self._guests[vmid] for vmid in sorted(self._guests))

    def steps(self, guests: Iterable[Guest]) -> list[Callable[[], None]]:
        return [self._step(guest) for guest in guests]

    def _step(self, guest: Guest) -> Callable[[], None]:
        def read() -> None:
            try:
                self._read(guest)
            except NotFound:
                self._look_again(guest)

        return read

    def _read(self, guest: Guest) -> None:
        answer = self.reader.get(
            "guest_configs", f"{guest.path}/config", {"current": 1}, node=guest.node, vmid=guest.vmid
        )
        if answer is not None:
            self.found[guest.vmid] = guest_config(guest.vmid, guest.type, guest.node, answer)

    def _look_again(self, guest: Guest) -> None:
        now = self._where(guest)
        if now is None:
            with self._lock:
                del self._guests[guest.vmid]
            return
        self._guests[guest.vmid] = now
        try:
            self._read(now)
        except NotFound:
            self.reader.missing("guest_configs", f"{now.label} moved while it was being read.", vmid=guest.vmid)

    def _where(self, guest: Guest) -> Guest | None:
        """One look at the whole cluster serves all guests that had moved by then."""
        with self._lock:
            known = self._again.guest(guest.vmid) if self._again is not None else None
            if known is None or known.node == guest.node:
                self._again = read_resources(self.reader.session())
                known = self._again.guest(guest.vmid)
            return known
