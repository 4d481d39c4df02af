#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The data of many guests is where a policy says."""

from __future__ import annotations

DOCUMENTATION = r"""
module: replication_policy
short_description: Keep copies of many guests where a policy says
version_added: 1.0.0
author: pve.mobility contributors (@pve-mobility)
description:
  - Compares a policy with all replication jobs of the cluster, and creates, changes and removes jobs so that it is
    true, many at a time.
  - Schedules are shifted by minutes so that the jobs of a node do not all fire in the same minute, because a node runs
    them one after the other. A job whose schedule is such a shift counts as it should be.
  - Guests that cannot be replicated are listed with the reason and what to do about it; the others are done all the
    same.
  - Removals are marked and not waited for. When the only copy of a guest is to be somewhere else, the old job stays, is
    listed under RV(waiting), and goes with a later run, when the new copy is complete.
  - For guests under HA it proposes rules that keep them to the nodes that hold their data, and makes them on request.
    Nodes to which a guest cannot be replicated are left out.
    The HA manager itself knows nothing of copies.
  - Jobs of guests that no rule matches are left alone.
notes:
  - "Privileges: C(VM.Audit) and, from Proxmox VE 9.0 on, C(VM.Replicate) on the guests; up to 8.4 C(Datastore.Allocate)
    on C(/storage) instead of C(VM.Replicate). C(Datastore.Audit) on the storages. C(Sys.Audit) on C(/) to look at HA,
    and C(Sys.Console) on C(/) to make rules there."
  - When all is as it should be this costs three requests, two more for HA (three before 9.0), one for each guest that
    cannot be replicated, and one for each node where something waits.
extends_documentation_fragment:
  - pve.mobility.api
  - pve.mobility.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows the jobs that change, before and after.
  idempotent:
    support: full
options:
  rules:
    description: The policy. Of the rules that match a guest the first counts.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What to call it in results.
        type: str
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
      query:
        description:
          - A JMESPath expression for one guest as M(pve.mobility.cluster_info) returns it, with C(vmid), C(type),
            C(name), C(node), C(status), C(tags), C(pool), C(maxmem) and so on. Those for which it is true match.
          - It is answered on the controller, which needs the Python library jmespath.
        type: str
      replicas:
        description: The nodes that hold the data, the one that the guest is on among them.
        type: list
        elements: str
      sets:
        description:
          - Several such lists instead of O(rules[].replicas). A guest belongs to the one that has its node; one that is
            on none of them is listed under RV(cannot).
        type: list
        elements: list
      schedule:
        description: When jobs run, a calendar event. Without it jobs keep theirs, and new ones get V(*/15).
        type: str
      spread:
        description: Shift the schedule by minutes so that the jobs of a node do not all fire at once.
        type: bool
        default: true
      rate:
        description: Limit of each job in MB/s of 10^6 bytes, at least 1; 0 for none. Without it jobs keep theirs.
        type: float
      comment:
        description: Comment of the jobs; empty for none. Without it jobs keep theirs.
        type: str
      enabled:
        description: Whether the jobs run.
        type: bool
        default: true
  ha:
    description:
      - V(propose) says which rules would keep guests under HA to the nodes that hold their data, V(create) makes them,
        V(ignore) does not look.
      - Before 9.0 these are restricted groups. Rules that somebody else has made are never changed; what contradicts
        the copies is listed.
    type: str
    choices: [ignore, propose, create]
    default: propose
seealso:
  - module: pve.mobility.replication_job
  - module: pve.mobility.replication_info
"""

EXAMPLES = r"""
- name: Databases every five minutes on three nodes, all others on the neighbour once an hour
  pve.mobility.replication_policy:
    rules:
      - name: databases
        guests:
          tags: [db]
        replicas: [pve1, pve2, pve3]
        schedule: "*/5"
        rate: 80
      - name: the rest
        query: "type == 'qemu' && !template"
        sets:
          - [pve1, pve2]
          - [pve3, pve4]
        schedule: hourly
  check_mode: true
  diff: true
"""

