#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How fresh the copies are."""

from __future__ import annotations

DOCUMENTATION = r"""
module: replication_info
short_description: See how fresh the copies of guests are, and what would be lost
version_added: 1.0.0
author: pve.mobility contributors (@pve-mobility)
description:
  - Tells of each replication job how old its copy is, by how much that is behind its schedule, how long runs take and
    how that develops, what would be lost now, and what could be lost at worst.
  - The longest pause of a schedule is asked of the API, which knows its own calendar and the time zone of the nodes.
  - At worst a copy is as old as that pause, the other jobs of the node, which come one after the other, the run itself,
    and the time until a failed run is tried again take together.
notes:
  - "Privileges: C(VM.Audit) on the guests. With C(Sys.Audit) on C(/nodes/{node}) the time and time zone of a node are
    known; otherwise the time of the API host, and the zone is taken for UTC."
  - This costs three requests, one for each node with replicated guests, one or two for the time, and one or two for
    each rhythm among the schedules; with O(bytes) one more for each job.
extends_documentation_fragment:
  - pve.mobility.api
  - pve.mobility.attributes
  - pve.mobility.attributes.info
attributes:
  action_group:
    support: full
options:
  guests:
    description: Guests that match one of each kind that is given; without it all.
    type: dict
    suboptions:
      vmids:
        description: Numbers.
        type: list
        elements: int
      names:
        description: Names; C(*) and C(?) stand for any characters.
        type: list
        elements: str
      tags:
        description: Tags, of which a guest has at least one.
        type: list
        elements: str
      pools:
        description: Pools.
        type: list
        elements: str
      nodes:
        description: Nodes on which the guests are now.
        type: list
        elements: str
  warn_after:
    description:
      - Age in seconds from which a copy is V(warn). Without it a copy may be as old as schedule, queue and run explain.
    type: int
  crit_after:
    description:
      - Age in seconds from which a copy is V(crit). Without it two more runs may be missed.
    type: int
  previous:
    description:
      - Result of an earlier look, as this module returned it. Durations of earlier runs are taken from it, because
        Proxmox VE only knows the last one; that makes the trend.
    type: dict
  bytes:
    description: Read the log of each job too, and say how many bytes would be lost, by what the last run had to send.
    type: bool
    default: false
seealso:
  - module: pve.mobility.replication_job
  - module: pve.mobility.failover_info
"""

EXAMPLES = r"""
- name: See how fresh the copies of the databases are
  pve.mobility.replication_info:
    guests:
      tags: [db]
    crit_after: 3600
  register: copies

- name: Stop when one is too old
  ansible.builtin.assert:
    that: copies.worst in ['ok', 'warn']
    fail_msg: "{{ copies.jobs | rejectattr('state', 'in', ['ok', 'warn']) | map(attribute='label') | join(', ') }}"
"""

