#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cluster at a glance."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_info
short_description: Read a cluster once, as a snapshot
version_added: 1.0.0
author: pve.mobility contributors (@pve-mobility)
description:
  - Reads nodes, guests, storages, replication, HA and whatever else decides where guests can be, and returns it as one
    snapshot. Checks and plans are made of such a snapshot, so it is read once and judged often.
  - What the user may not read, and what a node that is off cannot tell, is listed in RV(unknown) and never guessed.
  - V(nodes) and V(guests) alone are 1 request. Everything, which is V(all), is at most 20 requests for the cluster, at
    most 5 for each node that is online, and 1 for each guest. Besides, there is one for each combination of QEMU
    packages on the nodes, and one for each node on which the machine version of running VMs can matter, because its
    QEMU is newer than that of another node or a VM has a VNC clipboard. A guest that moves at that moment costs 2. A
    local storage on which VMs have cloud-init drives, or guests hook scripts, is one more for each node, and one with
    disks of guests that the HA manager keeps stopped is one more for the nodes of these.
  - V(history) is 2 requests for each node more, and one or more for each log.
  - With a password instead of a token there is one request more for each of at most 8 parallel connections, for the
    ticket.
notes:
  - "Privileges: C(Sys.Audit) on C(/) and C(/nodes), C(VM.Audit) on C(/vms), C(Datastore.Audit) on C(/storage),
    C(SDN.Audit) on C(/sdn/zones), C(Mapping.Audit) on C(/mapping); the role C(PVEAuditor) on C(/) has all of
    them. Only with C(Datastore.Allocate) on C(/storage) volumes are seen that no guest of the user has."
extends_documentation_fragment:
  - pve.mobility.api
  - pve.mobility.attributes
  - pve.mobility.attributes.info
options:
  subset:
    description: Which parts to return. V(all) stands for every part but V(history).
    type: list
    elements: str
    choices: [all, nodes, guests, cluster, node_facts, guest_configs, running, storages, replication, ha, options,
              mappings, backup, network, tasks, history]
    default: [nodes, guests]
  guests:
    description:
      - Only these guests, and what belongs to them. A guest must match each kind that is given, by one of its values.
      - Without it, all guests that the user may see.
    type: dict
    suboptions:
      vmids: {description: Numbers., type: list, elements: int}
      names: {description: "Names; V(*) stands for any letters, V(?) for any letter.", type: list, elements: str}
      tags: {description: Tags., type: list, elements: str}
      pools: {description: Resource pools., type: list, elements: str}
      nodes: {description: Nodes on which they are., type: list, elements: str}
  history_limit:
    description: How many logs of recent migrations to read on each node, for V(history) in O(subset).
    type: int
    default: 10
  anonymize:
    description:
      - Replace names, addresses, tags, pools, paths and comments, so that the snapshot can be shown to others. Numbers
        of guests, versions, sizes and states stay.
      - A name has the same replacement everywhere, and a network still holds the addresses that were in it.
    type: bool
    default: false
seealso:
  - module: pve.mobility.migrate
  - module: pve.mobility.zfs_info
"""

EXAMPLES = r"""
- name: See which guests there are
  pve.mobility.cluster_info:
    subset: [guests]
  register: cluster

- name: Show those that run on pve1
  ansible.builtin.debug:
    msg: "{{ cluster.guests | selectattr('node', 'eq', 'pve1') | map(attribute='label') }}"

- name: Read everything
  pve.mobility.cluster_info:
    subset: [all]
  register: snapshot

- name: Keep a copy for a bug report
  pve.mobility.cluster_info:
    subset: [all, history]
    anonymize: true
  register: anonymous

- name: Look at the configurations of the production web servers
  pve.mobility.cluster_info:
    subset: [guest_configs]
    guests:
      names: ["web*"]
      tags: [production]
"""

RETURN = r"""
schema: {description: Version of the shape of this result., returned: success, type: int, sample: 1}
parts: {description: The parts that were read., returned: success, type: list, elements: str, sample: [nodes, guests]}
unknown:
  description:
    - What could not be read. A list that is empty, or a value that is V(null), means nothing while it is here.
  returned: success
  type: list
  elements: dict
  contains:
    part:
      description: The part as in O(subset), or something within it, such as V(node_facts.packages).
      type: str
      sample: node_facts.packages
    why: {description: One sentence., type: str, sample: Sys.Audit on /nodes/pve1 is missing.}
    node: {description: "The node, if it is unknown of one node only.", type: str, sample: pve1}
    vmid: {description: "The guest, if it is unknown of one guest only.", type: int, sample: null}
    path: {description: Where a privilege is missing., type: str, sample: /nodes/pve1}
    privileges: {description: Privileges any of which would do., type: list, elements: str, sample: [Sys.Audit]}
