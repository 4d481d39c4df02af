#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cluster can do without a node, or a node is back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_ready
short_description: Make sure that the cluster can do without a node, or that a node is really back
version_added: 1.0.0
author: pve.mobility contributors (@pve-mobility)
description:
  - Before a node is taken out of service. The cluster keeps its quorum without one more node, all nodes are online and
    in service, replication works and is on time, no backup runs, and Ceph, where the nodes run one, is healthy.
  - After a node was upgraded and restarted, with O(node). It is a member of the cluster again, its services run, its
    storages are active, the new version and the new kernel run, and replication works.
  - It only looks. With O(timeout) it looks again until everything is as it should be.
notes:
  - "Privileges: C(Sys.Audit) on C(/) and on the nodes, C(Datastore.Audit) on the storages, C(VM.Audit) on replicated
    guests."
extends_documentation_fragment:
  - pve.mobility.api
  - pve.mobility.attributes
  - pve.mobility.attributes.info
options:
  node:
    description: The node that has to be back. Without it the cluster alone is looked at.
    type: str
  version:
    description: Version of pve-manager that O(node) must have at least, such as V(9.2.11).
    type: str
  kernel:
    description: Kernel that O(node) must run, such as V(7.0.2-1-pve).
    type: str
  booted_after:
    description: Unix time by the cluster, as in RV(time). O(node) must have been restarted since.
    type: int
  without:
    description: Nodes that may be off or in maintenance mode.
    type: list
    elements: str
    default: []
  checks:
    description: What is looked at. All of it by default. An empty list just reads RV(time).
    type: list
    elements: str
    choices: [quorum, nodes, replication, backups, ceph]
  accept:
    description: Checks of the cluster whose problems do not count.
    type: list
    elements: str
    choices: [quorum, nodes, replication, backups, ceph]
    default: []
  timeout:
    description: Seconds to wait, V(0) for a single look.
    type: int
    default: 0
seealso:
  - module: pve.mobility.preflight
  - module: pve.mobility.node_maintenance
"""

EXAMPLES = r"""
- name: Make sure that a node may be taken away
  pve.mobility.cluster_ready:

- name: Wait until pve3 is back with the new kernel
  pve.mobility.cluster_ready:
    node: pve3
    kernel: 7.0.2-1-pve
    timeout: 900
"""

RETURN = r"""
ready:
  description: Everything is as it should be.
  returned: success
  type: bool
  sample: true
problems:
  description: What is not. In a failure they are in RV(failure.problems).
  returned: success
  type: list
  elements: dict
  contains:
    check: {description: By which it was found., type: str, sample: replication}
    node: {description: The node., type: str, sample: pve1}
    message: {description: What it is., type: str, sample: replication job 104-0 to pve3 has never run}
    remedy: {description: What to do about it., type: str, sample: see the log of job 104-0 on pve1}
  sample: []
time:
  description: Unix time in the cluster.
  returned: success
  type: int
  sample: 1795413630
version:
  description: Version of pve-manager that runs on O(node).
  returned: success
  type: str
  sample: 9.2.11
kernel:
  description: Kernel that runs on O(node).
  returned: success
  type: str
  sample: 7.0.2-1-pve
uptime:
  description: Seconds since O(node) was started.
  returned: success
  type: int
  sample: 73
ceph:
  description: Whether the nodes run a Ceph, its health, and whether its flag C(noout) is set.
  returned: success
  type: dict
  sample: {"present": true, "health": "HEALTH_OK", "noout": false}
duration_s:
  description: Seconds that it took.
  returned: success
  type: float
  sample: 0.2
findings:
  description: Always empty.
  returned: failure
  type: list
  elements: dict
  sample: []
failure:
  description: Facts about a failure, with all that a success would have returned.
  returned: failure
  type: dict
  contains:
    kind:
      description:
        - V(permission), V(not_found), V(locked), V(no_quorum), V(node_unreachable), V(task_failed), V(blocked),
          V(timeout), V(conflict), V(invalid) or V(unsupported).
      type: str
      sample: blocked
    problems:
      description: What is not as it should be, as in RV(problems).
      type: list
      elements: dict
      sample: [{check: quorum, message: the cluster has no quorum, remedy: bring back a node}]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.ready import CHECKS, from_options
from ansible_collections.pve.mobility.plugins.module_utils.execution.ready import run as look
from ansible_collections.pve.mobility.plugins.module_utils.surface import run, spec


def main() -> None:
    module = AnsibleModule(
        argument_spec=spec(
            node={"type": "str"},
            version={"type": "str"},
            kernel={"type": "str"},
            booted_after={"type": "int"},
            without={"type": "list", "elements": "str", "default": []},
            checks={"type": "list", "elements": "str", "choices": list(CHECKS)},
            accept={"type": "list", "elements": "str", "choices": list(CHECKS), "default": []},
            timeout={"type": "int", "default": 0},
        ),
        supports_check_mode=True,
    )

    def work(session: Session, clock: Clock) -> dict[str, Any]:
        return look(session, clock, from_options(module.params))

    run(module, work)


if __name__ == "__main__":
    main()
