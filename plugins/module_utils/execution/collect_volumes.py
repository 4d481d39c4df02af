# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cloud-init drives and hook scripts on local storage: which nodes have a volume of that name?

A cloud-init drive keeps its name when it is copied, so one that is there already is in the way; a hook script has to be
there already. Asked only where guests have them. A list shows what the user may see (pve-facts §4), so that a volume
that is not in it may exist all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ansible_collections.pve.mobility.plugins.module_utils.execution.reader import Reader
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import DiskKind
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import SeenVolume, Storage, StorageStatus


class VolumeReading:
    """One request for each node, storage and kind of content that is looked for."""

    def __init__(self, reader: Reader, configs: Iterable[GuestConfig], storages: Iterable[Storage]) -> None:
        self.reader = reader
        self._local = {item.id: item for item in storages if not item.shared}
        self._wanted: dict[tuple[str, str], set[str]] = {}
        self._home: dict[str, str] = {}
        self._found: set[SeenVolume] = set()
        for config in configs:
            self._look_for(config)

    def _look_for(self, config: GuestConfig) -> None:
        for disk in config.disks:
            if disk.kind is DiskKind.CLOUDINIT and disk.storage in self._local:
                self._wanted.setdefault((disk.storage or "", "images"), set()).add(disk.volid)
                self._home[disk.volid] = config.node
        script = config.hookscript or ""
        if script.partition(":")[0] in self._local:
            self._wanted.setdefault((script.partition(":")[0], "snippets"), set()).add(script)

    def steps(self, statuses: Mapping[str, Iterable[StorageStatus]]) -> list[Callable[[], None]]:
        """:param statuses: storages of each node that answers."""
        steps = []
        for node, known in statuses.items():
            active = {status.storage for status in known if status.active}
            steps += [
                self._step(node, storage, content, wanted)
                for (storage, content), wanted in sorted(self._wanted.items())
                if storage in active and self._local[storage].on(node)
            ]
        return steps

    def found(self) -> tuple[SeenVolume, ...]:
        return tuple(sorted(self._found, key=lambda item: (item.node, item.volid)))

    def _step(self, node: str, storage: str, content: str, wanted: set[str]) -> Callable[[], None]:
        def read() -> None:
            path = f"/nodes/{node}/storage/{storage}/content"
            rows = self.reader.get("storages.volumes", path, {"content": content}, node=node)
            seen = {str(row.get("volid")) for row in rows or ()}
            self._found |= {
                SeenVolume(node, volid) for volid in wanted & seen if self._home.get(volid) != node
            }  # fmt: skip

        return read
