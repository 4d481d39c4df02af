#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cluster at a glance."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_info
short_description: Read the nodes and guests of a cluster
version_added: 1.0.0
author: pve.mobility contributors (@pve-mobility)
description:
  - Reads which nodes and guests a cluster has, in one request.
notes:
  - "Privileges: C(VM.Audit) on the guests that are to be seen, C(Sys.Audit) on the nodes for their sizes."
extends_documentation_fragment:
  - pve.mobility.api
  - pve.mobility.attributes
  - pve.mobility.attributes.info
options:
  subset:
    description: Which parts to return.
    type: list
    elements: str
    choices: [nodes, guests]
    default: [nodes, guests]
attributes:
  action_group:
    support: full
seealso:
  - module: pve.mobility.migrate
"""

EXAMPLES = r"""
- name: See which guests there are
  pve.mobility.cluster_info:
    subset: [guests]
  register: cluster

- name: Show those that run on pve1
  ansible.builtin.debug:
    msg: "{{ cluster.guests | selectattr('node', 'eq', 'pve1') | map(attribute='label') }}"
"""

RETURN = r"""
schema:
  description: Version of the shape of this result.
  returned: success
  type: int
  sample: 1
nodes:
  description: The nodes, by name.
  returned: when V(nodes) is in O(subset)
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: pve1
    status:
      description: V(online), V(offline) or V(unknown).
      type: str
      sample: online
    maintenance:
      description: Whether it is in HA maintenance mode.
      type: bool
      sample: false
    maxmem:
      description: Memory in bytes.
      type: int
      sample: 137438953472
    mem:
      description: Memory in use, in bytes.
      type: int
      sample: 51539607552
    maxcpu:
      description: Number of CPU threads.
      type: float
      sample: 32
guests:
  description: The guests, by number. Status, name and memory may be ten seconds old.
  returned: when V(guests) is in O(subset)
  type: list
  elements: dict
  contains:
    vmid:
      description: Its number.
      type: int
      sample: 104
    label:
      description: Number and name.
      type: str
      sample: 104 billing-db
    name:
      description: Its name.
      type: str
      sample: billing-db
    type:
      description: V(qemu) or V(lxc).
      type: str
      sample: qemu
    node:
      description: The node on which it is.
      type: str
      sample: pve1
    status:
      description: V(running), V(stopped) or V(unknown).
      type: str
      sample: running
    lock:
      description: What locks it, if anything.
      type: str
      sample: null
    hastate:
      description: State in the HA manager, if that manages it.
      type: str
      sample: started
    template:
      description: Whether it is a template.
      type: bool
      sample: false
    maxmem:
      description: Memory in bytes.
      type: int
      sample: 8589934592
    maxdisk:
      description: Size of its first disk in bytes.
      type: int
      sample: 118111600640
    maxcpu:
      description: Number of its CPUs.
      type: float
      sample: 4
    tags:
      description: Its tags.
      type: list
      elements: str
      sample: [production]
    pool:
      description: Its resource pool.
      type: str
      sample: null
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.locate import read_resources
from ansible_collections.pve.mobility.plugins.module_utils.surface import run, spec

PARTS = ["nodes", "guests"]


def main() -> None:
    module = AnsibleModule(
        argument_spec=spec(subset={"type": "list", "elements": "str", "choices": PARTS, "default": PARTS}),
        supports_check_mode=True,
    )

    def work(session: Session, clock: Clock) -> dict[str, Any]:
        seen = read_resources(session)
        result: dict[str, Any] = {"schema": 1}
        if "nodes" in module.params["subset"]:
            result["nodes"] = [asdict(node) for node in seen.nodes]
        if "guests" in module.params["subset"]:
            result["guests"] = [asdict(guest) | {"label": guest.label} for guest in seen.guests]
        return result

    run(module, work)


if __name__ == "__main__":
    main()
