# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``migrate`` on every release of Proxmox VE that it supports, and on one that is newer than it knows."""

from __future__ import annotations

import pytest

from tests.integration.clusters import VARIABLES, cluster
from tests.integration.harness import HERE, play, running_lab


@pytest.mark.parametrize("release", ["8.4", "9.0", "9.1", "9.2", "9.9"])
def test_every_release(release: str) -> None:
    whole = cluster(node_defaults={"release": float(release)})
    if release == "8.4":
        whole["ha"] = {"settled": True}
    with running_lab(whole) as lab:
        first, *others = (
            str(HERE / "playbooks" / f"{name}.yml") for name in ("vm_online", "container_restart", "ha_move")
        )
        outcome = play(first, lab, *others, variables=VARIABLES)
        assert outcome.code == 0, outcome.text


def test_conntrack_needs_a_release_that_knows_it() -> None:
    whole = cluster(node_defaults={"release": 8.4}, ha={"settled": True})
    with running_lab(whole) as lab:
        refused = {
            "move": {"guest": 100, "target": "pve2", "with_conntrack_state": True},
            "kind": "unsupported",
            "words": ["9.0", "8.4"],
            "same_in_check_mode": False,
        }
        outcome = play(HERE / "playbooks" / "refused.yml", lab, variables={**VARIABLES, **refused})
        assert outcome.code == 0, outcome.text
