#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The guest's data is on these nodes."""

from __future__ import annotations

DOCUMENTATION = r"""
module: replication_job
short_description: Keep copies of a guest on a set of nodes
version_added: 1.0.0
author: pve.mobility contributors (@pve-mobility)
description:
  - Declares on which nodes the data of a guest is. The guest is on one of them; for every other one there is a
    replication job. Jobs that lead elsewhere go away.
  - It stays true when the guest moves. A migration to a replica turns the job round, so that nothing is left to do;
    after a migration to another node exactly the missing and the superfluous jobs change.
  - A job is told by guest and target. Numbers of jobs are allocated and mean nothing.
  - When the last copy that can be used is to be somewhere else, the new copy is complete before the old one goes. A
    copy that fails, or that is on a node that is off, does not count.
  - A removal is awaited. Proxmox VE only marks the job, and the scheduler of the guest's node cleans up at the next
    full minute.
  - On the controller the task shows how far a copy is, a line a step.
notes:
  - "Privileges: C(VM.Audit) and, from Proxmox VE 9.0 on, C(VM.Replicate) on C(/vms/{vmid}); up to 8.4
    C(Datastore.Allocate) on C(/storage) instead of C(VM.Replicate). C(Datastore.Audit) on the storages of the disks, to
    find out before whether they are on the target. C(Sys.Audit) on C(/nodes/{node}) is of use for O(target) alone, when
    somebody else has migrated the guest to its replica."
  - When nothing has to be changed this costs four requests.
  - A guest that is migrating is waited for before its jobs change. Other locks of the guest do not matter.
  - A job to a declared node that somebody else has made is taken over; of its settings only those that are given
    change. A job that is on its way out is called back when it is declared, so that its copy is kept.
  - Without quorum the nodes do not tell about their jobs, and this fails with V(no_quorum), in check mode too.
  - For rehearsals against a simulated cluster that runs faster than real time, set E(PVE_MOBILITY_SPEED) to its speed.
extends_documentation_fragment:
  - pve.mobility.api
  - pve.mobility.attributes
attributes:
  check_mode:
    support: full
    details:
      - Reads and judges as a real run does, finds the same faults, and sends no write.
  diff_mode:
    support: full
    details:
      - Shows the jobs before and after, by target.
  idempotent:
    support: full
    details:
      - O(sync_now) runs the jobs each time.
options:
  guest:
    description:
      - Number of the guest, or its name when that is unique in the cluster.
      - With O(state=absent) also the number of a guest that does not exist any more. Its jobs are dropped at once,
        because no node would ever process them.
    type: str
    required: true
  replicas:
    description:
      - The nodes that hold the guest's data, the one that it is on among them.
      - With O(state=absent) the nodes to which jobs are removed.
    type: list
    elements: str
  target:
    description:
      - The node of one job; other jobs of the guest are left alone. O(replicas) is the better way to say it, because it
        stays true when the guest moves.
      - When the guest has moved there and its job was turned round, that job is meant.
    type: str
  schedule:
    description:
      - When the jobs run, a calendar event of Proxmox VE such as V(*/15), V(22:30) or V(mon..fri 8..18:00).
      - Another spelling of the same event is no change. Without it jobs keep theirs, and new ones get V(*/15).
    type: str
  rate:
    description: Limit in MB/s of 10^6 bytes, at least 1; 0 for none. Without it jobs keep theirs.
    type: float
  comment:
    description: Comment of the jobs; empty for none. Without it jobs keep theirs.
    type: str
  enabled:
    description: Whether the jobs run. A job that somebody has disabled is enabled again.
    type: bool
    default: true
  state:
    description: Whether there are jobs, or none; V(absent) without O(replicas) and O(target) removes all of the guest.
    type: str
    choices: [present, absent]
    default: present
  cleanup:
    description:
      - What becomes of the copies of jobs that are removed.
      - V(full) removes copies and snapshots; for that the target must be up, else it is done when the target is back.
      - V(keep) leaves the copies on the target and removes the snapshots of the source.
      - V(force) drops the job at once and cleans up nothing, which leaves snapshots on both sides.
    type: str
    choices: [full, keep, force]
    default: full
  wait_for_sync:
    description: Wait until every declared node has a complete copy. A copy that is there already is not made anew.
    type: bool
    default: false
  sync_now:
    description: Run the jobs once now, and wait for them. Runs start at full minutes.
    type: bool
    default: false
  wait:
    description:
      - Whether to wait for removals and copies. Without waiting, RV(follow) can be given to O(follow), which also
        removes what had to stay until another copy is complete.
    type: bool
    default: true
  follow:
    description:
      - RV(follow) of an earlier run. What it has begun is waited for, and nothing is decided anew. O(timeout) counts
        from when it was begun.
    type: dict
  for_seconds:
    description: How long to wait at most in this call. The result has RV(follow) when it is not over by then.
    type: float
  timeout:
    description: Seconds for everything together, 0 for no limit. What was begun goes on.
    type: int
    default: 3600
seealso:
  - module: pve.mobility.migrate
"""

