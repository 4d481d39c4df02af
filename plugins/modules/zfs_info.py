#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ZFS on a node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: zfs_info
short_description: Read pools, datasets and snapshots of a node, and which tools use them
version_added: 1.0.0
author: pve.mobility contributors (@pve-mobility)
description:
  - Reads the ZFS pools of a node with C(zpool) and C(zfs), and says of each snapshot which tool made it. The API of
    Proxmox VE tells of pools only.
  - It also finds marks of sanoid, syncoid, zrepl, znapzend, zfs-auto-snapshot and pve-zsync, which may get in the way
    of replication by Proxmox VE. pve-zsync jobs of guests that have moved away fail.
  - A node without ZFS is no error; RV(available) is V(false) then.
notes:
  - Runs on the node itself, as root.
  - Snapshots are told apart by their names, and those of guests by their configurations in C(/etc/pve). The names that
    zrepl, znapzend and zfsnap give are configurable, so look at RV(tools) too.
extends_documentation_fragment:
  - pve.mobility.attributes
  - pve.mobility.attributes.info
options:
  pools:
    description: Only these pools. All without it.
    type: list
    elements: str
    default: []
  snapshots:
    description:
      - Which snapshots to list; the datasets always say how many there are of each owner.
      - V(foreign) lists those that Proxmox VE did not make itself, those that are held, and leftovers of migrations.
    type: str
    choices: [foreign, all, none]
    default: foreign
attributes:
  action_group:
    support: none
seealso:
  - module: pve.mobility.cluster_info
"""

EXAMPLES = r"""
- name: See what is on the nodes
  pve.mobility.zfs_info:
  register: zfs

- name: Make sure that no pool is in trouble
  ansible.builtin.assert:
    that: zfs.pools | rejectattr('healthy') | length == 0
    fail_msg: "{{ zfs.pools | rejectattr('healthy') | map(attribute='name') | join(', ') }}"

- name: Say which other tools are at work
  ansible.builtin.debug:
    msg: "{{ zfs.tools | map(attribute='tool') | unique | list }}"
"""

RETURN = r"""
available:
  description: Whether the node has the commands of ZFS.
  returned: success
  type: bool
  sample: true
pools:
  description: The pools. Bytes.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Its name., type: str, sample: rpool}
    size: {description: Size., type: int, sample: 1992864825344}
    allocated: {description: Used., type: int, sample: 1208925819614}
    free: {description: Free., type: int, sample: 783939005730}
    capacity: {description: Per cent in use., type: int, sample: 60}
    health: {description: State., type: str, sample: ONLINE}
    healthy: {description: Online and without known errors., type: bool, sample: true}
    status: {description: What ZFS says is wrong., type: str, sample: null}
    scan: {description: The last scrub or resilver., type: str, sample: scrub repaired 0B in 00:10:03 with 0 errors}
    errors: {description: Data errors., type: str, sample: No known data errors}
datasets:
  description: Filesystems and volumes. Bytes.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Its name., type: str, sample: rpool/data/vm-104-disk-0}
    type: {description: V(filesystem) or V(volume)., type: str, sample: volume}
    used: {description: What it takes with its snapshots., type: int, sample: 21474836480}
    available: {description: What it could still take., type: int, sample: 783939005730}
    referenced: {description: What it holds now., type: int, sample: 10737418240}
    mountpoint: {description: Where it is mounted., type: str, sample: null}
    volsize: {description: Size of a volume., type: int, sample: 34359738368}
    origin: {description: The snapshot that it is a clone of., type: str, sample: null}
    vmid: {description: The guest that it belongs to., type: int, sample: 104}
    kind: {description: "V(vm), V(base), V(subvol) or V(basevol).", type: str, sample: vm}
    encryption: {description: "Its encryption, if it has any.", type: str, sample: "off"}
    refreservation: {description: What is kept free for it., type: int, sample: null}
    snapshots: {description: Number of its snapshots by owner., type: dict, sample: {replication: 1, sanoid: 24}}
snapshots:
  description: Snapshots, oldest first, as O(snapshots) says.
  returned: when O(snapshots) is not V(none)
  type: list
  elements: dict
  contains:
    dataset: {description: The dataset., type: str, sample: rpool/data/vm-104-disk-0}
    name: {description: "Its name, after the @.", type: str, sample: "autosnap_2026-11-23_03:00:00_hourly"}
    owner:
      description:
        - Who made it. V(replication), V(migration), V(template), V(vzdump), V(guest) and V(cv4pve-autosnap) are
          Proxmox VE's own, V(pve-zsync), V(sanoid), V(syncoid), V(zfs-auto-snapshot), V(zrepl), V(znapzend) and
          V(zfsnap) are other tools; V(unknown) is none of them.
      type: str
      sample: sanoid
    used: {description: Bytes that only it holds., type: int, sample: 4194304}
    referenced: {description: Bytes that it refers to., type: int, sample: 10737418240}
    creation: {description: Unix time., type: int, sample: 1795402800}
    held: {description: Whether holds keep it from being removed., type: bool, sample: false}
    holds: {description: Tags of the holds., type: list, elements: str, sample: []}
tools:
  description: Marks of tools beside Proxmox VE.
  returned: success
  type: list
  elements: dict
  contains:
    tool: {description: The tool., type: str, sample: sanoid}
    kind: {description: "V(file), V(section) of a file, V(property) or V(bookmark).", type: str, sample: property}
    where: {description: The file or the dataset., type: str, sample: rpool/data}
    detail: {description: More about it., type: str, sample: "com.sun:auto-snapshot=true"}
pve_zsync_jobs:
  description: Jobs of pve-zsync.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Its name., type: str, sample: default}
    source: {description: A guest or a dataset., type: str, sample: "104"}
    destination: {description: Where to., type: str, sample: "10.0.0.9:backup/vm"}
    schedule: {description: When., type: str, sample: "*/15 * * * *"}
    enabled: {description: Whether it is switched on., type: bool, sample: true}
    maxsnap: {description: How many snapshots it keeps., type: int, sample: 7}
    state: {description: How it ended., type: str, sample: ok}
    last_sync: {description: "When, as pve-zsync writes it.", type: str, sample: "2026-11-23_20:00:01"}
failure:
  description: Facts about a failure, to branch on.
  returned: failure
  type: dict
  contains:
    kind:
      description:
        - V(invalid).
      type: str
      sample: invalid
"""

from collections.abc import Sequence
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import MobilityError
from ansible_collections.pve.mobility.plugins.module_utils.execution.zfs import read_zfs
from ansible_collections.pve.mobility.plugins.module_utils.execution.zfs_result import NOTHING, zfs_result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "pools": {"type": "list", "elements": "str", "default": []},
            "snapshots": {"type": "str", "choices": ["foreign", "all", "none"], "default": "foreign"},
        },
        supports_check_mode=True,
    )
    module.run_command_environ_update = {"LC_ALL": "C", "LANG": "C"}
    commands = {name: module.get_bin_path(name) for name in ("zpool", "zfs")}

    def command(arguments: Sequence[str]) -> tuple[int, str, str]:
        code, output, errors = module.run_command([commands[arguments[0]], *arguments[1:]])
        return int(code), str(output), str(errors)

    if not all(commands.values()):
        module.exit_json(**NOTHING)
    try:
        facts = read_zfs(command, Path("/"), module.params["pools"])
        module.exit_json(**zfs_result(facts, module.params["snapshots"]))
    except MobilityError as error:
        module.fail_json(msg=error.message, failure=error.failure())


if __name__ == "__main__":
    main()
