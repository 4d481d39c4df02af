# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Progress as results and displays show it."""

from __future__ import annotations

from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.progress import Progress


def progress_values(progress: Progress) -> dict[str, Any]:
    """Bytes, bytes/s, seconds."""
    return {
        "phase": progress.phase.value,
        "percent": progress.percent,
        "done_bytes": progress.done,
        "total_bytes": progress.total,
        "rate_bytes_s": int(progress.rate),
        "eta_s": None if progress.eta is None else round(progress.eta),
    }
