# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What somebody may have meant who wrote a name that there is not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def meant(written: str, known: Iterable[str]) -> str:
    """A question to put after a sentence, with the space before it; empty when nothing comes close."""
    close = difflib.get_close_matches(written, list(known), n=1)
    return f" Did you mean {close[0]}?" if close else ""
