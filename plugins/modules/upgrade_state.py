#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far an upgrade is; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: upgrade_state
short_description: Keep in a file how far a rolling upgrade is
version_added: 1.0.0
author: pve.mobility contributors (@pve-mobility)
description:
  - Reads a JSON file on the controller, and adds to it what has become known. The file is whole at every moment, and on
    the disk before the task ends, so that an upgrade can be gone on with after a crash.
  - The role P(pve.mobility.rolling_upgrade#role) uses it.
notes:
  - It is an action plugin and works on the controller. It asks no cluster.
extends_documentation_fragment:
  - pve.mobility.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
    details:
      - It never reports a change, since it only takes notes.
  action_group:
    support: none
options:
  path:
    description: The file. Without one the state is empty.
    type: path
    required: true
  add:
    description: What to add. Mappings are merged, everything else is replaced.
    type: dict
    default: {}
  begin:
    description: Forget what the file says.
    type: bool
    default: false
  hold:
    description:
      - Make the file that of this run. The task fails, with C(failure.kind) C(conflict), while another run on this
        machine is at work with it. Nothing has to be let go of at the end.
      - In check mode it does nothing.
    type: bool
    default: false
seealso:
  - module: pve.mobility.upgrade_report
"""

EXAMPLES = r"""
- name: Note that a node is empty
  pve.mobility.upgrade_state:
    path: ~/upgrade/state.json
    add:
      nodes:
        pve1: {phase: empty}
  register: upgrade

- name: Say how far it is
  ansible.builtin.debug:
    msg: "{{ upgrade.state.nodes }}"
"""

RETURN = r"""
state:
  description: What the file says now.
  returned: success
  type: dict
  sample: {"nodes": {"pve1": {"phase": "empty"}}}
failure:
  description: Facts about a failure, to branch on.
  returned: failure
  type: dict
  contains:
    kind:
      description:
        - V(invalid), when the file cannot be read or written, or is none of an upgrade.
      type: str
      sample: invalid
"""
