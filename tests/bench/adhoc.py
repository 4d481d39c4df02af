# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One module call as a user would make it: ``ansible localhost -m …``, with what it cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.harness import Lab
from tools.area import COLLECTIONS


@dataclass(frozen=True, slots=True)
class Cost:
    """``wall`` seconds; ``requests`` that the lab answered, ``polls`` of them reads of a running task's progress."""

    result: dict[str, Any]
    wall: float
    requests: int
    polls: int


def call(
    lab: Lab, module: str, arguments: Mapping[str, Any], collections: Path = COLLECTIONS, count: bool = True
) -> Cost:
    """Run one module on the controller against the lab.

    :param count: requests are counted; only for one call at a time.
    """
    if count:
        lab.control("DELETE", "/requests")
    started = time.monotonic()
    done = subprocess.run(
        ["ansible", "localhost", "-m", module, "-a", json.dumps(arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(collections),
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
            **lab.environment,
        },
    )
    wall = time.monotonic() - started
    _head, arrow, body = done.stdout.partition("=> ")
    assert arrow, f"{module} said nothing that can be read:\n{done.stdout}{done.stderr}"
    rows = lab.requests() if count else []
    # Whatever is read before the write decides; it is no poll, even where it looks like one.
    written = next((number for number, row in enumerate(rows) if row["write"]), len(rows))
    polls = sum(1 for row in rows[written:] if is_poll(row))
    return Cost(json.JSONDecoder().raw_decode(body)[0], wall, len(rows), polls)


def is_poll(row: Mapping[str, Any]) -> bool:
    """Reads that follow a move: task status and log, the HA manager's state, the guest where it should arrive."""
    path = str(row["path"])
    return row["method"] == "GET" and ("/tasks" in path or "/ha/status/" in path or path.endswith("/status/current"))
