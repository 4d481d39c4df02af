#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""No disk of a guest lies on a storage."""

from __future__ import annotations

DOCUMENTATION = r"""
module: drain_storage
short_description: Empty a storage before it is retired
version_added: 1.0.0
author: pve.mobility contributors (@pve-mobility)
description:
  - Finds everything that lies on a storage, on every node that has it, and moves the disks of guests to other storages,
    several guests at a time, one disk of each after the other, the biggest first. Sources are deleted when they are
    copied.
  - Every volume is told for what it is. Attached and unused disks of VMs, EFI disks, TPM states and cloud-init drives
    of stopped VMs, volumes of containers, linked clones and after them their templates are moved. What cannot move is
    listed with the reason and with what to do, as are replicas of other nodes, volumes that only snapshots hold,
    orphans, and volumes of guests that do not exist.
  - ISO images, container templates, backups and snippets are listed and never touched. Nothing is deleted but the
    sources of disks that were moved.
  - Targets are proposed by content, by free space, and by what keeps replication and live migration possible, unless
    O(targets) names them.
  - Each move is judged as M(pve.mobility.move_disk) judges it, when its turn comes. A guest that cannot be moved does
    not stop the others. After an interruption the same task goes on with what is left, and adopts what is under way.
  - On the controller the task shows how far the moves are, a line a step.
notes:
  - "Privileges: C(VM.Audit) and C(VM.Config.Disk) on the guests, C(Datastore.Audit) on all storages and
    C(Datastore.AllocateSpace) on the targets; C(Sys.Audit) on the nodes; with O(allow_stop) C(VM.PowerMgmt) on the
    guests."
  - For rehearsals against a simulated cluster that runs faster than real time, set E(PVE_MOBILITY_SPEED) to its speed.
extends_documentation_fragment:
  - pve.mobility.api
  - pve.mobility.attributes
attributes:
  check_mode:
    support: full
    details:
      - Reads and plans as a real run does, and sends no write.
  diff_mode:
    support: full
    details:
      - Shows the storage of each volume before and after.
  idempotent:
    support: full
options:
  storage:
    description: The storage that is to be emptied.
    type: str
    required: true
  targets:
    description:
      - Storages that take the disks, best first. Without it every other storage with the right content is one; what is
        on shared storage then goes to shared storage if there is room.
    type: list
    elements: str
    default: []
  nodes:
    description: Move disks of guests on these nodes only. Those of others are listed in RV(stays).
    type: list
    elements: str
    default: []
  parallel:
    description: How many guests are moved at the same time.
    type: int
    default: 2
  bwlimit:
    description: Limit of each move in KiB/s, 0 for none.
    type: int
  reserve:
    description: Percent of each target that stays free.
    type: float
    default: 5
  allow_stop:
    description: Shut down containers that run, move their volumes, and start them again.
    type: bool
    default: false
  stop_timeout:
    description: Seconds that a container may take to shut down.
    type: int
    default: 180
  accept:
    description: Ids of findings that do not keep a disk from moving.
    type: list
    elements: str
    default: []
  start_for:
    description:
      - Seconds in which moves may begin. What is under way then is waited for, the others are RV(waiting) for the next
        run.
    type: int
  wait:
    description:
      - Whether to wait for the end. Without waiting, the first moves are begun, and RV(follow) can be given to
        O(follow).
    type: bool
    default: true
  follow:
    description:
      - RV(follow) of an earlier run, which is gone on with. The other options must be the same.
    type: dict
  for_seconds:
    description: How long to work at most in this call. The result has RV(follow) when it is not over by then.
    type: float
  timeout:
    description: Seconds for the whole of it, 0 for no limit. What is under way then goes on.
    type: int
    default: 0
seealso:
  - module: pve.mobility.move_disk
"""

EXAMPLES = r"""
- name: See what lies on the old NFS box and where it would go
  pve.mobility.drain_storage:
    storage: nfs-old
  check_mode: true
  register: plan

- name: Empty it during the night, four guests at a time, at 100 MiB/s each
  pve.mobility.drain_storage:
    storage: nfs-old
    targets: [ceph-ssd, ceph-hdd]
    parallel: 4
    bwlimit: 102400
    start_for: 21600
"""

