#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Disks are on a storage, in a format."""

from __future__ import annotations

DOCUMENTATION = r"""
module: move_disk
short_description: Bring disks of a virtual machine or volumes of a container to a storage
version_added: 1.0.0
author: pve.mobility contributors (@pve-mobility)
description:
  - Declares on which storage, and for VMs in which format, disks of a guest are. Disks that are there already are left
    alone; others are moved one after the other, because Proxmox VE locks the configuration of a guest while it copies.
  - VMs may run or be stopped. Containers must be stopped, which O(allow_stop) does, and starts them again.
  - Before anything is started it is proven that there is space for what is really copied, that the storage can hold
    the format, that no snapshot needs a source that is to be deleted, and that replication of the guest goes on.
  - A move that is already under way is adopted, whoever has started it. After an interruption the same task goes on
    with what is left; no disk is copied twice.
  - A source that Proxmox VE could not free is in no configuration any more. Such orphans are reported with their volume
    ID each time, until they are gone. They are never deleted here.
  - On the controller the task shows how far the move is, a line a step.
notes:
  - "Privileges: C(VM.Audit) and C(VM.Config.Disk) on C(/vms/{vmid}), C(Datastore.AllocateSpace) on the target storage
    and C(Datastore.Audit) on the storages of the disks; C(Sys.Audit) on C(/nodes/{node}) to adopt moves of other users;
    with O(allow_stop) C(VM.PowerMgmt) on the guest."
  - When nothing has to be moved this costs two requests, and then one for the storages of the node and one for each of
    them that holds disks, to look for orphans; with O(preflight=skip) only two.
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
      - Shows storage and format of each disk before and after.
  idempotent:
    support: full
options:
  guest:
    description: Number of the guest, or its name when that is unique in the cluster.
    type: str
    required: true
  disk:
    description:
      - Disks such as V(scsi0), V(efidisk0) or V(unused0), volumes such as V(rootfs) or V(mp0), or V(all).
      - V(all) means every disk that is part of the guest, EFI disk, TPM state and cloud-init drive included. Media,
        devices of the node, and volumes that are kept aside as C(unused) are not among them.
    type: list
    elements: str
    required: true
  from_storage:
    description: With O(disk=all), only the disks that are on this storage.
    type: str
  storage:
    description: The storage on which the disks shall be.
    type: str
    required: true
  format:
    description:
      - The format that disks of a VM shall have. Without it they keep theirs where the storage can hold that, and take
        the default of the storage otherwise.
      - A format that the storage cannot hold is refused. Proxmox VE itself would take another one without saying so.
      - The state of the emulated TPM keeps its format.
    type: str
    choices: [raw, qcow2, vmdk]
  delete:
    description:
      - Delete the source after it has been copied. Otherwise it stays with the guest as C(unused) volume.
      - Refused when snapshots of the guest, or linked clones, need the source.
    type: bool
    default: false
  bwlimit:
    description:
      - Limit in KiB/s, 0 for none. Limits of the datacenter and of storages can only be lowered without special
        privileges.
    type: int
  allow_stop:
    description:
      - Shut down a container that runs, move its volumes, and start it again, also after a failure.
      - A container that this user has shut down within the quarter of an hour before a move counts as stopped by a run
        that was interrupted, and is started at the end.
    type: bool
    default: false
  stop_timeout:
    description: Seconds that a container may take to shut down.
    type: int
    default: 180
  preflight:
    description:
      - V(enforce) does not start a move that a finding blocks, V(warn) only reports findings, V(skip) does not look.
    type: str
    choices: [enforce, warn, skip]
    default: enforce
  accept:
    description: Ids of findings that do not block this move.
    type: list
    elements: str
    default: []
  wait:
    description:
      - Whether to wait for the end. Without waiting, the first disk is begun; RV(follow) can be given to O(follow),
        which goes on with the others, or to M(pve.mobility.follow), which only looks.
    type: bool
    default: true
  follow:
    description:
      - RV(follow) of an earlier run. That very work is gone on with, nothing is judged anew, and O(timeout) counts from
        when it was begun. Which disks and where to is taken from it, not from the other options.
    type: dict
  for_seconds:
    description: How long to work at most in this call. The result has RV(follow) when it is not over by then.
    type: float
  timeout:
    description: Seconds for all disks together, 0 for no limit.
    type: int
    default: 3600
  on_timeout:
    description:
      - V(leave) lets a move that is not done in time go on, V(cancel) cancels it, unless it was adopted. In either case
        the disks after it are not begun.
    type: str
    choices: [leave, cancel]
    default: leave
seealso:
  - module: pve.mobility.migrate
  - module: pve.mobility.follow
"""

