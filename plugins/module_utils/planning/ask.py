# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can be asked of a judgement: one move, the drain of a node, or the whole cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.pve.mobility.plugins.module_utils.model.thresholds import Thresholds
from ansible_collections.pve.mobility.plugins.module_utils.model.zfs_facts import ZfsFacts


class Impossible(ValueError):
    """The question makes no sense for this cluster: one sentence."""


@dataclass(frozen=True, slots=True)
class Options:
    """What all judgements take.

    :ivar accept: ids of findings that do not count as blocking. :ivar storage_map: source to target storage, the key
        ``""`` for all others. :ivar isolated: the migration network is one that nobody else can listen to.
    """

    accept: frozenset[str] = frozenset()
    thresholds: Thresholds = field(default_factory=Thresholds)
    zfs: Mapping[str, ZfsFacts] = field(default_factory=dict)
    with_local_disks: bool = True
    storage_map: Mapping[str, str] = field(default_factory=dict)
    isolated: bool = False


@dataclass(frozen=True, slots=True)
class MoveAsk:
    """``guest`` by number or name, to ``target``; ``mode`` auto, online, restart or offline."""

    guest: int | str
    target: str
    mode: str = "auto"


@dataclass(frozen=True, slots=True)
class DrainAsk:
    """``node`` is to carry no guest; ``targets`` None for any other node."""

    node: str
    targets: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ClusterAsk:
    """Everything: can each guest leave its node, and is the cluster fit for it?"""