RETURN = r"""
storage:
  description: The storage.
  returned: success
  type: str
  sample: nfs-old
empty:
  description: Whether no disk of a guest lies on it any more. Images, backups and the like may.
  returned: success
  type: bool
  sample: true
planned:
  description: The moves that were planned, in the order in which they begin.
  returned: success
  type: list
  elements: dict
  contains:
    vmid:
      description: Number of the guest.
      type: int
      sample: 104
    label:
      description: Number and name of the guest.
      type: str
      sample: 104 billing-db
    node:
      description: The node on which it is.
      type: str
      sample: pve1
    disks:
      description: Its disks that go together.
      type: list
      elements: str
      sample: [scsi0, scsi1]
    target:
      description: The storage to which they go.
      type: str
      sample: ceph-ssd
    bytes:
      description: What they take there, at most.
      type: int
      sample: 34359738368
    after:
      description: Guests with linked clones of these disks, which move first.
      type: list
      elements: int
      sample: [105]
bytes:
  description: Bytes of all moves that were planned, at most.
  returned: when it was planned in this run
  type: int
  sample: 34359738368
done:
  description: What was done, guest by guest.
  returned: success
  type: list
  elements: dict
  contains:
    vmid:
      description: Number of the guest.
      type: int
      sample: 104
    label:
      description: Number and name of the guest.
      type: str
      sample: 104 billing-db
    node:
      description: The node on which it is.
      type: str
      sample: pve1
    target:
      description: The storage.
      type: str
      sample: ceph-ssd
    state:
      description: V(moved), V(failed), or V(there) when somebody else was faster.
      type: str
      sample: moved
    moves:
      description: The disks, as in M(pve.mobility.move_disk).
      type: list
      elements: dict
      sample: []
    orphans:
      description: Sources that could not be freed.
      type: list
      elements: dict
      sample: []
    warnings:
      description: Warnings.
      type: list
      elements: str
      sample: []
    seconds:
      description: How long it took.
      type: float
      sample: 171.0
    msg:
      description: Why it failed.
      type: str
      sample: ""
    failure:
      description: The same as data.
      type: dict
      sample: {"kind": "task_failed"}
waiting:
  description: Moves that did not begin, as in RV(planned).
  returned: success
  type: list
  elements: dict
  sample: []
stays:
  description: Volumes that are left on the storage and do not move.
  returned: success
  type: list
  elements: dict
  contains:
    volid:
      description: Volume ID.
      type: str
      sample: nfs-old:104/vm-104-disk-3.raw
    node:
      description: Where it lies; of shared storage, where it was seen.
      type: str
      sample: pve1
    what:
      description: V(disk), V(snapshot), V(replica), V(orphan), V(stranger) or V(missing).
      type: str
      sample: orphan
    guest:
      description: Number of its guest.
      type: int
      sample: 104
    size:
      description: Its size in bytes.
      type: int
      sample: 34359738368
    why:
      description: Why it stays.
      type: str
      sample: it belongs to 104 billing-db by its name and is in none of its configurations
    remedy:
      description: What to do about it.
      type: str
      sample: free it when nothing needs it (pvesm free nfs-old:104/vm-104-disk-3.raw on pve1)
files:
  description: Images, templates, backups and the like on the storage.
  returned: success
  type: list
  elements: dict
  contains:
    volid:
      description: Volume ID.
      type: str
      sample: nfs-old:iso/debian.iso
    node:
      description: Where it lies.
      type: str
      sample: pve1
    content:
      description: What it is.
      type: str
      sample: iso
    size:
      description: Its size in bytes.
      type: int
      sample: 700000000
    used_by:
      description: Guests that have it in a drive.
      type: list
      elements: str
      sample: [104 billing-db]
unseen:
  description: Nodes on which it could not be looked, with the reason.
  returned: success
  type: dict
  sample: {}
duration_s:
  description: Seconds that it took.
  returned: when something was moved
  type: float
  sample: 5400.0
warnings:
  description: Warnings of all moves.
  returned: when there are any
  type: list
  elements: str
  sample: []
findings:
  description: Always empty; what was found about single moves is in RV(stays) and RV(done[].failure).
  returned: failure
  type: list
  elements: dict
  sample: []
progress:
  description: How far each guest is that is being moved.
  returned: when it is not over
  type: list
  elements: dict
  sample: [{"vmid": 104, "disk": "scsi0", "source": "nfs-old", "target": "ceph-ssd"}]
follow:
  description: Handle for O(follow).
  returned: when it is not over
  type: dict
  sample: {"work": "drain", "storage": "nfs-old"}
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
      sample: task_failed
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_storage import from_options
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_storage import run as drain_storage
from ansible_collections.pve.mobility.plugins.module_utils.surface import run, spec


def main() -> None:
    module = AnsibleModule(
        argument_spec=spec(
            storage={"type": "str", "required": True},
            targets={"type": "list", "elements": "str", "default": []},
            nodes={"type": "list", "elements": "str", "default": []},
            parallel={"type": "int", "default": 2},
            bwlimit={"type": "int"},
            reserve={"type": "float", "default": 5.0},
            allow_stop={"type": "bool", "default": False},
            stop_timeout={"type": "int", "default": 180},
            accept={"type": "list", "elements": "str", "default": []},
            start_for={"type": "int"},
            wait={"type": "bool", "default": True},
            follow={"type": "dict"},
            for_seconds={"type": "float"},
            timeout={"type": "int", "default": 0},
        ),
        supports_check_mode=True,
    )

    def work(session: Session, clock: Clock) -> dict[str, Any]:
        params = module.params
        return drain_storage(
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