EXAMPLES = r"""
- name: Bring every disk of the billing database to Ceph and free the old ones
  pve.mobility.move_disk:
    guest: billing-db
    disk: all
    storage: ceph-ssd
    delete: true

- name: Say first what would happen
  pve.mobility.move_disk:
    guest: 104
    disk: [scsi0, scsi1]
    storage: ceph-ssd
  check_mode: true
  diff: true

- name: Turn a raw image into qcow2 on the storage where it is, at 200 MiB/s at most
  pve.mobility.move_disk:
    guest: 104
    disk: scsi0
    storage: nfs
    format: qcow2
    delete: true
    bwlimit: 204800

- name: Move what a container has on the old storage, with a restart
  pve.mobility.move_disk:
    guest: 200
    disk: all
    from_storage: nfs-old
    storage: tank
    delete: true
    allow_stop: true
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
storage:
  description: The storage on which the disks are now, or would be.
  returned: success
  type: str
  sample: ceph-ssd
moves:
  description: The disks that were moved in this run; in check mode, those that would be.
  returned: success
  type: list
  elements: dict
  contains:
    disk:
      description: The disk.
      type: str
      sample: scsi0
    from:
      description: Volume ID before.
      type: str
      sample: nfs-old:104/vm-104-disk-0.raw
    to:
      description: Volume ID after; unknown before it is moved.
      type: str
      sample: ceph-ssd:vm-104-disk-0
    storage:
      description: The storage of the new volume.
      type: str
      sample: ceph-ssd
    format:
      description: The format of the new volume.
      type: str
      sample: raw
    bytes:
      description: Bytes that were copied, as far as the log says; it says nothing about containers.
      type: int
      sample: 34359738368
    duration_s:
      description: Seconds that it took. Unknown when it was not watched from its beginning.
      type: float
      sample: 171.0
    source_kept_as:
      description: The key under which the guest keeps the source, if it does.
      type: str
      sample: unused0
    task:
      description: UPID of the task that moved it.
      type: str
      sample: "UPID:pve1:00000BB1:0003C646:6B03ABA2:qmmove:104:automation@pve!mobility:"
    adopted:
      description: Whether the move was already under way.
      type: bool
      sample: false
there:
  description: Disks that were meant and needed no move.
  returned: success
  type: list
  elements: str
  sample: [scsi1]
unused:
  description: Volumes that the guest keeps aside now.
  returned: success
  type: list
  elements: dict
  contains:
    key:
      description: Its key.
      type: str
      sample: unused0
    volid:
      description: Its volume ID.
      type: str
      sample: nfs-old:104/vm-104-disk-0.raw
  sample: []
orphans:
  description: Volumes that belong to the guest by their names and are in none of its configurations.
  returned: success
  type: list
  elements: dict
  contains:
    volid:
      description: Volume ID.
      type: str
      sample: nfs-old:104/vm-104-disk-0.raw
    storage:
      description: Its storage.
      type: str
      sample: nfs-old
    size:
      description: Its size in bytes.
      type: int
      sample: 34359738368
  sample: []
restarted:
  description: Whether a container was shut down and started again.
  returned: success
  type: bool
  sample: false
warnings:
  description: Warnings of tasks that ended well, settings that a disk has lost, and orphans.
  returned: when there are any
  type: list
  elements: str
  sample: []
findings:
  description: What was found before the move.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: Stable name of the finding, for O(accept).
      type: str
      sample: disk-space
    severity:
      description: V(block), V(warn) or V(info).
      type: str
      sample: block
    message:
      description: What is the matter, and where.
      type: str
      sample: storage tank has 12 GiB free, 110 GiB needed for scsi0 of 104 billing-db
    remedy:
      description: How to fix it.
      type: str
      sample: free space on the target, or choose another one
    evidence:
      description: The values that it rests on.
      type: dict
      sample: {"needed": 118111600640, "free": 12884901888}
    guest:
      description: Number of the guest that it is about.
      type: int
      sample: 104
    node:
      description: Node that it is about.
      type: str
      sample: pve1
    storage:
      description: Storage that it is about.
      type: str
      sample: tank
progress:
  description: How far the present disk is, in bytes, bytes per second and seconds.
  returned: when it is not over
  type: dict
  sample: {"vmid": 104, "disk": "scsi0", "source": "nfs-old", "target": "ceph-ssd", "number": 1, "count": 2}
follow:
  description: Handle for O(follow), and for M(pve.mobility.follow).
  returned: when it is not over
  type: dict
  sample: {"vmid": 104, "work": "disks", "storage": "ceph-ssd"}
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
      description: Where the guest is.
      type: str
      sample: pve1
    moves:
      description: Disks that had been moved before, as in RV(moves).
      type: list
      elements: dict
      sample: []
    not_moved:
      description: Disks that were not moved.
      type: list
      elements: str
      sample: [scsi0]
    leftovers:
      description: Volumes that were left behind.
      type: list
      elements: str
      sample: []
    task:
      description: UPID of the task that failed.
      type: str
      sample: "UPID:pve1:00000BB1:0003C646:6B03ABA2:qmmove:104:automation@pve!mobility:"
    log_tail:
      description: Last lines of its log.
      type: list
      elements: str
      sample: ["TASK ERROR: storage migration failed: no space left"]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_request import from_options
from ansible_collections.pve.mobility.plugins.module_utils.execution.move_disk import run as move_disk
from ansible_collections.pve.mobility.plugins.module_utils.surface import run, spec


def main() -> None:
    module = AnsibleModule(
        argument_spec=spec(
            guest={"type": "str", "required": True},
            disk={"type": "list", "elements": "str", "required": True},
            from_storage={"type": "str"},
            storage={"type": "str", "required": True},
            format={"type": "str", "choices": ["raw", "qcow2", "vmdk"]},
            delete={"type": "bool", "default": False},
            bwlimit={"type": "int"},
            allow_stop={"type": "bool", "default": False},
            stop_timeout={"type": "int", "default": 180},
            preflight={"type": "str", "choices": ["enforce", "warn", "skip"], "default": "enforce"},
            accept={"type": "list", "elements": "str", "default": []},
            wait={"type": "bool", "default": True},
            follow={"type": "dict"},
            for_seconds={"type": "float"},
            timeout={"type": "int", "default": 3600},
            on_timeout={"type": "str", "choices": ["leave", "cancel"], "default": "leave"},
        ),
        supports_check_mode=True,
    )

    def work(session: Session, clock: Clock) -> dict[str, Any]:
        params = module.params
        return move_disk(
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
