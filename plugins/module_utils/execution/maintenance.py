# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Switching HA maintenance mode of a node, and waiting until it is really so.

There is no API for it (pve-facts §7.5): ``ha-manager`` puts a word into a queue and says nothing of what becomes of it.
What becomes of it is read with ``pvesh``, as root on any node of the cluster.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    Conflict,
    MobilityError,
    NodeUnreachable,
    NoQuorum,
    NotFound,
    TimedOut,
    Unsupported,
)
from ansible_collections.pve.mobility.plugins.module_utils.model.maintenance import Maintenance, maintenance

Shell = Callable[[Sequence[str]], tuple[int, str, str]]
"""Runs a program: exit code, output, errors."""

STATUS = "/cluster/ha/status/manager_status"
POLL = 3.0
UNHEARD = 60.0
"""Seconds until the manager, which works every 10 s, must have taken the request."""
CALM = 60.0
"""Seconds without any move after which services that have not come back are not going to."""


@dataclass(frozen=True, slots=True)
class Request:
    """``node``: empty for the one that this runs on. ``timeout``: seconds, 0 for none."""

    node: str
    active: bool
    wait: bool = True
    timeout: float = 1800.0


def run(shell: Shell, clock: Clock, request: Request, check: bool = False) -> dict[str, Any]:
    """The module's result.

    :raises MobilityError: it cannot be switched, or not in time; ``services`` in the details says what is in the way.
    """
    node = request.node or _own_name(shell)
    before = _look(shell, node)
    begun = clock.monotonic()
    needed = _needed(before, request.active)
    if needed:
        _refuse(before, request.active)
    now = before
    if needed and not check:
        _switch(shell, node, request.active)
    if request.wait and not check and (needed or before.switched_on):
        now = _await(shell, clock, request, node, begun)
    return _result(before, now, request, needed, clock.monotonic() - begun)


def _needed(seen: Maintenance, active: bool) -> bool:
    if active:
        return not seen.switched_on and seen.managed
    return seen.switched_on and seen.requested


def _refuse(seen: Maintenance, active: bool) -> None:
    """:raises MobilityError: the manager would drop the request without a word."""
    if seen.disarmed is not None and active:
        raise Conflict(
            f"HA is disarmed ({seen.disarmed}), so that {seen.node} cannot enter maintenance mode: arm it first"
            " (ha-manager crm-command arm-ha). Nothing was changed.",
            node=seen.node,
        )
    if active and seen.node_state != "online":
        raise NodeUnreachable(
            f"{seen.node} is {seen.node_state} for the HA manager, which takes only nodes that are online into"
            " maintenance mode: bring it back first. Nothing was changed.",
            node=seen.node,
        )


def _switch(shell: Shell, node: str, active: bool) -> None:
    word = "enable" if active else "disable"
    _run(shell, ["ha-manager", "crm-command", "node-maintenance", word, node])


def _await(shell: Shell, clock: Clock, request: Request, node: str, begun: float) -> Maintenance:
    calm_since: float | None = None
    while True:
        seen: Maintenance | None
        try:
            seen = _look(shell, node)
        except NoQuorum:
            seen = None
        if seen is not None and (seen.entered if request.active else seen.left):
            return seen
        passed = clock.monotonic() - begun
        if seen is None or request.active or not seen.calm:
            calm_since = None
        elif calm_since is None:
            calm_since = passed
        elif passed - calm_since >= CALM:
            return seen
        if seen is not None and request.active and not seen.switched_on and passed > UNHEARD:
            raise Conflict(
                f"The HA manager has not taken the request for {node} within {UNHEARD:.0f} s: the journal of pve-ha-crm"
                " on the HA master says why.",
                node=node,
            )
        if request.timeout and passed >= request.timeout:
            raise _too_late(seen, request, node)
        clock.sleep(POLL)


def _too_late(seen: Maintenance | None, request: Request, node: str) -> TimedOut:
    limit = f"within {request.timeout:g} s"
    if seen is None:
        return TimedOut(f"{node} has had no quorum {limit}: bring back a majority of the nodes.", node=node)
    rows = [_row(item.sid, item.state, item.target) for item in seen.leaving]
    if request.active:
        names = ", ".join(f"{item.sid} ({item.state})" for item in seen.leaving) or "none"
        return TimedOut(
            f"{node} is not empty of active HA services {limit}; still there: {names}. The HA manager tries on"
            " without a word: see the tasks of the guests, and its rules. Maintenance mode stays on until"
            " state: inactive.",
            node=node,
            services=rows,
        )
    names = ", ".join((*seen.to_return, *seen.arriving)) or "none"
    return TimedOut(
        f"{node} has not left maintenance mode {limit} (it is {seen.node_state}, its resource manager {seen.mode});"
        f" yet to come back: {names}.",
        node=node,
        services=rows,
    )


def _result(before: Maintenance, now: Maintenance, request: Request, needed: bool, seconds: float) -> dict[str, Any]:
    state = "active" if before.switched_on else "inactive"
    wanted = "active" if needed and request.active else "inactive" if needed else state
    return {
        "changed": needed,
        "node": before.node,
        "state": wanted,
        "managed": before.managed,
        "services": [_row(item.sid, item.state, item.target) for item in now.services],
        "to_return": list(now.to_return),
        "duration_s": round(seconds, 1),
        "diff": {"before": {"maintenance": state}, "after": {"maintenance": wanted}},
    }


def _row(sid: str, state: str, target: str | None) -> dict[str, Any]:
    return {"sid": sid, "state": state, "target": target}


# ---------------------------------------------------------------- the shell


def _look(shell: Shell, node: str) -> Maintenance:
    """:raises NotFound: the cluster has no such node."""
    answer = _read(shell, STATUS)
    if not isinstance(answer, dict):
        raise Unsupported(f"pvesh get {STATUS} says nothing that could be read.")
    if str((answer.get("quorum") or {}).get("quorate", "1")) != "1":
        raise NoQuorum("The cluster has no quorum as seen from this node: bring back a majority of the nodes.")
    seen = maintenance(answer, node)
    if not seen.known and seen.managed:
        raise NotFound(f"The HA manager knows no node {node}: check the name.", node=node)
    return seen


def _own_name(shell: Shell) -> str:
    for row in _read(shell, "/cluster/status") or ():
        if row.get("type") == "node" and row.get("local"):
            return str(row["name"])
    raise Unsupported("The name of this node could not be found out: give it as node.")


def _read(shell: Shell, path: str) -> Any:
    output = _run(shell, ["pvesh", "get", path, "--output-format", "json"])
    try:
        return json.loads(output)
    except ValueError:
        raise Unsupported(f"pvesh get {path} says nothing that could be read: {output[:80]!r}.") from None


def _run(shell: Shell, words: Sequence[str]) -> str:
    """:raises MobilityError: it failed, in its words."""
    code, output, errors = shell(words)
    if code:
        why = " ".join((errors or output).split()) or f"exit code {code}"
        problem = MobilityError
        if "no such cluster node" in why:
            problem = NotFound
        elif "quorum" in why:
            problem = NoQuorum
        raise problem(f"{' '.join(words)} failed: {why.rstrip('.')}.", command=list(words))
    return output
