# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far a replication run is, read from its log: runs are no tasks (pve-facts §6.2, §6.6)."""

from __future__ import annotations

import contextlib
import re

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import ApiError
from ansible_collections.pve.mobility.plugins.module_utils.api.progress import Progress
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob

LINE = re.compile(r"^\S+ \S+ \d+-\d+: (?:\(\S+\) )?(.*)$", re.DOTALL)
_TROUBLE = re.compile(
    r"error|fail|cannot|could not|unable|refused|denied|timed out|no route|no such|no common|busy"
    r"|out of space|modified",
    re.IGNORECASE,
)
_NONE = "unable to open file"
"""What stands in the place of a log before the first run."""
_MOST = 500


def read_on(session: Session, job: ReplicationJob, progress: Progress, read: int, now: float) -> int:
    """Feed what is new in the log of the present run; returns how many lines are read by now.

    :param now: of the clock. It says less than usual when the log cannot be read.
    """
    with contextlib.suppress(ApiError):
        rows = session.get(f"/nodes/{job.source}/replication/{job.id}/log", {"start": read, "limit": _MOST}) or []
        lines = [_text(str(row.get("t", ""))) for row in rows if int(row.get("n", 0)) > read]
        if lines and lines[0].startswith(_NONE):
            return read
        progress.feed(lines, now)
        return read + len(lines)
    return read


def cause(session: Session, job: ReplicationJob) -> str:
    """Why the last run failed: the last line that says so; the job's error is only the command and its exit code."""
    why = job.error or "no reason given"
    with contextlib.suppress(ApiError):
        for row in session.get(f"/nodes/{job.source}/replication/{job.id}/log", {"limit": _MOST}) or ():
            text = _text(str(row.get("t", "")))
            if _TROUBLE.search(text) and not text.startswith(("end replication job", _NONE)):
                why = text
    return " ".join(why.split()).rstrip(".")


def _text(line: str) -> str:
    match = LINE.match(line)
    return match[1] if match else line
