# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""May these jobs be written, and would they ever run? Asked before the first write, and in check mode too."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    ApiError,
    Blocked,
    Invalid,
    NodeUnreachable,
    PermissionDenied,
    Unsupported,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Severity
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_read import ANALYZE
from ansible_collections.pve.mobility.plugins.module_utils.execution.rights import Rights
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Node
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import guest_config
from ansible_collections.pve.mobility.plugins.module_utils.model.release import Release, release_of, text
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import (
    Storage,
    StorageStatus,
    storage,
    storage_status,
)
from ansible_collections.pve.mobility.plugins.module_utils.planning.replicatable import (
    obstacles,
    replicated_storages,
    target_obstacles,
)

OWN_PRIVILEGE: Release = (9, 0)
"""The first release with a privilege for replication (pve-facts §6.1)."""
STORAGE_MISSING = "replica-storage"


def needed_right(release: Release | None, vmid: int) -> tuple[str, str]:
    """Path and privilege for writing jobs of a guest on the release that takes the request."""
    if release is not None and release < OWN_PRIVILEGE:
        return "/storage", "Datastore.Allocate"
    return f"/vms/{vmid}", "VM.Replicate"


def check_rights(session: Session, vmids: Sequence[int], label: str) -> None:
    """Two requests.

    :param label: of the guest, for the sentence. :raises PermissionDenied: names what this release asks for.
    """
    release = release_of(session.get("/version"))
    paths = {needed_right(release, vmid) for vmid in vmids}
    # The answer for one path is exact; the whole list leaves out paths that nobody has named.
    asked = next(iter(paths))[0] if len(paths) == 1 else None
    rights = Rights(session.get("/access/permissions", {"path": asked} if asked else None) or {})
    for path, privilege in sorted(paths):
        if not rights.may(path, privilege):
            runs = f"{session.host} runs Proxmox VE {text(release)}" if release else "by what its release is not known"
            raise PermissionDenied(
                f"Permission is missing to change the replication of {label}: {privilege} on {path} ({runs}; up to 8.4"
                " it is Datastore.Allocate on /storage, from 9.0 on VM.Replicate on the guest). Give a role with it to"
                " the user, and to the token too when it has privilege separation. Nothing was changed.",
                path=path,
                privileges=[privilege],
            )


def check_schedule(session: Session, schedule: str) -> None:
    """:raises Invalid: Proxmox VE cannot read it, or it never comes."""
    try:
        rows = session.get(ANALYZE, {"schedule": schedule, "iterations": 1})
    except ApiError as error:
        if "schedule" not in error.parameters:
            raise
        words = " ".join(error.parameters["schedule"].removeprefix("invalid format - ").split())
        raise Invalid(
            f"schedule '{schedule}' is no calendar event ({words}): write for example */15 (every quarter of an hour),"
            " 22:30, or mon..fri 8..18:00. Nothing was changed."
        ) from None
    if not rows:
        raise Invalid(f"schedule '{schedule}' never comes: its date is over or does not exist. Nothing was changed.")


def check_replicatable(session: Session, guest: Guest, targets: Iterable[Node]) -> list[str]:
    """Whether jobs of the guest to these nodes can work; returns warnings about what could not be seen.

    Requests: 2, and 1 for each target.

    :raises Unsupported: Proxmox VE would refuse any job of this guest.
    :raises Blocked: a storage or pool is missing on a target.
    """
    config = guest_config(guest.vmid, guest.type, guest.node, session.get(f"{guest.path}/config", {"current": 1}))
    storages = _storages(session)
    found = obstacles(guest, config, storages)
    if found:
        raise Unsupported(
            f"{guest.label} cannot be replicated: {'; '.join(item.why for item in found)}: {found[0].remedy}. Nothing"
            " was changed.",
            guest=guest.vmid,
            node=guest.node,
        )
    needed = replicated_storages(config, storages)
    warnings: list[str] = []
    findings: list[Finding] = []
    for node in targets:
        if not node.online:
            warnings.append(
                f"{node.name} is {node.status}: whether {', '.join(sorted(needed))} is there cannot be seen, and the"
                f" first copy of {guest.label} is made when it is back."
            )
        for item in target_obstacles(needed, node.name, storages, _seen(session, node)):
            findings.append(
                Finding(STORAGE_MISSING, Severity.BLOCK, item.why, item.remedy, guest.vmid, item.node, item.storage)
            )
    if findings:
        raise Blocked(
            f"{guest.label} cannot be replicated: {'; '.join(item.message for item in findings)}"
            f" ({STORAGE_MISSING}): {findings[0].remedy}. Nothing was changed.",
            guest=guest.vmid,
            node=guest.node,
            findings=[item.as_dict() for item in findings],
        )
    return warnings


def _storages(session: Session) -> dict[str, Storage]:
    found: dict[str, Storage] = {}
    rows: list[dict[str, Any]] = session.get("/storage") or []
    for row in rows:
        item = storage(row)
        found[item.id] = item
    return found


def _seen(session: Session, node: Node) -> list[StorageStatus] | None:
    """What a node says of its storages; None when it does not answer, or may not be asked."""
    if node.online:
        with contextlib.suppress(PermissionDenied, NodeUnreachable):
            return [storage_status(node.name, row) for row in session.get(f"/nodes/{node.name}/storage") or ()]
    return None
