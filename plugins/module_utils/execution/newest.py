# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writing cluster-wide files through the newest node, because an older one drops what it does not know.

``/cluster/options`` and ``/storage`` run on the node that takes the request, so the node is chosen by the API host.
Requests: one a host to choose, and before a write one for the nodes and one a node.
"""

from __future__ import annotations

import contextlib
from collections.abc import Container
from dataclasses import dataclass, replace

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    Blocked,
    Invalid,
    NodeUnreachable,
    NoQuorum,
    PermissionDenied,
    Unsupported,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.propstring import truth
from ansible_collections.pve.mobility.plugins.module_utils.model.release import (
    NEWEST_KNOWN,
    CommonFile,
    Release,
    newest,
    release_of,
    text,
)

UNPROVEN = "release-unproven"


@dataclass(frozen=True, slots=True)
class Newest:
    """``session``: to the API hosts with the newest release among those that were given."""

    session: Session
    release: Release


def newest_host(session: Session) -> Newest:
    """Ask every API host for its release; those that are silent are passed over.

    :raises NodeUnreachable: none answers.
    """
    hosts = session.connection.hosts
    if len(hosts) < 2:
        return Newest(session, _known(session, session.host))
    found: dict[str, Release] = {}
    silent: NodeUnreachable | None = None
    for host in hosts:
        try:
            found[host] = _known(Session(replace(session.connection, hosts=(host,))), host)
        except NodeUnreachable as error:
            silent = error
    best = newest(found.values())
    if best is None:
        raise silent or NodeUnreachable("No API host answers: check api_host.")
    kept = tuple(host for host in hosts if found.get(host) == best)
    return Newest(Session(replace(session.connection, hosts=kept)), best)


def _known(session: Session, host: str) -> Release:
    release = release_of(session.get("/version"))
    if release is None:
        raise Invalid(f"{host} does not say which release of Proxmox VE it runs: check api_host and api_port.")
    return release


def node_releases(session: Session) -> dict[str, Release | None]:
    """Release of every node; None for those that cannot be asked."""
    found: dict[str, Release | None] = {}
    for row in session.get("/nodes") or ():
        name = str(row["node"])
        found[name] = None
        if row.get("status") == "online":
            with contextlib.suppress(NodeUnreachable):
                found[name] = release_of(session.get(f"/nodes/{name}/version"))
    return found


def refuse_if_keys_would_be_lost(
    writer: Newest, file: CommonFile, accept: Container[str] = frozenset()
) -> dict[str, Release]:
    """:return: releases of the nodes that can be asked.

    :raises Unsupported: the API host would drop from the file what newer nodes have in it. :raises Blocked: it may,
        because a node cannot be asked for its release.
    """
    known = node_releases(writer.session)
    releases = {name: release for name, release in known.items() if release is not None}
    newer = sorted(name for name, release in releases.items() if file.loses(writer.release, release))
    if newer:
        raise Unsupported(
            f"The API host {writer.session.host} runs {text(writer.release)} and would drop from {file.name} what only"
            f" {_listed(newer, releases)} can read: add the address of such a node to api_host. Nothing was"
            " changed.",
            nodes=newer,
            release=text(writer.release),
        )
    silent = sorted(set(known) - set(releases))
    if silent and file.loses(writer.release, NEWEST_KNOWN) and UNPROVEN not in accept:
        runs = text(writer.release)
        found = Finding(
            UNPROVEN,
            Severity.BLOCK,
            f"{', '.join(silent)} cannot be asked for its release, and the API host {writer.session.host} runs {runs}:"
            f" it would drop from {file.name} what only a newer node can read",
            f"bring {silent[0]} back, or accept {UNPROVEN} if no node runs more than {runs}",
            evidence={"nodes": silent, "release": runs},
        )
        raise Blocked(f"{found.message} ({found.id}); {found.remedy}. Nothing was changed.", findings=[found.as_dict()])
    return releases


def refuse_without_quorum(session: Session) -> None:
    """One request, before a write: the cluster would say so only when it is written to.

    :raises NoQuorum: nothing can be written. Who may not see it learns it from the write.
    """
    with contextlib.suppress(PermissionDenied):
        for row in session.get("/cluster/status") or ():
            if row.get("type") == "cluster" and not truth(row.get("quorate", 1)):
                raise NoQuorum(
                    f"The cluster has no quorum as seen from {session.host}: bring back a majority of the nodes."
                    " Nothing was changed."
                )


def _listed(names: list[str], releases: dict[str, Release]) -> str:
    shown = ", ".join(f"{name} ({text(releases[name])})" for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
