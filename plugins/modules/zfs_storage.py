#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A ZFS storage."""

from __future__ import annotations

DOCUMENTATION = r"""
module: zfs_storage
short_description: Keep the definition of a ZFS storage, the same on every node
version_added: 1.0.0
author: pve.mobility contributors (@pve-mobility)
description:
  - Creates, changes or removes a storage of type C(zfspool). One storage ID is one definition for the whole cluster, so
    the same dataset must exist on every node; replication, and migrations without O(ignore:target_storage), rest on it.
  - It proves pool and dataset on each node before a node is added, and refuses what would take a disk away from a
    guest, also when nobody can tell whether there is one. Proxmox VE itself checks neither.
  - The dataset of a storage, and its type, never change. When another one is wanted the module says what would have to
    happen instead.
notes:
  - "Privileges: C(Datastore.Audit) and C(Datastore.Allocate) on C(/storage), C(Sys.Audit) on C(/) to see the pools of
    nodes that are added, and C(VM.Audit) on C(/vms) to see the guests of nodes that are taken away."
  - It writes under the digest of C(storage.cfg). When somebody else has written meanwhile it reads and judges once
    more.
  - O(sparse) and O(blocksize) are for volumes to come; those that exist stay as they are.
  - Proxmox VE activates a new storage on the node that takes the request, if that is among its nodes.
extends_documentation_fragment:
  - pve.mobility.api
  - pve.mobility.attributes
options:
  storage:
    description: The ID.
    type: str
    required: true
  state:
    description:
      - Whether it is defined. V(absent) removes the definition and never any data.
    type: str
    choices: [present, absent]
    default: present
  pool:
    description: The dataset, such as V(rpool/data). Needed for a new storage; it cannot change later.
    type: str
  content:
    description: What it may hold. A new storage holds both, unless told otherwise.
    type: list
    elements: str
    choices: [images, rootdir]
  nodes:
    description:
      - Nodes that have it. An empty list stands for every node, also those that join later. Without the option it stays
        as it is; a new storage is on every node.
    type: list
    elements: str
  sparse:
    description: Whether new volumes take only what is written to them.
    type: bool
  blocksize:
    description: Block size of new volumes, a power of 2, such as V(16k).
    type: str
  mountpoint:
    description: Where the dataset is mounted. Proxmox VE finds that out by itself when a storage is created.
    type: path
  disable:
    description: Whether it is switched off on every node.
    type: bool
  bwlimit:
    description: Limits in KiB/s, merged with those that are there.
    type: dict
    suboptions:
      clone:
        description: For clones.
        type: float
      default:
        description: For everything without a limit of its own.
        type: float
      migration:
        description: For migrations.
        type: float
      move:
        description: For moves of disks.
        type: float
      restore:
        description: For restores from backups.
        type: float
  preflight:
    description: Whether what is found stops the change. V(warn) only says it, V(skip) does not look.
    type: str
    choices: [enforce, warn, skip]
    default: enforce
  accept:
    description:
      - Findings that do not stop the change, by their IDs, such as V(dataset-missing).
      - V(release-unproven) is one too. It is found when a node is off that may run a newer release than every API host,
        so that the write might drop what only that node can read.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - It shows the definition as it is in C(storage.cfg).
  idempotent:
    support: full
seealso:
  - module: pve.mobility.zfs_storage_info
  - module: pve.mobility.cluster_options
"""

EXAMPLES = r"""
- name: The same storage on the same dataset of every node
  pve.mobility.zfs_storage:
    storage: tank
    pool: tank/vm
    sparse: true
    nodes: []

- name: Only on the nodes that have the pool
  pve.mobility.zfs_storage:
    storage: fast
    pool: nvme/vm
    nodes: [pve1, pve2]

- name: See what each node says of its pool
  pve.mobility.zfs_storage:
    storage: tank
  check_mode: true
  register: tank

- name: Remove a definition that nothing uses
  pve.mobility.zfs_storage:
    storage: old-tank
    state: absent
"""

