# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``/cluster/jobs``: what a calendar event means (pve-manager API2/Cluster/Jobs.pm)."""

from __future__ import annotations

import datetime as dt
from typing import Any

from lab.guests.replication.calendar import next_event
from lab.http.router import Call, Param, opt, route

USUAL = 10


@route("GET", "/cluster/jobs")
def index(_call: Call) -> list[dict[str, str]]:
    return [{"subdir": "schedule-analyze"}, {"subdir": "realm-sync"}]


@route("GET", "/cluster/jobs/schedule-analyze", Param("schedule", format="pve-calendar-event", max_length=128),
       opt("starttime", "integer"), opt("iterations", "integer", minimum=1, maximum=100))  # fmt: skip
def analyze(call: Call) -> list[dict[str, Any]]:
    """The next times at which a schedule comes round, fewer when it ends."""
    moment = call.get("starttime", int(call.cluster.engine.now))
    rows: list[dict[str, Any]] = []
    for _number in range(call.get("iterations", USUAL)):
        moment = next_event(call["schedule"], moment)
        if not moment:
            break
        stamp = dt.datetime.fromtimestamp(moment, dt.UTC).strftime("%a %b %e %H:%M:%S %Y")
        rows.append({"timestamp": moment, "utc": stamp})
    return rows
