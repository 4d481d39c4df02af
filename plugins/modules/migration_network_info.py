#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The networks of migrations and replication."""

from __future__ import annotations

DOCUMENTATION = r"""
module: migration_network_info
short_description: Prove that migrations can use a network, and say what they really carry
version_added: 1.0.0
author: pve.mobility contributors (@pve-mobility)
description:
  - Reads how migrations and replication go, and proves of a network that every node has exactly one active address in
    it, that it is not corosync's own link, and that the MTU is the same everywhere.
  - It takes real rates from the logs of recent migrations.
  - The role C(pve.mobility.migration_network) also looks at the speed of links and of SSH, which the API does not know.
notes:
  - "Privileges: C(Sys.Audit) on C(/), C(SDN.Audit) on C(/sdn/zones/localnetwork) to see the bridges of nodes, and with
    O(recent) C(Sys.Audit) on C(/nodes) to see the migrations of others."
extends_documentation_fragment:
  - pve.mobility.api
  - pve.mobility.attributes
  - pve.mobility.attributes.info
options:
  networks:
    description: Networks to prove, without host bits, such as V(10.10.0.0/24). Those that are set without it.
    type: list
    elements: str
    default: []
  recent:
    description: How many of the newest migrations of each node to take rates from. V(0) takes none.
    type: int
    default: 10
seealso:
  - module: pve.mobility.cluster_options
"""

EXAMPLES = r"""
- name: Can migrations go over this network
  pve.mobility.migration_network_info:
    networks: [10.10.0.0/24]
  register: network

- name: Say why not
  ansible.builtin.debug:
    msg: "{{ network.findings | map(attribute='message') | list }}"
  when: not network.ok
"""

RETURN = r"""
ok:
  description: Whether nothing speaks against the networks.
  returned: success
  type: bool
  sample: true
migration:
  description: How migrations go. Without a network over the address by which the cluster knows a node.
  returned: success
  type: dict
  sample: {"type": "secure", "network": "10.10.0.0/24"}
replication:
  description: How replication goes, and whether that is only because migrations do.
  returned: success
  type: dict
  sample: {"type": "secure", "network": "10.10.0.0/24", "follows_migration": true}
bwlimit:
  description: Limits in KiB/s.
  returned: success
  type: dict
  sample: {"migration": 512000}
networks:
  description: The networks, and where each node is in them.
  returned: success
  type: list
  elements: dict
  contains:
    network: {description: The network., type: str, sample: 10.10.0.0/24}
    ok: {description: Whether nothing speaks against it., type: bool, sample: true}
    nodes:
      description: Nodes with exactly one address in it.
      type: list
      elements: dict
      contains:
        node: {description: The node., type: str, sample: pve1}
        interface: {description: Its interface., type: str, sample: bond1}
        address: {description: Its address., type: str, sample: 10.10.0.1}
        mtu: {description: The MTU of the interface., type: int, sample: 9000}
        ports: {description: The ports below it., type: list, elements: str, sample: [eno2, eno3]}
findings:
  description: What speaks against the networks, the worst first.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description:
        - V(network-no-address), V(network-many-addresses), V(network-unproven), V(network-corosync), V(network-mtu),
          V(network-prefix) or V(network-overlap).
      type: str
      sample: network-no-address
    severity: {description: "V(block), V(warn) or V(info).", type: str, sample: block}
    message: {description: "What is the matter, and where.", type: str, sample: pve3 has no address in 10.10.0.0/24}
    remedy: {description: How to fix it., type: str, sample: give one interface of pve3 an address there}
    evidence: {description: The values that it rests on., type: dict, sample: {"network": "10.10.0.0/24"}}
    node: {description: Node that it is about., type: str, sample: pve3}
unread:
  description: Parts that may be incomplete, with the privilege that is missing.
  returned: success
  type: list
  elements: str
  sample: []
observed:
  description: What recent migrations carried, in bytes per second; none when no log tells. The values are medians.
  returned: success
  type: dict
  sample: {"moves": 12, "rate_bytes_s": 229531766.0, "downtime_ms": 61.0, "pairs": []}
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
from ansible_collections.pve.mobility.plugins.module_utils.execution.network_info import run as look
from ansible_collections.pve.mobility.plugins.module_utils.surface import run, spec


def main() -> None:
    module = AnsibleModule(
        argument_spec=spec(
            networks={"type": "list", "elements": "str", "default": []},
            recent={"type": "int", "default": 10},
        ),
        supports_check_mode=True,
    )

    def work(session: Session, _clock: Clock) -> dict[str, Any]:
        return look(session, module.params["networks"], module.params["recent"])

    run(module, work)


if __name__ == "__main__":
    main()