RETURN = r"""
collected_at:
  description: Unix time in the cluster.
  returned: success
  type: int
  sample: 1795402232
worst:
  description: The worst state of all jobs; V(ok) when there are none.
  returned: success
  type: str
  sample: ok
summary:
  description: How many jobs are in each state.
  returned: success
  type: dict
  sample: {"ok": 41, "warn": 1, "unknown": 0, "never": 0, "failing": 1, "crit": 0}
jobs:
  description: The jobs, but for those that are being removed.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Its ID.
      type: str
      sample: 104-0
    guest:
      description: Number of the guest.
      type: int
      sample: 104
    name:
      description: Its name.
      type: str
      sample: billing-db
    label:
      description: Number and name.
      type: str
      sample: 104 billing-db
    source:
      description: The node of the guest.
      type: str
      sample: pve1
    target:
      description: The node that has the copy.
      type: str
      sample: pve2
    schedule:
      description: When it runs.
      type: str
      sample: "*/15"
    rate:
      description: Limit in MB/s, none for no limit.
      type: float
      sample: 80.0
    enabled:
      description: Whether it runs.
      type: bool
      sample: true
    running:
      description: Whether it runs at this moment.
      type: bool
      sample: false
    state:
      description:
        - V(ok); V(warn), the copy is older than its schedule explains; V(unknown), the node of the guest does not tell;
          V(never), there is no copy yet; V(failing), the last run failed; V(crit), the copy is too old.
      type: str
      sample: ok
    last_sync:
      description: Unix time of the copy, 0 for never.
      type: int
      sample: 1795402020
    age_s:
      description: Age of the copy in seconds.
      type: int
      sample: 212
    interval_s:
      description: The longest pause of the schedule in seconds.
      type: int
      sample: 900
    lag_s:
      description: By how much the copy is older than that.
      type: int
      sample: 0
    duration_s:
      description: Seconds that the last run took.
      type: float
      sample: 4.2
    trend:
      description:
        - Whether runs take longer and longer, V(growing), V(steady) or V(shrinking); with O(previous), after
          six runs.
      type: str
      sample: steady
    queue_s:
      description: Seconds that it may wait for the other jobs of its node.
      type: float
      sample: 31.5
    backoff_s:
      description: Seconds from a failed run to the next try.
      type: int
      sample: 0
    at_risk_s:
      description: Seconds of work that would be lost now.
      type: int
      sample: 212
    at_risk_worst_s:
      description:
        - Seconds of work that can be lost at worst; none when that has no limit, because the job is off or its
          target is.
      type: float
      sample: 935.7
    delta_bytes:
      description: Bytes that the last run had to send.
      returned: with O(bytes)
      type: int
      sample: 31457280
    at_risk_bytes:
      description: Bytes that would be lost now, at that rate.
      returned: with O(bytes)
      type: int
      sample: 7409937
    at_risk_worst_bytes:
      description: Bytes that can be lost at worst, at that rate.
      returned: with O(bytes)
      type: int
      sample: 32705326
    fail_count:
      description: How often it has failed in a row.
      type: int
      sample: 0
    error:
      description: Why it failed the last time.
      type: str
      sample: "command 'set -o pipefail && pvesm export' failed: exit code 255"
    next_sync:
      description: Unix time of the next run; 0 when it will not run.
      type: int
      sample: 1795402800
    runs:
      description: The last runs that are known, twenty at most.
      type: list
      elements: dict
      sample: [{"at": 1795402020, "duration_s": 4.2}]
orphans:
  description:
    - IDs of jobs whose guest does not exist any more. M(pve.mobility.replication_job) with the number of the guest and
      C(state=absent) drops them.
  returned: success
  type: list
  elements: str
  sample: []
removing:
  description: IDs of jobs that are being removed.
  returned: success
  type: list
  elements: str
  sample: []
nodes:
  description: How busy the nodes are with their jobs.
  returned: success
  type: list
  elements: dict
  contains:
    node:
      description: The node.
      type: str
      sample: pve1
    jobs:
      description: How many jobs it has.
      type: int
      sample: 12
    busy_s:
      description: Seconds that all of them take, one after the other.
      type: float
      sample: 50.4
    worst:
      description: The worst state among them.
      type: str
      sample: ok
unread:
  description: Nodes that did not tell, and guests that may be unseen, with the reason.
  returned: success
  type: list
  elements: str
  sample: []
failure:
  description: Facts about a failure, to branch on.
  returned: failure
  type: dict
  contains:
    kind:
      description:
        - V(permission), V(not_found), V(no_quorum), V(node_unreachable), V(conflict), V(invalid) or
          V(unsupported).
      type: str
      sample: no_quorum
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_info import from_options
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_info import run as look
from ansible_collections.pve.mobility.plugins.module_utils.surface import run, spec


def main() -> None:
    module = AnsibleModule(
        argument_spec=spec(
            guests={
                "type": "dict",
                "options": {
                    "vmids": {"type": "list", "elements": "int"},
                    "names": {"type": "list", "elements": "str"},
                    "tags": {"type": "list", "elements": "str"},
                    "pools": {"type": "list", "elements": "str"},
                    "nodes": {"type": "list", "elements": "str"},
                },
            },
            warn_after={"type": "int"},
            crit_after={"type": "int"},
            previous={"type": "dict"},
            bytes={"type": "bool", "default": False},
        ),
        supports_check_mode=True,
    )
    run(module, lambda session, clock: look(session, from_options(module.params)))


if __name__ == "__main__":
    main()
