# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HTML pages: one file each, with everything in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ansible_collections.pve.mobility.plugins.plugin_utils.progress import duration, size

_PAGES = Path(__file__).parent / "pages"


def render(page: str, values: Mapping[str, Any]) -> str:
    """:param page: a template in ``pages``, by its name without suffix."""
    environment = Environment(
        loader=FileSystemLoader(_PAGES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(size=size, duration=duration, moment=moment)
    return environment.get_template(f"{page}.html.j2").render(values)


def moment(seconds: float | None) -> str:
    """Unix time for people, in UTC."""
    if not seconds:
        return "at an unknown time"
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
