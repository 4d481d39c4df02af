# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a move that failed has left on the node where the guest is not: looked up, not guessed from its log.

A copy that is cancelled or killed leaves a volume behind and does not say so (pve-facts §16).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.pve.mobility.plugins.module_utils.api import tasks
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import ApiError
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.moving import Moving

_LOCAL = re.compile(r"^found (?:local|generated)(?:, replicated)? (?:disk|volume) '(([^':]+):[^']+)'")


@dataclass(frozen=True, slots=True)
class Remains:
    """:ivar volumes: ``volid on node``. :ivar node: where it was looked. :ivar certain: it could be looked up."""

    volumes: tuple[str, ...]
    node: str
    certain: bool = True


def remains(session: Session, moving: Moving, lines: list[str], guest_is_on: str) -> Remains:
    """Look for volumes of the guest on the other node of the move.

    :param lines: the log of the move; it names the local disks. :param guest_is_on: the node that has the guest.
    """
    node = moving.source if guest_is_on == moving.target else moving.target
    said = set(tasks.leftovers(lines, moving.target))
    disks = {match[1]: match[2] for line in lines if (match := _LOCAL.match(tasks.unstamped(line)))}
    storages = set(disks.values())
    if node == moving.target:
        storages = {_mapped(storage, moving.storage_map) for storage in storages}
    if not storages or not node:
        return Remains(tuple(sorted(said)), node)
    try:
        found = _volumes(session, moving.vmid, node, storages)
        if found & set(disks) and _replicated(session, moving.vmid, guest_is_on, node):
            # A replica has the same name as its original, and belongs there.
            found -= set(disks)
    except ApiError:
        return Remains(tuple(sorted(said)), node, certain=False)
    return Remains(tuple(sorted(said | {f"{volid} on {node}" for volid in found})), node)


def _mapped(storage: str, mapping: Mapping[str, str]) -> str:
    target = mapping.get(storage, mapping.get("", storage))
    return storage if target == "1" else target


def _volumes(session: Session, vmid: int, node: str, storages: set[str]) -> set[str]:
    """Volumes of the guest in those of the storages that are not shared; on shared ones the guest itself has some."""
    found: set[str] = set()
    for row in session.get(f"/nodes/{node}/storage"):
        storage = str(row["storage"])
        if storage in storages and not int(row.get("shared", 0) or 0):
            content = session.get(f"/nodes/{node}/storage/{storage}/content", {"vmid": vmid})
            found |= {str(item["volid"]) for item in content if item.get("content") in ("images", "rootdir")}
    return found


def _replicated(session: Session, vmid: int, source: str, target: str) -> bool:
    jobs = session.get(f"/nodes/{source}/replication", {"guest": vmid})
    return any(job.get("target") == target for job in jobs or ())
