# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ways of migrations and replication: what is set, whether every node is there, and what they really carried.

Requests: 6 for the cluster, 1 for each node that is online, and for ``recent`` migrations 2 for each node and 1 for
each log.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid, PermissionDenied
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.migration_network import Proof, prove
from ansible_collections.pve.mobility.plugins.module_utils.execution.collect_history import HistoryReading
from ansible_collections.pve.mobility.plugins.module_utils.execution.locate import read_resources
from ansible_collections.pve.mobility.plugins.module_utils.execution.network_proof import node_networks
from ansible_collections.pve.mobility.plugins.module_utils.execution.newest import newest_host
from ansible_collections.pve.mobility.plugins.module_utils.execution.reader import Reader
from ansible_collections.pve.mobility.plugins.module_utils.execution.rights import hidden, read_rights
from ansible_collections.pve.mobility.plugins.module_utils.model.datacenter import BadWish, check_network
from ansible_collections.pve.mobility.plugins.module_utils.model.history import ObservedMove, summary
from ansible_collections.pve.mobility.plugins.module_utils.model.options import ClusterOptions, cluster_options


def run(session: Session, networks: Sequence[str], recent: int = 10) -> dict[str, Any]:
    """The module's result.

    :param networks: to prove; those that are set when empty.
    :raises MobilityError: a network makes no sense, or the cluster cannot be read.
    """
    for network in networks:
        try:
            check_network("networks", network)
        except BadWish as bad:
            raise Invalid(str(bad)) from None
    session = newest_host(session).session
    answer = dict(session.get("/cluster/options") or {})
    if "mac_prefix" not in answer and "description" not in answer:
        raise PermissionDenied(
            "Permission is missing: Sys.Audit on / is needed to read datacenter.cfg.",
            path="/",
            privileges=["Sys.Audit"],
        )
    options = cluster_options(answer)
    wanted = sorted({*networks} or {item for item in (options.migration_network, options.replication_network) if item})
    nodes = node_networks(session) if wanted else ()
    proofs = [prove(network, nodes) for network in wanted]
    moves = _observed(session, recent) if recent else ()
    findings = [item for proof in proofs for item in proof.findings]
    findings.sort(key=lambda item: (item.severity.rank, item.id, item.node or ""))
    return {
        "changed": False,
        "ok": not any(item.severity is Severity.BLOCK for item in findings),
        **_options(options, "replication" in answer),
        "networks": [_proof(proof) for proof in proofs],
        "findings": [item.as_dict() for item in findings],
        "observed": _rates(moves),
        "unread": hidden(read_rights(session), *_uses(wanted, recent)),
    }


def _uses(wanted: Sequence[str], recent: int) -> list[str]:
    """Of the table of privileges."""
    uses = ["migration_network_info"] if wanted else []
    return [*uses, "migration_network_info.recent"] if recent else uses


def _options(options: ClusterOptions, own: bool) -> dict[str, Any]:
    return {
        "migration": {"type": options.migration_type, "network": options.migration_network},
        "replication": {
            "type": options.replication_type,
            "network": options.replication_network,
            "follows_migration": not own,
        },
        "bwlimit": dict(options.bwlimit),
    }


def _proof(proof: Proof) -> dict[str, Any]:
    return {
        "network": proof.network,
        "ok": not any(item.severity is Severity.BLOCK for item in proof.findings),
        "nodes": [
            {
                "node": place.node,
                "interface": place.interface,
                "address": place.address,
                "mtu": place.mtu,
                "ports": list(place.physical),
            }
            for place in proof.places
        ],
    }


def _observed(session: Session, recent: int) -> tuple[ObservedMove, ...]:
    nodes = [node for node in read_resources(session).nodes if node.online]
    with Reader(session) as reader:
        history = HistoryReading(reader, nodes, None, recent)
        reader.each(history.steps())
        return history.found()


def _rates(moves: Iterable[ObservedMove]) -> dict[str, Any]:
    known = list(moves)
    pairs: dict[tuple[str, str], list[float]] = {}
    for move in known:
        if move.rate is not None and move.target is not None:
            pairs.setdefault((move.source, move.target), []).append(move.rate)
    whole = summary(known)
    return {
        "moves": whole.moves,
        "rate_bytes_s": whole.rate,
        "downtime_ms": whole.downtime_ms,
        "pairs": [
            {"source": source, "target": target, "moves": len(rates), "rate_bytes_s": median(rates)}
            for (source, target), rates in sorted(pairs.items())
        ],
    }
