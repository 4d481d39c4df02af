# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""UPIDs: what Proxmox VE calls the identifier of a task (pve-facts §9)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid

_UPID = re.compile(
    r"^UPID:(?P<node>[^:]+):(?P<pid>[0-9A-Fa-f]{8}):(?P<pstart>[0-9A-Fa-f]{8,9}):(?P<start>[0-9A-Fa-f]{8}):"
    r"(?P<type>[^:\s]+):(?P<id>[^:\s]*):(?P<user>[^:\s]+):$"
)


@dataclass(frozen=True, slots=True)
class Upid:
    """``UPID:node:pid:pstart:starttime:type:id:user:``; ``start`` is Unix time on the node, seconds."""

    text: str
    node: str
    type: str
    id: str
    user: str
    start: int

    @classmethod
    def parse(cls, text: str) -> Upid:
        """:raises Invalid: when it is no UPID."""
        match = _UPID.match(text)
        if not match:
            raise Invalid(
                f"'{text}' is not a UPID (example: UPID:pve1:0000C0DE:00012345:6B03A737:qmigrate:100:root@pam:)."
            )
        return cls(text, match["node"], match["type"], match["id"], match["user"], int(match["start"], 16))