nodes:
  description: The nodes, by name.
  returned: when V(nodes) is in O(subset)
  type: list
  elements: dict
  contains:
    name: {description: Its name., type: str, sample: pve1}
    status: {description: "V(online), V(offline) or V(unknown).", type: str, sample: online}
    maintenance: {description: Whether it is in HA maintenance mode., type: bool, sample: false}
    maxmem: {description: Memory in bytes., type: int, sample: 137438953472}
    mem: {description: "Memory in use, in bytes.", type: int, sample: 51539607552}
    maxcpu: {description: Number of CPU threads., type: float, sample: 32}
guests:
  description: The guests, by number. Status, name and memory may be ten seconds old.
  returned: when V(guests) is in O(subset)
  type: list
  elements: dict
  contains:
    vmid: {description: Its number., type: int, sample: 104}
    label: {description: Number and name., type: str, sample: "104 billing-db"}
    name: {description: Its name., type: str, sample: billing-db}
    type: {description: V(qemu) or V(lxc)., type: str, sample: qemu}
    node: {description: The node on which it is., type: str, sample: pve1}
    status: {description: "V(running), V(stopped) or V(unknown).", type: str, sample: running}
    lock: {description: "What locks it, if anything.", type: str, sample: null}
    hastate: {description: "State in the HA manager, if that manages it.", type: str, sample: started}
    template: {description: Whether it is a template., type: bool, sample: false}
    maxmem: {description: Memory in bytes., type: int, sample: 8589934592}
    maxdisk: {description: Size of its first disk in bytes., type: int, sample: 118111600640}
    maxcpu: {description: Number of its CPUs., type: float, sample: 4}
    tags: {description: Its tags., type: list, elements: str, sample: [production]}
    pool: {description: Its resource pool., type: str, sample: null}
    mem: {description: Memory that it uses., type: int, sample: 6442450944}
name:
  description: Name of the cluster; V(null) for a node that is in none.
  returned: when V(cluster) is in O(subset)
  type: str
  sample: production
quorate: {description: A majority is there., returned: when V(cluster) is in O(subset), type: bool, sample: true}
version: {description: On that node., returned: when V(cluster) is in O(subset), type: str, sample: "9.2.11"}
collected_at: {description: Unix time there., returned: when V(cluster) is in O(subset), type: int, sample: 1795413602}
node_facts:
  description: What the nodes are made of. Memory in bytes.
  returned: when V(node_facts) is in O(subset)
  type: list
  elements: dict
  contains:
    name: {description: The node., type: str, sample: pve1}
    online: {description: Whether it answers., type: bool, sample: true}
    address: {description: Its address in the cluster network., type: str, sample: "10.0.0.11"}
    release: {description: Release., type: str, sample: "9.2"}
    version: {description: Version of pve-manager., type: str, sample: "9.2.11"}
    kernel: {description: Running kernel., type: str, sample: "7.0.2-1-pve"}
    cpu:
      description: Its processor (vendor, model, flags, sockets, cores, threads, mhz).
      type: dict
      sample:
        {vendor: GenuineIntel, model: Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz, flags: [aes, avx2], sockets: 2, cores:
        64, threads: 128, mhz: 2000.0}
    memory_total: {description: Memory., type: int, sample: 68719476736}
    memory_used: {description: Memory in use., type: int, sample: 4724464024}
    memory_free: {description: Memory that is available., type: int, sample: 63995012712}
    swap_total: {description: Swap., type: int, sample: 8589934592}
    uptime: {description: Seconds since it started., type: int, sample: 1036805}
    clock_offset:
      description: Seconds by which its clock differs from that of most nodes, good to ten seconds.
      type: float
      sample: 0.0
    packages:
      description: Versions of the packages that matter when guests move.
      type: dict
      sample: {pve-manager: "9.2.11", qemu-server: "9.2.6", pve-qemu-kvm: "11.0.0-2"}
    machines:
      description: Machine versions that its QEMU knows.
      type: list
      elements: str
      sample: [pc-i440fx-11.0, pc-q35-11.0]
    interfaces:
      description:
        - Network interfaces (name, type, active, addresses, mtu, ports, vlan, raw_device, vlan_aware, vids, dynamic).
      type: list
      elements: dict
      sample:
        [{name: vmbr0, type: bridge, active: true, addresses: ["10.0.0.11/24"], mtu: null, ports: [eno1], vlan: null,
        raw_device: null, vlan_aware: true, vids: [[2, 4094]], dynamic: false}]
    links:
      description: Addresses of the node on the links of corosync, link 0 first.
      type: list
      elements: str
      sample: [10.0.0.11]
