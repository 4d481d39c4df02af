#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The order of nodes and every move of an upgrade; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: upgrade_plan
short_description: Plan a rolling upgrade, the order of nodes and every move
version_added: 1.0.0
author: pve.mobility contributors (@pve-mobility)
description:
  - Says in which order the nodes of a cluster are best emptied, upgraded and restarted, and where each guest goes
    meanwhile, from one snapshot of the cluster. Nothing is changed.
  - Guests go from older to newer or equal releases only, and each one moves as rarely as possible. Guests with
    replicas go to them, so that only the difference is sent. HA rules hold at every moment. The HA master and the
    node whose API is in use come last among nodes of the same release.
  - Every move passes the checks of M(pve.mobility.preflight), by the state that the cluster will have then. That
    everything fits is proven by a replay of the plan in which guests take memory and disks on both nodes while they
    move.
  - Beside the moves, bytes and times that are planned it says what no plan can beat.
  - The same snapshot gives the same plan.
  - The snapshot is read with M(pve.mobility.cluster_info), everything and the history, unless O(facts) has one.
notes:
  - It is an action plugin and plans on the controller.
  - "Privileges: C(Sys.Audit) on C(/) and C(/nodes), C(VM.Audit) on C(/vms), C(Datastore.Audit) on C(/storage),
    C(SDN.Audit) on C(/sdn/zones), C(Mapping.Audit) on C(/mapping). Without one of them there is no plan."
  - The API of Proxmox VE does not tell what apt would upgrade to whoever may only read. O(goal) and O(needs) are for
    what was found out otherwise.
extends_documentation_fragment:
  - pve.mobility.api
  - pve.mobility.attributes
attributes:
  check_mode:
    support: full
    details:
      - O(dest) is not written. O(report) is.
  diff_mode:
    support: full
    details:
      - Shows how the plan in O(dest) changes.
  idempotent:
    support: full
