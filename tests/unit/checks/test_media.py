# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ISO images, the node's own drive, cloud-init drives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import judge_move
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import guest_config
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import SeenVolume

from .fixtures import Fixture, ids
from .made import VM, VM_DISK, move, stopped

OTHER = Guest(105, "qemu", "pve2", "copy")
NAME = "tank:vm-104-cloudinit"
WITH_CLOUDINIT = {**VM_DISK, "ide2": f"{NAME},media=cdrom"}


def medium(value: str, **more: Any) -> MoveFacts:
    return move(config={**VM_DISK, "ide2": f"{value},media=cdrom"}, **more)


def beside(node: str) -> MoveFacts:
    """Another guest names the same volume on a node."""
    configs = (
        guest_config(104, "qemu", "pve1", WITH_CLOUDINIT),
        guest_config(105, "qemu", node, {"ide0": f"{NAME},media=cdrom"}),
    )
    return move(config=WITH_CLOUDINIT, state={"guests": (VM, OTHER), "guest_configs": configs})


def left(node: str) -> MoveFacts:
    """A copy that broke off has left a volume of that name."""
    return move(config=WITH_CLOUDINIT, state={"volumes": (SeenVolume(node, NAME),)})


FIXTURES = [
    Fixture("local-media", lambda: medium("local:iso/debian.iso"), lambda: medium("nfs:iso/debian.iso")),
    Fixture("local-media", lambda: medium("local:iso/debian.iso", guest=stopped(VM)), lambda: medium("none")),
    Fixture("local-media", lambda: medium("cdrom"), lambda: medium(NAME)),
    Fixture("cloudinit-name", lambda: beside("pve2"), lambda: beside("pve3")),
    Fixture("cloudinit-name", lambda: left("pve2"), lambda: left("pve3")),
]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("local:iso/a.iso", "ide2 holds local:iso/a.iso, which lies on storage of pve1 alone"),
        ("cdrom", "ide2 of 104 billing-db is the CD drive of pve1 itself"),
    ],
)
def test_what_is_said_of_a_medium(value: str, text: str) -> None:
    (finding,) = (item for item in judge_move(medium(value)) if item.id == "local-media")
    assert finding.message == text
    assert finding.remedy == "eject it (ide2: none), or use an image on shared storage"


def test_a_cloudinit_drive_that_is_mapped_elsewhere_meets_no_namesake() -> None:
    assert "cloudinit-name" not in ids(replace(beside("pve2"), storage_map={"tank": "ceph"}))
