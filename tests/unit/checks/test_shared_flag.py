# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Storage that is only said to be shared."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import judge_move
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import Storage

from .fixtures import Fixture, ids
from .made import DISKS, GIB, STORAGES, VM, move, scope, status, stopped

SAID = Storage("said", "dir", DISKS, shared=True, where="/mnt/said", is_mountpoint=True)


def sizes(source: int, target: int, kind: str = "dir", running: bool = True) -> MoveFacts:
    """Sizes in GiB that the two nodes tell of a storage that is flagged as shared."""
    seen = (status("said", "pve1", GIB, source * GIB), status("said", "pve2", GIB, target * GIB))
    guest = VM if running else stopped(VM)
    config = {"scsi0": "said:104/vm-104-disk-0.raw,size=8G"}
    return move(guest, config, state={"storages": (*STORAGES, replace(SAID, type=kind)), "storage_status": seen})


FIXTURES = [
    Fixture("shared-flag", lambda: sizes(100, 200), lambda: sizes(100, 100)),
    Fixture("shared-flag", lambda: sizes(100, 200, "lvm"), lambda: sizes(100, 200, "nfs")),
    Fixture("shared-flag", lambda: sizes(100, 200, running=False), lambda: sizes(100, 100, running=False)),
    Fixture(
        "shared-flag-unsure",
        lambda: scope(storages=(*STORAGES, replace(SAID, is_mountpoint=False))),
        lambda: scope(storages=(*STORAGES, SAID)),
    ),
]


def test_what_is_said() -> None:
    (finding,) = (item for item in judge_move(sizes(100, 250)) if item.id == "shared-flag")
    assert finding.message == (
        "storage said is flagged as shared, but is another one on pve2 (250 GiB) than on pve1 (100 GiB), so"
        " 104 billing-db would arrive without scsi0"
    )


@pytest.mark.parametrize("target", [100_000, 100_090])
def test_what_nodes_round_differently_is_one_storage(target: int) -> None:
    assert "shared-flag" not in ids(sizes(100_000, target))
