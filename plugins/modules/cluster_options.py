#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options of the datacenter."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_options
short_description: Keep the options of datacenter.cfg that decide how guests move
version_added: 1.0.0
author: pve.mobility contributors (@pve-mobility)
description:
  - Sets keys of C(datacenter.cfg) sub-key by sub-key. Proxmox VE replaces a whole property with each write; this
    module keeps the sub-keys that are not mentioned, also those that it does not know.
  - Before it sets a network it proves that migrations can use it, which Proxmox VE does not. Each node must have
    exactly one active address in it, and it must not be corosync's own link.
  - It writes through the newest of the API hosts, and refuses when a newer node is in the cluster, because an older one
    erases what it cannot read.
notes:
  - "Privileges: C(Sys.Audit) and C(Sys.Modify) on C(/), and C(SDN.Audit) on C(/sdn/zones/localnetwork) to see the
    bridges of nodes when a network is set."
  - The file has no digest. The module reads it again after the write, and fails when it is not as it should be.
  - Addresses from DHCP, and those that are not in C(/etc/network/interfaces), are not known to the API.
extends_documentation_fragment:
  - pve.mobility.api
  - pve.mobility.attributes
options:
  migration:
    description:
      - How migrations go.
      - When the property is not set yet and no O(migration.type) is given, the one in force is written, because
        Proxmox VE demands a type.
    type: dict
    suboptions:
      type:
        description:
          - V(secure) goes through SSH. V(insecure) sends memory, and disks too, unencrypted.
        type: str
        choices: [secure, insecure]
      network:
        description: Network in which every node has one address, without host bits, such as V(10.10.0.0/24).
        type: str
  replication:
    description:
      - How replication goes, from Proxmox VE 9.0 on. Without it replication goes as migration does.
    type: dict
    suboptions:
      type:
        description: As for migrations; the type of migrations is taken when the property is not set yet.
        type: str
        choices: [secure, insecure]
      network:
        description: As for migrations. It must not overlap with the migration network, unless they are the same.
        type: str
  bwlimit:
    description: Limits in KiB/s, of disks and of memory. Replication does not obey them.
    type: dict
    suboptions:
      clone:
        description: For clones.
        type: float
      default:
        description: For everything without a limit of its own.
        type: float
      migration:
        description: For migrations, their local disks included.
        type: float
      move:
        description: For moves of disks.
        type: float
      restore:
        description: For restores from backups.
        type: float
  max_workers:
    description: How many guests a node starts, stops or migrates at a time in bulk, and the HA manager too.
    type: int
  ha:
    description: The HA manager.
    type: dict
    suboptions:
      shutdown_policy:
        description: What happens to HA services of a node that is shut down.
        type: str
        choices: [freeze, failover, conditional, migrate]
  crs:
    description: The scheduling of HA services. V(dynamic) and the automatic rebalancing need Proxmox VE 9.2.
    type: dict
    suboptions:
      ha:
        description: By which numbers nodes are compared.
        type: str
        choices: [basic, static, dynamic]
      ha_rebalance_on_start:
        description: Whether a service may start on another node than the one that it was on.
        type: bool
      ha_auto_rebalance:
        description: Whether running services are moved to even out the load.
        type: bool
      ha_auto_rebalance_threshold:
        description: Imbalance in per cent from which on services are moved.
        type: float
      ha_auto_rebalance_method:
        description: How the service to move is chosen.
        type: str
        choices: [bruteforce, topsis]
      ha_auto_rebalance_hold_duration:
        description: Rounds for which the imbalance must last.
        type: int
      ha_auto_rebalance_margin:
        description: Improvement in per cent that a move must bring.
        type: float
  absent:
    description:
      - Keys to remove, such as V(replication), or single sub-keys, such as V(migration.network) and V(bwlimit.move).
        A key without sub-keys left is removed.
    type: list
    elements: str
    default: []
  preflight:
    description:
      - Whether what is found about a new network stops the change. V(warn) only says it, V(skip) does not look.
    type: str
    choices: [enforce, warn, skip]
    default: enforce
  accept:
    description:
      - Findings that do not stop the change, by their IDs, such as V(network-corosync).
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
      - It shows the lines of C(datacenter.cfg) for the keys above.
  idempotent:
    support: full
seealso:
  - module: pve.mobility.migration_network_info
  - module: pve.mobility.zfs_storage
"""

EXAMPLES = r"""
- name: Send migrations over their own network
  pve.mobility.cluster_options:
    migration:
      type: secure
      network: 10.10.0.0/24

- name: Limit moves of disks, and leave other limits as they are
  pve.mobility.cluster_options:
    bwlimit:
      move: 200000

- name: Let replication go the way of migrations again
  pve.mobility.cluster_options:
    absent: [replication]

- name: Migrate HA services away when a node is shut down, and see what that would change
  pve.mobility.cluster_options:
    ha:
      shutdown_policy: migrate
  check_mode: true
  diff: true
"""

RETURN = r"""
options:
  description: The keys as they are now, or would be in check mode; sub-keys as text, as Proxmox VE writes them.
  returned: success
  type: dict
  sample: {"bwlimit": {"move": "200000"}, "migration": {"type": "secure", "network": "10.10.0.0/24"}}
updated:
  description: Keys that were written.
  returned: success
  type: list
  elements: str
  sample: [migration]
removed:
  description: Keys that were removed.
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
        - V(network-no-address), V(network-many-addresses), V(network-unproven), V(network-corosync), V(network-mtu),
          V(network-prefix), V(network-overlap), V(network-insecure) or V(options-forgotten).
      type: str
      sample: network-no-address
    severity: {description: "V(block), V(warn) or V(info).", type: str, sample: block}
    message: {description: "What is the matter, and where.", type: str, sample: pve3 has no address in 10.10.0.0/24}
    remedy: {description: How to fix it., type: str, sample: give one interface of pve3 an address there}
    evidence: {description: The values that it rests on., type: dict, sample: {"network": "10.10.0.0/24"}}
    node: {description: Node that it is about., type: str, sample: pve3}
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
        - V(permission), V(no_quorum), V(node_unreachable), V(blocked), V(conflict), V(invalid) or V(unsupported).
      type: str
      sample: blocked
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.options import from_options
from ansible_collections.pve.mobility.plugins.module_utils.execution.options import run as keep
from ansible_collections.pve.mobility.plugins.module_utils.surface import run, spec

WAY = {
    "type": "dict",
    "options": {"type": {"type": "str", "choices": ["secure", "insecure"]}, "network": {"type": "str"}},
}
LIMITS = {name: {"type": "float"} for name in ("clone", "default", "migration", "move", "restore")}
POLICIES = ["freeze", "failover", "conditional", "migrate"]
CRS = {
    "ha": {"type": "str", "choices": ["basic", "static", "dynamic"]},
    "ha_rebalance_on_start": {"type": "bool"},
    "ha_auto_rebalance": {"type": "bool"},
    "ha_auto_rebalance_threshold": {"type": "float"},
    "ha_auto_rebalance_method": {"type": "str", "choices": ["bruteforce", "topsis"]},
    "ha_auto_rebalance_hold_duration": {"type": "int"},
    "ha_auto_rebalance_margin": {"type": "float"},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=spec(
            migration=WAY,
            replication=WAY,
            bwlimit={"type": "dict", "options": LIMITS},
            max_workers={"type": "int"},
            ha={"type": "dict", "options": {"shutdown_policy": {"type": "str", "choices": POLICIES}}},
            crs={"type": "dict", "options": CRS},
            absent={"type": "list", "elements": "str", "default": []},
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