options:
  facts:
    description:
      - A result of M(pve.mobility.cluster_info), with O(pve.mobility.cluster_info#module:subset) V(all), or a file on
        the controller that holds one as JSON.
    type: raw
  node_facts:
    description: Results of M(pve.mobility.zfs_info) by node, as in M(pve.mobility.preflight).
    type: dict
  nodes:
    description: The only nodes to upgrade. All that need it without it.
    type: list
    elements: str
  needs:
    description:
      - What each node needs, as far as it was found out, with C(upgrade), C(reboot) (both V(true) without it) and
        C(why). A node that needs neither is left alone. One that does not have to restart is upgraded in place, and
        its guests stay.
    type: dict
    default: {}
  goal:
    description:
      - The version of pve-manager that nodes are brought to, such as V(9.2.11). Nodes that run it are left alone.
      - Without it and O(needs), the newest nodes of a cluster with several versions are left alone, and in a cluster
        with one version all nodes are upgraded.
    type: str
  order:
    description: Nodes to begin with, in this order.
    type: list
    elements: str
    default: []
  last:
    description: Nodes to end with, beside the HA master and the node whose API is in use.
    type: list
    elements: str
    default: []
  to:
    description: The only nodes that guests may go to.
    type: list
    elements: str
  pinned:
    description:
      - What becomes of running guests that cannot move. V(fail) says so, and the plan must not be carried out.
        V(stop) shuts them down for as long as their node is worked on. V(skip) leaves their node as it is.
    type: str
    choices: [fail, stop, skip]
    default: fail
  homing:
    description: Whether guests go back to where they were, V(never), at the V(end), or after V(each) node.
    type: str
    choices: [never, end, each]
    default: never
  stopped:
    description: Guests that do not run move too. Otherwise they stay where they are.
    type: bool
    default: false
  parallel:
    description: Moves from one node at the same time.
    type: int
    default: 4
  parallel_target:
    description: Moves to one node at the same time.
    type: int
    default: 4
  parallel_cluster:
    description: Moves in the whole cluster at the same time. V(0) for as many as the other limits allow.
    type: int
    default: 0
  restart_seconds:
    description: How long it takes to upgrade and restart a node, for the times in the plan.
    type: float
    default: 600
  install_seconds:
    description: How long it takes to upgrade a node in place, for the times in the plan.
    type: float
    default: 180
  with_local_disks:
    description: As in M(pve.mobility.migrate).
    type: bool
    default: true
  target_storage:
    description: As in M(pve.mobility.migrate), a storage, or a map of source to target storages.
    type: raw
  accept:
    description: Ids of findings that do not count.
    type: list
    elements: str
    default: []
  thresholds:
    description: Limits by which it judges, as in M(pve.mobility.preflight).
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
        description: Speed of the migration network in Mbit/s, for estimates without observed moves. V(1000) by default.
        type: float
  isolated:
    description: The migration network is one that nobody else can listen to.
    type: bool
    default: false
  fail_on:
    description: Whether the task fails when the plan must not be carried out.
    type: str
    choices: [problems, never]
    default: problems
  dest:
    description:
      - A file on the controller for the plan as JSON, as M(pve.mobility.drain) takes it. A file with the same plan
        stays as it is.
    type: path
  report:
    description:
      - A file on the controller, written in check mode too. Its suffix says what it shall be, C(.html) for a page
        with the timeline of each node and its memory over time, C(.md) or C(.json).
    type: path
seealso:
  - module: pve.mobility.drain
  - module: pve.mobility.preflight
"""

EXAMPLES = r"""
- name: Look at the plan, and keep it
  pve.mobility.upgrade_plan:
    goal: 9.2.11
    dest: upgrade.json
    report: upgrade.html

- name: Without the node that has a card passed through, and with everybody back home in the end
  pve.mobility.upgrade_plan:
    pinned: skip
    homing: end
    dest: upgrade.json

- name: From a snapshot that was read before; one node is done, another one need not restart
  pve.mobility.upgrade_plan:
    facts: "{{ snapshot }}"
    needs:
      pve1: {upgrade: false, reboot: false, why: it was done by hand}
      pve4: {reboot: false}
    fail_on: never
  register: upgrade

- name: How far it is from the best that could be
  ansible.builtin.debug:
    msg: "{{ upgrade.summary.moves }} moves, at least {{ upgrade.summary.moves_at_least }}"
"""

RETURN = r"""
ok:
  description: Nothing speaks against carrying the plan out.
  returned: always
  type: bool
  sample: true
title:
  description: What is planned.
  returned: always
  type: str
  sample: Rolling upgrade of 5 nodes from 9.1.4 to 9.2.11
problems:
  description: Why it must not be carried out.
  returned: always
  type: list
  elements: str
  sample: []
summary:
  description: Its figures. C(blind_bytes) is what the same moves would send without replicas.
  returned: always
  type: dict
  sample: {nodes: 5, moves: 212, moves_at_least: 208, bytes: 341449900032, seconds: 6600.0, fits: true}
plan:
  description: The plan. Times are seconds from its beginning, memory and disks are bytes.
  returned: always
  type: dict
  contains:
    version: {description: Of its shape., type: int, sample: 1}
    fingerprint: {description: Of the cluster that it was made for., type: str, sample: 3f2a9c0d11e8b7a4}
    nodes: {description: In the order in which they are worked on., type: list, elements: str, sample: [pve4, pve2]}
    steps: {description: "What is done, in order, with the moves of each.", type: list, elements: dict, sample: []}
    moves: {description: "Every move, with targets to try when it fails.", type: list, elements: dict, sample: []}
    stays: {description: "Guests that do not move, and why.", type: list, elements: dict, sample: []}
    left: {description: "Nodes that are left alone, and why.", type: list, elements: dict, sample: []}
    bounds: {description: What no plan can beat., type: dict, sample: {moves: 208, bytes: 300000000000, seconds: 360}}
    proof: {description: "The most memory and storage taken in each step, and its limit.", type: dict, sample: {}}
dest:
  description: O(dest).
  returned: when O(dest) is given
  type: str
  sample: upgrade.json
report:
  description: O(report).
  returned: when O(report) is given
  type: str
  sample: upgrade.html
failure:
  description: Facts about a failure, to branch on.
  returned: failure
  type: dict
  contains:
    kind:
      description:
        - V(permission) (a part could not be seen), V(blocked) (problems, with O(fail_on=problems)), V(not_found),
          V(no_quorum), V(node_unreachable), V(conflict), V(invalid) or V(unsupported).
      type: str
      sample: permission
    path: {description: Where a privilege is missing., type: str, sample: /vms}
    privileges: {description: Privileges any of which would do., type: list, elements: str, sample: [VM.Audit]}
"""