guest_configs:
  description:
    - The configurations that are in force, without changes that wait for a restart. Memory and sizes in bytes.
  returned: when V(guest_configs) is in O(subset)
  type: list
  elements: dict
  contains:
    vmid: {description: The guest., type: int, sample: 104}
    type: {description: V(qemu) or V(lxc)., type: str, sample: qemu}
    node: {description: Where it was read., type: str, sample: pve1}
    name: {description: Its name., type: str, sample: billing-db}
    memory: {description: Memory., type: int, sample: 8589934592}
    balloon: {description: The least that ballooning may leave; V(null) when it takes nothing., type: int, sample: null}
    cores: {description: "Cores of a socket; 0 for a container without a limit.", type: int, sample: 4}
    sockets: {description: Sockets., type: int, sample: 1}
    cpu: {description: CPU type and flags of a VM., type: dict, sample: {type: x86-64-v2-AES, flags: ["+aes"]}}
    machine: {description: Machine type as configured., type: str, sample: q35}
    snapshot: {description: The snapshot that its state descends from., type: str, sample: null}
    template: {description: Whether it is a template., type: bool, sample: false}
    lock: {description: What locks it., type: str, sample: null}
    hookscript: {description: Its hook script., type: str, sample: null}
    args: {description: Its own arguments for QEMU., type: str, sample: null}
    disks:
      description:
        - Volumes of any kind (key, kind, volid, storage, size, format, base, backup, replicate, shared, readonly,
          options).
      type: list
      elements: dict
      sample:
        [{key: scsi0, kind: disk, volid: "tank:vm-104-disk-0", storage: tank, size: 34359738368, format: raw, base:
        null, backup: true, replicate: true, shared: false, readonly: false, options: {}}]
    nics:
      description: Network devices (key, model, bridge, mac, tag, trunks, mtu, firewall, link_down).
      type: list
      elements: dict
      sample:
        [{key: net0, model: virtio, bridge: vmbr0, mac: "BC:24:11:6F:50:80", tag: 20, trunks: null, mtu: null, firewall:
        false, link_down: false}]
    devices:
      description: Devices of the node (key, kind, value, mapping, bound).
      type: list
      elements: dict
      sample: [{key: hostpci0, kind: hostpci, value: "mapping=gpu", mapping: gpu, bound: true}]
running:
  description: Processes of running VMs, where their version can matter; all when V(node_facts) is not in O(subset).
  returned: when V(running) is in O(subset)
  type: list
  elements: dict
  contains:
    vmid: {description: The VM., type: int, sample: 104}
    node: {description: Where it runs., type: str, sample: pve1}
    machine: {description: Machine version., type: str, sample: pc-i440fx-10.1+pve0}
    qemu: {description: Version of QEMU., type: str, sample: "10.1.2"}
    status: {description: State of the process., type: str, sample: running}
storages:
  description: Definitions of storages.
  returned: when V(storages) is in O(subset)
  type: list
  elements: dict
  contains:
    id: {description: Its name., type: str, sample: tank}
    type: {description: Its type., type: str, sample: zfspool}
    content: {description: What may be on it., type: list, elements: str, sample: [images, rootdir]}
    nodes: {description: "Nodes that have it; V(null) for all.", type: list, elements: str, sample: null}
    disabled: {description: Whether it is switched off., type: bool, sample: false}
    shared:
      description: Whether every node sees the same data, or so says the definition.
      type: bool
      sample: false
    where: {description: "Pool, path, volume group or export.", type: str, sample: tank/vm}
    bwlimit: {description: Limits in KiB/s., type: dict, sample: {migration: 512000.0}}
storage_status:
  description: How each storage is on each node. Bytes.
  returned: when V(storages) is in O(subset)
  type: list
  elements: dict
  contains:
    storage: {description: The storage., type: str, sample: tank}
    node: {description: The node., type: str, sample: pve1}
    enabled: {description: Meant for this node., type: bool, sample: true}
    active: {description: Really there., type: bool, sample: true}
    total: {description: Size., type: int, sample: 2199023255552}
    used: {description: Used., type: int, sample: 12025905152}
    avail: {description: Free., type: int, sample: 2186997350400}
volumes:
  description:
    - Volumes on local storage that decide whether a guest can come. Cloud-init drives on nodes where their VM is not,
      hook scripts, and disks of guests that the HA manager keeps stopped, on the nodes where these are. A volume that
      the user may not see is not among them, which takes C(Datastore.Allocate) on C(/storage).
  returned: when V(storages) and V(guest_configs) are in O(subset)
  type: list
  elements: dict
  contains:
    node: {description: The node that has it., type: str, sample: pve2}
    volid: {description: The volume., type: str, sample: "local:snippets/hook.pl"}
