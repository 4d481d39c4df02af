# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a failed move has left behind is looked up: logs do not tell, and replicas are no leftovers."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import PermissionDenied
from ansible_collections.pve.mobility.plugins.module_utils.execution.moving import Moving
from ansible_collections.pve.mobility.plugins.module_utils.execution.remains import Remains, remains

# A worker that was killed while it mirrored a disk (timeline 06d): its log says nothing of the volume on the target.
KILLED = [
    "2026-11-23 04:10:02 starting migration of VM 110 to node 'pve2' (10.99.0.12)",
    "2026-11-23 04:10:02 found local disk 'dira:110/vm-110-disk-0.qcow2' (attached)",
    "mirror-scsi0: transferred 32.0 MiB of 1.0 GiB (3.12%) in 2s",
]
DISK = {"volid": "dira:110/vm-110-disk-0.qcow2", "content": "images", "vmid": 110}
BACKUP = {"volid": "dira:backup/vzdump-qemu-110.vma", "content": "backup", "vmid": 110}


class Answers:
    def __init__(self, **answers: Any) -> None:
        self.answers = {path.replace("_", "/"): answer for path, answer in answers.items()}
        self.asked: list[str] = []

    def get(self, path: str, params: dict[str, Any] | None = None) -> Any:
        self.asked.append(path)
        answer = self.answers[path.removeprefix("/nodes/")]
        if isinstance(answer, Exception):
            raise answer
        return answer


def move(**more: Any) -> Moving:
    return Moving(110, "qemu", "vm110", "pve1", "pve2", "online", True, **more)


def test_a_volume_on_the_target_is_found() -> None:
    session = Answers(
        pve2_storage=[{"storage": "dira"}, {"storage": "ceph", "shared": 1}],
        pve2_storage_dira_content=[DISK, BACKUP],
        pve1_replication=[],
    )
    assert remains(session, move(), KILLED, "pve1") == Remains(("dira:110/vm-110-disk-0.qcow2 on pve2",), "pve2")


def test_a_replica_is_no_leftover_but_a_second_copy_is() -> None:
    second = {"volid": "dira:110/vm-110-disk-1.qcow2", "content": "images"}
    session = Answers(
        pve2_storage=[{"storage": "dira", "shared": 0}],
        pve2_storage_dira_content=[DISK, second],
        pve1_replication=[{"id": "110-0", "target": "pve2"}],
    )
    assert remains(session, move(), KILLED, "pve1").volumes == ("dira:110/vm-110-disk-1.qcow2 on pve2",)


def test_a_mapped_storage_is_looked_into_under_its_own_name() -> None:
    session = Answers(
        pve2_storage=[{"storage": "tank"}, {"storage": "dira"}],
        pve2_storage_tank_content=[{"volid": "tank:vm-110-disk-0", "content": "images"}],
    )
    found = remains(session, move(storage_map={"dira": "tank"}), KILLED, "pve1")
    assert found.volumes == ("tank:vm-110-disk-0 on pve2",)


def test_after_the_arrival_the_source_is_looked_at() -> None:
    session = Answers(
        pve1_storage=[{"storage": "dira"}], pve1_storage_dira_content=[DISK], pve2_replication=[{"target": "pve3"}]
    )
    found = remains(session, move(storage_map={"": "tank"}), KILLED, "pve2")
    assert found == Remains(("dira:110/vm-110-disk-0.qcow2 on pve1",), "pve1")


def test_a_guest_without_local_disks_costs_no_request() -> None:
    session = Answers()
    assert remains(session, move(), KILLED[:1], "pve1") == Remains((), "pve2")
    assert session.asked == []


@pytest.mark.parametrize("path", ["pve2_storage", "pve2_storage_dira_content"])
def test_what_may_not_be_seen_is_not_claimed(path: str) -> None:
    answers: dict[str, Any] = {"pve2_storage": [{"storage": "dira"}], "pve2_storage_dira_content": [], path: None}
    answers[path] = PermissionDenied("no")
    assert not remains(Answers(**answers), move(), KILLED, "pve1").certain
