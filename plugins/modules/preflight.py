#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a move, a drain or a cluster is safe; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Judge a move, the drain of a node or a cluster before anything is touched
version_added: 1.0.0
author: pve.mobility contributors (@pve-mobility)
description:
  - Says what would block, what would hurt, why, and how to fix it, from one snapshot of the cluster. Nothing is
    changed, and no guest is asked.
  - Most of it Proxmox VE itself does not look at before a migration starts, such as processors, versions, memory,
    bridges and the age of replicas.
  - What the snapshot does not hold is not judged, and RV(findings) say so with V(not-judged).
  - The snapshot is read with M(pve.mobility.cluster_info), everything and the history, unless O(facts) has one.
notes:
  - It is an action plugin and judges on the controller. O(rules) need the Python library C(jmespath) there.
  - "Privileges: those of M(pve.mobility.cluster_info)."
  - The list of all findings is in the collection's documentation, under Findings.
extends_documentation_fragment:
  - pve.mobility.api
  - pve.mobility.attributes
  - pve.mobility.attributes.info
options:
  scope:
    description:
      - V(move) judges O(guest) on its way to O(target).
      - V(drain) judges O(node) giving away all of its guests, each to the node that suits it best, all of them
        together.
      - V(cluster) judges everything, and whether each guest could leave its node at all.
    type: str
    choices: [move, drain, cluster]
    default: cluster
  guest:
    description: With O(scope=move), number or name of the guest.
    type: str
  target:
    description: With O(scope=move), the node that it would move to.
    type: str
  mode:
    description: With O(scope=move), how it would move. As in M(pve.mobility.migrate).
    type: str
    choices: [auto, online, restart, offline]
    default: auto
  node:
    description: With O(scope=drain), the node.
    type: str
  targets:
    description: With O(scope=drain), the only nodes that guests may go to.
    type: list
    elements: str
  target_storage:
    description: As in M(pve.mobility.migrate), a storage, or a map of source to target storages.
    type: raw
  with_local_disks:
    description: Whether local disks would move along. As in M(pve.mobility.migrate).
    type: bool
    default: true
  facts:
    description:
      - A result of M(pve.mobility.cluster_info), with O(pve.mobility.cluster_info#module:subset) V(all) and, for
        estimates, V(history); or a file on the controller that holds one as JSON. What was not collected is not
        judged.
    type: raw
  node_facts:
    description: Results of M(pve.mobility.zfs_info) by node, for snapshots and tools that compete with replication.
    type: dict
  accept:
    description: Ids of findings that are known and do not count. They stay in the result, marked as accepted.
    type: list
    elements: str
    default: []
  accept_note:
    description: Why they are accepted. It is kept in RV(accepted) beside the user who ran the play.
    type: str
  fail_on:
    description: The severity from which on the task fails.
    type: str
    choices: [block, warn, never]
    default: block
  thresholds:
    description: Limits by which it judges.
    type: dict
    suboptions:
      memory_headroom:
        description: Per cent of a node's memory that must stay free. V(10) by default.
        type: float
      cpu_overcommit:
        description: Virtual CPUs of running guests for each thread of a node's processors. V(4) by default.
        type: float
      storage_headroom:
        description: Per cent of a storage that must stay free. V(5) by default.
        type: float
      clock_offset:
        description: Seconds by which the clock of a node may be off. V(30) by default.
        type: float
      replica_gaps:
        description: Of how many intervals of its schedule a replica may be old. V(2) by default.
        type: float
      replica_interval:
        description: Seconds. A schedule that runs as often or more often is called too aggressive. V(60) by default.
        type: float
      link_mbit:
        description:
          - Speed of the migration network in Mbit/s, which the API does not tell, for estimates without observed moves
            and to see whether encryption is slower than the link. V(1000) by default.
        type: float
  isolated:
    description: The migration network is one that nobody else can listen to, so V(insecure) migration is meant.
    type: bool
    default: false
  rules:
    description: Own rules, JMESPath over the snapshot.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: Its id, lower-case letters, digits and hyphens.
        type: str
        required: true
      severity:
        description: How bad it is.
        type: str
        choices: [block, warn, info]
        default: block
      message:
        description: What is wrong. V({name}) stands for that field of what was found.
        type: str
        required: true
      remedy:
        description: How to fix it.
        type: str
      expression:
        description:
          - Finds what is wrong. Each item of a list is a finding, and so is a plain V(true). Fields V(vmid), V(node)
            and V(storage) of an item say what it is about.
        type: str
        required: true
  report:
    description:
      - A file on the controller, written in check mode too. Its suffix says what it shall be, C(.html) for a page,
        C(.md) or C(.json).
    type: path
"""

EXAMPLES = r"""
- name: Look before Friday night
  pve.mobility.preflight:
    scope: drain
    node: pve1
    report: pve1.html

- name: One guest to one node
  pve.mobility.preflight:
    scope: move
    guest: billing-db
    target: pve3
    accept: [replica-stale]
    accept_note: the replica is refreshed at night only

- name: The whole cluster, with a rule of our own, from a snapshot that was read before
  pve.mobility.preflight:
    facts: "{{ snapshot }}"
    fail_on: never
    rules:
      - id: no-onboot
        severity: warn
        message: "{name} does not start at boot"
        remedy: set onboot
        expression: "guest_configs[?!onboot && !template].{vmid: vmid, node: node, name: name}"
    report: audit.md
"""

RETURN = r"""
ok:
  description: Nothing blocks that was not accepted.
  returned: always
  type: bool
  sample: false
title:
  description: What was judged.
  returned: always
  type: str
  sample: "Draining pve1: 23 guests"
findings:
  description: What was found, the worst first.
  returned: always
  type: list
  elements: dict
  contains:
    id: {description: Its stable id., type: str, sample: passthrough}
    severity: {description: "V(block), V(warn) or V(info).", type: str, sample: block}
    guest: {description: "The guest that it is about, or null.", type: int, sample: 120}
    node: {description: "The node that it is about, or null.", type: str, sample: pve1}
    storage: {description: "The storage that it is about, or null.", type: str, sample: tank}
    message: {description: What and where., type: str, sample: hostpci0 is a device of pve1}
    remedy: {description: How to fix it., type: str, sample: stop the guest}
    evidence: {description: The values that it rests on., type: dict, sample: {key: hostpci0}}
    accepted: {description: It is in O(accept)., type: bool, sample: true}
accepted:
  description: Ids in O(accept) that were found, with who accepted them.
  returned: always
  type: list
  elements: dict
  contains:
    id: {description: The id., type: str, sample: replica-stale}
    count: {description: How many findings., type: int, sample: 2}
    by: {description: The user who ran the play on the controller., type: str, sample: operator}
    note: {description: O(accept_note)., type: str, sample: the replica is refreshed at night only}
moves:
  description: Where each guest would go. Empty with O(scope=cluster).
  returned: always
  type: list
  elements: dict
  contains:
    guest: {description: Its number., type: int, sample: 104}
    name: {description: Its name., type: str, sample: billing-db}
    source: {description: From., type: str, sample: pve1}
    target: {description: "To, null when it would stay behind.", type: str, sample: pve3}
    bytes: {description: What would be sent., type: int, sample: 8589934592}
    seconds: {description: How long it would take., type: float, sample: 74.7}
    downtime_ms: {description: How long it would pause., type: float, sample: 80.0}
    full_copy: {description: Local disks are sent whole., type: bool, sample: false}
estimate:
  description: All moves together. The rate is in bytes a second.
  returned: always
  type: dict
  contains:
    bytes: {description: What would be sent., type: int, sample: 65498251264}
    seconds: {description: How long it would take., type: float, sample: 840.0}
    downtime_ms: {description: The longest pause of a running guest., type: float, sample: 80.0}
    full_copy: {description: Local disks are sent whole., type: bool, sample: false}
    rate: {description: The rate that it rests on., type: float, sample: 125000000.0}
    observed: {description: The rate comes from migrations that the cluster has seen., type: bool, sample: true}
summary:
  description: Numbers of findings by severity and of those accepted, of guests, and of guests that would stay.
  returned: always
  type: dict
  sample: {block: 2, warn: 3, info: 1, accepted: 0, guests: 23, staying: 2}
names:
  description: Labels of the guests in RV(findings), by number.
  returned: always
  type: dict
  sample: {"104": 104 billing-db}
collected_at:
  description: Unix time of the snapshot.
  returned: always
  type: int
  sample: 1795402800
report:
  description: O(report).
  returned: when O(report) is given
  type: str
  sample: pve1.html
failure:
  description: Facts about a failure, to branch on.
  returned: failure
  type: dict
  contains:
    kind:
      description:
        - V(permission), V(not_found), V(no_quorum), V(node_unreachable), V(blocked), V(conflict),
          V(invalid) or V(unsupported).
      type: str
      sample: blocked
"""
