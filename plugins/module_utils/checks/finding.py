# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a check finds, and the kinds of findings that there are."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class Severity(enum.Enum):
    """``block``: it would fail or do harm. ``warn``: it works, with a price. ``info``: good to know."""

    BLOCK = "block"
    WARN = "warn"
    INFO = "info"

    @property
    def rank(self) -> int:
        """The worst comes first."""
        return ("block", "warn", "info").index(self.value)


@dataclass(frozen=True, slots=True)
class Finding:
    """One judgement. ``id`` is stable: playbooks accept findings by it.

    ``message`` says what and where, ``remedy`` how to fix it, ``evidence`` the values it rests on.
    """

    id: str
    severity: Severity
    message: str
    remedy: str
    guest: int | None = None
    node: str | None = None
    storage: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The shape in module results."""
        result: dict[str, Any] = {
            "id": self.id,
            "severity": self.severity.value,
            "message": self.message,
            "remedy": self.remedy,
            "evidence": dict(self.evidence),
        }
        for name in ("guest", "node", "storage"):
            value = getattr(self, name)
            if value is not None:
                result[name] = value
        return result


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of finding: its stable id, and what the reference says of it.

    :ivar severity: the one that it mostly has. :ivar what: what was found, a sentence. :ivar why: why that matters.
    :ivar remedy: how to fix it, in general. :ivar evidence: which values a finding carries.
    :ivar enforced: Proxmox VE itself refuses such a move, or the move fails; otherwise it would go ahead.
    """

    id: str
    severity: Severity
    what: str
    why: str
    remedy: str
    evidence: str = ""
    enforced: bool = False

    def found(
        self,
        message: str,
        remedy: str | None = None,
        *,
        severity: Severity | None = None,
        guest: int | None = None,
        node: str | None = None,
        storage: str | None = None,
        **evidence: Any,
    ) -> Finding:
        """A finding of this kind; without a remedy of its own it has the general one."""
        return Finding(
            self.id, severity or self.severity, message, remedy or self.remedy, guest, node, storage, evidence
        )
