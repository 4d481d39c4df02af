#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A guest is on a node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: migrate
short_description: Bring a virtual machine or container to a node
version_added: 1.0.0
author: pve.mobility contributors (@pve-mobility)
description:
  - Declares on which node a guest is. A guest that is there already is left alone, a move that is already under way
    to the wanted node is adopted, and success is claimed only when the guest is on the target, unlocked, in the state
    that it had, and the task that really moved it has ended well.
  - Guests under HA go by way of the HA manager. Its own task ends after a second and means no more than that the
    request is queued; this module follows the move to its real end.
  - On the controller the task shows how far the move is, a line a step.
  - A move that is not done in time goes on. Running the task again attaches to it.
  - It moves a guest between nodes. Bringing a disk to another storage of the same node, and keeping copies on other
    nodes by replication, are different jobs.
notes:
  - "Privileges: C(VM.Migrate) and C(VM.Audit) on C(/vms/{vmid}); C(Sys.Audit) on C(/nodes/{node}) to follow tasks of
    others; for guests under HA C(Sys.Audit) on C(/). With O(target_storage) also C(VM.Config.Disk) on the guest and
    C(Datastore.AllocateSpace) on the target storages. With O(sync_first) C(VM.Replicate) on the guest, on Proxmox VE
    8.4 C(Datastore.Allocate) on C(/storage). With C(Datastore.Audit) on the storages of local disks a failure can say
    whether a disk was left behind."
  - A no-op costs one request to the API (two while the HA manager is moving the guest), a move six requests at most
    and then some for following it.
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
      - Shows the node before and after.
  idempotent:
    support: full
options:
  guest:
    description: Number of the guest, or its name when that is unique in the cluster.
    type: str
    required: true
  target:
    description:
      - The node, or several, best first. A guest that is on any of them stays; else it goes to the first one that
        nothing speaks against.
    type: list
    elements: str
    required: true
  mode:
    description:
      - V(auto) moves a running VM while it runs, a running container by shutting it down, moving and starting it, and
        a stopped guest as it is.
      - V(online) insists on a live migration, V(restart) on a restart, V(offline) on a guest that is stopped.
    type: str
    choices: [auto, online, restart, offline]
    default: auto
  with_local_disks:
    description: Copy disks on local storage along when a VM moves while it runs.
    type: bool
    default: true
  target_storage:
    description:
      - Where disks on local storage go, a storage for all, or a mapping of source to target storage. Others keep
        their storage. Disks on shared storage are never moved.
      - Refused for guests under HA, because the HA manager ignores it.
    type: raw
  bwlimit:
    description:
      - Limit in KiB/s, 0 for none. Limits of the datacenter and of storages can only be lowered without special
        privileges.
      - Refused for guests under HA, because the HA manager ignores it.
    type: int
  migration_type:
    description:
      - Encrypt the traffic or not, other than the datacenter's setting. Needs V(root@pam) with a password.
    type: str
    choices: [secure, insecure]
  migration_network:
    description:
      - Network in CIDR notation for the traffic, other than the datacenter's setting. Needs V(root@pam) with a
        password.
    type: str
  with_conntrack_state:
    description: Take the firewall's connection tracking along. Proxmox VE 9.0 and later, VMs only.
    type: bool
  restart_timeout:
    description: Seconds that a container may take to shut down.
    type: int
  sync_first:
    description:
      - Run the replication job to the target once before moving, so that the move has little left to copy.
      - By default this is done when there is such a job and its last run is older than O(sync_max_age).
    type: bool
  sync_max_age:
    description: Age in seconds from which a replica is brought up to date first.
    type: int
    default: 900
  preflight:
    description:
      - V(enforce) does not start a move that a finding blocks, V(warn) only reports findings, V(skip) does not look.
      - It looks at what few requests tell, such as nodes, memory and CPUs, HA, devices and disks. Processors, networks
        and versions take a snapshot, which M(pve.mobility.preflight) judges.
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
      - Whether to wait for the end. Without waiting, RV(follow) can be given to M(pve.mobility.follow).
    type: bool
    default: true
  follow:
    description:
      - RV(follow) of an earlier run with O(wait=false). That very move is waited for, nothing is looked for or started,
        and O(timeout) counts from when it was asked for.
    type: dict
  timeout:
    description: Seconds to wait at most, 0 for no limit.
    type: int
    default: 3600
  on_timeout:
    description:
      - V(leave) lets a move that is not done in time go on, V(cancel) cancels it and says where the guest is then.
    type: str
    choices: [leave, cancel]
    default: leave
seealso:
  - module: pve.mobility.follow
  - module: pve.mobility.cluster_info
"""

EXAMPLES = r"""
- name: Bring the billing database to pve3
  pve.mobility.migrate:
    guest: billing-db
    target: pve3

- name: Bring a guest to either of two nodes, and say first what would happen
  pve.mobility.migrate:
    guest: 104
    target: [pve3, pve4]
  check_mode: true
  diff: true

- name: Move the disks along to another storage, at 200 MiB/s at most
  pve.mobility.migrate:
    guest: 104
    target: pve3
    target_storage:
      local-lvm: tank
    bwlimit: 204800