EXAMPLES = r"""
- name: Databases live on three nodes, every five minutes, at 80 MB/s
  pve.mobility.replication_job:
    guest: billing-db
    replicas: [pve1, pve2, pve3]
    schedule: "*/5"
    rate: 80

- name: Go on only when the copies are complete
  pve.mobility.replication_job:
    guest: billing-db
    replicas: [pve1, pve2]
    wait_for_sync: true
    timeout: 14400

- name: Bring the copy up to date before the maintenance
  pve.mobility.replication_job:
    guest: 104
    target: pve2
    sync_now: true

- name: No copies any more, neither here nor there
  pve.mobility.replication_job:
    guest: 104
    state: absent
"""

RETURN = r"""
guest:
  description: The guest.
  returned: success
  type: dict
  contains:
    vmid:
      description: Its number.
      type: int
      sample: 104
    type:
      description: V(qemu) for a VM, V(lxc) for a container.
      type: str
      sample: qemu
    name:
      description: Its name.
      type: str
      sample: billing-db
node:
  description: The node on which it is.
  returned: success
  type: str
  sample: pve1
jobs:
  description: The jobs of the guest now; in check mode, as they would be.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Its ID.
      type: str
      sample: 104-0
    source:
      description: The node of the guest.
      type: str
      sample: pve1
    target:
      description: The node that gets the copy.
      type: str
      sample: pve2
    schedule:
      description: When it runs.
      type: str
      sample: "*/5"
    rate:
      description: Limit in MB/s, none for no limit.
      type: float
      sample: 80.0
    comment:
      description: Its comment.
      type: str
      sample: databases
    enabled:
      description: Whether it runs.
      type: bool
      sample: true
    removing:
      description: V(full) or V(local) while it is on its way out.
      type: str
      sample: full
    running:
      description: Whether it runs at this moment.
      type: bool
      sample: false
    last_sync:
      description: Unix time of the last copy that is complete, 0 for never.
      type: int
      sample: 1795402020
    age_s:
      description: Age of that copy in seconds, none for never.
      type: int
      sample: 212
    duration_s:
      description: Seconds that the last run took.
      type: float
      sample: 4.2
    fail_count:
      description: How often it has failed in a row.
      type: int
      sample: 0
    error:
      description: Why it failed the last time.
      type: str
      sample: "command 'set -o pipefail && pvesm export' failed: exit code 255"
created:
  description: IDs of the jobs that were made.
  returned: success
  type: list
  elements: str
  sample: ["104-1"]
updated:
  description: IDs of the jobs that were changed.
  returned: success
  type: list
  elements: str
  sample: []
removed:
  description: IDs of the jobs that were removed, or marked when the rest has to wait for a node.
  returned: success
  type: list
  elements: str
  sample: []
warnings:
  description: What cannot happen before a node is back, and the like.
  returned: when there are any
  type: list
  elements: str
  sample: []
findings:
  description: What blocks the jobs, in the shape of M(pve.mobility.preflight).
  returned: failure
  type: list
  elements: dict
  sample: []
progress:
  description: How far the copy is that is being made, in bytes, bytes per second and seconds.
  returned: when it is not over
  type: dict
  sample: {"vmid": 104, "source": "pve1", "target": "pve2", "state": "running"}
follow:
  description: Handle for O(follow).
  returned: when it is not over
  type: dict
  sample: {"vmid": 104, "work": "replication"}
failure:
  description: Facts about a failure, to branch on.
  returned: failure
  type: dict
  contains:
    kind:
      description:
        - V(permission), V(not_found), V(locked), V(no_quorum), V(node_unreachable), V(task_failed), V(blocked),
          V(timeout), V(conflict), V(invalid) or V(unsupported).
      type: str
      sample: task_failed
    node:
      description: The node that it is about, mostly where the guest is.
      type: str
      sample: pve1
    job:
      description: The job whose run has failed.
      type: str
      sample: 104-0
    cause:
      description: Why, in the words of the job's log.
      type: str
      sample: "ssh: connect to host 10.0.0.2 port 22: No route to host"
    follow:
      description: Handle for O(follow), after a timeout.
      type: dict
      sample: {"vmid": 104, "work": "replication"}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_job import run as replicate
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_request import from_options
from ansible_collections.pve.mobility.plugins.module_utils.surface import run, spec


def main() -> None:
    module = AnsibleModule(
        argument_spec=spec(
            guest={"type": "str", "required": True},
            replicas={"type": "list", "elements": "str"},
            target={"type": "str"},
            schedule={"type": "str"},
            rate={"type": "float"},
            comment={"type": "str"},
            enabled={"type": "bool", "default": True},
            state={"type": "str", "choices": ["present", "absent"], "default": "present"},
            cleanup={"type": "str", "choices": ["full", "keep", "force"], "default": "full"},
            wait_for_sync={"type": "bool", "default": False},
            sync_now={"type": "bool", "default": False},
            wait={"type": "bool", "default": True},
            follow={"type": "dict"},
            for_seconds={"type": "float"},
            timeout={"type": "int", "default": 3600},
        ),
        supports_check_mode=True,
    )

    def work(session: Session, clock: Clock) -> dict[str, Any]:
        params = module.params
        return replicate(
            session,
            clock,
            from_options(params),
            check=module.check_mode,
            wait=params["wait"],
            handle=params["follow"],
            for_seconds=params["for_seconds"],
        )

    run(module, work)


if __name__ == "__main__":
    main()