RETURN = r"""
storage:
  description: The definition as it is now, or would be in check mode; none when it is absent.
  returned: success
  type: dict
  sample: {"storage": "tank", "type": "zfspool", "pool": "tank/vm", "content": "images,rootdir", "sparse": "1"}
nodes:
  description: What each node says of the storage and its pool. Bytes.
  returned: success
  type: list
  elements: dict
  contains:
    node: {description: The node., type: str, sample: pve1}
    enabled: {description: Whether the definition is for this node and switched on., type: bool, sample: true}
    active: {description: Whether it works., type: bool, sample: true}
    total: {description: Size of the storage., type: int, sample: 1992864825344}
    used: {description: What is used of it., type: int, sample: 1208925819614}
    avail: {description: What is left., type: int, sample: 783939005730}
    health: {description: "Health of the pool, none where it does not exist.", type: str, sample: ONLINE}
    dataset: {description: "Whether the dataset exists, none when nobody could tell.", type: bool, sample: true}
    pool_size: {description: Size of the pool., type: int, sample: 1992864825344}
    pool_alloc: {description: What is used of the pool., type: int, sample: 1208925819614}
    capacity: {description: Per cent of the pool in use., type: int, sample: 61}
    why: {description: Why nobody could tell., type: str, sample: ""}
updated:
  description: Options that were written.
  returned: success
  type: list
  elements: str
  sample: [nodes]
removed:
  description: Options that were removed.
  returned: success
  type: list
  elements: str
  sample: []
findings:
  description: What was found about the change.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description:
        - V(dataset-missing), V(dataset-unproven), V(pool-unhealthy), V(storage-twice), V(storage-in-use),
          V(storage-unproven) or V(storage-holds-copies).
      type: str
      sample: dataset-missing
    severity: {description: "V(block), V(warn) or V(info).", type: str, sample: block}
    message: {description: "What is the matter, and where.", type: str, sample: pve3 has no pool tank}
    remedy: {description: How to fix it., type: str, sample: create or import the pool there}
    evidence: {description: The values that it rests on., type: dict, sample: {"pool": "tank/vm"}}
    guest: {description: Number of the guest that it is about., type: int, sample: 104}
    node: {description: Node that it is about., type: str, sample: pve3}
    storage: {description: Storage that it is about., type: str, sample: tank}
through:
  description: The API host that was used, and its release.
  returned: success
  type: dict
  sample: {"host": "pve1.example.org:8006", "release": "9.2"}
failure:
  description: Facts about a failure, to branch on.
  returned: failure
  type: dict
  contains:
    kind:
      description:
        - V(permission), V(no_quorum), V(node_unreachable), V(not_found), V(blocked), V(conflict), V(invalid) or
          V(unsupported), which a change of the dataset is.
      type: str
      sample: blocked
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.zfs_storage import from_options
from ansible_collections.pve.mobility.plugins.module_utils.execution.zfs_storage import run as keep
from ansible_collections.pve.mobility.plugins.module_utils.surface import run, spec

LIMITS = {name: {"type": "float"} for name in ("clone", "default", "migration", "move", "restore")}


def main() -> None:
    module = AnsibleModule(
        argument_spec=spec(
            storage={"type": "str", "required": True},
            state={"type": "str", "choices": ["present", "absent"], "default": "present"},
            pool={"type": "str"},
            content={"type": "list", "elements": "str", "choices": ["images", "rootdir"]},
            nodes={"type": "list", "elements": "str"},
            sparse={"type": "bool"},
            blocksize={"type": "str"},
            mountpoint={"type": "path"},
            disable={"type": "bool"},
            bwlimit={"type": "dict", "options": LIMITS},
            preflight={"type": "str", "choices": ["enforce", "warn", "skip"], "default": "enforce"},
            accept={"type": "list", "elements": "str", "default": []},
        ),
        supports_check_mode=True,
    )

    def work(session: Session, _clock: Clock) -> dict[str, Any]:
        return keep(session, from_options(module.params), check=module.check_mode)

    run(module, work)


if __name__ == "__main__":
    main()
