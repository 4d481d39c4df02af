# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make a ``zfspool`` storage be as it should, without taking a disk away from a guest.

What is written was read under a digest. When the file has changed in between, everything is read and judged once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    Blocked,
    Conflict,
    Invalid,
    MaybeSent,
    Modified,
    NotActivated,
    PermissionDenied,
    Unsupported,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Severity
from ansible_collections.pve.mobility.plugins.module_utils.execution.locate import read_resources
from ansible_collections.pve.mobility.plugins.module_utils.execution.newest import (
    Newest,
    newest_host,
    refuse_if_keys_would_be_lost,
    refuse_without_quorum,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.reader import Reader
from ansible_collections.pve.mobility.plugins.module_utils.execution.rights import Rights, read_rights, require
from ansible_collections.pve.mobility.plugins.module_utils.execution.zfs_nodes import (
    VOLUMES,
    on_node,
    read_nodes,
    read_volumes,
)
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Resources
from ansible_collections.pve.mobility.plugins.module_utils.model.codec import plain
from ansible_collections.pve.mobility.plugins.module_utils.model.release import STORAGE, text
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import storage
from ansible_collections.pve.mobility.plugins.module_utils.model.zfs_storage import (
    BadStorage,
    Change,
    Fixed,
    Wanted,
    plan,
    wanted,
)
from ansible_collections.pve.mobility.plugins.module_utils.planning.zfs_storage import OnNode, judge, losing, nodes_of

ATTEMPTS = 2
"""Of writing, when somebody else writes the file too."""


@dataclass(frozen=True, slots=True)
class Request:
    """:ivar preflight: ``enforce``, ``warn`` or ``skip``. :ivar accept: findings that do not stop it."""

    want: Wanted
    absent: bool = False
    preflight: str = "enforce"
    accept: frozenset[str] = frozenset()


def from_options(options: Mapping[str, Any]) -> Request:
    """:raises Invalid: what is wanted makes no sense."""
    try:
        want = wanted(options)
    except BadStorage as bad:
        raise Invalid(str(bad)) from None
    return Request(
        want,
        options.get("state") == "absent",
        options.get("preflight") or "enforce",
        frozenset(options.get("accept") or ()),
    )


def run(session: Session, request: Request, check: bool = False) -> dict[str, Any]:
    """The module's result.

    :raises MobilityError: it cannot be done, or must not be.
    """
    host = newest_host(session)
    resources = read_resources(host.session)
    _know_nodes(request.want, resources)
    for attempt in range(1, ATTEMPTS + 1):
        change, rows = _look(host.session, request)
        if not change.changed:
            return _result(host, change, _states(host.session, change, resources), ())
        refuse_without_quorum(host.session)
        _may(host.session, change, resources)
        refuse_if_keys_would_be_lost(host, STORAGE, request.accept)
        states = _states(host.session, change, resources)
        findings = _judge(host.session, request, change, states, resources, rows)
        if check:
            return _result(host, change, states, findings)
        try:
            _write(host, change)
        except Modified as modified:
            if attempt == ATTEMPTS:
                raise Conflict(
                    f"storage.cfg was changed by somebody else {ATTEMPTS} times while {request.want.id} was being"
                    f" written ({modified.reason}): find out who writes it, and run this again. Nothing was changed.",
                    reason=modified.reason,
                ) from None
            continue
        after, _rows = _look(host.session, request)
        if after.changed:
            raise Conflict(
                f"The storage {request.want.id} was written, but is not as it should be afterwards: somebody else wrote"
                " storage.cfg at the same time. Look at it and run this again."
            )
        return _result(host, change, _states(host.session, change, resources), findings)
    raise AssertionError("unreachable")


def _know_nodes(want: Wanted, resources: Resources) -> None:
    known = {node.name for node in resources.nodes}
    unknown = sorted(set(want.nodes or ()) - known)
    if unknown:
        raise Invalid(
            f"nodes: the cluster has no node {', '.join(unknown)} (it has {', '.join(sorted(known))}); Proxmox VE would"
            " accept the name, and the storage would not exist there. Nothing was changed."
        )


def _look(session: Session, request: Request) -> tuple[Change, list[Mapping[str, Any]]]:
    rows = list(session.get("/storage") or ())
    row = next((item for item in rows if item.get("storage") == request.want.id), None)
    if row is None:
        _may_see(session, request.want.id)
    try:
        return plan(row, request.want, request.absent), rows
    except BadStorage as bad:
        raise Invalid(str(bad)) from None
    except Fixed as fixed:
        raise _explained(request.want, fixed) from None


def _may_see(session: Session, name: str) -> None:
    """Storages that one may not see are left out without a word, and would look as if they did not exist."""
    rights = Rights(session.get("/access/permissions") or {})
    if not rights.may(f"/storage/{name}", "Datastore.Audit", "Datastore.AllocateSpace"):
        raise PermissionDenied(
            f"Permission is missing: Datastore.Audit on /storage is needed to see whether {name} exists, beside"
            " Datastore.Allocate to write it.",
            path="/storage",
            privileges=["Datastore.Audit"],
        )


def _may_see_guests(session: Session, name: str) -> None:
    """A guest that one may not see would look like a leftover."""
    if not Rights(session.get("/access/permissions") or {}).may("/vms", "VM.Audit"):
        raise PermissionDenied(
            f"Permission is missing: VM.Audit on /vms is needed to see which guests have disks on {name} before it is"
            " taken from a node. Nothing was changed.",
            path="/vms",
            privileges=["VM.Audit"],
        )


def _may(session: Session, change: Change, resources: Resources) -> None:
    """:raises PermissionDenied: it could not be written; or a node gains the storage, and could not show its pools."""
    names = [node.name for node in resources.nodes]
    gained = nodes_of(change.after, names) - nodes_of(change.before, names)
    uses = ["zfs_storage", *(["zfs_storage.gain"] if gained else [])]
    require(read_rights(session), uses, f"to prove {change.id} on its nodes and to write it")


def _explained(want: Wanted, fixed: Fixed) -> Unsupported:
    """What would have to happen instead of changing what cannot change."""
    if fixed.key == "type":
        how = (
            f"{want.id} is a storage of type {fixed.found}, and a type never changes: give the ZFS storage an ID of its"
            " own"
        )
    else:
        how = (
            f"{want.id} is on {fixed.found}, and the {fixed.key} of a storage never changes: create another storage on"
            f" {fixed.wanted}, move the disks there (move_disk), and remove {want.id} when it is empty"
        )
    return Unsupported(f"{how}. Nothing was changed.", key=fixed.key, found=fixed.found, wanted=fixed.wanted)


def _states(session: Session, change: Change, resources: Resources) -> list[OnNode]:
    dataset = (change.after or change.before or {}).get("pool", "")
    with Reader(session) as reader:
        answers = read_nodes(reader, resources.nodes)
    return [on_node(name, answers[name], change.id, dataset) for name in sorted(answers)]


def _judge(
    session: Session,
    request: Request,
    change: Change,
    states: Sequence[OnNode],
    resources: Resources,
    rows: Sequence[Mapping[str, Any]],
) -> list[Finding]:
    """:raises Blocked: by what was found and not accepted."""
    if request.preflight == "skip":
        return []
    lost = losing(change, [item.node for item in states])
    if lost:
        _may_see_guests(session, change.id)
    with Reader(session) as reader:
        volumes = read_volumes(reader, change.id, [item.node for item in states if item.node in lost and item.active])
        unseen = _unseen(reader, change, [item for item in states if item.node in lost])
    guests = {guest.vmid: guest for guest in resources.guests}
    findings = judge(change, states, volumes, guests, [storage(row) for row in rows], unseen)
    blocking = [item for item in findings if item.severity is Severity.BLOCK and item.id not in request.accept]
    if blocking and request.preflight == "enforce":
        first, *more = blocking
        others = f" (and {len(more)} more)" if more else ""
        verb = "removed" if change.removes else "created" if change.creates else "changed"
        raise Blocked(
            f"The storage {change.id} cannot be {verb}: {first.message} ({first.id}){others}; {first.remedy}. Nothing"
            " was changed.",
            findings=[item.as_dict() for item in findings],
        )
    return findings


def _unseen(reader: Reader, change: Change, losing: Iterable[OnNode]) -> dict[str, str]:
    """Nodes that lose something and whose volumes nobody could list, with the reason."""
    found = {str(item.node): item.why.rstrip(".") for item in reader.unknown if item.part == VOLUMES}
    for item in losing:
        if reader.dead(item.node):
            found[item.node] = reader.why_dead(item.node).rstrip(".")
        elif not item.active and item.dataset is not False:
            # Where the dataset is missing there is nothing to lose; otherwise disks may be in use all the same.
            found[item.node] = item.why or f"{change.id} is not active there, but its dataset is there"
    return found


def _write(host: Newest, change: Change) -> None:
    """:raises Modified: the file has changed since it was read."""
    try:
        if change.creates:
            host.session.post("/storage", {"storage": change.id, "type": "zfspool", **(change.after or {})})
        elif change.removes:
            host.session.delete(f"/storage/{change.id}")
        else:
            params: dict[str, Any] = {**change.put, "digest": change.digest}
            if change.delete:
                params["delete"] = ",".join(change.delete)
            host.session.put(f"/storage/{change.id}", params)
    except NotActivated as refused:
        pool = (change.after or {}).get("pool", "").partition("/")[0]
        raise NotActivated(
            f"{host.session.host}, which took the request, could not activate {change.id}: the pool {pool} is not"
            f" imported there ({refused.reason}). Import it, or put first into api_host a node that has it. Nothing was"
            " changed.",
            status=refused.status,
            reason=refused.reason,
        ) from None
    except MaybeSent:
        # The answer was lost; what the file says now is looked at next.
        return


def _result(host: Newest, change: Change, states: Sequence[OnNode], findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "changed": change.changed,
        "storage": {"storage": change.id, "type": "zfspool", **change.after} if change.after is not None else None,
        "nodes": [plain(item) | {"capacity": item.capacity} for item in states],
        "updated": [] if change.removes else sorted(change.put),
        "removed": [] if change.removes or change.creates else change.delete,
        "findings": [item.as_dict() for item in findings],
        "through": {"host": host.session.host, "release": text(host.release)},
        "warnings": [f"{item.message}: {item.remedy}." for item in findings if item.severity is not Severity.INFO],
        "diff": {
            "before_header": "storage.cfg",
            "after_header": "storage.cfg",
            "before": change.lines(change.before),
            "after": change.lines(change.after),
        },
    }
