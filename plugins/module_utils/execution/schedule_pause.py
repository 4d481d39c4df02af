# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long a schedule pauses at most: asked of the API, which knows its own calendar and the node's time zone.

The API gives the next hundred times at most. Where the longest pause may be is worked out here, and then it is asked
how long that one really is (a change to summer time, for example, makes it longer or shorter).
"""

from __future__ import annotations

import contextlib
import itertools

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import ApiError
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.replication_read import ANALYZE
from ansible_collections.pve.mobility.plugins.module_utils.model.schedule import longest_gap, normal_form

MOST = 100
"""Times that one request may ask for."""
PAGES = 8
"""Requests for a schedule that only the API can read."""
DAY = 86400


def longest_pause(session: Session, schedule: str, now: int | None, offset: int = 0) -> int | None:
    """Seconds; None when it comes once at most, or cannot be found out. One or two requests.

    :param now: Unix time. :param offset: seconds by which the node's local time is ahead of UTC.
    """
    own = longest_gap(schedule, (now or 0) + offset)
    try:
        found = _asked(session, schedule, now, 1 if own is not None else PAGES)
        if own is not None and (found is None or own[1] > found):
            again = _asked(session, schedule, own[0] - offset - 1, 1, 2)
            found = max(item for item in (found, again, 0) if item is not None) or None
    except ApiError:
        return own[1] if own is not None else None
    return found


def longest_pauses(session: Session, schedules: set[str], now: int | None, offset: int = 0) -> dict[str, int | None]:
    """For each schedule. Those that differ by a shift within the hour only are asked about once."""
    found: dict[str, int | None] = {}
    alike: dict[object, int | None] = {}
    for schedule in sorted(schedules):
        key = _rhythm(schedule)
        if key not in alike:
            alike[key] = longest_pause(session, schedule, now, offset)
        found[schedule] = alike[key]
    return found


def local_offset(session: Session, node: str) -> tuple[int | None, int]:
    """Unix time and offset of local time; without Sys.Audit on the node they are not known: None and 0."""
    with contextlib.suppress(ApiError):
        row = session.get(f"/nodes/{node}/time")
        return int(row["time"]), int(row.get("localtime", row["time"])) - int(row["time"])
    return None, 0


def _asked(session: Session, schedule: str, start: int | None, pages: int, count: int = MOST) -> int | None:
    stamps: list[int] = []
    for _page in range(pages):
        since = stamps[-1] if stamps else start
        rows = session.get(ANALYZE, {"schedule": schedule, "iterations": count, "starttime": since}) or []
        stamps += [int(row["timestamp"]) for row in rows]
        if len(rows) < count or stamps[-1] - stamps[0] > 8 * DAY:
            break
    return max((later - earlier for earlier, later in itertools.pairwise(stamps)), default=None)


def _rhythm(schedule: str) -> object:
    event = normal_form(schedule)
    if event is None:
        return schedule
    if not event.every_day or len(event.hours) < 24:
        return event
    return event.shifted(60 - min(event.minutes))
