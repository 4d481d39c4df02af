# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``migrate`` when things go wrong: each failure says what, where, how to fix, and where the guest is now."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.clusters import VARIABLES, cluster
from tests.integration.harness import HERE, SPEED, Lab, Outcome, play, running_lab


def run(name: str, lab: Lab, **variables: Any) -> Outcome:
    return play(HERE / "playbooks" / f"{name}.yml", lab, variables={**VARIABLES, **variables})


def order(do: str, **body: Any) -> dict[str, Any]:
    """Something to be done to the cluster before the playbook's move."""
    return {"do": do, "body": body}


MAINTENANCE = ["ha-manager", "crm-command", "node-maintenance", "enable", "pve2"]

FAILING: dict[str, dict[str, Any]] = {
    "a task that fails": {
        "before": [
            order("fault", task="qmigrate", vmid=100, phase="memory", effect={"fail": "migration status error: failed"})
        ],
        "move": {"guest": 100, "target": "pve2"},
        "kind": "task_failed",
        "words": [
            "migration status error: failed",
            "UPID:pve1:",
            "is on pve1 and runs",
            "no lock and no leftover disk",
        ],
        "same_in_check_mode": False,
    },
    "a container's task that fails": {
        "before": [order("fault", task="vzmigrate", vmid=200, effect={"fail": "no such thing"})],
        "move": {"guest": 200, "target": "pve2"},
        "kind": "task_failed",
        "words": ["no such thing", "is on pve1"],
        "same_in_check_mode": False,
    },
    "a task that is killed": {
        "before": [order("fault", task="qmigrate", vmid=100, phase="memory", effect="kill")],
        "move": {"guest": 100, "target": "pve2"},
        "kind": "task_failed",
        "words": ["was killed", "is on pve1 and runs", "a lock remains (migrate)"],
        "same_in_check_mode": False,
    },
    "a disk that is left behind": {
        "before": [order("fault", task="qmigrate", vmid=102, phase="disks", effect="kill")],
        "move": {"guest": 102, "target": "pve2"},
        "kind": "task_failed",
        "words": ["was killed", "is on pve1 and runs", "left behind: tank:vm-102-disk-0 on pve2"],
        "same_in_check_mode": False,
    },
    "a stuck lock": {
        "cluster": {100: {"lock": "migrate"}},
        "move": {"guest": 100, "target": "pve2"},
        "kind": "locked",
        "words": ["no migration task runs", "qm unlock 100", "Nothing was changed"],
    },
    "a backup in progress": {
        "cluster": {100: {"lock": "backup"}},
        "move": {"guest": 100, "target": "pve2"},
        "kind": "locked",
        "words": ["locked (backup)"],
    },
    "a target that is offline": {
        "before": [order("node", node="pve2", action="power-off"), order("advance", seconds=20)],
        "move": {"guest": 100, "target": "pve2"},
        "kind": "blocked",
        "words": ["node-offline", "pve2 is offline"],
    },
    "no quorum": {
        # With active HA services, or as the HA master, pve1 would fence itself a minute later.
        "cluster": {110: {"node": "pve2"}, 111: {"node": "pve3"}},
        "ha": {"master": "pve3"},
        "before": [
            order("node", node="pve2", action="power-off"),
            order("node", node="pve3", action="power-off"),
            order("advance", seconds=20),
        ],
        "move": {"guest": 101, "target": "pve2", "preflight": "skip"},
        "kind": "no_quorum",
        "words": ["no quorum", "majority"],
    },
    "an HA manager that does nothing": {
        "before": [order("fault", ha="never-acts", sid="vm:110")],
        "move": {"guest": 110, "target": "pve2"},
        "kind": "task_failed",
        "words": ["not acted on it within", "is on pve1 and runs"],
        "same_in_check_mode": False,
    },
    "an HA manager that forgets": {
        "before": [order("fault", ha="drop", sid="vm:110")],
        "move": {"guest": 110, "target": "pve2"},
        "kind": "task_failed",
        "words": ["did not act", "is on pve1 and runs"],
        "same_in_check_mode": False,
    },
    "a local resource manager that fails": {
        "before": [order("fault", ha="lrm-fails", sid="vm:110")],
        # The only trace of it can be seen for ten seconds, so the lab must not run too fast for a busy machine.
        "speed": 4.0,
        "move": {"guest": 110, "target": "pve2"},
        "kind": "task_failed",
        "words": ["without starting a migration task", "is on pve1 and runs"],
        "same_in_check_mode": False,
    },
    "an HA move whose task fails": {
        "before": [order("fault", task="qmigrate", vmid=110, phase="memory", effect={"fail": "no luck today"})],
        "move": {"guest": 110, "target": "pve2"},
        "kind": "task_failed",
        "words": ["no luck today", "is on pve1 and runs"],
        "same_in_check_mode": False,
    },
    "HA towards a node in maintenance": {
        "before": [order("shell", node="pve1", argv=MAINTENANCE), order("advance", seconds=60)],
        "move": {"guest": 110, "target": "pve2"},
        "kind": "blocked",
        "words": ["node-maintenance", "pve2"],
    },
    "a service in error": {
        # It needs more memory than any node has, so it cannot be started, and the HA manager gives it up.
        "cluster": {
            110: {"running": False, "memory": "900G", "ha": {"state": "started", "max_restart": 0, "max_relocate": 0}}
        },
        "settled": False,
        "before": [order("advance", seconds=40)],
        "move": {"guest": 110, "target": "pve2"},
        "kind": "blocked",
        "words": ["ha-error", "vm:110"],
    },
    "a disarmed HA stack": {
        "before": [
            {"api": "/cluster/ha/status/disarm-ha", "body": {"resource-mode": "freeze"}},
            order("advance", seconds=40),
        ],
        "move": {"guest": 110, "target": "pve2"},
        "kind": "blocked",
        "words": ["ha-disarmed", "arm it again"],
    },
}


@pytest.mark.parametrize("case", FAILING)
def test_failure(case: str) -> None:
    values = dict(FAILING[case])
    changes: dict[int, dict[str, Any]] = values.pop("cluster", {})
    whole = cluster()
    whole["ha"] = {**whole["ha"], **values.pop("ha", {})}
    whole["ha"] = {**whole["ha"], "settled": values.pop("settled", True)}
    whole["guests"] = {vmid: {**row, **changes.get(vmid, {})} for vmid, row in whole["guests"].items()}
    with running_lab(whole, values.pop("speed", SPEED)) as lab:
        outcome = run("refused", lab, **values)
        assert outcome.code == 0, outcome.text


def test_warnings_are_a_success() -> None:
    with running_lab(cluster(faults=[{"task": "qmigrate", "effect": {"warnings": 1}}])) as lab:
        outcome = run("warned", lab)
        assert outcome.code == 0, outcome.text
