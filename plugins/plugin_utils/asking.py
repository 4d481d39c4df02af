# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the arguments of a task to what judgements and plans take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.meant import meant
from ansible_collections.pve.mobility.plugins.module_utils.model.snapshot import SnapshotError, from_json, from_plain
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.model.thresholds import Thresholds
from ansible_collections.pve.mobility.plugins.module_utils.model.zfs_facts import ZfsFacts, zfs_facts
from ansible_collections.pve.mobility.plugins.module_utils.planning.ask import Impossible

THRESHOLDS: dict[str, Any] = {
    "type": "dict",
    "options": {name: {"type": "float"} for name in Thresholds.__dataclass_fields__},
}


def state(given: Any) -> ClusterState:
    """From the option ``facts``: a result of ``cluster_info``, or a file on the controller that holds one as JSON.

    :raises SnapshotError: it is something else, damaged, cut off, or of a newer schema.
    """
    if not isinstance(given, str):
        return from_plain(given)
    if given.lstrip().startswith("{"):
        return from_json(given)
    try:
        text = Path(given).expanduser().read_text(encoding="utf-8")
    except OSError as problem:
        raise SnapshotError(
            f"The snapshot {given} cannot be read: {problem.strerror}. Give a file on the controller, or the registered"
            " result of cluster_info."
        ) from None
    except UnicodeDecodeError:
        raise SnapshotError(f"The snapshot {given} is no text: give a file that holds one as JSON.") from None
    return from_json(text)


def know(accept: frozenset[str], known: set[str]) -> None:
    """:raises Impossible: something is accepted that no finding is called."""
    for name in sorted(accept - known):
        raise Impossible(
            f"There is no finding {name} to accept: take an id from the list of findings, or of your own rules."
            f"{meant(name, known)}"
        )


def thresholds(given: Mapping[str, Any] | None) -> Thresholds:
    """Those that were given, and the usual ones.

    :raises Impossible: one is negative, or a share of more than everything.
    """
    limits = {name: value for name, value in (given or {}).items() if value is not None}
    for name, value in limits.items():
        if not 0 <= value <= (100 if name.endswith("headroom") else math.inf):
            unit = "per cent, 0 to 100" if name.endswith("headroom") else "0 or more"
            raise Impossible(f"thresholds: {name} is {value:g}, and has to be {unit}.")
    return Thresholds(**limits)


def zfs(given: Mapping[str, Any] | None) -> dict[str, ZfsFacts]:
    """``zfs_info`` results by node."""
    found = {}
    for node, row in (given or {}).items():
        if not isinstance(row, Mapping) or "pools" not in row:
            raise Impossible(f"node_facts of {node} is no result of zfs_info: it has no pools.")
        found[str(node)] = zfs_facts(row)
    return found


def storage_map(given: Any) -> dict[str, str]:
    """As ``migrate`` takes it: one storage for all, or source: target."""
    if not given:
        return {}
    if isinstance(given, Mapping):
        return {str(source): str(target) for source, target in given.items()}
    if isinstance(given, str):
        return {"": given}
    raise Impossible("target_storage is neither a storage nor a mapping of source to target storages.")
