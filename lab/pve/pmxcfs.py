# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""/etc/pve: the replicated file tree, with its quorum rule and its cluster-wide locks.

Paths are relative to /etc/pve (``nodes/pve1/qemu-server/100.conf``, ``storage.cfg``). One tree serves all nodes: a
minority may read but not write, so the nodes can never disagree about content.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from lab.errors import Die

Parsed = TypeVar("Parsed")

_GUEST_FILE = re.compile(r"^nodes/([^/]+)/(qemu-server|lxc)/(\d+)\.conf$")


@dataclass(frozen=True, slots=True)
class VmEntry:
    """Where a guest's configuration lies: one line of /etc/pve/.vmlist. ``type`` is ``qemu`` or ``lxc``."""

    vmid: int
    node: str
    type: str

    @property
    def path(self) -> str:
        return guest_path(self.node, self.type, self.vmid)


def guest_path(node: str, type: str, vmid: int) -> str:
    """Path of a guest's configuration file below /etc/pve."""
    return f"nodes/{node}/{'qemu-server' if type == 'qemu' else 'lxc'}/{vmid}.conf"


class Pmxcfs:
    """Files by path; parsed forms are cached until a file changes."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}
        self._cache: dict[str, tuple[str, Callable[[str], object], object]] = {}
        self._folders: dict[str, dict[str, None]] = {}
        self.vmlist: dict[int, VmEntry] = {}
        """Every guest of the cluster by vmid."""
        self.version = 0
        """Counts every change, as the ``version`` of /etc/pve/.version does."""

    def read(self, path: str) -> str | None:
        """The text of a file, None when there is none."""
        return self._files.get(path)

    def exists(self, path: str) -> bool:
        return path in self._files

    def parsed(self, path: str, parser: Callable[[str], Parsed]) -> Parsed:
        """``parser(text)`` of a file (of the empty text when it does not exist), computed once per content.

        Callers must not change what they get.
        """
        text = self._files.get(path, "")
        hit = self._cache.get(path)
        if hit is not None and hit[0] is text and hit[1] is parser:
            return hit[2]  # type: ignore[return-value]
        value = parser(text)
        self._cache[path] = (text, parser, value)
        return value

    def write(self, path: str, text: str) -> None:
        """Write without asking for quorum: :meth:`lab.pve.cluster.Cluster.write` is what handlers use."""
        self._files[path] = text
        folder, _slash, name = path.rpartition("/")
        self._folders.setdefault(folder, {})[name] = None
        if match := _GUEST_FILE.match(path):
            type = "qemu" if match[2] == "qemu-server" else "lxc"
            self.vmlist[int(match[3])] = VmEntry(int(match[3]), match[1], type)
        self.version += 1

    def delete(self, path: str) -> None:
        if self._files.pop(path, None) is not None:
            folder, _slash, name = path.rpartition("/")
            self._folders[folder].pop(name, None)
            self._cache.pop(path, None)
            if match := _GUEST_FILE.match(path):
                self.vmlist.pop(int(match[3]), None)
            self.version += 1

    def rename(self, old: str, new: str) -> None:
        """Move a file, as a migration moves a guest's configuration."""
        if old not in self._files:
            raise Die(f"rename '/etc/pve/{old}' to '/etc/pve/{new}' failed - No such file or directory")
        text = self._files[old]
        self.delete(old)
        self.write(new, text)

    def names(self, folder: str) -> list[str]:
        """File names directly in a folder, in the order in which they were created."""
        return list(self._folders.get(folder, ()))

    def items(self) -> Iterator[tuple[str, str]]:
        return iter(self._files.items())


def digest(text: str | None) -> str:
    """The SHA-1 that Proxmox VE calls the digest of a configuration."""
    return hashlib.sha1((text or "").encode()).hexdigest()


def assert_digest(given: str | None, text: str | None) -> None:
    """Refuse when the client has seen another version of the file (pve-common Tools.pm:assert_if_modified)."""
    if given and given != digest(text):
        raise Die("detected modified configuration - file changed by other user? Try again.")
