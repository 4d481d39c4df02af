# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of transfers: ``bwlimit`` of datacenter.cfg, storages and requests (pve-facts §5.2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lab.pve.formats import parse_property_string

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.users import Identity


def limit(
    cluster: Cluster, operation: str, storages: Iterable[str | None], override: float | None, who: Identity
) -> float | None:
    """KiB/s, None without limit; 0 also means none (pve-storage Storage.pm:get_bandwidth_limit).

    :param override: what the request asked for; who may change the limits may exceed them.
    """
    chosen = override
    use_global = False

    def apply(text: str | None) -> bool:
        nonlocal chosen
        limits = parse_property_string(text or "")
        value = limits.get(operation, limits.get("default"))
        if value is None:
            return False
        if not chosen or float(value) < chosen:
            chosen = float(value)
        return True

    users = cluster.users
    names = list(dict.fromkeys(name for name in storages if name is not None))
    if names:
        if override is not None and users.may(who, "/storage", "Datastore.Allocate"):
            return override
        for name in names:
            if override is None or not users.may(who, f"/storage/{name}", "Datastore.Allocate"):
                use_global = not apply(cluster.storages.definition(name).values.get("bwlimit")) or use_global
        if not use_global:
            return chosen
    if override is None or not users.may(who, "/", "Sys.Modify"):
        apply(cluster.options().get("bwlimit"))
    return chosen


def kib(value: float) -> str:
    """A limit as Perl prints it: without a fraction when it has none."""
    return str(int(value)) if value == int(value) else str(value)