RETURN = r"""
guests:
  description: The guests that a rule matches, and where their data is, or will be.
  returned: success
  type: list
  elements: dict
  contains:
    vmid:
      description: Number of the guest.
      type: int
      sample: 104
    name:
      description: Its name.
      type: str
      sample: billing-db
    node:
      description: The node on which it is.
      type: str
      sample: pve1
    rule:
      description: The rule that counts.
      type: str
      sample: databases
    replicas:
      description: The nodes that hold its data.
      type: list
      elements: str
      sample: [pve1, pve2, pve3]
    schedules:
      description: The schedule of each job, by target.
      type: dict
      sample: {"pve2": "*/5", "pve3": "1/5"}
created:
  description: IDs of the jobs that were made; in check mode, would be.
  returned: success
  type: list
  elements: str
  sample: ["104-0"]
updated:
  description: IDs of the jobs that were changed.
  returned: success
  type: list
  elements: str
  sample: []
removed:
  description: IDs of the jobs that were marked for removal.
  returned: success
  type: list
  elements: str
  sample: []
waiting:
  description: Superfluous jobs whose copy stays until another one is complete.
  returned: success
  type: list
  elements: dict
  contains:
    guest:
      description: Number of the guest.
      type: int
      sample: 104
    label:
      description: Number and name.
      type: str
      sample: 104 billing-db
    job:
      description: ID of the job.
      type: str
      sample: 104-2
    target:
      description: The node that has the copy.
      type: str
      sample: pve4
cannot:
  description: Guests that cannot be replicated as the policy says.
  returned: success
  type: list
  elements: dict
  contains:
    guest:
      description: Number of the guest.
      type: int
      sample: 120
    label:
      description: Number and name.
      type: str
      sample: 120 files
    node:
      description: The node on which it is.
      type: str
      sample: pve1
    target:
      description: The target that is the matter; none when it is the guest itself.
      type: str
      sample: pve3
    why:
      description: The reason.
      type: str
      sample: scsi1 of 120 files is on local-lvm, which is local and not ZFS (lvmthin)
    remedy:
      description: What to do about it.
      type: str
      sample: move scsi1 to a ZFS or a shared storage, or set replicate=0 on it
failed_jobs:
  description: Jobs that could not be written.
  returned: always
  type: list
  elements: dict
  sample: []
ha:
  description: What the HA manager should be told.
  returned: success
  type: dict
  contains:
    kind:
      description: V(rule), or V(group) before 9.0.
      type: str
      sample: rule
    proposals:
      description: Rules that are missing, or lack resources.
      type: list
      elements: dict
      sample: [{"rule": "replicas-pve1-pve2", "nodes": ["pve1", "pve2"], "resources": ["vm:104"], "added": ["vm:104"],
                "exists": false}]
    contradictions:
      description: Rules of others that let a guest start where no copy is.
      type: list
      elements: dict
      sample: []
    fine:
      description: Resources that are kept to nodes with copies.
      type: list
      elements: str
      sample: ["vm:105"]
    made:
      description: Rules that were made or changed.
      type: list
      elements: str
      sample: []
warnings:
  description: Guests that are outside their set, or on their way.
  returned: when there are any
  type: list
  elements: str
  sample: []
requests:
  description: How many requests it took.
  returned: success
  type: int
  sample: 4
failure:
  description: Facts about a failure, to branch on. When some jobs were written, the other results are in it too.
  returned: failure
  type: dict
  contains:
    kind:
      description:
        - V(permission), V(not_found), V(locked), V(no_quorum), V(node_unreachable), V(task_failed), V(blocked),
          V(timeout), V(conflict), V(invalid) or V(unsupported).
      type: str
      sample: invalid
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.policy_request import from_options
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_policy import run as enforce
from ansible_collections.pve.mobility.plugins.module_utils.surface import run, spec


def _names() -> dict[str, Any]:
    return {"type": "list", "elements": "str"}


def main() -> None:
    module = AnsibleModule(
        argument_spec=spec(
            rules={
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str"},
                    "guests": {
                        "type": "dict",
                        "options": {
                            "vmids": {"type": "list", "elements": "int"},
                            "names": _names(),
                            "tags": _names(),
                            "pools": _names(),
                            "nodes": _names(),
                        },
                    },
                    "query": {"type": "str"},
                    "replicas": _names(),
                    "sets": {"type": "list", "elements": "list"},
                    "schedule": {"type": "str"},
                    "spread": {"type": "bool", "default": True},
                    "rate": {"type": "float"},
                    "comment": {"type": "str"},
                    "enabled": {"type": "bool", "default": True},
                },
            },
            ha={"type": "str", "choices": ["ignore", "propose", "create"], "default": "propose"},
        ),
        supports_check_mode=True,
    )

    def work(session: Session, clock: Clock) -> dict[str, Any]:
        return enforce(session, clock, from_options(module.params), module.check_mode)

    run(module, work)


if __name__ == "__main__":
    main()
