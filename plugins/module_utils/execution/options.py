# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make datacenter.cfg say what it should, and believe only what it says afterwards.

Requests: the choice of the API host and 1 when nothing is to be done. The file has no digest, so what is written was
read a moment before, and is read again after.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    Blocked,
    Conflict,
    Invalid,
    MaybeSent,
    PermissionDenied,
    Unsupported,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import kinds
from ansible_collections.pve.mobility.plugins.module_utils.checks.migration_network import INSECURE, prove
from ansible_collections.pve.mobility.plugins.module_utils.execution.accepting import accepted
from ansible_collections.pve.mobility.plugins.module_utils.execution.network_proof import node_networks
from ansible_collections.pve.mobility.plugins.module_utils.execution.newest import (
    UNPROVEN,
    Newest,
    newest_host,
    refuse_if_keys_would_be_lost,
    refuse_without_quorum,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.rights import read_rights, require
from ansible_collections.pve.mobility.plugins.module_utils.model import datacenter
from ansible_collections.pve.mobility.plugins.module_utils.model.datacenter import BadWish, Change, Wish, wish
from ansible_collections.pve.mobility.plugins.module_utils.model.release import DATACENTER, Release, text

PATH = "/cluster/options"


FORGOTTEN = "options-forgotten"
"""Id of the finding that older nodes will drop what is written."""


@dataclass(frozen=True, slots=True)
class Request:
    """:ivar preflight: ``enforce``, ``warn`` or ``skip``. :ivar accept: findings that do not stop it."""

    wish: Wish
    preflight: str = "enforce"
    accept: frozenset[str] = frozenset()


def from_options(options: Mapping[str, Any]) -> Request:
    """:raises Invalid: what is wanted makes no sense."""
    try:
        wanted = wish(options, options.get("absent") or ())
    except BadWish as bad:
        raise Invalid(str(bad)) from None
    return Request(wanted, options.get("preflight") or "enforce", accepted(options, [*kinds(), FORGOTTEN, UNPROVEN]))


def run(session: Session, request: Request, check: bool = False) -> dict[str, Any]:
    """The module's result.

    :raises MobilityError: it cannot be done, or must not be.
    """
    host = newest_host(session)
    answer = _read(host.session)
    change = _plan(answer, request.wish)
    if not change.changed:
        _refuse_what_the_host_cannot_see(host, request)
        return _result(change, host, ())
    _refuse_what_is_too_new(host, request.wish)
    refuse_without_quorum(host.session)
    require(read_rights(host.session), ["cluster_options"], "to write datacenter.cfg")
    releases = refuse_if_keys_would_be_lost(host, DATACENTER, request.accept)
    findings = judge(host.session, change) if request.preflight != "skip" else []
    _refuse_what_blocks(findings, request)
    findings += _forgotten(request.wish, releases)
    warnings = [f"{item.message}: {item.remedy}." for item in findings if item.severity is not Severity.INFO]
    if not check:
        answer = _write(host, answer, change)
        change = Change(change.before, datacenter.present(answer))
    return _result(change, host, findings) | {"warnings": warnings}


def judge(session: Session, change: Change) -> list[Finding]:
    """What is wrong with the networks that the change brings, each kind and node once."""
    networks = sorted({network for key in datacenter.NETWORKED if (network := change.network(key))})
    findings: list[Finding] = []
    if networks:
        require(read_rights(session), ["cluster_options.network"], "to prove the network on every node")
        nodes = node_networks(session)
        for network in networks:
            findings += prove(network, nodes).findings
    for key in datacenter.NETWORKED:
        new = change.after.get(key, {})
        if new.get("type") == "insecure" and change.before.get(key, {}).get("type") != "insecure":
            findings.append(
                INSECURE.found(
                    f"{key} will send memory and disks unencrypted",
                    "use it only in a network that nobody else can listen to",
                    key=key,
                    network=new.get("network"),
                )
            )
    return findings


def _forgotten(wanted: Wish, releases: Mapping[str, Release]) -> list[Finding]:
    """Nodes that will drop what is written now, with their next own write."""
    needed, what = wanted.needs()
    names = sorted(name for name, release in releases.items() if release < needed)
    if not names:
        return []
    return [
        Finding(
            FORGOTTEN,
            Severity.WARN,
            f"{', '.join(names)} cannot read {what} and will erase it with the next own write of datacenter.cfg",
            "upgrade the nodes soon, and change nothing through them",
            evidence={"nodes": names, "key": what, "since": text(needed)},
        )
    ]


def _read(session: Session) -> dict[str, Any]:
    answer = dict(session.get(PATH) or {})
    if "mac_prefix" not in answer and "description" not in answer:
        # Others are given a few keys without a word, and the rest would look as if it were not set.
        raise PermissionDenied(
            "Permission is missing: Sys.Audit on / is needed to read datacenter.cfg, beside Sys.Modify to write it.",
            path="/",
            privileges=["Sys.Audit"],
        )
    return answer


def _plan(answer: Mapping[str, Any], wanted: Wish) -> Change:
    try:
        return datacenter.plan(answer, wanted)
    except BadWish as bad:
        raise Invalid(str(bad)) from None


def _refuse_what_is_too_new(host: Newest, wanted: Wish) -> None:
    release, what = wanted.needs()
    if host.release < release:
        raise Unsupported(
            f"{what} needs Proxmox VE {text(release)}, and the newest API host, {host.session.host}, runs"
            f" {text(host.release)}: add a newer node to api_host, or leave it out. Nothing was changed.",
            release=text(host.release),
        )


def _refuse_what_the_host_cannot_see(host: Newest, request: Request) -> None:
    """Through an older host a key that is there looks absent, so "nothing to do" would be a guess."""
    absent = request.wish.absent
    hidden = [entry for entry in absent if host.release < datacenter.PROPERTIES[entry.partition(".")[0]].since]
    if hidden:
        refuse_if_keys_would_be_lost(host, DATACENTER, request.accept)


def _refuse_what_blocks(findings: Iterable[Finding], request: Request) -> None:
    everything = list(findings)
    blocking = [item for item in everything if item.severity is Severity.BLOCK and item.id not in request.accept]
    if not blocking or request.preflight != "enforce":
        return
    first, *more = blocking
    others = f" (and {len(more)} more)" if more else ""
    raise Blocked(
        f"{first.message[:1].upper()}{first.message[1:]} ({first.id}){others}; {first.remedy}. Nothing was changed.",
        findings=[item.as_dict() for item in everything],
    )


def _write(host: Newest, before: Mapping[str, Any], change: Change) -> dict[str, Any]:
    """What the file says afterwards.

    :raises Conflict: it is not what was written, because somebody else wrote too.
    """
    params: dict[str, Any] = dict(change.put)
    if change.delete:
        params["delete"] = ",".join(change.delete)
    lost: MaybeSent | None = None
    try:
        host.session.put(PATH, params)
    except MaybeSent as unanswered:
        lost = unanswered
    after = _read(host.session)
    found = datacenter.present(after)
    different = sorted(
        key
        for key in {*found, *change.after}
        if not datacenter.same_values(found.get(key, {}), change.after.get(key, {}))
    )
    if different and lost is not None:
        raise lost
    gone = sorted(set(before) - set(after) - set(change.delete))
    if different or gone:
        raise Conflict(
            f"datacenter.cfg was written, but {', '.join(sorted({*different, *gone}))} is not as it should be"
            " afterwards: somebody else wrote the file at the same time. Look at it and run this again.",
            keys=sorted({*different, *gone}),
        )
    return after


def _result(change: Change, host: Newest, findings: Iterable[Finding]) -> dict[str, Any]:
    before, after = datacenter.lines(change.before), datacenter.lines(change.after)
    return {
        "changed": before != after,
        "options": {
            key: values[datacenter.SCALAR] if datacenter.SCALAR in values else dict(values)
            for key, values in sorted(change.after.items())
        },
        "updated": sorted(change.put),
        "removed": change.delete,
        "findings": [item.as_dict() for item in findings],
        "through": {"host": host.session.host, "release": text(host.release)},
        "diff": {
            "before_header": "datacenter.cfg",
            "after_header": "datacenter.cfg",
            "before": before,
            "after": after,
        },
    }
