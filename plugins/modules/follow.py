#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Attach to what is running."""

from __future__ import annotations

DOCUMENTATION = r"""
module: follow
short_description: Attach to moves and tasks that are running
version_added: 1.0.0
author: pve.mobility contributors (@pve-mobility)
description:
  - Follows moves of guests and tasks to their real end, or for some seconds, and says how far they are.
  - On the controller the task shows the progress, a line a step.
  - It changes nothing. A move that fails does not fail this task; see RV(guests[].state) and RV(failed_count).
notes:
  - "Privileges: C(VM.Audit) on C(/vms/{vmid}); C(Sys.Audit) on C(/nodes/{node}) for tasks of others; for guests under
    HA C(Sys.Audit) on C(/)."
extends_documentation_fragment:
  - pve.mobility.api
  - pve.mobility.attributes
  - pve.mobility.attributes.info
options:
  guests:
    description:
      - Guests whose moves are followed, each as number, name, or the RV(pve.mobility.migrate#module:follow) value of
        M(pve.mobility.migrate) or the RV(pve.mobility.move_disk#module:follow) value of M(pve.mobility.move_disk). Of
        the latter the disk that is being moved is followed; those after it wait for M(pve.mobility.move_disk).
    type: list
    elements: raw
  tasks:
    description: UPIDs of tasks to follow.
    type: list
    elements: str
  for_seconds:
    description: How long to look at most. Without it, until everything has ended.
    type: float
attributes:
  action_group:
    support: full
seealso:
  - module: pve.mobility.migrate
  - module: pve.mobility.move_disk
"""

EXAMPLES = r"""
- name: Wait for whatever moves the billing database
  pve.mobility.follow:
    guests: [billing-db]

- name: Move a guest and go on
  pve.mobility.migrate:
    guest: 104
    target: pve3
    wait: false
  register: move

- name: See how far it is, by the task's UPID
  pve.mobility.follow:
    tasks: ["{{ move.task }}"]
    for_seconds: 1
  register: progress
  when: move.task is defined
"""

RETURN = r"""
finished:
  description: Whether everything has ended.
  returned: success
  type: bool
  sample: true
failed_count:
  description: How many moves and tasks have failed.
  returned: success
  type: int
  sample: 0
guests:
  description: The moves, in the order of O(guests).
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
    state:
      description: V(running), V(done), V(failed), or V(idle) when nothing moves it.
      type: str
      sample: running
    summary:
      description: The same as a sentence.
      type: str
      sample: 104 billing-db moved from pve1 to pve3 in 552 s, paused for 64 ms
    disk:
      description: The disk, when a disk is moved; source and target are storages then.
      type: str
      sample: scsi0
    source:
      description: The node from which it moves.
      type: str
      sample: pve1
    target:
      description: The node to which it moves.
      type: str
      sample: pve3
    node:
      description: Where it is, when the move is over.
      type: str
      sample: pve3
    ha:
      description: Whether the HA manager moves it.
      type: bool
      sample: false
    waiting_for_ha:
      description: Whether the HA manager has yet to start the move.
      type: bool
      sample: false
    task:
      description: UPID of the task that moves it.
      type: str
      sample: "UPID:pve1:00000BB1:0003C646:6B03ABA2:qmigrate:104:root@pam:"
    elapsed_s:
      description: Seconds since the move was asked for, or since it was attached to.
      type: float
      sample: 12.4
    progress:
      description: How far it is, in bytes, bytes per second and seconds.
      type: dict
      sample: {"phase": "disks", "percent": 37, "done_bytes": 44238349926, "total_bytes": 118111600640,
               "rate_bytes_s": 222298112, "eta_s": 332}
    msg:
      description: Why it failed, and where the guest is now.
      type: str
      sample: ""
    failure:
      description: The same as data, as in M(pve.mobility.migrate).
      type: dict
      sample: {"kind": "task_failed", "node": "pve1"}
    follow:
      description: Handle to go on following.
      type: dict
      sample: {"vmid": 104, "source": "pve1", "target": "pve3"}
tasks:
  description: The tasks, in the order of O(tasks).
  returned: success
  type: list
  elements: dict
  contains:
    task:
      description: The UPID.
      type: str
      sample: "UPID:pve1:00000BB1:0003C646:6B03ABA2:qmigrate:104:root@pam:"
    node:
      description: The node on which it runs.
      type: str
      sample: pve1
    type:
      description: What kind of task it is.
      type: str
      sample: qmigrate
    id:
      description: What it works on.
      type: str
      sample: "104"
    state:
      description: V(running), V(done) or V(failed).
      type: str
      sample: done
    exitstatus:
      description: How it ended; V(WARNINGS:) and a number is a success.
      type: str
      sample: OK
    warnings:
      description: Its warnings.
      type: list
      elements: str
      sample: []
    progress:
      description: How far it is, as for guests.
      type: dict
      sample: {"phase": "disks", "percent": 37}
    msg:
      description: Why it failed.
      type: str
      sample: ""
    log_tail:
      description: Last lines of the log of a failed task.
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
      sample: not_found
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.attach import attach
from ansible_collections.pve.mobility.plugins.module_utils.surface import run, spec


def main() -> None:
    module = AnsibleModule(
        argument_spec=spec(
            guests={"type": "list", "elements": "raw"},
            tasks={"type": "list", "elements": "str"},
            for_seconds={"type": "float"},
        ),
        supports_check_mode=True,
        required_one_of=[("guests", "tasks")],
    )

    def work(session: Session, clock: Clock) -> dict[str, Any]:
        params = module.params
        return attach(session, clock, params["guests"] or (), params["tasks"] or (), params["for_seconds"])

    run(module, work)


if __name__ == "__main__":
    main()
