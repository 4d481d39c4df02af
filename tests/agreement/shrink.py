# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest cluster that still shows a disagreement: whatever can be left out is left out."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.planning.ask import Impossible
from lab.cluster_file.reader import ClusterFileError
from tests.agreement.case import Case
from tests.agreement.run import Result, run

_Path = tuple[Any, ...]


def shrink(result: Result, budget: int = 300) -> Result:
    """Leave out one thing after the other, as long as prediction and outcome differ in the same way.

    :param budget: cases that may be tried.
    """
    best, again = result, True
    while again:
        again = False
        for smaller in _smaller(best.case):
            if budget <= 0:
                return best
            budget -= 1
            found = _tried(smaller)
            if found is not None and _same(found, best):
                best, again = found, True
                break
    return best


def _tried(case: Case) -> Result | None:
    try:
        return run(case)
    except (ClusterFileError, Impossible):
        return None


def _same(one: Result, other: Result) -> bool:
    return one.word is other.word and set(one.differs) == set(other.differs) and one.cause == other.cause


def _smaller(case: Case) -> Iterator[Case]:
    if case.storage_map:
        yield replace(case, storage_map={})
    if not case.with_local_disks:
        yield replace(case, with_local_disks=True)
    needed = {("guests",), ("guests", case.guest), ("nodes",), ("nodes", case.target)}
    for path in _paths(case.cluster):
        if path in needed:
            continue
        cluster = copy.deepcopy(case.cluster)
        inner = cluster
        for key in path[:-1]:
            inner = inner[key]
        del inner[path[-1]]
        yield replace(case, cluster=cluster)


def _paths(value: Any, depth: int = 4) -> Iterator[_Path]:
    """The big things first."""
    if not isinstance(value, dict) or depth == 0:
        return
    for key in value:
        yield (key,)
    for key, inner in value.items():
        for path in _paths(inner, depth - 1):
            yield (key, *path)
