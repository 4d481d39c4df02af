# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings that somebody accepts by their ids: a misspelt one would accept nothing, and nobody would notice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid
from ansible_collections.pve.mobility.plugins.module_utils.model.meant import meant


def accepted(options: Mapping[str, Any], known: Iterable[str]) -> frozenset[str]:
    """The option ``accept``.

    :param known: ids of all findings that there can be. :raises Invalid: none of them is called that.
    """
    found = frozenset(str(name).strip() for name in options.get("accept") or ())
    names = set(known)
    for name in sorted(found - names):
        raise Invalid(
            f"accept: there is no finding {name}; take an id from the result, or from the list of findings in the"
            f" documentation.{meant(name, names)}"
        )
    return found
