#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A node carries no guest that could move."""

from __future__ import annotations

DOCUMENTATION = r"""
module: drain
short_description: Empty a node of its guests before it is worked on
version_added: 1.0.0
author: pve.mobility contributors (@pve-mobility)
description:
  - Plans where each guest of a node goes, or takes a plan that was saved, and carries it out. VMs and containers,
    under HA or not, are moved together, several at a time. Guests with replicas go to them, so that only the difference
    is sent, and the load is spread over the other nodes.
  - Guests under HA are moved to the planned node before the node enters maintenance mode, so that the HA manager
    neither chooses blindly nor brings them back. Those that a rule would bring back at once are left for maintenance
    mode and listed in RV(maintenance).
  - Each move is judged again just before it begins. When it fails, the next best target is tried. A guest that cannot
    be moved at all does not stop the others; what becomes of it is for O(policy.pinned) to say.
  - A journal on the machine where the module runs tells how far it is. After a crash the same task goes on with the
    same plan, follows what is under way, and moves no guest twice. A second run beside a living one notices that and
    stops, on whatever machine it runs.
  - On the controller the task shows the plan, then how far the moves are, a line a step, with totals.
notes:
  - "Privileges: those of M(pve.mobility.migrate) for each guest, those of M(pve.mobility.cluster_info) to plan, and
    C(Sys.Audit) on the node to see the moves of others. With O(policy.pinned=stop) also C(VM.PowerMgmt) on the guests
    that are stopped, for those under HA C(Sys.Console) on C(/). What is missing is said before anything moves."
  - For rehearsals against a simulated cluster that runs faster than real time, set E(PVE_MOBILITY_SPEED) to its speed.
extends_documentation_fragment:
  - pve.mobility.api
  - pve.mobility.attributes
attributes:
  check_mode:
    support: full
    details:
      - Reads and plans as a real run does, shows the plan, and writes nothing, not even the journal.
  diff_mode:
    support: full
    details:
      - Shows the node of each guest before and after.
  idempotent:
    support: full
options:
  node:
    description: The node that is to be emptied. Needed unless O(step) says what is to be done.
    type: str
  state:
    description:
      - V(drained) empties the node.
      - V(restored) starts the guests again that O(policy.pinned=stop) has stopped, as the journal tells.
    type: str
    choices: [drained, restored]
    default: drained
  policy:
    description: How it is done.
    type: dict
    default: {}
    suboptions:
      pinned:
        description:
          - What becomes of running guests that cannot move. V(fail) moves nothing when the plan has such guests;
            V(stop) shuts them down when all others have left; V(skip) leaves them running on the node.
        type: str
        choices: [fail, stop, skip]
        default: fail
      parallel:
        description: Moves at the same time from one node, V(0) for no limit.
        type: int
        default: 4
      parallel_target:
        description: Moves at the same time to one node, V(0) for no limit.
        type: int
        default: 4
      parallel_cluster:
        description: Moves at the same time in the whole cluster, V(0) for no limit.
        type: int
        default: 0
      to:
        description: The only nodes that may take guests.
        type: list
        elements: str
      order:
        description: Numbers of guests that are moved first, in this order.
        type: list
        elements: int
      stopped:
        description: Whether guests that do not run move too.
        type: bool
        default: true
  plan:
    description:
      - A plan that was made before, such as RV(plan) of this module in check mode, as data or as the path of a JSON
        file where the module runs. Each move is judged again all the same.
    type: raw
  step:
    description: Number of the step of O(plan) to carry out. By default the one that works on O(node).
    type: int
  with_local_disks:
    description: Whether disks on local storage are copied along.
    type: bool
    default: true
  target_storage:
    description:
      - One storage, or a mapping of source to target storages, for disks on local storage. The HA manager ignores it,
        so it is not used for guests under HA.
    type: raw
  bwlimit:
    description: Limit of each move in KiB/s, V(0) for none. Not for guests under HA.
    type: int
  restart_timeout:
    description: Seconds that a container may take to shut down for its move. Not for guests under HA.
    type: int
  sync_first:
    description:
      - Run the replication job to the target before a guest moves. By default when its last run is older than
        O(sync_max_age).
    type: bool
  sync_max_age:
    description: Seconds.
    type: int
    default: 900
  stop_timeout:
    description: Seconds that a guest may take to shut down with O(policy.pinned=stop).
    type: int
    default: 180
  accept:
    description: Ids of findings that do not keep a guest from moving.
    type: list
    elements: str
    default: []
  thresholds:
    description: Limits of checks and figures of estimates.
    type: dict
    suboptions:
      memory_headroom:
        description: Per cent of a node's memory that must stay free. V(10) by default.
        type: float
      cpu_overcommit:
        description: Virtual CPUs of running guests for each thread of a node's processors. V(4) by default.
        type: float
      storage_headroom:
        description: Per cent of a storage that must stay free. V(5) by default.
        type: float
      clock_offset:
        description: Seconds by which the clock of a node may be off. V(30) by default.
        type: float
      replica_gaps:
        description: Of how many intervals of its schedule a replica may be old. V(2) by default.
        type: float
      replica_interval:
        description: Seconds. A schedule that runs as often or more often is called too aggressive. V(60) by default.
        type: float
      link_mbit:
        description: Speed of the migration network in Mbit/s, for estimates without observed moves. V(1000) by default.
        type: float
  isolated:
    description: The migration network is one that nobody else can listen to.
    type: bool
    default: false
  journal:
    description:
      - File of the journal on the machine where the module runs. By default one for each cluster and node in
        C(~/.local/state/pve.mobility).
    type: path
  report:
    description: File on the controller to which the report is written, C(.html), C(.md) or C(.json).
    type: path
  wait:
    description:
      - Whether to wait for the end. Without waiting, the first moves are begun, and RV(follow) can be given to
        O(follow).
    type: bool
    default: true
  follow:
    description: RV(follow) of an earlier call, which is gone on with. The other options must be the same.
    type: dict
  for_seconds:
    description: How long to work at most in this call. The result has RV(follow) when it is not over by then.
    type: float
  timeout:
    description: Seconds for the whole of it, V(0) for no limit. What is under way then goes on.
    type: int
    default: 0
seealso:
  - module: pve.mobility.node_maintenance
  - module: pve.mobility.preflight
"""

