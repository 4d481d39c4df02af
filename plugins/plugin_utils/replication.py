# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Showing replication while it is waited for: short calls of ``replication_job`` itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.utils.display import Display

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.plugin_utils import progress
from ansible_collections.pve.mobility.plugins.plugin_utils.watch import STEP

Call = Callable[[dict[str, Any]], "dict[str, Any]"]


def follow_replication(call: Call, arguments: dict[str, Any], display: Display) -> dict[str, Any]:
    """Begin, and repeat until it is over; the module itself minds the time limit.

    :param call: runs the module with arguments and returns its result.
    """
    answer = begun = call({**arguments, "wait": False})
    look = STEP * max(1.0, Clock().speed)
    said = ""
    while not answer.get("failed") and "follow" in answer:
        text = progress.line(answer["progress"])
        if text != said:
            said = text
            display.display(text)
        answer = call({**arguments, "wait": True, "follow": answer["follow"], "for_seconds": look})
    if answer is begun or answer.get("failed"):
        return answer
    # What only the call that decided knows.
    return {**answer, **{key: begun[key] for key in ("diff",) if key in begun}}