- name: Start a move and go on; attach to it later
  pve.mobility.migrate:
    guest: 104
    target: pve3
    wait: false
  register: move

- name: Wait for it
  pve.mobility.follow:
    guests: ["{{ move.follow }}"]
  when: move.follow is defined
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
source:
  description: The node on which it was.
  returned: success
  type: str
  sample: pve1
target:
  description: The node to which it was, or would be, brought.
  returned: success
  type: str
  sample: pve3
node:
  description: The node on which it is now.
  returned: success
  type: str
  sample: pve3
mode:
  description: How it moved, V(online), V(restart) or V(offline).
  returned: success
  type: str
  sample: online
moved:
  description: Whether it has moved in this run. False in check mode, and when there was nothing to do.
  returned: success
  type: bool
  sample: true
adopted:
  description: Whether the move was already under way.
  returned: success
  type: bool
  sample: false
ha:
  description: Whether it went through the HA manager.
  returned: success
  type: bool
  sample: false
task:
  description: UPID of the task that really moved it. Unknown before it has started.
  returned: success
  type: str
  sample: "UPID:pve1:00000BB1:0003C646:6B03ABA2:qmigrate:104:automation@pve!mobility:"
duration_s:
  description: Seconds that the move took.
  returned: success
  type: float
  sample: 552.0
downtime_ms:
  description: Milliseconds for which a VM was paused. Unknown for offline moves and containers.
  returned: success
  type: int
  sample: 64
bytes:
  description: Bytes of disks and memory that were copied, as far as the log says.
  returned: success
  type: int
  sample: 126701535232
rate_bytes_s:
  description: Mean rate in bytes per second.
  returned: success
  type: int
  sample: 229531766
warnings:
  description: Warnings of a task that ended well, and problems after the guest had arrived.
  returned: when there are any
  type: list
  elements: str
  sample: ["The move ended with a problem after the guest had arrived: can't deactivate LV"]
findings:
  description: What was found before the move.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: Stable name of the finding, for O(accept).
      type: str
      sample: storage-not-on-target
    severity:
      description: V(block), V(warn) or V(info).
      type: str
      sample: block
    message:
      description: What is the matter, and where.
      type: str
      sample: storage tank is disabled or not available on pve3
    remedy:
      description: How to fix it.
      type: str
      sample: "add pve3 to the storage's nodes, or map it: target_storage: {tank: other}"
    evidence:
      description: The values that it rests on.
      type: dict
      sample: {}
    guest:
      description: Number of the guest that it is about.
      type: int
      sample: 104
    node:
      description: Node that it is about.
      type: str
      sample: pve3
    storage:
      description: Storage that it is about.
      type: str
      sample: tank
follow:
  description: Handle for M(pve.mobility.follow).
  returned: when O(wait=false) and a move runs
  type: dict
  sample: {"vmid": 104, "source": "pve1", "target": "pve3"}
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
      description: Where the guest is now.
      type: str
      sample: pve1
    status:
      description: Whether it runs.
      type: str
      sample: running
    lock:
      description: A lock that remains.
      type: str
      sample: null
    leftovers:
      description: Volumes that were left behind.
      type: list
      elements: str
      sample: []
    task:
      description: UPID of the task that failed.
      type: str
      sample: "UPID:pve1:00000BB1:0003C646:6B03ABA2:qmigrate:104:automation@pve!mobility:"
    log_tail:
      description: Last lines of its log.
      type: list
      elements: str
      sample: ["TASK ERROR: migration aborted"]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.migrate import Migration
from ansible_collections.pve.mobility.plugins.module_utils.execution.migrate import run as migrate
from ansible_collections.pve.mobility.plugins.module_utils.execution.request import from_options
from ansible_collections.pve.mobility.plugins.module_utils.surface import run, spec


def main() -> None:
    module = AnsibleModule(
        argument_spec=spec(
            guest={"type": "str", "required": True},
            target={"type": "list", "elements": "str", "required": True},
            mode={"type": "str", "choices": ["auto", "online", "restart", "offline"], "default": "auto"},
            with_local_disks={"type": "bool", "default": True},
            target_storage={"type": "raw"},
            bwlimit={"type": "int"},
            migration_type={"type": "str", "choices": ["secure", "insecure"]},
            migration_network={"type": "str"},
            with_conntrack_state={"type": "bool"},
            restart_timeout={"type": "int"},
            sync_first={"type": "bool"},
            sync_max_age={"type": "int", "default": 900},
            preflight={"type": "str", "choices": ["enforce", "warn", "skip"], "default": "enforce"},
            accept={"type": "list", "elements": "str", "default": []},
            wait={"type": "bool", "default": True},
            follow={"type": "dict"},
            timeout={"type": "int", "default": 3600},
            on_timeout={"type": "str", "choices": ["leave", "cancel"], "default": "leave"},
        ),
        supports_check_mode=True,
    )

    def work(session: Session, clock: Clock) -> dict[str, Any]:
        request = from_options(module.params, session.connection)
        params = module.params
        migration = Migration(session, clock, request)
        return migrate(migration, check=module.check_mode, wait=params["wait"], handle=params["follow"])

    run(module, work)


if __name__ == "__main__":
    main()
