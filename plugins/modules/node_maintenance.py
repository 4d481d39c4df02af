#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HA maintenance mode of a node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_maintenance
short_description: Switch HA maintenance mode of a node, and wait until it is really so
version_added: 1.0.0
author: pve.mobility contributors (@pve-mobility)
description:
  - Takes a node into HA maintenance mode, or out of it. While a node is in it, the HA manager moves the services away
    that run there, and gives it no others.
  - C(ha-manager) itself returns at once, and its status says V(maintenance) before the services have left. This module
    waits until no active service is on the node any more.
  - On leaving, services that maintenance mode has moved away come back by themselves, and this module waits for them.
    Guests that were moved by L(pve.mobility.drain,pve.mobility.drain) before stay where they are.
  - Guests that are not under HA, and services that do not run, stay on the node.
notes:
  - Runs on a node of the cluster, as root, because Proxmox VE has no API for it. Any node will do, also another
    one than O(node).
  - Where no guest is under HA there is nothing to switch, and nothing is changed.
extends_documentation_fragment:
  - pve.mobility.attributes
options:
  node:
    description: The node to switch. By default the one that the module runs on.
    type: str
  state:
    description: Whether the node is to be in maintenance mode.
    type: str
    choices: [active, inactive]
    default: active
  wait:
    description: Wait until active services have left the node, or have come back.
    type: bool
    default: true
  timeout:
    description:
      - Seconds to wait, V(0) for ever. A service that cannot move is tried again for ever, and the HA manager does
        not say so; the failure names those that are left.
    type: int
    default: 1800
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  action_group:
    support: none
seealso:
  - module: pve.mobility.drain
"""

EXAMPLES = r"""
- name: Take the node into maintenance mode
  pve.mobility.node_maintenance:
    state: active

- name: Take pve3 out of it, from another node
  pve.mobility.node_maintenance:
    node: pve3
    state: inactive
  delegate_to: pve1
"""

RETURN = r"""
node:
  description: The node.
  returned: success
  type: str
  sample: pve1
state:
  description: V(active) or V(inactive).
  returned: success
  type: str
  sample: active
managed:
  description: Whether any guest of the cluster is under HA.
  returned: success
  type: bool
  sample: true
services:
  description: Services that are on the node, such as stopped ones.
  returned: success
  type: list
  elements: dict
  contains:
    sid: {description: The service., type: str, sample: "vm:104"}
    state: {description: Its state., type: str, sample: stopped}
    target: {description: Where it is going., type: str, sample: null}
to_return:
  description:
    - Services that come back when the node leaves maintenance mode. After O(state=inactive), those that have not come
      back, because a rule keeps them away.
  returned: success
  type: list
  elements: str
  sample: ["vm:111"]
duration_s:
  description: Seconds that it took.
  returned: success
  type: float
  sample: 42.5
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
      sample: timeout
    services:
      description: HA services that are still active on the node.
      returned: when the time was over
      type: list
      elements: dict
      sample: [{"sid": "vm:104", "state": "migrate", "target": "pve2"}]
"""

from collections.abc import Sequence

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import MobilityError
from ansible_collections.pve.mobility.plugins.module_utils.execution.maintenance import Request
from ansible_collections.pve.mobility.plugins.module_utils.execution.maintenance import run as switch


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "node": {"type": "str"},
            "state": {"type": "str", "choices": ["active", "inactive"], "default": "active"},
            "wait": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 1800},
        },
        supports_check_mode=True,
    )
    module.run_command_environ_update = {"LC_ALL": "C", "LANG": "C"}

    def shell(words: Sequence[str]) -> tuple[int, str, str]:
        code, output, errors = module.run_command([module.get_bin_path(words[0], required=True), *words[1:]])
        return int(code), str(output), str(errors)

    params = module.params
    request = Request(params["node"] or "", params["state"] == "active", params["wait"], float(params["timeout"]))
    try:
        module.exit_json(**switch(shell, Clock(), request, module.check_mode))
    except MobilityError as error:
        module.fail_json(msg=error.message, failure=error.failure())


if __name__ == "__main__":
    main()
