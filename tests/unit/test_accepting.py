# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings that are accepted by an id that there is not: told before anything is asked of the cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.connection import Connection
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid
from ansible_collections.pve.mobility.plugins.module_utils.execution import (
    disk_request,
    drain_request,
    drain_storage,
    request,
)


def migrate(accept: list[str]) -> Any:
    return request.from_options({"guest": "100", "target": ["pve2"], "accept": accept}, Connection(("pve1",), "a@pve"))


def drain(accept: list[str]) -> Any:
    return drain_request.from_options({"node": "pve1", "accept": accept})


def move_disk(accept: list[str]) -> Any:
    return disk_request.from_options({"guest": "100", "disk": ["scsi0"], "storage": "ceph", "accept": accept})


def empty_storage(accept: list[str]) -> Any:
    return drain_storage.from_options({"storage": "nfs", "accept": accept})


@pytest.mark.parametrize(
    ("ask", "wrong", "right"),
    [
        (migrate, "replica-stael", "replica-stale"),
        (drain, "guest-loked", "guest-locked"),
        (move_disk, "disk-leave-replication", "disk-leaves-replication"),
        (empty_storage, "disk-leave-replication", "disk-leaves-replication"),
    ],
)
def test_an_id_that_there_is_not_is_no_acceptance(ask: Callable[[list[str]], Any], wrong: str, right: str) -> None:
    ask([right])
    with pytest.raises(Invalid) as refused:
        ask([right, wrong])
    assert str(refused.value).endswith(f"list of findings in the documentation. Did you mean {right}?")
