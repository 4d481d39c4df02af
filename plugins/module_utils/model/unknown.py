# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a snapshot does not know, and why: never guessed, always said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.pve.mobility.plugins.module_utils.model.names import NodeName, Path, Sentence


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that could not be read.

    :ivar part: the part of the snapshot, as in ``subset``. :ivar why: one sentence. :ivar privileges: any one of them
        on ``path`` would have been enough; empty when it is not a matter of privileges.
    :ivar node: only what is about this node is unknown; ``vmid`` likewise for a guest.
    """

    part: str
    why: Sentence
    node: NodeName | None = None
    vmid: int | None = None
    path: Path | None = None
    privileges: tuple[str, ...] = ()


def unseen(unknown: Iterable[Unknown]) -> Unknown | None:
    """The first part that may hide something by the lack of a privilege; volumes that no guest has do not count."""
    return next((item for item in unknown if item.privileges and item.part != "storages.volumes"), None)
