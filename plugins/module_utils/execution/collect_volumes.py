# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Volumes on local storage whose presence decides whether a guest can move: which nodes have them?

A cloud-init drive keeps its name when it is copied, so one that is there already is in the way; a hook script has to be
there already; and the HA manager may have recovered a guest that shall be stopped to a node that its disks are not on,
where nothing notices. Asked only where guests have such volumes. A list shows what the user may see (pve-facts §4), so
that a volume that is not in it may exist all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ansible_collections.pve.mobility.plugins.module_utils.execution.reader import Reader
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import DiskKind
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import SeenVolume, Storage, StorageStatus

Place = tuple[str, str]
"""A storage, and a kind of content."""


class VolumeReading:
    """One request for each node, storage and kind of content that is looked for."""

    def __init__(
        self,
        reader: Reader,
        configs: Iterable[GuestConfig],
        storages: Iterable[Storage],
        resting: frozenset[int] = frozenset(),
    ) -> None:
        """:param resting: guests that the HA manager is told to keep stopped."""
        self.reader = reader
        self._local = {item.id: item for item in storages if not item.shared}
        self._everywhere: dict[Place, set[str]] = {}
        self._at_home: dict[str, dict[Place, set[str]]] = {}
        self._home: dict[str, str] = {}
        self._found: set[SeenVolume] = set()
        for config in configs:
            self._look_for(config, config.vmid in resting)

    def _look_for(self, config: GuestConfig, resting: bool) -> None:
        for disk in config.disks:
            if disk.storage not in self._local:
                continue
            place = (disk.storage or "", "images" if config.type == "qemu" else "rootdir")
            if disk.kind is DiskKind.CLOUDINIT:
                self._everywhere.setdefault(place, set()).add(disk.volid)
                self._home[disk.volid] = config.node
            elif resting and disk.attached:
                self._at_home.setdefault(config.node, {}).setdefault(place, set()).add(disk.volid)
        script = config.hookscript or ""
        if script.partition(":")[0] in self._local:
            self._everywhere.setdefault((script.partition(":")[0], "snippets"), set()).add(script)

    @property
    def wanted(self) -> bool:
        """Whether anything is looked for at all."""
        return bool(self._everywhere or self._at_home)

    def steps(self, statuses: Mapping[str, Iterable[StorageStatus]]) -> list[Callable[[], None]]:
        """:param statuses: storages of each node that answers."""
        steps = []
        for node, known in statuses.items():
            active = {status.storage for status in known if status.active}
            at_home = self._at_home.get(node, {})
            steps += [
                self._step(node, place, self._everywhere.get(place, set()) | at_home.get(place, set()))
                for place in sorted({*self._everywhere, *at_home})
                if place[0] in active and self._local[place[0]].on(node)
            ]
        return steps

    def found(self) -> tuple[SeenVolume, ...]:
        return tuple(sorted(self._found, key=lambda item: (item.node, item.volid)))

    def _step(self, node: str, place: Place, wanted: set[str]) -> Callable[[], None]:
        def read() -> None:
            path = f"/nodes/{node}/storage/{place[0]}/content"
            rows = self.reader.get("storages.volumes", path, {"content": place[1]}, node=node)
            seen = {str(row.get("volid")) for row in rows or ()}
            self._found |= {SeenVolume(node, volid) for volid in wanted & seen if self._home.get(volid) != node}

        return read
