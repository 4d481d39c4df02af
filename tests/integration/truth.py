# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection claims of a move, beside what an observer sees at that moment."""

from __future__ import annotations

from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.connection import from_options
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import MobilityError
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.migrate import Migration, run
from ansible_collections.pve.mobility.plugins.module_utils.execution.request import MoveRequest
from tests.integration.harness import Lab


def move(lab: Lab, vmid: int) -> tuple[int, dict[str, Any]]:
    """Move a guest under HA to pve2 or pve3: ``claimed`` and ``true``."""
    info = lab.info
    options = {
        "api_host": info["hosts"],
        "api_token_id": info["token_id"],
        "api_token_secret": info["token_secret"],
        "ca_path": info["ca"],
    }
    target = ("pve2", "pve3")[vmid % 2]
    migration = Migration(Session(from_options(options)), Clock(lab.speed), MoveRequest(str(vmid), (target,)))
    try:
        claimed = run(migration, check=False, wait=True)["moved"]
    except MobilityError:
        claimed = False
    row = next(row for row in lab.api("/cluster/resources?type=vm") if row["vmid"] == vmid)
    service = lab.api("/cluster/ha/status/manager_status")["manager_status"]["service_status"][f"vm:{vmid}"]
    arrived = row["node"] == target == service["node"] and "lock" not in row and service["state"] == "started"
    return vmid, {"claimed": claimed, "true": arrived}
