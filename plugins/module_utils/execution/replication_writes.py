# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writing replication jobs. Each write is synchronous; what it sets going is not (pve-facts §6.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    ApiError,
    Locked,
    MaybeSent,
    MobilityError,
    NotFound,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.planning.replica_set import Cleanup, Settings, Update

JOBS = "/cluster/replication"
TRIES = 5
PAUSE = 2.0

Answer = TypeVar("Answer")


class Raced(MobilityError):
    """Somebody else has changed the jobs meanwhile, or an answer was lost: read again and decide anew."""

    kind = "conflict"


def create(session: Session, clock: Clock, id: str, target: str, settings: Settings) -> None:
    """:raises Raced: the number or the target is taken by now."""
    values = {"id": id, "type": "local", "target": target} | settings.params()
    _write(clock, lambda: session.post(JOBS, values))


def update(session: Session, clock: Clock, wanted: Update) -> None:
    """:raises Raced: the job is gone."""
    values: dict[str, Any] = dict(wanted.values)
    if wanted.delete:
        values["delete"] = ",".join(wanted.delete)
    _write(clock, lambda: session.put(f"{JOBS}/{wanted.job.id}", values))


def remove(session: Session, clock: Clock, id: str, cleanup: Cleanup) -> None:
    """Mark it for removal; with ``force`` it is gone at once. A job that is gone already is none to remove."""
    try:
        _write(clock, lambda: session.delete(f"{JOBS}/{id}", cleanup.params))
    except Raced as race:
        if not race.details.get("gone"):
            raise


def _write(clock: Clock, send: Callable[[], Answer]) -> Answer:
    """Once it has an answer it is not sent again; a file that somebody else locks is waited for."""
    for attempt in range(TRIES):
        try:
            return send()
        except Locked:
            if attempt == TRIES - 1:
                raise
        except MaybeSent as lost:
            raise Raced(lost.message) from None
        except NotFound as error:
            if "no such job" in error.reason or "no such replication job" in error.reason:
                raise Raced(error.message, gone=True) from None
            raise
        except ApiError as error:
            if "already exists" in error.reason:
                raise Raced(error.message) from None
            raise
        clock.sleep(PAUSE * (attempt + 1))
    raise Raced("The replication jobs could not be written.")
