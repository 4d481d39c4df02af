#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ZFS storages against their standard."""

from __future__ import annotations

DOCUMENTATION = r"""
module: zfs_storage_info
short_description: Hold the ZFS storages of a cluster against their standard
version_added: 1.0.0
author: pve.mobility contributors (@pve-mobility)
description:
  - Compares a map of storage IDs and datasets with the cluster. Pools and datasets of every node, their health and how
    full they are, the definitions, and the disks of guests.
  - It finds the same dataset under several IDs, IDs for single nodes that should be one, C(nodes) lists that leave a
    node out, and disks on storages that are not in the standard.
  - It says what M(pve.mobility.zfs_storage) can repair, and which disks M(pve.mobility.move_disk) has to move, with
    the proof that they fit.
  - The role C(pve.mobility.zfs_storage) does all of it in order.
notes:
  - "Privileges: C(Datastore.Audit) on C(/storage), C(Sys.Audit) on C(/), C(VM.Audit) on C(/vms); to look for datasets
    and disks of guests C(Datastore.Allocate) on C(/storage), and with O(recent) C(Sys.Audit) on C(/nodes)."
extends_documentation_fragment:
  - pve.mobility.api
  - pve.mobility.attributes
  - pve.mobility.attributes.info
options:
  storages:
    description:
      - The standard. ID of each storage, with C(pool), and if wanted C(content) (images and rootdir), C(nodes) (all),
        C(sparse), C(blocksize), C(mountpoint), C(bwlimit) and C(disable) (false), as M(pve.mobility.zfs_storage) takes
        them.
    type: dict
    required: true
  node_facts:
    description:
      - By node the result of M(pve.mobility.zfs_info), which knows more of a pool than the API, and how much of a
        volume is really used.
    type: dict
    default: {}
  capacity_warn:
    description: Per cent of a pool from which on it is called full.
    type: int
    default: 80
  recent:
    description:
      - How many of the newest migrations of each node to look at for uses of C(target_storage), which a standard makes
        the exception. V(0) looks at none.
    type: int
    default: 0
seealso:
  - module: pve.mobility.zfs_storage
  - module: pve.mobility.zfs_info
  - module: pve.mobility.move_disk
"""

EXAMPLES = r"""
- name: Hold the cluster against its standard
  pve.mobility.zfs_storage_info:
    storages:
      tank: {pool: tank/vm, sparse: true}
      fast: {pool: nvme/vm, nodes: [pve1, pve2]}
  register: audit

- name: Carry out what has to be moved
  pve.mobility.move_disk:
    guest: "{{ item.guest }}"
    disk: "{{ item.disk }}"
    storage: "{{ item.storage }}"
    delete: "{{ item.delete }}"
    allow_stop: "{{ item.stop }}"
  loop: "{{ audit.plan.moves }}"
"""

RETURN = r"""
ok:
  description: Whether there is nothing to repair and nothing to say beside remarks.
  returned: success
  type: bool
  sample: false
summary:
  description: The result in one line.
  returned: success
  type: str
  sample: "2 ZFS storages: 1 block, 2 warn, 1 to repair, 3 disks to move (61.0 GiB)"
storages:
  description: The storages of the standard, and what each node says of them as for M(pve.mobility.zfs_storage).
  returned: success
  type: list
  elements: dict
  sample: [{"storage": "tank", "pool": "tank/vm", "defined": true, "nodes": []}]
not_standard:
  description: ZFS storages that are not in the standard.
  returned: success
  type: list
  elements: dict
  sample: [{"storage": "tank-pve1", "pool": "tank/vm", "nodes": ["pve1"]}]
findings:
  description: What is not as it should be, the worst first.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description:
        - V(storage-undefined), V(storage-drift), V(storage-wrong-pool), V(storage-wrong-type), V(storage-twice),
          V(storage-per-node), V(storage-inactive), V(dataset-missing), V(dataset-unproven), V(pool-missing),
          V(pool-unhealthy), V(pool-full), V(disks-not-standard), V(disk-not-standard), V(disk-no-space),
          V(standard-unproven) or V(target-storage-used).
      type: str
      sample: storage-drift
    severity: {description: "V(block), V(warn) or V(info).", type: str, sample: warn}
    message: {description: "What is the matter, and where.", type: str, sample: "nodes of tank is pve1,pve2, not all"}
    remedy: {description: How to fix it., type: str, sample: the role sets it}
    evidence: {description: The values that it rests on., type: dict, sample: {"key": "nodes"}}
    guest: {description: Number of the guest that it is about., type: int, sample: 104}
    node: {description: Node that it is about., type: str, sample: pve3}
    storage: {description: Storage that it is about., type: str, sample: tank}
repairs:
  description: Options for M(pve.mobility.zfs_storage), a set for each storage that can be repaired.
  returned: success
  type: list
  elements: dict
  sample: [{"storage": "tank", "pool": "tank/vm", "nodes": []}]
create:
  description: Datasets that are missing in pools that exist.
  returned: success
  type: list
  elements: dict
  sample: [{"node": "pve3", "dataset": "tank/vm", "storage": "tank"}]
unread:
  description: Parts that may be incomplete, with the privilege that is missing.
  returned: success
  type: list
  elements: str
  sample: []
plan:
  description: What has to be moved so that every disk is on a standard storage.
  returned: success
  type: dict
  contains:
    bytes: {description: Of all moves together., type: int, sample: 65498251264}
    moves:
      description: One for each disk.
      type: list
      elements: dict
      contains:
        guest: {description: Number of the guest., type: int, sample: 104}
        name: {description: Its name., type: str, sample: billing-db}
        node: {description: Where it is., type: str, sample: pve1}
        disk: {description: The disk., type: str, sample: scsi0}
        from_storage: {description: Where the disk is., type: str, sample: tank-pve1}
        storage: {description: Where it should be., type: str, sample: tank}
        size: {description: Its size., type: int, sample: 34359738368}
        bytes: {description: What is really there as far as known., type: int, sample: 21474836480}
        stop: {description: Whether a container has to be stopped for it., type: bool, sample: false}
        delete: {description: Whether the source can be deleted at once., type: bool, sample: true}
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
      sample: permission
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.zfs_standard import run as hold
from ansible_collections.pve.mobility.plugins.module_utils.execution.zfs_standard import standards
from ansible_collections.pve.mobility.plugins.module_utils.surface import run, spec


def main() -> None:
    module = AnsibleModule(
        argument_spec=spec(
            storages={"type": "dict", "required": True},
            node_facts={"type": "dict", "default": {}},
            capacity_warn={"type": "int", "default": 80},
            recent={"type": "int", "default": 0},
        ),
        supports_check_mode=True,
    )

    def work(session: Session, _clock: Clock) -> dict[str, Any]:
        params = module.params
        wishes = standards(params["storages"])
        return hold(session, wishes, params["node_facts"], params["capacity_warn"], params["recent"])

    run(module, work)


if __name__ == "__main__":
    main()