EXAMPLES = r"""
- name: See where the guests of pve1 would go, and how long it would take
  pve.mobility.drain:
    node: pve1
  check_mode: true

- name: Empty pve1
  pve.mobility.drain:
    node: pve1
    report: "drain-pve1.html"

- name: Empty pve1 by night, and shut down what cannot move
  pve.mobility.drain:
    node: pve1
    policy:
      pinned: stop
      parallel: 2
      to: [pve2, pve3]

- name: Start what was shut down
  pve.mobility.drain:
    node: pve1
    state: restored
"""

RETURN = r"""
node:
  description: The node.
  returned: success
  type: str
  sample: pve1
empty:
  description: No guest runs on the node any more, and none is on its way.
  returned: success
  type: bool
  sample: true
plan:
  description: The plan, which O(plan) takes.
  returned: when it was made or shown
  type: dict
  sample: {"kind": "drain", "fingerprint": "f9c7c422d94a1320"}
step:
  description: Number of the step of the plan.
  returned: when RV(plan) is
  type: int
  sample: 1
journal:
  description: File of the journal.
  returned: success
  type: str
  sample: /home/ops/.local/state/pve.mobility/prod/drain-pve1.jsonl
resumed:
  description: An earlier run was gone on with.
  returned: success
  type: bool
  sample: false
moves:
  description: What has become of each guest of the plan.
  returned: success
  type: list
  elements: dict
  contains:
    vmid: {description: Number of the guest., type: int, sample: 104}
    name: {description: Its name., type: str, sample: billing-db}
    state:
      description:
        - V(moved); V(there) when it had left before; V(gone) when it no longer exists; V(failed); V(maintenance) when
          it leaves with maintenance mode.
      type: str
      sample: moved
    source: {description: Where it was., type: str, sample: pve1}
    planned: {description: Where it was to go., type: str, sample: pve3}
    target: {description: Where it went., type: str, sample: pve3}
    attempts: {description: How many targets were tried., type: int, sample: 1}
    adopted: {description: The move was under way already., type: bool, sample: false}
    bytes: {description: Bytes that were sent., type: int, sample: 2576980377}
    duration_s: {description: Seconds that the move took., type: float, sample: 11.0}
    downtime_ms: {description: Pause of a live migration., type: int, sample: 33}
    msg: {description: Why it failed., type: str, sample: ""}
  sample: [{"vmid": 104, "name": "billing-db", "state": "moved", "source": "pve1", "target": "pve3"}]
left:
  description: Guests that are still on the node.
  returned: success
  type: list
  elements: dict
  contains:
    vmid: {description: Number of the guest., type: int, sample: 120}
    name: {description: Its name., type: str, sample: gpu-farm}
    status: {description: Whether it runs., type: str, sample: running}
    fate: {description: "V(stays), V(stop) or V(holds).", type: str, sample: holds}
    why: {description: Why it is there., type: str, sample: hostpci0 is a physical device of pve1}
    remedy: {description: What to do about it., type: str, sample: stop it}
  sample: []
running:
  description: Numbers of those of RV(left) that run.
  returned: when something was done
  type: list
  elements: int
  sample: []
stopped:
  description: Guests that were shut down, and that O(state=restored) starts again.
  returned: success
  type: list
  elements: dict
  sample: []
started:
  description: Guests that were started again.
  returned: with O(state=restored)
  type: list
  elements: dict
  sample: []
misses:
  description: Moves that did not work; their guests were tried elsewhere.
  returned: success
  type: list
  elements: dict
  contains:
    vmid: {description: Number of the guest., type: int, sample: 104}
    name: {description: Its name., type: str, sample: billing-db}
    source: {description: Where it was., type: str, sample: pve1}
    target: {description: Where it was to go., type: str, sample: pve3}
    why: {description: Why it did not., type: str, sample: the bridge vmbr7 is missing}
  sample: []
maintenance:
  description: Numbers of guests that leave when the node enters maintenance mode.
  returned: success
  type: list
  elements: int
  sample: []
summary:
  description: Number of guests, moved and failed ones, bytes that were sent, seconds.
  returned: success
  type: dict
  sample: {"guests": 8, "moved": 8, "failed": 0, "bytes": 22764375866, "seconds": 62.5}
duration_s:
  description: Seconds that it took.
  returned: when something was done
  type: float
  sample: 62.5
warnings:
  description: Warnings of all moves.
  returned: when there are any
  type: list
  elements: str
  sample: []
findings:
  description: Always empty; what was found about single guests is in RV(left), RV(moves) and RV(plan).
  returned: failure
  type: list
  elements: dict
  sample: []
progress:
  description: How far each guest is that is being moved.
  returned: when it is not over
  type: list
  elements: dict
  sample: [{"vmid": 104, "source": "pve1", "target": "pve3"}]
totals:
  description: How far the whole is.
  returned: when it is not over
  type: dict
  sample: {"guests": 8, "done": 3, "moving": 4, "bytes": 22764375866, "sent": 9124375866, "eta_s": 40}
follow:
  description: Handle for O(follow).
  returned: when it is not over
  type: dict
  sample: {"work": "node"}
failure:
  description: Facts about a failure, with all that a success would have returned.
  returned: failure
  type: dict
  contains:
    kind:
      description:
        - V(permission), V(not_found), V(locked), V(no_quorum), V(node_unreachable), V(task_failed), V(blocked),
          V(timeout), V(conflict), V(invalid) or V(unsupported).
      type: str
      sample: task_failed
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain import run as drain
from ansible_collections.pve.mobility.plugins.module_utils.execution.drain_request import from_options
from ansible_collections.pve.mobility.plugins.module_utils.model.thresholds import Thresholds
from ansible_collections.pve.mobility.plugins.module_utils.surface import run, spec


def main() -> None:
    module = AnsibleModule(
        argument_spec=spec(
            node={"type": "str"},
            state={"type": "str", "choices": ["drained", "restored"], "default": "drained"},
            policy={
                "type": "dict",
                "default": {},
                "options": {
                    "pinned": {"type": "str", "choices": ["fail", "stop", "skip"], "default": "fail"},
                    "parallel": {"type": "int", "default": 4},
                    "parallel_target": {"type": "int", "default": 4},
                    "parallel_cluster": {"type": "int", "default": 0},
                    "to": {"type": "list", "elements": "str"},
                    "order": {"type": "list", "elements": "int"},
                    "stopped": {"type": "bool", "default": True},
                },
            },
            plan={"type": "raw"},
            step={"type": "int"},
            with_local_disks={"type": "bool", "default": True},
            target_storage={"type": "raw"},
            bwlimit={"type": "int"},
            restart_timeout={"type": "int"},
            sync_first={"type": "bool"},
            sync_max_age={"type": "int", "default": 900},
            stop_timeout={"type": "int", "default": 180},
            accept={"type": "list", "elements": "str", "default": []},
            thresholds={
                "type": "dict",
                "options": {name: {"type": "float"} for name in Thresholds.__dataclass_fields__},
            },
            isolated={"type": "bool", "default": False},
            journal={"type": "path"},
            report={"type": "path"},
            wait={"type": "bool", "default": True},
            follow={"type": "dict"},
            for_seconds={"type": "float"},
            timeout={"type": "int", "default": 0},
        ),
        supports_check_mode=True,
    )

    def work(session: Session, clock: Clock) -> dict[str, Any]:
        params = module.params
        return drain(
            session,
            clock,
            from_options({**params, **(params["policy"] or {})}),
            check=module.check_mode,
            wait=params["wait"],
            restore=params["state"] == "restored",
            handle=params["follow"],
            for_seconds=params["for_seconds"],
        )

    run(module, work)


if __name__ == "__main__":
    main()