replication_jobs:
  description: Replication jobs.
  returned: when V(replication) is in O(subset)
  type: list
  elements: dict
  contains:
    id: {description: Its ID., type: str, sample: "104-0"}
    guest: {description: The guest., type: int, sample: 104}
    source: {description: From., type: str, sample: pve1}
    target: {description: To., type: str, sample: pve2}
    schedule: {description: When., type: str, sample: "*/15"}
    rate: {description: Limit in MB/s., type: float, sample: null}
    disabled: {description: Whether it is switched off., type: bool, sample: false}
    removing: {description: "How it is being removed, if it is.", type: str, sample: null}
    seen:
      description: Whether the node of the guest told how it is doing; otherwise the values below mean nothing.
      type: bool
      sample: true
    last_sync: {description: "Unix time of the newest copy, 0 for none.", type: int, sample: 1795413000}
    last_try: {description: Unix time of the last attempt., type: int, sample: 1795413000}
    next_sync: {description: "Unix time of the next one, 0 for none.", type: int, sample: 1795413600}
    duration: {description: Seconds of the last run., type: float, sample: 4.2}
    fail_count: {description: Failures in a row., type: int, sample: 0}
    error: {description: The last error., type: str, sample: null}
    running: {description: Whether it runs at the moment., type: bool, sample: false}
    comment: {description: Comment., type: str, sample: null}
ha:
  description: What the HA manager does (master, timestamp, quorate, services, nodes, results, disarm_mode, written).
  returned: when V(ha) is in O(subset)
  type: dict
  sample:
    {master: pve1, timestamp: 1795413601, quorate: true, services: {}, nodes: {pve1: online}, results: [],
    disarm_mode: null, written: {pve1: 1795413596}}
ha_resources:
  description: Guests under HA.
  returned: when V(ha) is in O(subset)
  type: list
  elements: dict
  contains:
    sid: {description: Its ID there., type: str, sample: "vm:104"}
    state: {description: The state that is wanted., type: str, sample: started}
    max_restart: {description: Attempts to start it again., type: int, sample: 1}
    max_relocate: {description: Attempts to start it elsewhere., type: int, sample: 1}
    failback: {description: Whether it goes back to a better node., type: bool, sample: true}
    group: {description: "Its group, before 9.0.", type: str, sample: null}
ha_rules:
  description: Rules of the HA manager; groups of releases before 9.0 as the rules that they stand for.
  returned: when V(ha) is in O(subset)
  type: list
  elements: dict
  contains:
    id: {description: Its name., type: str, sample: home}
    type: {description: V(node-affinity) or V(resource-affinity)., type: str, sample: node-affinity}
    sids: {description: The guests., type: list, elements: str, sample: ["vm:104"]}
    positive: {description: "Together or there; otherwise apart or not there.", type: bool, sample: true}
    nodes: {description: Nodes and their priorities., type: dict, sample: {pve1: 2, pve2: 0}}
    strict: {description: No other node., type: bool, sample: true}
    disabled: {description: Whether it is switched off., type: bool, sample: false}
    errors: {description: Why the HA manager ignores it., type: list, elements: str, sample: []}
    group: {description: Whether it is a group., type: bool, sample: false}
options:
  description: What the options of the datacenter say about moves; V(null) when they could not be read.
  returned: when V(options) is in O(subset)
  type: dict
  sample:
    {migration_type: secure, migration_network: "10.0.0.0/24", replication_type: secure, replication_network:
    "10.0.0.0/24", bwlimit: {migration: 512000.0}, max_workers: 4, shutdown_policy: conditional, crs: basic,
    rebalance_on_start: false, auto_rebalance: false, mac_prefix: "BC:24:11"}
mappings:
  description: Resource mappings.
  returned: when V(mappings) is in O(subset)
  type: list
  elements: dict
  contains:
    kind: {description: "V(pci), V(usb) or V(dir).", type: str, sample: pci}
    name: {description: Its name., type: str, sample: gpu}
    devices:
      description: What it is on each node (node, id, path).
      type: list
      elements: dict
      sample: [{node: pve1, id: "10de:25b6", path: "0000:41:00.0"}]
    live: {description: Whether its state can travel., type: bool, sample: false}
