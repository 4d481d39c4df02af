# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A snapshot as JSON, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.codec import Malformed, built, plain
from ansible_collections.pve.mobility.plugins.module_utils.model.state import PARTS, SCHEMA, ClusterState

ALWAYS = ("schema", "parts", "unknown")


class SnapshotError(ValueError):
    """A text or value is no snapshot that this release can read: one sentence."""


def to_plain(state: ClusterState) -> dict[str, Any]:
    """What ``cluster_info`` returns: the fields of the parts that were asked for, and those of every snapshot.

    Guests carry their ``label`` too, for people.
    """
    wanted = {*ALWAYS, *(name for part in state.parts for name in PARTS.get(part, ()))}
    result = {name: plain(getattr(state, name)) for name in ClusterState.__dataclass_fields__ if name in wanted}
    for row, guest in zip(result.get("guests", ()), state.guests, strict=False):
        row["label"] = guest.label
    return result


def from_plain(value: Any) -> ClusterState:
    """From the result of ``cluster_info``; other keys of a registered result do no harm.

    :raises SnapshotError: it is something else, damaged, or of a newer schema.
    """
    if not isinstance(value, Mapping) or "schema" not in value:
        raise SnapshotError(
            "This is no snapshot of cluster_info: it has no schema. Give the whole registered result, or a file that"
            " holds it as JSON."
        )
    schema = value["schema"]
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise SnapshotError(f"This is no snapshot of cluster_info: its schema is {schema!r}, not a number.")
    if schema > SCHEMA:
        raise SnapshotError(
            f"The snapshot has schema {schema}, and this release reads schemas up to {SCHEMA}: use the release of"
            " pve.mobility that wrote it, or a newer one."
        )
    try:
        return built(ClusterState, value)
    except Malformed as problem:
        raise SnapshotError(f"The snapshot is damaged: {problem}. Collect it again with cluster_info.") from None


def to_json(state: ClusterState) -> str:
    return json.dumps(to_plain(state), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def from_json(text: str) -> ClusterState:
    """:raises SnapshotError: see :func:`from_plain`; also when the text was cut off."""
    try:
        value = json.loads(text)
    except ValueError as problem:
        raise SnapshotError(
            f"The snapshot is no valid JSON ({problem}): the file may have been cut off. Collect it again with"
            " cluster_info."
        ) from None
    return from_plain(value)
