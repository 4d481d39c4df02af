# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One case: a cluster, and a move that is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Case:
    """``cluster`` is a cluster file of the lab; ``mode`` auto or offline; ``drawn`` names what is special about it.

    ``busy``: a disk of the guest that is on its way to another storage meanwhile.
    """

    seed: int
    cluster: dict[str, Any]
    guest: int
    target: str
    mode: str = "auto"
    with_local_disks: bool = True
    storage_map: dict[str, str] = field(default_factory=dict)
    drawn: tuple[str, ...] = ()
    busy: str = ""

    def text(self) -> str:
        """To repeat it by hand."""
        asked = {"guest": self.guest, "target": self.target, "mode": self.mode}
        if not self.with_local_disks:
            asked["with_local_disks"] = False
        if self.storage_map:
            asked["target_storage"] = dict(self.storage_map)
        if self.busy:
            asked["busy"] = self.busy
        head = f"# seed {self.seed}: {', '.join(self.drawn) or 'nothing special'}\n# asked: {asked}\n"
        return head + yaml.safe_dump(self.cluster, sort_keys=False, default_flow_style=None, width=120)
