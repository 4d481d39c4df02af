# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tells whether a cluster is still the one that a plan was made for."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState


def fingerprint(state: ClusterState) -> str:
    """Of what a plan rests on. Where guests are and what their nodes run counts; load, times and free space do not.

    A guest's replicas are the set of nodes that hold its data, so that a move to a replica leaves them as they are
    (pve-facts §6.5).
    """
    replicas: dict[int, set[str]] = {}
    for job in state.replication_jobs:
        if job.removing is None:
            replicas.setdefault(job.guest, {job.source}).add(job.target)
    shape: dict[str, Any] = {
        "name": state.name,
        "nodes": sorted((node.name, node.maxmem) for node in state.nodes),
        "versions": sorted((facts.name, facts.version) for facts in state.node_facts),
        "guests": sorted((guest.vmid, guest.type, guest.node, guest.running, guest.maxmem) for guest in state.guests),
        "replicas": sorted((vmid, sorted(nodes)) for vmid, nodes in replicas.items()),
        "resources": sorted((item.sid, item.state, item.failback) for item in state.ha_resources),
        "rules": sorted(
            (rule.id, rule.type, rule.positive, rule.strict, rule.active, rule.sids, sorted(rule.nodes.items()))
            for rule in state.ha_rules
        ),
        "storages": sorted((item.id, item.type, item.shared, item.disabled, item.nodes) for item in state.storages),
    }
    text = json.dumps(shape, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
