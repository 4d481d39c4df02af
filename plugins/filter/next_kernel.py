# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which kernel a node will boot."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: next_kernel
short_description: Tell which kernel a node will boot
version_added: 1.0.0
author: pve.mobility contributors (@pve-mobility)
description:
  - Reads what C(proxmox-boot-tool kernel list) prints. The pinned kernel boots, else the newest one.
positional: _input
options:
  _input:
    description: The output of C(proxmox-boot-tool kernel list).
    type: str
    required: true
"""

EXAMPLES = r"""
- name: See which kernels there are
  ansible.builtin.command: proxmox-boot-tool kernel list
  register: kernels
  changed_when: false

- name: Say which one will boot
  ansible.builtin.debug:
    msg: "{{ kernels.stdout | pve.mobility.next_kernel }}"
"""

RETURN = r"""
_value:
  description: The kernel, such as V(7.0.2-1-pve); empty when the output names none.
  type: str
"""

_KERNEL = re.compile(r"^\d+\.\d+\S*$")


def next_kernel(output: Any) -> str:
    """:raises AnsibleFilterError: it is no text."""
    if not isinstance(output, str):
        raise AnsibleFilterError("next_kernel: give the output of proxmox-boot-tool kernel list, a text.")
    known: list[str] = []
    pinned = ""
    below = ""
    for line in map(str.strip, output.splitlines()):
        if line.endswith(":"):
            below = line.lower()
        elif _KERNEL.match(line):
            known.append(line)
            if below.startswith(("pinned kernel", "kernel pinned on next-boot")):
                # What is pinned for the next boot alone is listed last, and counts.
                pinned = line
    return pinned or max(known, key=_parts, default="")


def _parts(kernel: str) -> tuple[tuple[int, str], ...]:
    """Numbers by their value, words after them."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"[.\-+~]", kernel))


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[[Any], str]]:
        return {"next_kernel": next_kernel}
