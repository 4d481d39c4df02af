# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Progress lines on the controller: one a step, the number that matters first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def line(row: Mapping[str, Any]) -> str:
    """One line for a row of ``guests`` as ``follow`` returns it."""
    state = row["state"]
    label = f"{row['vmid']} {row['name']}".rstrip()
    if state == "idle":
        return f"  {label}  is on {row['node']}; nothing moves it"
    what = f"  {row['disk']}" if row.get("disk") else ""
    if row.get("doing"):
        return f"  {label}{what}  {row['doing']} …"
    head = f"  {label}{what}  {row['source']} → {row['target']}"
    if state == "done":
        pause = row.get("downtime_ms")
        paused = f", paused for {pause} ms" if pause is not None else ""
        took = row.get("duration_s") or row.get("elapsed_s")
        return f"{head}  done" + (f" in {duration(took)}{paused}" if took is not None else paused)
    if state == "failed":
        return f"{head}  failed"
    if row.get("waiting_for_ha"):
        return f"{head}  asked the HA manager, which acts every 10 s …"
    return f"{head}  {_progress(row['progress'])}"


def started_by_ha(row: Mapping[str, Any]) -> str:
    """The line that says that an HA request has become a real task."""
    label = f"{row['vmid']} {row['name']}".rstrip()
    return f"  {label}  the HA manager started the move ({row['task']})"


def _progress(values: Mapping[str, Any]) -> str:
    parts = [str(values["phase"])]
    if values.get("percent") is not None:
        parts[0] += f" {values['percent']} %"
        parts.append(f"{amount(values['done_bytes'], values['total_bytes'])}")
    elif values.get("done_bytes"):
        parts.append(size(values["done_bytes"]))
    if values.get("rate_bytes_s") and values.get("done_bytes"):
        parts.append(f"{size(values['rate_bytes_s'])}/s")
    if values.get("eta_s"):
        parts.append(f"{duration(values['eta_s'])} left")
    return "  ".join(parts)


def amount(done: float, total: float) -> str:
    """``41.2 of 110 GiB``: both in the unit of the total."""
    index = _unit(total)
    return f"{_number(done / 1024**index)} of {_number(total / 1024**index)} {_UNITS[index]}"


def size(value: float) -> str:
    """``212 MiB``."""
    index = _unit(value)
    return f"{_number(value / 1024**index)} {_UNITS[index]}"


def duration(seconds: float) -> str:
    """``9 min 12 s``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes < 10 and rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def _unit(value: float) -> int:
    index = 0
    while value >= 1024 and index < len(_UNITS) - 1:
        value /= 1024
        index += 1
    return index


def _number(value: float) -> str:
    """Three digits are enough to read."""
    if value >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}"
