#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What each guest would lose if its node failed now."""

from __future__ import annotations

DOCUMENTATION = r"""
module: failover_info
short_description: See what each guest would lose if its node failed now
version_added: 1.0.0
author: pve.mobility contributors (@pve-mobility)
description:
  - Tells of each guest which nodes have a copy, how old the copies are, how much work would be lost, whether the HA
    manager keeps to the nodes that have a copy, and whether there is a backup.
  - The HA manager looks at none of this before it recovers a guest.
  - With O(rpo) a guest is not ok when more than that would be lost. It changes nothing and does not fail for that; the
    playbook C(pve.mobility.failover_check) does.
notes:
  - "Privileges: those of M(pve.mobility.replication_info), C(Datastore.Audit) on C(/storage), C(Sys.Audit) on C(/) for
    HA and backup jobs. Backups are only seen with C(VM.Backup) on C(/vms) and C(Datastore.AllocateSpace) on
    C(/storage). What is missing is named in RV(unread)."
  - A node that is off tells nothing of its jobs. Then O(node_facts) of the targets say how old the copies are, or
    O(previous) how old they are at most.
  - This costs what M(pve.mobility.replication_info) costs, one request for each guest, one for each storage with
    backups, and six more.
extends_documentation_fragment:
  - pve.mobility.api
  - pve.mobility.attributes
  - pve.mobility.attributes.info
attributes:
  action_group:
    support: full
options:
  guests:
    description: Guests that match one of each kind that is given; without it all. Templates are left out.
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
  node:
    description: The node that fails, or has failed; only its guests are told.
    type: str
  rpo:
    description: Seconds of work that a guest may lose. Without it no guest is found wanting.
    type: int
  rpo_by_tag:
    description: Seconds for guests with a tag, instead of O(rpo); of several tags the least.
    type: dict
  require_ha:
    description: A guest is not ok either when the HA manager may start it where no copy is.
    type: bool
    default: false
  require_backup:
    description: A guest is not ok either when no backup of it was found.
    type: bool
    default: false
  previous:
    description: Result of an earlier M(pve.mobility.replication_info), for guests whose node is off.
    type: dict
  node_facts:
    description:
      - Results of M(pve.mobility.zfs_info) with all snapshots, by node, for guests whose node is off.
    type: dict
seealso:
  - module: pve.mobility.replication_info
  - module: pve.mobility.zfs_info
"""

EXAMPLES = r"""
- name: What is lost if pve1 fails now
  pve.mobility.failover_info:
    node: pve1
    rpo: 900
    rpo_by_tag:
      db: 300
  register: outlook

- name: Say it
  ansible.builtin.debug:
    msg: "{{ outlook.summary }}"
"""

RETURN = r"""
collected_at:
  description: Unix time in the cluster.
  returned: success
  type: int
  sample: 1795402232
ok:
  description: Whether every guest can go on elsewhere as demanded.
  returned: success
  type: bool
  sample: false
summary:
  description: The same in a sentence.
  returned: success
  type: str
  sample: 1 of 23 guests of pve1 cannot go on elsewhere as demanded, at most 840 s of work where there is a copy.
blocked:
  description: Numbers of the guests that cannot.
  returned: success
  type: list
  elements: int
  sample: [120]
guests:
  description: The guests.
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
    label:
      description: Number and name.
      type: str
      sample: 104 billing-db
    type:
      description: V(qemu) for a VM, V(lxc) for a container.
      type: str
      sample: qemu
    tags:
      description: Its tags.
      type: list
      elements: str
      sample: [db]
    node:
      description: The node on which it is.
      type: str
      sample: pve1
    node_online:
      description: Whether that node is up.
      type: bool
      sample: true
    data:
      description:
        - V(shared), nothing of it is on the node; V(copied), it has copies; V(local), it is on its node alone;
          V(unknown).
      type: str
      sample: copied
    copies:
      description: Nodes that have, or should have, its data.
      type: list
      elements: dict
      contains:
        node:
          description: The node.
          type: str
          sample: pve2
        online:
          description: Whether it is up.
          type: bool
          sample: true
        job:
          description: ID of the replication job.
          type: str
          sample: 104-0
        last_sync:
          description: Unix time of the copy, 0 for never, none when it is not known.
          type: int
          sample: 1795402020
        age_s:
          description: Its age in seconds.
          type: int
          sample: 212
        witness:
          description: Who says so, V(job), V(snapshot) of ZFS on the target, or V(previous), then it may be fresher.
          type: str
          sample: job
    best:
      description: The node with the freshest copy that can be used.
      type: str
      sample: pve2
    expected_loss_s:
      description: Seconds of work that would be lost; none when all would be, or that is not known.
      type: int
      sample: 212
    rpo_s:
      description: What is demanded.
      type: int
      sample: 300
    ha:
      description: What the HA manager may do. C(nodes) none stands for any node.
      type: dict
      sample: {"managed": true, "nodes": ["pve1", "pve2"], "ok": true}
    backup:
      description: The newest backup that could be seen, and whether a backup job covers the guest.
      type: dict
      sample: {"last": 1795370400, "age_s": 31832, "planned": true}
    ok:
      description: Whether it can go on elsewhere as demanded.
      type: bool
      sample: true
    blocks:
      description: Why not.
      type: list
      elements: str
      sample: []
    warnings:
      description: What else is not as it should be.
      type: list
      elements: str
      sample: []
unread:
  description: What could not be read, with the reason.
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
      sample: node_unreachable
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pve.mobility.plugins.module_utils.execution.failover_info import from_options
from ansible_collections.pve.mobility.plugins.module_utils.execution.failover_info import run as look
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
            node={"type": "str"},
            rpo={"type": "int"},
            rpo_by_tag={"type": "dict"},
            require_ha={"type": "bool", "default": False},
            require_backup={"type": "bool", "default": False},
            previous={"type": "dict"},
            node_facts={"type": "dict"},
        ),
        supports_check_mode=True,
    )
    run(module, lambda session, clock: look(session, from_options(module.params)))


if __name__ == "__main__":
    main()
