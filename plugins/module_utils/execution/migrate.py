# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``migrate`` from beginning to end: decide, sync, start, follow, tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    MobilityError,
    NodeUnreachable,
    PermissionDenied,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding
from ansible_collections.pve.mobility.plugins.module_utils.execution import outcome
from ansible_collections.pve.mobility.plugins.module_utils.execution.follow import Follower, HaRefused, State
from ansible_collections.pve.mobility.plugins.module_utils.execution.moving import Moving
from ansible_collections.pve.mobility.plugins.module_utils.execution.prepare import Decision, decide
from ansible_collections.pve.mobility.plugins.module_utils.execution.request import MoveRequest
from ansible_collections.pve.mobility.plugins.module_utils.execution.start import start
from ansible_collections.pve.mobility.plugins.module_utils.execution.sync import (
    await_quiet,
    job_to_sync,
    not_synced,
    sync,
)
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts

LONG = 86400.0
"""Seconds to wait for replication when there is no time limit."""


@dataclass(slots=True)
class Migration:
    """One call of the module. :meth:`prepare`, then :meth:`begin`, then :meth:`finish`."""

    session: Session
    clock: Clock
    request: MoveRequest
    say: Callable[[str], None] | None = None

    def prepare(self) -> Decision:
        """:raises MobilityError: it cannot or must not be done; nothing was changed."""
        return decide(self.session, self.request, self.clock)

    def begin(self, decision: Decision) -> Moving | None:
        """Start what has to be started; None when there is nothing to follow."""
        if decision.start and decision.moving is not None and decision.facts is not None:
            try:
                self._sync(decision.facts, decision.moving, decision.findings)
                return start(self.session, self.clock, self.request, decision.moving, decision.known)
            except MobilityError as error:
                raise outcome.not_started(decision, error) from None
        if decision.moving is not None:
            decision.moving.asked_at = self.clock.monotonic()
        return decision.moving

    def finish(self, moving: Moving) -> dict[str, Any]:
        """Follow to the real end and return what it adds to the result.

        :raises MobilityError: with where the guest is now.
        """
        follower = Follower(self.session, self.clock, moving)
        timeout = self.request.timeout
        deadline = moving.asked_at + timeout if timeout else None
        try:
            verdict = follower.wait(deadline)
        except HaRefused as refusal:
            raise outcome.refused_by_ha(follower, refusal) from None
        except NodeUnreachable as silence:
            raise outcome.lost(follower, silence) from None
        match verdict.state:
            case State.DONE:
                return outcome.moved(follower, verdict)
            case State.FAILED:
                raise outcome.failed(follower, verdict)
        cancel = self.request.on_timeout == "cancel"
        error = outcome.timed_out(self.session, self.clock, follower, timeout, cancel)
        if error is not None:
            raise error
        return outcome.moved(follower, follower.verdict)

    def _sync(self, facts: MoveFacts, moving: Moving, findings: list[Finding]) -> None:
        if facts.ha is not None:
            moving.since = facts.ha.timestamp
        elif facts.replication and self.request.sync_first is not False:
            moving.since = self._cluster_time(moving.source)
        deadline = self.clock.monotonic() + (self.request.timeout or LONG)
        job = job_to_sync(self.request, facts, moving.since)
        if job is not None:
            try:
                sync(self.session, self.clock, job, deadline, self.say)
            except PermissionDenied as refusal:
                if self.request.sync_first:
                    raise
                # Nobody asked for it; the move only has more left to copy.
                findings.append(not_synced(facts, job, refusal))
        await_quiet(self.session, self.clock, facts, deadline)

    def _cluster_time(self, node: str) -> int:
        """Unix time in the cluster, whose clock may differ from the controller's; 0 when it may not be asked."""
        try:
            return int(self.session.get(f"/nodes/{node}/time").get("time", 0))
        except PermissionDenied:
            return 0


def attached(handle: Mapping[str, Any]) -> Decision:
    """The decision of the run that returned this ``follow`` handle: its move is under way."""
    moving = Moving.from_dict(handle)
    return Decision(moving.guest, moving.target, moving.mode, moving)


def run(migration: Migration, *, check: bool, wait: bool, handle: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The whole of it, as the module's result.

    :param check: send no write. :param wait: follow to the end; otherwise ``follow`` in the result is the handle.
    :param handle: of a move that an earlier run has started; its time limit counts from then.
    """
    decision = migration.prepare() if handle is None else attached(handle)
    result = outcome.result(decision)
    if check:
        if decision.start and decision.facts is not None and migration.request.sync_first:
            job_to_sync(migration.request, decision.facts, 0)
        return result
    moving = migration.begin(decision) if handle is None else decision.moving
    if moving is None:
        return result
    result |= {"ha": moving.ha, "task": moving.task, "changed": True}
    result["findings"] = [finding.as_dict() for finding in decision.findings]
    if not wait:
        return result | {"follow": moving.as_dict()}
    return result | migration.finish(moving)
