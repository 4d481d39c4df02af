#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an upgrade did; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: upgrade_report
short_description: Report what was done to the nodes of a cluster
version_added: 1.0.0
author: pve.mobility contributors (@pve-mobility)
description:
  - Says what a rolling upgrade came to, and writes it as a page for the change ticket, as Markdown and as JSON. For
    each guest its moves, its longest pause and what was sent, for each node its times, what failed, what stayed and
    why.
  - The role P(pve.mobility.rolling_upgrade#role) uses it; it can also put several results of M(pve.mobility.drain)
    together.
notes:
  - It is an action plugin and works on the controller. It asks no cluster.
extends_documentation_fragment:
  - pve.mobility.attributes
attributes:
  check_mode:
    support: full
    details:
      - Files are not written.
  diff_mode:
    support: none
  idempotent:
    support: full
  action_group:
    support: none
options:
  title:
    description: The heading.
    type: str
    default: Rolling upgrade
  nodes:
    description:
      - Nodes that were worked on. Each has C(name), and may have C(state) (C(done), C(failed) or C(open)), C(why),
        C(before) and C(after) (versions), C(rebooted), C(times) (seconds by what was done), and C(moves), C(left) and
        C(stopped) as M(pve.mobility.drain) returns them, and C(home), moves that brought guests back.
    type: list
    elements: dict
    required: true
  left:
    description: Nodes that were not touched, each with C(node) and C(why).
    type: list
    elements: dict
    default: []
  plan:
    description: The plan that was carried out, for the nodes that it leaves alone.
    type: dict
  dest:
    description: Files to write, C(.html), C(.md) or C(.json).
    type: list
    elements: path
    default: []
seealso:
  - module: pve.mobility.drain
  - module: pve.mobility.upgrade_plan
"""

EXAMPLES = r"""
- name: Report two drains together
  pve.mobility.upgrade_report:
    title: Work on the power supply
    nodes:
      - {name: pve1, state: done, moves: "{{ first.moves }}", times: {drain: "{{ first.duration_s }}"}}
      - {name: pve2, state: done, moves: "{{ second.moves }}", times: {drain: "{{ second.duration_s }}"}}
    dest: [power.html, power.md]
"""

RETURN = r"""
answer:
  description: The whole in a sentence.
  returned: success
  type: str
  sample: "5 of 5 nodes done in 1 h 52 min: 212 moves, 318 GiB, 5 reboots, longest pause of a running VM 184 ms."
good:
  description: All nodes are done.
  returned: success
  type: bool
  sample: true
totals:
  description: Its figures.
  returned: success
  type: dict
  sample: {"nodes": 5, "done": 5, "failed": 0, "moves": 212, "bytes": 341449900032}
failure:
  description: Facts about a failure, to branch on.
  returned: failure
  type: dict
  contains:
    kind:
      description:
        - V(invalid), when it cannot be read or written.
      type: str
      sample: invalid
"""