backup_jobs:
  description: Backup jobs.
  returned: when V(backup) is in O(subset)
  type: list
  elements: dict
  contains:
    id: {description: Its ID., type: str, sample: nightly}
    enabled: {description: Whether it is switched on., type: bool, sample: true}
    schedule: {description: When., type: str, sample: "21:00"}
    storage: {description: Where to., type: str, sample: pbs}
    node: {description: Only guests of this node., type: str, sample: null}
    everything: {description: All guests but those left out., type: bool, sample: true}
    vmids: {description: These guests., type: list, elements: int, sample: []}
    exclude: {description: Guests left out., type: list, elements: int, sample: [101]}
    pool: {description: Guests of this pool., type: str, sample: null}
vnets:
  description: Virtual networks.
  returned: when V(network) is in O(subset)
  type: list
  elements: dict
  contains:
    name: {description: Its name., type: str, sample: office}
    zone: {description: Its zone., type: str, sample: lan}
    tag: {description: VLAN or the like., type: int, sample: 20}
zones:
  description: Zones of virtual networks.
  returned: when V(network) is in O(subset)
  type: list
  elements: dict
  contains:
    name: {description: Its name., type: str, sample: lan}
    type: {description: Its type., type: str, sample: vlan}
    nodes: {description: "Nodes that have it; V(null) for all.", type: list, elements: str, sample: [pve1, pve2]}
    bridge: {description: Its bridge., type: str, sample: vmbr0}
    mtu: {description: MTU., type: int, sample: null}
tasks:
  description: Tasks that run.
  returned: when V(tasks) is in O(subset)
  type: list
  elements: dict
  contains:
    upid: {description: UPID., type: str, sample: "UPID:pve1:000003FD:05265C00:6B013360:vzdump:104:root@pam:"}
    node: {description: Where it runs., type: str, sample: pve1}
    type: {description: Its type., type: str, sample: vzdump}
    id: {description: What it is about., type: str, sample: "104"}
    user: {description: Who started it., type: str, sample: root@pam}
    start: {description: Unix time., type: int, sample: 1795240800}
history:
  description: Migrations that ended well, newest first.
  returned: when V(history) is in O(subset)
  type: list
  elements: dict
  contains:
    upid: {description: UPID., type: str, sample: "UPID:pve1:000003FD:05265C00:6B013360:qmigrate:104:root@pam:"}
    vmid: {description: The guest., type: int, sample: 104}
    type: {description: V(qmigrate) or V(vzmigrate)., type: str, sample: qmigrate}
    source: {description: From., type: str, sample: pve1}
    target: {description: To., type: str, sample: pve2}
    start: {description: Unix time., type: int, sample: 1795240800}
    seconds: {description: How long it took., type: int, sample: 45}
    bytes: {description: "What was carried, 0 if the log does not say.", type: int, sample: 4294967296}
    downtime_ms: {description: Pause of a live migration., type: int, sample: 55}
failure: {description: Facts about it., returned: failure, type: dict, contains: {kind: {type: str, sample: permission,
  description: "V(permission), V(not_found), V(no_quorum), V(node_unreachable), V(invalid) or V(unsupported)."}}}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.collect import EVERYTHING, Wanted, collect
from ansible_collections.pve.mobility.plugins.module_utils.execution.selector import Selector
from ansible_collections.pve.mobility.plugins.module_utils.model.anonymize import anonymize
from ansible_collections.pve.mobility.plugins.module_utils.model.snapshot import to_plain
from ansible_collections.pve.mobility.plugins.module_utils.model.state import PARTS
from ansible_collections.pve.mobility.plugins.module_utils.surface import run, spec


def _list(kind: str) -> dict[str, Any]:
    return {"type": "list", "elements": kind}


def main() -> None:
    module = AnsibleModule(
        argument_spec=spec(
            subset={**_list("str"), "choices": ["all", *PARTS], "default": ["nodes", "guests"]},
            guests={
                "type": "dict",
                "options": {
                    "vmids": _list("int"),
                    "names": _list("str"),
                    "tags": _list("str"),
                    "pools": _list("str"),
                    "nodes": _list("str"),
                },
            },
            history_limit={"type": "int", "default": 10},
            anonymize={"type": "bool", "default": False},
        ),
        supports_check_mode=True,
    )

    def work(session: Session, clock: Clock) -> dict[str, Any]:
        subset = set(module.params["subset"])
        parts = frozenset(subset - {"all"}) | (EVERYTHING if "all" in subset else frozenset())
        guests = Selector.from_options(module.params["guests"])
        state = collect(session, Wanted(parts, guests, max(0, module.params["history_limit"])))
        return to_plain(anonymize(state) if module.params["anonymize"] else state)

    run(module, work)


if __name__ == "__main__":
    main()
