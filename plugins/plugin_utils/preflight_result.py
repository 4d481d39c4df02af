# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A verdict as the result of ``preflight``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.codec import plain
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.planning.preflight import Proposal, Verdict


def result(state: ClusterState, verdict: Verdict, who: Mapping[str, Any]) -> dict[str, Any]:
    """:param who: accepts what is accepted, and the note that goes with it."""
    return {
        "changed": False,
        "ok": verdict.ok,
        "title": verdict.title,
        "findings": [_finding(verdict, item) for item in verdict.findings],
        "accepted": [
            {"id": name, "count": sum(item.id == name for item in verdict.accepted), **who}
            for name in sorted({item.id for item in verdict.accepted})
        ],
        "moves": [_move(item) for item in verdict.proposals],
        "estimate": plain(verdict.estimate),
        "summary": {
            **{severity.value: verdict.count(severity) for severity in Severity},
            "accepted": len(verdict.accepted),
            "guests": len(verdict.proposals),
            "staying": sum(item.target is None for item in verdict.proposals),
        },
        "names": {
            str(item.guest): guest.label
            for item in verdict.findings
            if item.guest is not None and (guest := state.guest(item.guest)) is not None
        },
        "collected_at": state.collected_at,
    }


def _finding(verdict: Verdict, item: Finding) -> dict[str, Any]:
    # Every row has every key, so that playbooks can select by any of them.
    about = {"guest": item.guest, "node": item.node, "storage": item.storage}
    return {**about, **plain(item.as_dict()), "accepted": item.id in verdict.accept}


def _move(item: Proposal) -> dict[str, Any]:
    return {
        "guest": item.guest.vmid,
        "name": item.guest.name,
        "source": item.guest.node,
        "target": item.target,
        "bytes": item.estimate.bytes,
        "seconds": item.estimate.seconds,
        "downtime_ms": item.estimate.downtime_ms,
        "full_copy": item.estimate.full_copy,
    }
